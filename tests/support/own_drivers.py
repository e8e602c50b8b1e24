"""The drivers of examples/my_drivers.py and their contracts, on a clock advanced by hand."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from sparsefocus.testing import CameraContract, StageContract
from tests.support.fake_microscope import Clock

ROOT = Path(__file__).parents[2]


def example(name: str) -> ModuleType:
    """A module of examples/, which is no package."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


class VirtualTime:
    """A contract's clock: waiting costs nothing, and every look takes a microsecond."""

    patience_s = 5.0

    def __init__(self, driver: Any) -> None:
        self.driver, self.virtual = driver, Clock()

    def clock(self) -> int:
        self.virtual.now_ns += 1000
        return self.virtual.now_ns

    def pause(self, seconds: float) -> None:
        self.virtual.now_ns += round(seconds * 1e9)


class MyCameraContract(VirtualTime, CameraContract):
    period_s = 0.0

    def open(self) -> Any:
        return self.driver(side_px=512, clock=self.clock, sleep=self.pause)


class MyStageContract(VirtualTime, StageContract):
    def open(self) -> Any:
        return self.driver(z_min_um=100.0, z_max_um=300.0, clock=self.clock, sleep=self.pause)
