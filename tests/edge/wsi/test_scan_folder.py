"""A scan that ends anywhere is taken up: the same fields, none lost, none twice."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.appliance import cli
from edge.errors import ConfigError, DiskFailed
from edge.wsi import scan_folder
from edge.wsi.grid import Grid
from edge.wsi.path import ScanPlan, plan_scan
from edge.wsi.regions import Box, Polygon
from edge.wsi.scan_folder import FRAMES, JOURNAL, PLAN, FieldRecord, ScanFolder, create, take_up

GRID, WINDOW = Grid(800.0, 600.0), Box(-1400, -1100, 3000, 1100)
ABOUT = {"models": "abc", "seed": 7}
#: what the slide holds, by the cells of the lattice; the rest is blank
CONTENT = {(0, 0), (0, 1), (1, 1)}


def plan() -> ScanPlan:
    spot = Polygon(((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)))
    return plan_scan([spot], GRID, WINDOW)


def visit_next(folder: ScanFolder) -> int | None:
    """One field as a scan would record it, frames kept where there is content."""
    field = folder.walk.next()
    field_id = min(folder.spoilt) if folder.spoilt else None if field is None else field.id
    if field_id is None:
        return None
    at = folder.walk.plan.by_id[field_id]
    there = at.cell in CONTENT
    record = FieldRecord(
        at.id, at.x_um, at.y_um, 40.0 + at.id, int(there), "SHARP" if there else "EMPTY"
    )
    folder.record(record, b"frame of field %d" % at.id if there else None)
    return at.id


def scan(folder: ScanFolder) -> list[int]:
    done = []
    while (field_id := visit_next(folder)) is not None:
        done.append(field_id)
    return done


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / JOURNAL).read_text().splitlines()]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A scan that nothing interrupted."""
    path = tmp_path / "whole"
    with create(path, plan(), ABOUT) as folder:
        scan(folder)
    return path


def assert_same(path: Path, whole: Path) -> None:
    """Journal and frames, byte for byte; nothing else is left over."""
    assert (path / JOURNAL).read_bytes() == (whole / JOURNAL).read_bytes()
    for folder in (path, whole):
        assert {p.name for p in folder.iterdir()} == {PLAN, JOURNAL, FRAMES}
    frames = {p.name: p.read_bytes() for p in (whole / FRAMES).iterdir()}
    assert {p.name: p.read_bytes() for p in (path / FRAMES).iterdir()} == frames


def test_what_a_scan_leaves(whole: Path) -> None:
    written = lines(whole)
    ids = [line["id"] for line in written]
    assert len(ids) == len(set(ids)) > 9  # grown from one field
    assert written[0] | {"crc": ""} == {
        "id": 0, "x_um": 0.0, "y_um": 0.0, "z_um": 40.0, "patches": 1, "grade": "SHARP",
        "defocus_um": None, "interval_um": None, "exposure_start_ns": None,
        "exposure_end_ns": None, "frame_id": None, "tries": 1, "toward": "", "offset_um": 0.0,
        "again": False,
        "file": "frames/000000.jpg", "size": 16, "crc32": written[0]["crc32"], "crc": "",
    }  # fmt: skip
    assert len(list((whole / FRAMES).iterdir())) == len(CONTENT)
    with take_up(whole) as folder:
        assert (folder.plan, dict(folder.about)) == (plan(), ABOUT)
        assert list(folder.records) == ids
        assert folder.walk.next() is None
        assert not folder.spoilt


def test_a_journal_cut_anywhere_is_taken_up(whole: Path, tmp_path: Path) -> None:
    """In the first and in the last two lines, at their ends byte by byte."""
    journal = (whole / JOURNAL).read_bytes()
    ends = [i + 1 for i, byte in enumerate(journal) if byte == 0x0A]
    edges = {end + by for end in (0, ends[0], *ends[-3:]) for by in (-2, -1, 0, 1)}
    cuts = sorted(edges & set(range(len(journal) + 1)) | set(range(ends[-3], len(journal), 17)))
    path = tmp_path / "cut"
    shutil.copytree(whole, path)
    for cut in cuts:
        os.truncate(path / JOURNAL, cut)
        with take_up(path) as folder:
            assert len(folder.records) == sum(end <= cut for end in ends)
            scan(folder)
        assert (path / JOURNAL).read_bytes() == journal


class Killed(BaseException):
    """The process is gone: nothing that would tidy up is allowed to run in its name."""


Calls = tuple[tuple[str, bool], ...]
#: every call that puts something on the disk while a field is recorded; True: half of it is done
STEPS: Calls = (
    ("write", False),
    ("write", True),
    ("fsync", False),
    ("fsync", True),
    ("replace", False),
    ("replace", True),
)


def failing(
    monkeypatch: pytest.MonkeyPatch, name: str, half: bool, at: int, error: BaseException
) -> Callable[[], bool]:
    """The `at`-th call of os.`name` fails, before or after it did (half of) its work."""
    real, count = getattr(os, name), [0]

    def call(*arguments: Any, **more: Any) -> Any:
        count[0] += 1
        if count[0] != at:
            return real(*arguments, **more)
        if half:
            if name == "write":
                real(arguments[0], arguments[1][: len(arguments[1]) // 2])
            else:
                real(*arguments, **more)
        raise error

    monkeypatch.setattr(os, name, call)
    return lambda: count[0] >= at


@pytest.mark.parametrize(("name", "half"), STEPS)
@pytest.mark.parametrize("full", [False, True], ids=["killed", "disk full"])
def test_a_scan_that_ends_at_any_step_is_taken_up(
    whole: Path, tmp_path: Path, name: str, half: bool, full: bool
) -> None:
    """Kill -9, or a write that fails, at each call that puts something on the disk."""
    for at in range(1, 100):
        path = tmp_path / f"{name}{at}"
        folder = create(path, plan(), ABOUT)
        with pytest.MonkeyPatch.context() as patch:
            error: BaseException = OSError(errno.ENOSPC, "No space left on device")
            failed = failing(patch, name, half, at, error if full else Killed())
            stopped: list[BaseException] = []
            try:
                scan(folder)
            except (DiskFailed, Killed) as stop:
                stopped.append(stop)
            reached = failed()
        assert [isinstance(stop, DiskFailed) for stop in stopped] == [full] * reached
        if full and reached:
            assert "No space left" in str(stopped[0])
            with pytest.raises(DiskFailed):  # and no further field is taken
                visit_next(folder)
        folder.close()
        with take_up(path) as again:
            scan(again)
        assert_same(path, whole)
        if not reached:
            return
    raise AssertionError(f"more than 100 calls of {name}")


def test_a_full_disk_is_a_clear_stop_before_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = create(tmp_path / "scan", plan(), ABOUT)
    visit_next(folder)
    monkeypatch.setattr(scan_folder, "RESERVE_BYTES", 1 << 60)
    with pytest.raises(DiskFailed, match="MB are free; the scan can be taken up"):
        visit_next(folder)
    folder.close()
    assert len(lines(tmp_path / "scan")) == 1


def test_a_full_disk_ends_a_command_with_status_4(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: object) -> int:
        raise DiskFailed("scan: No space left on device")

    monkeypatch.setattr("edge.appliance.selftest.doctor.run", full)
    assert cli.main(["doctor"]) == 4
    assert capsys.readouterr().err == "sparsefocus: scan: No space left on device\n"


@pytest.mark.parametrize("harm", ["gone", "shorter", "other"])
def test_a_field_whose_frame_is_spoilt_is_taken_once_more(whole: Path, harm: str) -> None:
    with take_up(whole) as folder:
        victim = next(record for record in folder.records.values() if record.file)
    frame = whole / str(victim.file)
    good = frame.read_bytes()
    if harm == "gone":
        frame.unlink()
    else:
        frame.write_bytes(good[:-1] if harm == "shorter" else bytes(len(good)))
    with take_up(whole) as folder:
        assert folder.spoilt == {victim.id}
        assert scan(folder) == [victim.id]
        assert not folder.spoilt
    assert frame.read_bytes() == good
    with take_up(whole) as folder:  # the newer line counts
        assert len(folder.records) == len(lines(whole)) - 1
        assert not folder.spoilt


def test_a_line_that_is_damaged_in_the_middle_is_never_passed_over(whole: Path) -> None:
    journal = whole / JOURNAL
    data = bytearray(journal.read_bytes())
    at = data.index(b"\n") + 20
    data[at] ^= 1
    journal.write_bytes(data)
    with pytest.raises(ConfigError, match=rf"{JOURNAL}:2: the line is damaged"):
        take_up(whole)
    assert journal.read_bytes() == data


def test_a_last_line_that_is_damaged_counts_as_torn(whole: Path) -> None:
    """A power cut may leave a line's length without its bytes."""
    journal = whole / JOURNAL
    good = journal.read_bytes()
    start = good.rindex(b"\n", 0, -1) + 1
    journal.write_bytes(good[:start] + bytes(len(good) - start - 1) + b"\n")
    with take_up(whole) as folder:
        assert len(scan(folder)) == 1
    assert journal.read_bytes() == good


def test_lines_of_another_scan_are_refused(whole: Path) -> None:
    journal = whole / JOURNAL
    text = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([text[0], text[0], *text[1:]]))
    with pytest.raises(ConfigError, match=rf"{JOURNAL}:2: field 0 was visited before"):
        take_up(whole)


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[Path]:
    with create(tmp_path / "scan", plan(), ABOUT):
        yield tmp_path / "scan"


def test_one_folder_one_scan(begun: Path, whole: Path) -> None:
    for other in (lambda: take_up(begun), lambda: create(begun, plan(), ABOUT)):
        with pytest.raises(ConfigError, match="another process"):
            other()
    with pytest.raises(ConfigError, match="there is a scan already"):
        create(whole, plan(), ABOUT)
    with take_up(whole):
        pass  # the refusal has let it go


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 9}', "[" * 9999])
def test_what_is_no_scan_folder(whole: Path, text: str) -> None:
    (whole / PLAN).write_text(text)
    with pytest.raises(ConfigError, match=PLAN) as error:
        take_up(whole)
    assert len(str(error.value).splitlines()) == 1


def test_a_plan_that_was_changed_is_refused(whole: Path, tmp_path: Path) -> None:
    value = json.loads((whole / PLAN).read_text())
    value["plan"]["fields"][0][3] += 1.0
    (whole / PLAN).write_text(json.dumps(value))
    with pytest.raises(ConfigError, match="not the one that was written"):
        take_up(whole)
    with pytest.raises(ConfigError, match="No such file"):
        take_up(tmp_path / "nowhere")


def test_a_field_comes_once_and_from_the_plan(begun: Path, tmp_path: Path) -> None:
    with create(tmp_path / "other", plan(), ABOUT) as folder:
        visit_next(folder)
        for field_id, why in ((0, "before"), (99, "not in the plan")):
            with pytest.raises(ValueError, match=why):
                folder.record(FieldRecord(field_id, 0, 0, 0, 0, "EMPTY"))
    with pytest.raises(DiskFailed, match="closed"):
        visit_next(folder)
