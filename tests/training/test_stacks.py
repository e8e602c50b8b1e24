"""Stacks on disk: readable by the runtime's reader, complete at any moment, gone on with later."""

from __future__ import annotations

import csv
import dataclasses
import fcntl
from collections import namedtuple
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError
from edge.images.zstack import read_manifest, read_pixels, stacks
from simulator.optics import NOMINAL
from training import cases, stack_folder
from training import stacks as writer
from training.cases import CASES, frames
from training.stack_render import Job
from training.stacks import fill, main
from training.tiff_pages import TiffPages

COARSE = dataclasses.replace(NOMINAL, um_per_px=4 * NOMINAL.um_per_px)
SMALL = {"shape": (504, 504), "instrument": COARSE}
JOB = Job("test", 1, 2, False, **SMALL)


@pytest.fixture
def fast(monkeypatch):
    """Pictures without optics, told apart by their height; returns the list of heights asked."""
    asked = []

    def picture(field, z_um):
        asked.append(z_um)
        pixels = np.full((64, 80, 3), round(10 * abs(z_um)) % 256, np.uint8)
        pixels[..., 1] = len(asked) % 256
        return pixels

    monkeypatch.setattr(cases.Field, "picture", picture)
    return asked


@pytest.fixture
def quick_case(monkeypatch):
    """A case of one quick group, so that a run takes a second."""
    case = dataclasses.replace(CASES["clean"], kinds=("cell",), sparsities=("ex-sparse",))
    monkeypatch.setattr(writer, "CASES", {"clean": case, "nothing": CASES["nothing"]})
    return case


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_written_is_read_back(tmp_path, quick_case):
    assert fill(tmp_path, JOB, ["clean"], 2, quiet=True) == 4
    by_stack = stacks(read_manifest(tmp_path / "manifest.csv"))
    assert list(by_stack) == ["clean-0000", "clean-0001"]
    for slide, planes in enumerate(by_stack.values()):
        wanted = list(frames(quick_case, 1, slide, "cell ex-sparse", 2, **SMALL))
        for exposure, (pixels, z_um, truth) in zip(planes, wanted, strict=True):
            np.testing.assert_array_equal(read_pixels(exposure), pixels)
            assert exposure.z_um == pytest.approx(z_um, abs=1e-9)
            assert exposure.focus_z_um == pytest.approx(truth.z_focus_um, abs=1e-9)
            assert exposure.um_per_px == COARSE.um_per_px
            assert exposure.extra["group"] == "cell ex-sparse"
            assert exposure.extra["condition"] == "clean"
            assert exposure.extra["slide"] == str(slide)
            assert exposure.extra["split"] == "test"
        below, above = planes  # one in each half of the range
        assert 0 < below.defocus_um < 25.001
        assert -25.001 < above.defocus_um < 0
        rows = [r for r in table(tmp_path / "patches.csv") if r["stack_id"] == planes[0].stack_id]
        assert [(int(r["row"]), int(r["column"])) for r in rows] == list(np.ndindex(9, 9))
        for row, richness, focus in zip(
            rows, truth.richness.ravel(), truth.focus_um.ravel(), strict=True
        ):
            assert float(row["richness"]) == pytest.approx(richness, abs=1e-4)
            assert float(row["focus_z_um"]) == pytest.approx(focus, abs=1e-3)


def test_all_planes_are_pages_of_one_file(tmp_path, quick_case, fast):
    assert fill(tmp_path, dataclasses.replace(JOB, planes="all"), ["clean"], 1, quiet=True) == 101
    exposures = read_manifest(tmp_path / "manifest.csv")
    assert {e.path for e in exposures} == {tmp_path / "clean" / "0000.tif"}
    assert [e.page for e in exposures] == list(range(101))
    np.testing.assert_allclose([e.defocus_um for e in exposures], np.linspace(25, -25, 101))
    assert cv2.imcount(str(exposures[0].path)) == 101
    for exposure in exposures[::20]:
        pixels = read_pixels(exposure)
        assert (pixels[..., 1] == exposure.page + 1).all()
        assert (pixels[..., 0] == round(10 * abs(exposure.z_um)) % 256).all()


def test_a_stopped_run_goes_on_and_ends_the_same(tmp_path, quick_case, monkeypatch):
    whole, part = tmp_path / "whole", tmp_path / "part"
    fill(whole, JOB, ["clean"], 2, quiet=True)
    real, calls = cases.Field.picture, []

    def stop(field, z_um):
        calls.append(z_um)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(field, z_um)

    monkeypatch.setattr(cases.Field, "picture", stop)
    with pytest.raises(KeyboardInterrupt):
        fill(part, JOB, ["clean"], 2, quiet=True)
    assert {e.stack_id for e in read_manifest(part / "manifest.csv")} == {"clean-0000"}
    assert not list(part.rglob("*.part"))
    # killed between the two tables: patches of a stack that the manifest does not name
    patches = part / "patches.csv"
    patches.write_text(patches.read_text() + "clean-0001,0,0,0.5,1.0\n")
    before = (part / "clean" / "0000_00.tif").stat().st_mtime_ns
    assert fill(part, JOB, ["clean"], 2, quiet=True) == 2
    assert (part / "clean" / "0000_00.tif").stat().st_mtime_ns == before
    for path in sorted(p for p in whole.rglob("*") if p.is_file()):
        assert (part / path.relative_to(whole)).read_bytes() == path.read_bytes(), path
    assert fill(part, JOB, ["clean"], 2, quiet=True) == 0


def test_the_manifest_never_names_what_is_not_there(tmp_path, quick_case, fast, monkeypatch):
    """The tables are written last, patches before manifest."""
    order = []
    real = stack_folder.os.replace
    monkeypatch.setattr(
        stack_folder.os, "replace", lambda a, b: (order.append(b.name), real(a, b))[1]
    )
    fill(tmp_path, JOB, ["clean"], 1, quiet=True)
    assert order == ["settings.json", "0000_00.tif", "0000_01.tif", "patches.csv", "manifest.csv"]


def test_split_is_by_slide_eight_to_one_to_one():
    case = CASES["clean"]
    job = dataclasses.replace(JOB, split=True)
    for group in range(6):
        names = [job.split_of(case, number * 6 + group) for number in range(20)]
        assert (names.count("train"), names.count("validation"), names.count("test")) == (16, 2, 2)
    assert [dataclasses.replace(JOB, domain=d).split_of(case, 0) for d in writer.DOMAINS] == [
        "train", "validation", "", "test",
    ]  # fmt: skip


def test_slides_take_the_groups_in_turn_and_may_grow():
    few, many = (list(writer.slides(CASES["clean"], count)) for count in (2, 3))
    assert many[: len(few)] == few
    assert [slide for slide, _ in many] == list(range(18))
    assert [group for _, group in many[6:12]] == list(CASES["clean"].groups)
    assert len(list(writer.slides(CASES["nothing"], None))) == 50


def test_nothing_has_no_focus_and_says_what_lies_on_it(tmp_path, fast):
    fill(tmp_path, JOB, ["nothing"], 5, quiet=True)
    by_stack = stacks(read_manifest(tmp_path / "manifest.csv")).values()
    assert [s[0].focus_z_um for s in by_stack] == [None] * 5
    assert [s[0].extra["dirt"] for s in by_stack] == ["", "dust", "debris", "bubbles", "pen"]
    assert {s[0].extra["group"] for s in by_stack} == {"blank"}


def test_a_folder_takes_one_kind_of_stacks(tmp_path, quick_case, fast):
    fill(tmp_path, JOB, ["clean"], 1, quiet=True)
    for change, text in (
        ({"seed": 2}, "seed = 2 must be 1"),
        ({"planes": 3}, "planes = 3 must be 2"),
        ({"domain": "calibration"}, "domain = 'calibration' must be 'test'"),
        ({"split": True}, "split = True must be False"),
    ):
        with pytest.raises(ConfigError, match=rf"settings\.json: {text}"):
            fill(tmp_path, dataclasses.replace(JOB, **change), ["clean"], 1, quiet=True)
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(ConfigError, match=r"settings\.json: cannot be read"):
        fill(tmp_path, JOB, ["clean"], 1, quiet=True)
    (tmp_path / "settings.json").unlink()
    with pytest.raises(ConfigError, match="was not written here"):
        fill(tmp_path, JOB, ["clean"], 1, quiet=True)


def test_two_processes_do_not_write_into_one_folder(tmp_path, quick_case, fast):
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another process is writing"):
            fill(tmp_path, JOB, ["clean"], 1, quiet=True)
    assert fill(tmp_path, JOB, ["clean"], 1, quiet=True) == 2


def test_a_full_disk_is_told_before_the_first_frame(tmp_path, quick_case, fast, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(writer.shutil, "disk_usage", lambda _: usage(100_000))
    with pytest.raises(ConfigError, match=r"0\.0 GB are free: take fewer slides"):
        fill(tmp_path, JOB, ["clean"], 1, quiet=True)
    assert not fast


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--case", "clear"], "invalid choice: 'clear'"),
        (["--case", "clean", "--planes", "0"], "'0' must be all or 1 to 1000"),
        (["--case", "clean", "--slides", "0"], "'0' must be a whole number from 1"),
        (["--case", "clean", "--seed", "-1"], "must be a whole number from 0"),
        (["--case", "texture"], "--textures FOLDER must name sharp photographs"),
        (["--case", "texture", "--textures", "{}/none"], "none: no such folder"),
        (["--case", "clean", "--hold-out", "x"], "--hold-out: --textures must name"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(tmp_path, capsys, words, text):
    words = ["--out", str(tmp_path), *(word.format(tmp_path) for word in words)]
    try:
        status = main(words)
    except SystemExit as leaving:
        status = leaving.code
    message = capsys.readouterr().err
    assert status == 2
    assert text in message.splitlines()[-1]
    assert "Traceback" not in message


def test_the_command_writes_and_says_how_much(tmp_path, quick_case, fast, capsys):
    words = ["--out", str(tmp_path), "--case", "nothing", "--slides", "1", "--planes", "1"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"wrote 1 frames into {tmp_path}")
    assert "nothing 0 blank" in err
    (tmp_path / "file").touch()
    assert main(["--out", str(tmp_path / "file"), *words[2:]]) == 4
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("domain", "part"),
    [("training", "train"), ("validation", "train"), ("calibration", "test"), ("test", "test")],
)
def test_held_out_photographs_are_for_calibration_and_test(tmp_path, monkeypatch, domain, part):
    asked, made = [], []
    monkeypatch.setattr(writer.Photographs, "open", lambda *words: asked.append(words) or "some")
    monkeypatch.setattr(writer, "fill", lambda out, job, *_: made.append(job) or 0)
    words = ["--out", str(tmp_path), "--domain", domain, "--case", "texture"]
    assert main([*words, "--textures", "photos", "--hold-out", "a", "b"]) == 0
    assert asked == [(Path("photos"), part, ["a", "b"])]
    assert (made[0].photographs, made[0].domain) == ("some", domain)


@pytest.mark.parametrize("shape", [(1, 1), (255, 3), (256, 40), (257, 41), (700, 33)])
def test_tiff_pages_are_what_was_added(tmp_path, shape):
    rng = np.random.default_rng(3)
    pages = [rng.integers(0, 256, (*shape, 3)).astype(np.uint8) for _ in range(3)]
    pages.append(np.full((*shape, 3), 255, np.uint8))
    with TiffPages(tmp_path / "x.tif") as tiff:
        for page in pages:
            tiff.add(page)
    ok, result = cv2.imreadmulti(str(tmp_path / "x.tif"), flags=cv2.IMREAD_UNCHANGED)
    assert ok
    assert len(result) == 4
    for page, image in zip(pages, result, strict=True):
        np.testing.assert_array_equal(image[..., ::-1], page)
