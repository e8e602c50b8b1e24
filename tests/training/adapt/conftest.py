"""A stack of one field."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import made_stacks as made

# --- what is refused -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A stack of 13 planes of a dense field, as pictures."""
    away = np.arange(-12.0, 12.1, 2.0)
    return away, made.pictures(made.field(7), away)
