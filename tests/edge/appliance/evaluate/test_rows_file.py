"""Cells of the CSV of an evaluation: no spreadsheet runs them, and they come back as they were."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from edge.appliance.evaluate.rows_file import harmless, read_rows, rows_file, unharmed
from edge.appliance.frame_result import FrameResult
from edge.errors import ConfigError

BAD = ("=1+1", "@SUM(A1)", "+1", "-1", "\tx", "\rx", "=cmd|' /C calc'!A0", "'quoted", "''", "'=")


@pytest.mark.parametrize("text", [*BAD, "", "plain", "a=b", "it's", " =1"])
def test_every_text_comes_back(text: str) -> None:
    assert unharmed(harmless(text)) == text
    assert harmless(text)[:1] not in ("=", "+", "-", "@", "\t", "\r")


@pytest.mark.parametrize("text", BAD)
def test_what_looks_like_a_formula_is_a_text_in_the_file(tmp_path: Path, text: str) -> None:
    result = FrameResult(group=text, slide=text, true_um=-1.5, k=3)
    path = tmp_path / "rows.csv"
    with rows_file(path) as keep:
        keep(result)
    assert b",-1.5," in path.read_bytes()  # a number stays one
    (only,) = read_rows(path)
    assert (only.group, only.true_um, only.k) == (text, -1.5, 3)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"", b"a,b\n1,2\n", b'"' + b"x" * 2_000_000])
def test_what_is_no_file_of_rows_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        read_rows(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_disk_that_is_full_is_told_by_the_option(tmp_path: Path) -> None:
    """It has no file's name in it: taken for standard output's, with a status of its own."""
    path = tmp_path / "rows.csv"
    (tmp_path / "rows.csv.part").symlink_to("/dev/full")
    with pytest.raises(ConfigError) as caught, rows_file(path) as keep:
        keep(FrameResult(group="cell"))
    assert str(caught.value) == f"--rows {path}: cannot be written: No space left on device"
    assert not path.exists()


def test_a_disk_that_fills_up_keeps_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    part = tmp_path / "rows.csv.part"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)  # Python ignores SIGXFSZ: EFBIG

    def two_rows() -> None:
        with rows_file(path) as keep:
            keep(FrameResult(group="cell"))
            resource.setrlimit(resource.RLIMIT_FSIZE, (part.stat().st_size, before[1]))
            keep(FrameResult(group="tissue"))

    try:
        with pytest.raises(ConfigError, match=r"--rows .*: cannot be written"):
            two_rows()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [row.group for row in read_rows(part)] == ["cell"]
    assert not path.exists()


def test_a_name_of_any_bytes_comes_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"folder \xff\n\xe9")
    path = tmp_path / "rows.csv"
    with rows_file(path) as keep:
        keep(FrameResult(condition=name, file=name))
    (only,) = read_rows(path)
    assert (only.condition, only.file) == (name, name)


def test_a_pipe_is_written_and_not_replaced(tmp_path: Path) -> None:
    """By a name such as /dev/null a file would take the device's place for everybody."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with rows_file(pipe) as keep:
        keep(FrameResult(group="cell"))
    assert b"cell" in os.read(reader, 1 << 16)
    os.close(reader)
    assert pipe.is_fifo()
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "rows.csv"
    link.symlink_to(tmp_path / "disk" / "kept.csv")
    with rows_file(link) as keep:
        keep(FrameResult(group="cell"))
    assert link.is_symlink()
    assert [row.group for row in read_rows(tmp_path / "disk" / "kept.csv")] == ["cell"]
