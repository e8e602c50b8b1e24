"""From frames, and from what the networks were shown, the networks say the same again."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.appliance import cli
from edge.appliance.record.files import RecordReader, records_in
from edge.appliance.record.recorder import Recorder
from edge.appliance.record.replay import replay
from edge.camera import Camera, Frame, PixelFormat
from edge.errors import ConfigError
from edge.loop import step
from edge.measure.importance import Importance
from edge.rig import build_rig
from edge.settings import Config, ModelSettings, RecordSettings
from tests.support.fake_microscope import MS, Clock, FakeStage
from tests.support.reference_records import nominal


class Slide(Camera):
    """Frames in colours that the tiny networks read: content where there is little green."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._made, self._id = clock, np.random.default_rng(4), 0

    def next(self, timeout_s: float) -> Frame:
        self._clock.now_ns += 50 * MS
        pixels = np.empty((2016, 2016, 3), np.uint8)
        pixels[...] = self._made.integers(0, 256, (9, 9, 3), np.uint8).repeat(224, 0).repeat(224, 1)
        self._id += 1
        return Frame(pixels, PixelFormat.RGB8, self._id, self._clock() - 3 * MS, self._clock() - MS)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def config(models: tuple[Path, Path]) -> Config:
    nets = ModelSettings(rin=models[0], dpn=models[1], threads=1, backend="cpu")
    config = nominal()
    return replace(config, models=nets, loop=replace(config.loop, max_age_ms=1e4))


def recorded(folder: Path, config: Config, level: str, frames: int = 4) -> Recorder:
    clock = Clock()
    stage = FakeStage(clock, z_um=200.0, z_min_um=100.0, z_max_um=300.0)
    with Recorder(RecordSettings(level, ring_mib=128), folder) as recorder:
        rig = build_rig(config, camera=Slide(clock), stage=stage, clock=clock, doors=recorder.doors)
        recorder.of(rig)
        for number in range(frames):
            if number == frames - 1:
                stage.latched = "LIMIT"  # an event
            recorder.begin()
            recorder.add(step(rig))
            while recorder._ring and recorder._ring._slot is not None:
                threading.Event().wait(0.001)
        rig.close()
    return recorder


@pytest.mark.parametrize(("level", "topic"), [("inputs", "/inputs"), ("frames", "/pixels")])
def test_the_networks_say_the_same_again(
    tmp_path: Path, config: Config, level: str, topic: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    says = recorded(tmp_path, config, level).record()
    assert (says["lost_pictures"], says["lost_decisions"]) == (0, 0)
    (path,) = records_in(tmp_path)
    assert topic in {message.topic for message in RecordReader(path)}
    assert (replay(path).frames, replay(path).measured) == (4, 0)
    assert cli.main(["replay", str(path), "--from", level]) == 0
    assert "4 frames, every decision the same, 4 measured again" in capsys.readouterr().out
    monkeypatch.setattr(
        Importance, "rank", lambda importance, scores, rank=Importance.rank: rank(
            importance, scores * np.float32(1 + 2**-23)
        ),
    )  # fmt: skip
    difference = replay(path, level).difference
    assert difference is not None
    assert difference.frame == 0
    assert difference.field.startswith("ranked.scores[")


def test_where_there_are_no_inputs_nothing_is_measured_again(
    tmp_path: Path, config: Config
) -> None:
    recorded(tmp_path, config, "decisions")
    (path,) = records_in(tmp_path)
    assert (replay(path, "inputs").frames, replay(path, "inputs").measured) == (4, 0)


def test_other_networks_are_told_from_those_that_measured(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path, config, "decisions")
    (path,) = records_in(tmp_path)
    networks = RecordReader.__init__

    def others(reader: RecordReader, where: Path) -> None:
        networks(reader, where)
        reader.session["networks"]["dpn"] = "0" * 64

    monkeypatch.setattr(RecordReader, "__init__", others)
    with pytest.raises(ConfigError, match="another dpn"):
        replay(path, "frames")
    assert replay(path).difference is None


def test_a_budget_of_time_is_not_measured_again(tmp_path: Path, config: Config) -> None:
    timed = replace(config, loop=replace(config.loop, budget_ms=1000.0))
    recorded(tmp_path, timed, "decisions")
    (path,) = records_in(tmp_path)
    assert replay(path).difference is None
    with pytest.raises(ConfigError, match="budget_ms"):
        replay(path, "inputs")
