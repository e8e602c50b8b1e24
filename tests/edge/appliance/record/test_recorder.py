"""A record is what the loop did, whatever becomes of the disk, the process and the queue."""

from __future__ import annotations

import errno
import json
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
    keep_within,
    records_in,
)
from edge.appliance.record.opening import recorder_of
from edge.appliance.record.recorder import Recorder
from edge.appliance.record.replay import replay
from edge.camera import Frame, PixelFormat
from edge.decide.decision import Decision
from edge.errors import ConfigError
from edge.settings import RecordSettings
from tests.support.patience import PATIENCE_S
from tests.support.reference_records import FOLDER, MIDDLE_UM, Bench, nominal


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


def test_a_file_cut_at_any_byte_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    with_flushes = tmp_path / "a"
    with_flushes.mkdir()
    file = RecordFile(with_flushes, "x", {"format": 1})
    for number in range(6):
        file.add("/frame", number, json.dumps({"n": number}).encode())
        if number % 2:
            file.flush()
    file.finish()
    whole = (with_flushes / f"x{WHOLE}").read_bytes()
    torn, before = tmp_path / f"t{PART}", 0
    end = whole.rindex(b"sparsefocus.pixels")  # of the index, of which not every byte is tried
    for size in (*range(end - 400), *range(end - 400, len(whole), 17), len(whole)):
        torn.write_bytes(whole[:size])
        try:
            reader = RecordReader(torn)
        except ConfigError:
            assert not before
            continue
        numbers = [said.table()["n"] for said in reader]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= before
        assert bool(reader.torn) is (size < len(whole))
        before = len(numbers)
    assert before == 6


def test_a_damaged_file_is_never_taken_for_another(tmp_path: Path) -> None:
    whole = (FOLDER / "gone.mcap").read_bytes()
    broken = tmp_path / "b.mcap"
    made = np.random.default_rng(3)
    for _ in range(150):
        data = bytearray(whole)
        data[int(made.integers(len(data)))] ^= 1 << int(made.integers(8))
        broken.write_bytes(data)
        try:
            replayed = replay(broken)
        except ConfigError:
            continue
        assert replayed.frames <= 4


def test_what_is_no_record_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.mcap").write_bytes(b"\x00" * 100)
    for path in (tmp_path / "x.mcap", tmp_path / "none.mcap", tmp_path / "empty"):
        if path.name == "empty":
            path.mkdir()
        assert cli.main(["replay", str(path)]) == 2
        assert capsys.readouterr().err.count("\n") == 1


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


def test_the_oldest_files_go_and_never_one_that_is_written(tmp_path: Path) -> None:
    for number in range(5):
        file = RecordFile(tmp_path, f"{number}", {})
        file.add("/frame", 0, os.urandom(50_000))
        file.finish()
    current = RecordFile(tmp_path, "0-current", {})
    current.add("/frame", 0, os.urandom(200_000))
    current.flush()
    assert keep_within(tmp_path, 320_000) == 3
    assert [path.name for path in records_in(tmp_path)] == ["0-current.mcap.part", "3.mcap",
                                                            "4.mcap"]  # fmt: skip
    assert keep_within(tmp_path, 0) == 2
    assert [path.name for path in records_in(tmp_path)] == ["0-current.mcap.part"]
    current.finish()
    assert keep_within(tmp_path, 0) == 1


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
    pictures = [said for said in RecordReader(path) if said.topic == "/pixels"]
    heads = {json.loads(said.data[4 : said.data.index(b"}") + 1])["id"] for said in pictures}
    assert heads == set(range(8, 13))  # 16 MiB of frames of 3 MiB
    assert recorder.record()["lost_pictures"] == 0
    assert replay(path).frames == 13


def test_without_an_event_no_frame_is_written(tmp_path: Path) -> None:
    with Recorder(RecordSettings("frames", ring_mib=16), tmp_path) as recorder:
        Pictures(recorder).kept(4)
    (path,) = records_in(tmp_path)
    assert {said.topic for said in RecordReader(path)} == {"/state", "/frame"}


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
        frames = [said.table() for said in RecordReader(path) if said.topic == "/frame"]
    assert len(frames) == 4
    assert frames[-1]["outcome"]["decision"]["v"] == Decision.SHUTDOWN.value
