"""Micro-Manager's adapters: some cannot stop their stage (its ASI adapter), which is known before
anything moves. Behind a core of our own, which is neither's."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from firmware_bridge.errors import StageError, StageRefused, StageUncertain
from firmware_bridge.stage import Stage, open_stage


class Core:
    """What MmCoreStage asks of CMMCore; `without`: what the adapter says of a stop, "" = it can."""

    without = ""

    def __init__(self) -> None:
        self.z_um, self.stops = 50.0, 0

    def setDeviceAdapterSearchPaths(self, paths: list[str]) -> None: ...

    def loadSystemConfiguration(self, config: str) -> None: ...

    def getLoadedDevices(self) -> tuple[str, ...]:
        return ("Z",)

    def getDeviceLibrary(self, device: str) -> str:
        return "ASIStage"

    def getDeviceName(self, device: str) -> str:
        return "ZStage"

    def deviceBusy(self, device: str) -> bool:
        return False

    def getPosition(self, device: str) -> float:
        return self.z_um

    def setPosition(self, device: str, z_um: float) -> None:
        self.z_um = z_um

    def stop(self, device: str) -> None:
        self.stops += 1
        if self.without:
            raise RuntimeError(self.without)

    def reset(self) -> None: ...


WITHOUT = "Unsupported operation\nin device Z"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest):
    """(core, open): the stage of an adapter that says `without` of a stop."""

    def open_on(without: str, **options: object) -> tuple[Core, Stage]:
        core = Core()
        core.without = without
        monkeypatch.setitem(sys.modules, "pymmcore", SimpleNamespace(CMMCore=lambda: core))
        window = {"z_min_um": 0.0, "z_max_um": 100.0, "poll_ms": 4}
        given = {"config": "a.cfg", "adapters": "/mm", "device": "Z", "resolution_um": 0.1}
        stage = open_stage("mmcore", {**window, **given, **options})
        request.addfinalizer(stage.close)
        return core, stage

    return open_on


def test_an_adapter_without_a_stop_is_refused_before_anything_moves(opened) -> None:
    with pytest.raises(StageRefused, match="ASIStage ZStage cannot be stopped") as refused:
        opened(WITHOUT)
    assert refused.value.reason == "CONFIG"
    assert "`without_stop: true`" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_person_may_accept_it_and_a_stop_says_that_the_axis_goes_on(opened) -> None:
    core, stage = opened(WITHOUT, without_stop=True)
    assert stage.identity.text.endswith("cannot be stopped")
    stage.move_to(60.0, 50.0)
    with pytest.raises(StageUncertain, match="goes on to its target, it has no stop: Unsupported"):
        stage.stop()
    assert core.stops == 2  # tried once at the opening, and again when it was asked for


def test_an_adapter_that_can_is_asked_once_and_stops(opened) -> None:
    core, stage = opened("")
    assert core.stops == 1
    assert "cannot be stopped" not in stage.identity.text
    stage.stop()
    assert core.stops == 2


@pytest.mark.parametrize("word", ["yes", 1, None])
def test_accepting_it_is_yes_or_no(opened, word: object) -> None:
    with pytest.raises(StageError, match="without_stop"):
        opened(WITHOUT, without_stop=word)
