"""How `run` ends when something is gone, latched or uncertain, and the status that says so."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge.appliance import cli
from edge.appliance.run import verb as run_verb
from edge.appliance.run.loop_statistics import LoopStatistics
from edge.appliance.run.realtime import RealtimeSettings
from edge.appliance.run.verb import Asked, track
from edge.errors import CameraStalled, ConfigError, MoveRefused, MoveUncertain
from edge.settings import RecordSettings
from firmware_bridge.errors import (
    LinkLost,
    NotConnected,
    StageRefused,
    StageSilent,
    StageUncertain,
)
from tests.support.counted_frames import after
from tests.support.fake_microscope import microscope


def test_a_latched_axis_is_a_shutdown_before_the_first_frame():
    rig, _ = microscope(focus_um=6.0)
    rig.stage.latched = "SAFE_STOP"
    statistics = LoopStatistics()
    assert track(rig, statistics, Asked(), after(5)) == 3
    assert (statistics.frames, rig.stage.moves) == (0, [])
    assert "SAFE_STOP" in rig.state.reason
    assert "stage clear" in rig.state.reason


@pytest.mark.parametrize("focus_um", [0.0, 6.0], ids=["nothing to move", "a move due"])
def test_a_latch_that_is_not_ours_is_a_shutdown(monkeypatch, focus_um):
    rig, _ = microscope(focus_um=focus_um)
    next_frame = rig.camera.next

    def somebody_stops(timeout_s):
        rig.stage.latched = "LIMIT"
        return next_frame(timeout_s)

    monkeypatch.setattr(rig.camera, "next", somebody_stops)
    statistics = LoopStatistics()
    assert track(rig, statistics, Asked(), after(50)) == 3
    assert (statistics.frames, statistics.decisions["SHUTDOWN"]) == (1, 1)
    assert "LIMIT" in rig.state.reason


def test_a_controller_that_says_latched_at_the_move_is_a_shutdown():
    rig, _ = microscope(focus_um=6.0)
    rig.stage.fail = StageRefused("LATCHED", "to 6.000 um; the axis is at 0.000 um")
    assert track(rig, LoopStatistics(), Asked(), after(50)) == 3
    assert "the axis is at 0.000 um" in rig.state.reason


@pytest.fixture
def made(monkeypatch):
    """`run` on the microscope of plain numbers: a function of the options, and its rig."""

    def run(rig, **options):
        config = SimpleNamespace(
            stage=SimpleNamespace(calibration="by-hand"),
            realtime=RealtimeSettings(),
            record=RecordSettings("none"),
            control=None,
        )
        monkeypatch.setattr(run_verb, "read_config", lambda _: config)
        monkeypatch.setattr(run_verb, "build_rig", lambda _, doors: rig)
        usual = {
            "frames": None,
            "seconds": None,
            "quiet": False,
            "json": None,
            "wait": 0.0,
            "demo": False,
            "record": None,
        }
        return run_verb.run(SimpleNamespace(config="x", **{**usual, **options}))

    return run


def test_a_shutdown_is_told_though_its_record_cannot_be_written(made, monkeypatch, capsys):
    def full(*_):
        raise ConfigError("--json r.json: cannot be written: No space left on device")

    rig, _ = microscope(focus_um=9.0, sign=-1)
    monkeypatch.setattr(run_verb, "write_json", full)
    assert made(rig, json=Path("r.json")) == 3
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("sparsefocus: shut down: focus sign")
    assert second.startswith("sparsefocus: warning: --json r.json: cannot be written")
    healthy, _ = microscope()
    with pytest.raises(ConfigError):  # it went well, and leaves nothing: that is to be known
        made(healthy, json=Path("r.json"), frames=3)


def test_a_driver_that_fails_at_its_end_changes_no_status(made, monkeypatch, capsys):
    rig, _ = microscope(focus_um=9.0, sign=-1)

    def fails():
        raise RuntimeError("the driver's library is gone")

    monkeypatch.setattr(rig.camera, "close", fails)
    assert made(rig) == 3
    assert "at the end: the driver's library is gone" in capsys.readouterr().err
    assert rig.stage.closed


def test_the_record_has_the_latch(made, tmp_path):
    rig, _ = microscope()
    rig.stage.latched = "SAFE_STOP"
    assert made(rig, json=tmp_path / "r.json") == 3
    record = json.loads((tmp_path / "r.json").read_text())
    assert (record["exit"], record["latched"], record["frames"]) == (3, "SAFE_STOP", 0)


def test_a_terminal_that_is_gone_changes_no_status(made, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    rig, _ = microscope(focus_um=9.0, sign=-1)
    gone = SimpleNamespace(write=full, flush=lambda: full(""), isatty=lambda: True)
    monkeypatch.setattr(sys, "stderr", gone)
    assert made(rig) == 3


def test_a_wrong_sign_ends_it_for_safety():
    rig, _ = microscope(focus_um=9.0, sign=-1)
    assert track(rig, LoopStatistics(), Asked(), after(500)) == 3
    assert len(rig.stage.moves) <= 3  # two, and the way back
    assert "sign" in rig.state.reason


def test_a_camera_that_is_gone_ends_it_as_failed():
    rig, _ = microscope()
    rig.camera.stalls = 100
    statistics = LoopStatistics()
    assert track(rig, statistics, Asked(), after(5)) == 4
    assert (statistics.stalls, statistics.frames) == (10, 0)
    assert rig.stage.stops == 0  # at rest: a stop would latch it for whoever begins again


@pytest.mark.parametrize("lost", [LinkLost("silent"), StageSilent("no answer")])
def test_a_camera_that_is_gone_says_nothing_of_an_axis_that_does_not_answer(lost):
    """Whoever begins again after a 4 may move: it is promised that the axis rests where it says."""
    rig, _ = microscope()
    rig.camera.stalls = 100
    rig.stage.fail_status = lost
    assert track(rig, LoopStatistics(), Asked(), after(5)) == 5
    assert rig.stage.stops == 1


def test_a_camera_that_is_gone_while_the_axis_moves_stops_it():
    rig, _ = microscope(focus_um=6.0)
    assert track(rig, LoopStatistics(), Asked(), lambda statistics: statistics.moves > 0) == 0
    assert rig.stage.status().moving
    rig.stage.travel_ms = 1e6
    rig.camera.stalls = 100
    assert track(rig, LoopStatistics(), Asked(), after(50)) == 5
    assert rig.stage.stops == 1


def test_a_move_whose_outcome_is_unknown_is_for_a_person():
    rig, _ = microscope(focus_um=6.0)
    rig.stage.fail = StageUncertain("no answer to 3 sends")
    assert track(rig, LoopStatistics(), Asked(), after(50)) == 5
    assert "uncertain" in rig.state.reason


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CameraStalled("gone"), 4),
        (StageRefused("RANGE"), 4),
        (StageSilent("no answer"), 4),
        (NotConnected("/dev/nothing"), 4),
        (OSError("io"), 4),
        (LinkLost("silent"), 5),
        (StageUncertain("no answer"), 5),
        (MoveUncertain("the same of the edge"), 5),
        (MoveRefused("window"), 3),
        (ConfigError("x"), 2),
    ],
)
def test_every_verb_tells_a_doubt_of_the_position_from_what_is_only_gone(
    monkeypatch, error, status
):
    def fails(_):
        raise error

    monkeypatch.setattr(run_verb, "run", fails)
    assert cli.main(["run", "--config", "x"]) == status
