"""For all tests: the same examples in every run, and no clock that decides."""

from __future__ import annotations

from hypothesis import settings

# a busy machine is no defect: nothing here passes or fails by how long an example took
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
