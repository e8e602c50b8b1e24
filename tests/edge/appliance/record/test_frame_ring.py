"""Frames around events: from a ring in memory, before decisions are dropped, never instead."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from edge.appliance.record import recorder as recorder_module
from edge.appliance.record import writer as writer_module
from edge.appliance.record.files import (
    RecordReader,
    records_in,
)
from edge.appliance.record.recorder import Recorder
from edge.appliance.record.replay import replay
from edge.camera import Frame, PixelFormat
from edge.settings import RecordSettings
from tests.support.reference_records import Bench, nominal


class Pictures(Bench):
    """Frames of many pixels, each another."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder, nominal(), {})
        inner = self.rig.camera.inner
        given = inner.next

        def seen(timeout_s: float) -> Frame:
            frame = given(timeout_s)
            pixels = np.full((1024, 1024, 3), frame.frame_id, np.uint8)
            times = frame.exposure_start_ns, frame.exposure_end_ns
            return Frame(pixels, PixelFormat.RGB8, frame.frame_id, *times)

        inner.next = seen

    def kept(self, frames: int) -> None:
        """Wait after each until the ring has it: no frame is missed for want of a turn."""
        for _ in range(frames):
            self.frames(1)
            while self._recorder._ring._slot is not None:
                threading.Event().wait(0.001)


def test_frames_are_written_around_an_event(tmp_path: Path) -> None:
    with Recorder(RecordSettings("frames", ring_mib=16), tmp_path) as recorder:
        bench = Pictures(recorder)
        bench.kept(12)
        bench.stage.latched = "SAFE_STOP"
        bench.kept(1)
    (path,) = records_in(tmp_path)
    pictures = [message for message in RecordReader(path) if message.topic == "/pixels"]
    heads = {
        json.loads(message.data[4 : message.data.index(b"}") + 1])["id"] for message in pictures
    }
    assert heads == set(range(8, 13))  # 16 MiB of frames of 3 MiB
    assert recorder.record()["lost_pictures"] == 0
    assert replay(path).frames == 13


def test_without_an_event_no_frame_is_written(tmp_path: Path) -> None:
    with Recorder(RecordSettings("frames", ring_mib=16), tmp_path) as recorder:
        Pictures(recorder).kept(4)
    (path,) = records_in(tmp_path)
    assert {message.topic for message in RecordReader(path)} == {"/state", "/frame"}


def test_a_disk_that_is_slow_costs_pictures_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    take = writer_module.RecordWriter.picture
    monkeypatch.setattr(
        writer_module.RecordWriter, "picture", lambda *words: go_on.wait() and take(*words)
    )
    monkeypatch.setattr(recorder_module, "MOST_PICTURE_BYTES", -(10 << 20))  # room for two
    with Recorder(RecordSettings("frames", ring_mib=16), tmp_path) as recorder:
        bench = Pictures(recorder)
        bench.kept(5)
        bench.stage.latched = "SAFE_STOP"
        bench.kept(1)
        while recorder._ring._asked or recorder._ring._kept:
            threading.Event().wait(0.001)
        go_on.set()
    says = recorder.record()
    assert says["lost_decisions"] == 0
    assert says["lost_pictures"] >= 2
