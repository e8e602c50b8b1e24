"""A record is what the loop did, whatever becomes of the disk, the process and the queue."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from edge.appliance import cli
from edge.appliance.record import recorder as recorder_module
from edge.appliance.record import writer as writer_module
from edge.appliance.record.files import (
    PART,
    WHOLE,
    RecordFile,
    RecordReader,
    records_in,
)
from edge.appliance.record.opening import recorder_of
from edge.appliance.record.recorder import Recorder
from edge.appliance.record.replay import replay
from edge.camera import Frame
from edge.decide.decision import Decision
from edge.settings import RecordSettings
from tests.support.patience import PATIENCE_S
from tests.support.reference_records import MIDDLE_UM, Bench, nominal


def recorded(folder: Path, frames: int = 12, **settings) -> Recorder:
    """A few fields."""
    with Recorder(RecordSettings(**settings), folder) as recorder:
        bench = Bench(recorder, nominal(), {})
        for number in range(0, frames, 6):
            bench.eye.focus_um = bench.stage.glass_um + 4.0
            bench.frames(min(6, frames - number), new_field=True)
    return recorder


def test_what_is_recorded_replays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorder = recorded(tmp_path)
    (path,) = records_in(tmp_path)
    assert path.name.endswith(WHOLE)
    assert cli.main(["replay", str(path)]) == 0
    assert "12 frames, every decision the same" in capsys.readouterr().out
    says = recorder.record()
    assert (says["frames"], says["lost_decisions"], says["files"]) == (12, 0, 1)
    assert says["bytes"] == path.stat().st_size
    session = RecordReader(path).session
    assert session["config"]["objective"]["na"] == 0.75
    assert session["versions"]["numpy"] == np.__version__


def test_each_file_replays_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of controller and guard is put back at its beginning."""
    monkeypatch.setattr(recorder_module, "SEGMENT_NS", 0)
    with Recorder(RecordSettings(), tmp_path) as recorder:
        bench = Bench(recorder, nominal(), {"gain": 0.8})
        for off_um in (8.0, -9.0, 7.5, 3.0, -2.0):
            bench.eye.focus_um = bench.stage.glass_um + off_um
            bench.frames(4, new_field=True)
    paths = records_in(tmp_path)
    assert len(paths) == 20
    for path in paths:
        replayed = replay(path)
        assert (replayed.frames, replayed.difference) == (1, None)


def test_a_kill_costs_no_more_than_the_last_moment(tmp_path: Path) -> None:
    """The process goes between two frames, without a word; what was flushed is there."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from edge.appliance.record import writer\n"
        "from edge.appliance.record.recorder import Recorder\n"
        "from edge.settings import RecordSettings\n"
        "from tests.support.reference_records import Bench, nominal\n"
        "writer.FLUSH_S = 0.0\n"
        "recorder = Recorder(RecordSettings(), Path(sys.argv[1])).__enter__()\n"
        "bench = Bench(recorder, nominal(), {})\n"
        "bench.eye.focus_um += 3.0\n"
        "bench.frames(8, new_field=True)\n"
        "while recorder._put != recorder._taken: pass\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    words = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(words, timeout=PATIENCE_S, check=False, cwd=Path(__file__).parents[4])
    assert done.returncode == -signal.SIGKILL
    (path,) = records_in(tmp_path)
    assert path.name.endswith(PART)
    replayed = replay(path)
    assert (replayed.frames, replayed.difference) == (8, None)
    assert "the file ends there" in replayed.ended


def full_disk(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """`[True]` while it is full."""
    full = [True]
    flush = RecordFile.flush

    def refuse(file: RecordFile) -> None:
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(file)

    monkeypatch.setattr(RecordFile, "flush", refuse)
    return full


def test_a_full_disk_ends_the_record_and_never_the_focusing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = full_disk(monkeypatch)
    monkeypatch.setattr(writer_module, "RETRY_S", 0.0)
    with Recorder(RecordSettings(), tmp_path) as recorder:
        bench = Bench(recorder, nominal(), {})
        bench.eye.focus_um = MIDDLE_UM + 6.0
        for _ in range(10):
            bench.frames(1)
            while recorder._put != recorder._taken:  # each is tried by itself
                threading.Event().wait(0.001)
        assert abs(bench.stage.glass_um - bench.eye.focus_um) < 0.6
        full[0] = False
        bench.frames(1)
        while not recorder._writer.asks:
            bench.frames(1)
            threading.Event().wait(0.001)
        bench.frames(5, new_field=True)
        while recorder._put != recorder._taken:
            threading.Event().wait(0.001)
    err = capsys.readouterr().err
    assert err.count("No space left on device") == 1  # once, not with every frame
    assert err.count("the flight record goes on") == 1
    assert recorder.record()["lost_decisions"] > 0
    assert any(replay(path).frames for path in records_in(tmp_path) if path.suffix == ".mcap")


def test_a_folder_that_cannot_be_made_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    recorder = recorded(tmp_path / "file" / "records")
    assert capsys.readouterr().err.count("no flight record") == 1
    assert recorder.record()["lost_decisions"] == 12
    assert recorder.record()["disk_refused"]


def test_a_writer_that_is_too_slow_costs_the_record_and_not_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    go_on = threading.Event()
    take = writer_module.RecordWriter.frame
    monkeypatch.setattr(
        writer_module.RecordWriter, "frame", lambda *words: go_on.wait() and take(*words)
    )
    monkeypatch.setattr(recorder_module, "MOST_WAITING", 4)
    with Recorder(RecordSettings(), tmp_path) as recorder:
        bench = Bench(recorder, nominal(), {})
        bench.frames(10)
        go_on.set()
        while recorder._put != recorder._taken:
            threading.Event().wait(0.001)
        bench.frames(3)
    assert recorder.lost_decisions == 6
    assert "lacks 6 decisions and 0 pictures" in capsys.readouterr().err
    (path,) = records_in(tmp_path)
    replayed = replay(path)
    assert (replayed.frames, replayed.difference) == (7, None)


def test_nothing_is_recorded_where_nothing_is_wanted(tmp_path: Path) -> None:
    with recorder_of(RecordSettings("none")) as recorder:
        assert recorder.doors is None
        assert recorder.record() is None
    with recorder_of(RecordSettings("none"), tmp_path) as recorder:
        assert recorder.doors is not None  # who names a folder wants one


def test_a_thread_beside_the_loop_is_none_of_its_decisions(tmp_path: Path) -> None:
    with Recorder(RecordSettings(), tmp_path) as recorder:
        bench = Bench(recorder, nominal(), {})
        given, rig = bench.camera.next, bench.rig

        def seen(timeout_s: float) -> Frame:
            asks = threading.Thread(target=rig.stage.status)
            asks.start()
            asks.join()
            return given(timeout_s)

        bench.camera.next = seen
        bench.eye.focus_um += 2.0
        bench.frames(6)
    (path,) = records_in(tmp_path)
    assert replay(path).difference is None


def test_secrets_stay_out_of_it(tmp_path: Path) -> None:
    config = nominal()
    options = {"location": "rtsp://me:hunter2@camera/1", "password": "hunter2", "rate_hz": 30}
    object.__setattr__(config.camera, "options", options)
    with Recorder(RecordSettings(), tmp_path) as recorder:
        Bench(recorder, config, {}).frames(1)
    (path,) = records_in(tmp_path)
    assert b"hunter2" not in path.read_bytes()
    assert RecordReader(path).session["config"]["camera"]["options"]["rate_hz"] == 30


def test_the_last_decision_is_on_the_disk_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "FLUSH_S", 1e9)
    with Recorder(RecordSettings(), tmp_path) as recorder:
        bench = Bench(recorder, nominal(), {})
        bench.frames(3)
        bench.stage.latched = "SAFE_STOP"
        bench.frames(1)
        while recorder._put != recorder._taken:
            threading.Event().wait(0.001)
        (path,) = records_in(tmp_path)
        assert path.name.endswith(PART)
        frames = [message.table() for message in RecordReader(path) if message.topic == "/frame"]
    assert len(frames) == 4
    assert frames[-1]["outcome"]["decision"]["v"] == Decision.SHUTDOWN.value


def test_a_config_that_no_record_can_hold_costs_the_replay_and_not_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = nominal()
    object.__setattr__(config.camera, "options", {"queue": object()})  # a program's own
    with Recorder(RecordSettings(), tmp_path) as recorder:
        Bench(recorder, config, {}).frames(3)
    assert "lacks its config: no record holds a object" in capsys.readouterr().err
    (path,) = records_in(tmp_path)
    assert len([said for said in RecordReader(path) if said.topic == "/frame"]) == 3
    assert cli.main(["replay", str(path)]) == 2
    assert "has no config" in capsys.readouterr().err


def test_a_disk_that_does_not_answer_holds_up_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    go_on = threading.Event()
    take = writer_module.RecordWriter.frame
    monkeypatch.setattr(
        writer_module.RecordWriter, "frame", lambda *words: go_on.wait() and take(*words)
    )
    monkeypatch.setattr(recorder_module, "END_S", 0.05)
    with Recorder(RecordSettings(), tmp_path) as recorder:
        Bench(recorder, nominal(), {}).frames(2)
    assert "does not answer: its end is lost" in capsys.readouterr().err
    go_on.set()
    recorder._thread.join()
