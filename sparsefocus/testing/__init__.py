"""What the loop relies on, as tests for a camera or a stage driver of your own.

With pytest (any test runner that collects classes will do):

    from sparsefocus.testing import StageContract

    class TestMyStage(StageContract):
        def open(self):
            return MyStage("/dev/ttyUSB0", z_min_um=100, z_max_um=300)

Without: `failures(MyContract())` runs them all, and gives a line for each that failed. Nothing but
the driver is needed. The stage's tests move it, by `step_um` about where it is, within its own
window.
"""

from __future__ import annotations

from sparsefocus.testing.camera_contract import CameraContract as CameraContract
from sparsefocus.testing.contract import Contract as Contract
from sparsefocus.testing.contract import failures as failures
from sparsefocus.testing.stage_contract import StageContract as StageContract

__all__ = ["CameraContract", "Contract", "StageContract", "failures"]
