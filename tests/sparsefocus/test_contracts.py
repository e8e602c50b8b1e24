"""The contract tests for other people's drivers: they pass what is sound and refuse what is not."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

import pytest

from firmware_bridge.errors import StageRefused
from firmware_bridge.stage import ZAt
from sparsefocus.testing import CameraContract, StageContract, failures
from tests.support.own_drivers import MyCameraContract, MyStageContract, example

MyCamera = example("my_drivers").MyCamera
MyStage = example("my_drivers").MyStage


def test_the_examples_are_sound() -> None:
    assert failures(MyCameraContract(MyCamera)) == []
    assert failures(MyStageContract(MyStage)) == []


def test_a_contract_without_a_device_says_so() -> None:
    for contract in (CameraContract(), StageContract()):
        lines = failures(contract)
        assert lines
        assert all("open must give the" in line for line in lines)


# ---- broken stages -------------------------------------------------------------------------------


class Relative(MyStage):
    def move_to(self, target_um: float, assumed_um: float) -> int:
        return super().move_to(self.status().z_um + target_um - 200.0, assumed_um)


class Clamping(MyStage):
    def move_to(self, target_um: float, assumed_um: float) -> int:
        return super().move_to(min(max(target_um, self.z_min_um), self.z_max_um), assumed_um)


class Millimetres(MyStage):
    def status(self) -> Any:
        status = super().status()
        return replace(status, z_um=status.z_um / 1000)


class Believing(MyStage):
    """Never asks where it is."""

    def move_to(self, target_um: float, assumed_um: float) -> int:
        return super().move_to(target_um, self.status().z_um)


class Hasty(MyStage):
    """Says that it rests as soon as a move was accepted."""

    def status(self) -> Any:
        status = super().status()
        return replace(status, moving=False, settled_ns=status.settled_ns or status.time_ns)


class Stale(MyStage):
    """Tells for a while after a move was sent what it said before."""

    def move_to(self, target_um: float, assumed_um: float) -> int:
        self._old = self.status()
        self._left = 3
        return super().move_to(target_um, assumed_um)

    def status(self) -> Any:
        if getattr(self, "_left", 0):
            self._left -= 1
            return self._old
        return super().status()


class WallClock(MyStage):
    def status(self) -> Any:
        return replace(super().status(), time_ns=time.time_ns())


class Prophet(MyStage):
    def z_at(self, time_ns: int) -> Any:
        return ZAt(self.status().z_um, 0.1)


class Certain(MyStage):
    def z_at(self, time_ns: int) -> Any:
        return replace(super().z_at(time_ns), uncertainty_um=0.0)


class Impatient(MyStage):
    """`wait` comes back before the move is done."""

    def wait(self, timeout_s: float) -> Any:
        return self.status()


class Short(MyStage):
    """Loses a tenth of every move, and reports where it should be."""

    def move_to(self, target_um: float, assumed_um: float) -> int:
        here = self.status().z_um
        return super().move_to(here + 0.9 * (target_um - here), assumed_um)


class Blind(MyStage):
    """Compares as NaN does not: `not (x < low or x > high)`."""

    def move_to(self, target_um: float, assumed_um: float) -> int:
        if target_um < self.z_min_um or target_um > self.z_max_um:
            raise StageRefused("WINDOW")
        self._moves += 1
        return int(self._moves)


class Deaf(MyStage):
    """Runs on past its target when it is told to stop."""

    def stop(self) -> None:
        self._to_um += 20.0


class Latching(MyStage):
    """A stop latches it, and nothing clears that."""

    latched = False

    def stop(self) -> None:
        super().stop()
        self.latched = True

    def status(self) -> Any:
        return replace(super().status(), latched="STOP" if self.latched else None)


class ClosesOnce(MyStage):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


BROKEN_STAGES = {
    Relative: "it rests at|outside the window|is refused",
    Clamping: "outside the window: must raise StageRefused, and answers 1",
    Millimetres: "it stands at 0.2 um",
    Believing: "a move that assumes it .* must raise StageRefused",
    Hasty: "it is said to rest .* um from where it was sent",
    Stale: "it is said to rest since before it was sent",
    WallClock: "not the monotonic clock's",
    Prophet: "z_at in ten seconds: must raise StageRefused",
    Certain: "uncertainty_um = 0.0",
    Impatient: "ends before the move",
    Short: "sent to .* it rests at",
    Blind: "a move to nan: must raise StageRefused, and answers",
    Deaf: "stopped on its way",
    Latching: "leaves it latched",
    ClosesOnce: "RuntimeError: closed already",
}


@pytest.mark.parametrize(
    ("driver", "says"), BROKEN_STAGES.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_a_broken_stage_is_refused(driver: Any, says: str) -> None:
    lines = failures(MyStageContract(driver))
    assert lines
    assert any(re.search(says, line) for line in lines), lines
