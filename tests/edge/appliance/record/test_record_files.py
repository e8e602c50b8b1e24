"""The files of a record: torn at any byte, damaged, too many."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from edge.appliance import cli
from edge.appliance.record import files
from edge.appliance.record.files import (
    PART,
    WHOLE,
    RecordFile,
    RecordReader,
    keep_within,
    records_in,
)
from edge.appliance.record.replay import replay
from edge.errors import ConfigError
from tests.support.reference_records import FOLDER


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
        numbers = [message.table()["n"] for message in reader]
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


def test_where_others_fill_the_disk_the_last_records_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "disk_is_full", lambda folder: True)
    monkeypatch.setattr(files, "LEAST_KEPT_BYTES", 2500)
    for number in range(5):
        (tmp_path / f"{number}.mcap").write_bytes(bytes(1000))
    assert keep_within(tmp_path, 10**9) == 3
    assert [path.name for path in records_in(tmp_path)] == ["3.mcap", "4.mcap"]
    monkeypatch.setattr(files, "disk_is_full", lambda folder: False)
    assert keep_within(tmp_path, 10**9) == 0
