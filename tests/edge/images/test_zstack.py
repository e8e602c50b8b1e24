"""The manifest of a z-stack data set is read strictly, and its pictures with one grey scale."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError
from edge.images.zstack import Exposure, read_manifest, read_pixels, stacks

HEAD = "file,page,stack_id,z_um,focus_z_um,um_per_px"
SHARED = Path(__file__).parents[4] / "shared" / "data" / "zstacks" / "manifest.csv"


@pytest.fixture
def write(tmp_path):
    """Write a manifest of these lines beside an empty a.tif and b.tif."""
    for name in ("a.tif", "b.tif"):
        (tmp_path / name).touch()

    def write(*lines: str, encoding: str = "utf-8", newline: str = "\n") -> Path:
        path = tmp_path / "manifest.csv"
        path.write_bytes(newline.join(lines).encode(encoding))
        return path

    return write


def test_every_column_is_read_and_unknown_ones_are_kept(write, tmp_path):
    path = write(f"group,{HEAD},split", "cell dense,a.tif,3,s1,-1.5,+2e0,0.34,test")
    (one,) = read_manifest(path)
    assert one == Exposure(
        tmp_path / "a.tif", 3, "s1", -1.5, 2.0, 0.34, {"group": "cell dense", "split": "test"}
    )
    assert one.defocus_um == 3.5  # focus lies above the stage: raise the objective
    assert isinstance(hash(one), int)


def test_empty_cells_mean_unknown(write):
    (one,) = read_manifest(write(HEAD, "a.tif,,s,0,,"))
    assert (one.page, one.focus_z_um, one.um_per_px, one.defocus_um) == (None, None, None, None)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_spreadsheet_habits_are_tolerated(write, encoding, newline):
    lines = (HEAD, '"a.tif",, s1 ,1,2,', "", "b.tif,,s1,2,2,", ",,,,,", "", "")
    rows = read_manifest(write(*lines, encoding=encoding, newline=newline))
    assert [(e.path.name, e.stack_id, e.z_um) for e in rows] == [
        ("a.tif", "s1", 1.0),
        ("b.tif", "s1", 2.0),
    ]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([], "has no rows"),
        ([HEAD, "", ""], "has no rows"),
        (["file,page,stack_id,z_um,um_per_px", "a.tif,,s,0,"], ":1: the column focus_z_um is mi"),
        ([HEAD + ",z_um", "a.tif,,s,0,,,0"], ":1: the column 'z_um' stands twice"),
        ([HEAD, "a.tif,,s,0,"], ":2: 5 cells, the header has 6"),
        ([HEAD, "a.tif,,s,0,,,7"], ":2: 7 cells, the header has 6"),
        ([HEAD, "a.tif,,s,,,"], ":2: z_um must not be empty"),
        ([HEAD, "a.tif,,s,1_0,,"], ":2: z_um = 1_0 must be a number -1e+06 to 1e+06"),
        ([HEAD, "", "a.tif,,s,nan,,"], ":3: z_um = nan must be a number"),
        ([HEAD, "a.tif,,s,0,inf,"], ":2: focus_z_um = inf must be a number"),
        ([HEAD, "a.tif,,s,0,1e999,"], ":2: focus_z_um = 1e999 must be a number"),
        ([HEAD, "a.tif,,s,2e6,,"], ":2: z_um = 2e6 must be a number"),
        ([HEAD, "a.tif,,s,0,,0"], ":2: um_per_px = 0 must be a number 0.001 to 1000"),
        ([HEAD, "a.tif,,s,0,,-0.3"], ":2: um_per_px = -0.3 must be a number"),
        ([HEAD, "a.tif,,s,٣,,"], ":2: z_um = ٣ must be a number"),
        ([HEAD, "a.tif,-1,s,0,,"], ":2: page = -1 must be a whole number 0 to 65535"),
        ([HEAD, "a.tif,1.0,s,0,,"], ":2: page = 1.0 must be a whole number"),
        ([HEAD, "a.tif,65536,s,0,,"], ":2: page = 65536 must be a whole number"),
        ([HEAD, "a.tif,,,0,,"], ":2: stack_id must not be empty"),
        ([HEAD, ",,s,0,,"], ":2: file must not be empty"),
        ([HEAD, "c.tif,,s,0,,"], ":2: file = c.tif must exist in"),
        ([HEAD, ".,,s,0,,"], ":2: file = . must exist in"),
        ([HEAD, "x" * 5000 + ",,s,0,,"], "must exist in"),
        ([HEAD, "/etc/passwd,,s,0,,"], ":2: file = /etc/passwd must lie in the manifest's folder"),
        ([HEAD, "../a.tif,,s,0,,"], ":2: file = ../a.tif must lie in the manifest's folder"),
        ([HEAD, "x/../../a.tif,,s,0,,"], ":2: file = x/../../a.tif must lie in"),
        ([HEAD, "a.tif,,s,1,,", "b.tif,,t,1,,", "b.tif,,s,1.0,,"],
         ":4: z_um = 1 of stack 's' must differ from line 2"),
        ([HEAD, "a.tif,,s,1,5,", "b.tif,,s,2,6,"], ":3: focus_z_um = 6 must equal 5 of line 2"),
        ([HEAD, "a.tif,,s,1,5,", "b.tif,,s,2,,"], ":3: focus_z_um = empty must equal 5 of line 2"),
        ([HEAD, "a.tif,,s,1,5,1", "b.tif,,s,2,5,2"], ":3: um_per_px = 2 must equal 1 of line 2"),
        ([HEAD, '"a.tif,,s,0,,'], "the row cannot be read"),
        ([HEAD, "a.tif,,s," + "1" * 200_000 + ",,"], ":2: "),  # csv's limit, or a number's
    ],
)  # fmt: skip
def test_a_bad_manifest_is_one_clear_line(write, lines, text):
    path = write(*lines)
    with pytest.raises(ConfigError) as error:
        read_manifest(path)
    message = str(error.value)
    assert message.startswith(str(path))
    assert text in message
    assert "\n" not in message
    assert len(message) < 600


def test_what_is_no_text_file_is_refused(tmp_path, write):
    with pytest.raises(ConfigError, match="is a folder"):
        read_manifest(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_manifest(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="byte 0 is not UTF-8"):
        read_manifest(write(HEAD, "a.tif,,s,0,,", encoding="utf-16"))


def test_stacks_are_sorted_by_height(write):
    lines = ("a.tif,1,s,10,,", "b.tif,,t,0,,", "a.tif,0,s,-2,,", "a.tif,2,s,9,,")
    by_stack = stacks(read_manifest(write(HEAD, *lines)))
    assert [(n, [e.z_um for e in s]) for n, s in by_stack.items()] == [
        ("s", [-2.0, 9.0, 10.0]),
        ("t", [0.0]),
    ]


RGB = np.random.default_rng(1).integers(0, 256, (20, 30, 3)).astype(np.uint8)
BGR = np.ascontiguousarray(RGB[..., ::-1])


def one(path: Path, page: int | None = None) -> Exposure:
    return Exposure(path, page, "s", 0.0, None, None)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (BGR, RGB),
        (BGR.astype(np.uint16) * 257, RGB),
        (BGR[..., 0], np.repeat(BGR[..., :1], 3, axis=2)),
        (np.dstack([BGR, BGR[..., :1]]), RGB),
    ],
    ids=["colour", "16 bit", "grey", "alpha"],
)
def test_pictures_become_rgb(tmp_path, suffix, stored, expected):
    path = tmp_path / f"x.{suffix}"
    assert cv2.imwrite(str(path), stored)
    for page in (None, 0):
        pixels = read_pixels(one(path, page))
        assert pixels.dtype == np.uint8
        assert pixels.flags.c_contiguous
        np.testing.assert_array_equal(pixels, expected)


def pages(path: Path, images: list[np.ndarray]) -> Path:
    assert cv2.imwritemulti(str(path), images, [cv2.IMWRITE_TIFF_COMPRESSION, 1])
    return path


def test_pages_are_found_by_number(tmp_path):
    path = pages(tmp_path / "x.tif", [np.roll(BGR, n, 0) for n in range(5)])
    for page in (4, 0, 2):
        np.testing.assert_array_equal(read_pixels(one(path, page)), np.roll(RGB, page, 0))
    with pytest.raises(ConfigError, match=r"x\.tif: page = 5 must be below 5, the file's pages"):
        read_pixels(one(path, 5))


def test_damaged_files_are_told(tmp_path, capfd):
    whole = pages(tmp_path / "x.tif", [BGR, BGR, BGR]).read_bytes()
    cut = tmp_path / "cut.tif"
    cut.write_bytes(whole[: len(whole) // 2])
    np.testing.assert_array_equal(read_pixels(one(cut, 0)), RGB)
    with pytest.raises(ConfigError, match=r"cut\.tif: page"):
        read_pixels(one(cut, 2))
    cut.write_bytes(b"II*\0" + bytes(30))
    with pytest.raises(ConfigError, match="page 0 cannot be decoded"):
        read_pixels(one(cut, 0))
    png = tmp_path / "x.png"
    cv2.imwrite(str(png), BGR)
    with pytest.raises(ConfigError, match="page = 1 must be 0 or empty"):
        read_pixels(one(png, 1))
    png.write_bytes(png.read_bytes()[:-30])
    for page in (None, 0):
        with pytest.raises(ConfigError, match="cut short"):
            read_pixels(one(png, page))
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_pixels(one(tmp_path / "gone.tif", 0))
    cv2.imwrite(str(tmp_path / "f.tif"), BGR[..., 0].astype(np.float32))
    with pytest.raises(ConfigError, match="floating-point numbers"):
        read_pixels(one(tmp_path / "f.tif"))
    assert "TIFF" not in capfd.readouterr().err  # libtiff's own complaints are kept away


@pytest.mark.parametrize("paged", [True, False])
def test_all_planes_of_a_stack_share_one_grey_scale(tmp_path, paged):
    """1000 counts are 10 bits, 1100 are 12: alone, the dimmer plane would come out brighter."""
    images = [np.full((8, 8), level, np.uint16) for level in (1000, 1100, 200)]
    rows = [HEAD]
    if paged:
        pages(tmp_path / "x.tif", images)
    for n, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f"{n}.tif"), image)
        rows.append(f"{'x.tif,' if paged else ''}{n}{'' if paged else '.tif,'},s,{n},,")
    rows.append("2.tif,,other,0,,")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join(rows))
    *mine, other = read_manifest(manifest)
    assert [int(read_pixels(e).max()) for e in mine] == [1000 >> 4, 1100 >> 4, 200 >> 4]
    assert int(read_pixels(other).max()) == 200  # a stack of its own that uses 8 bits


@pytest.mark.skipif(not SHARED.exists(), reason="the recorded stacks are not on this machine")
def test_recorded_stacks():
    by_stack = stacks(read_manifest(SHARED))
    assert {name: len(planes) for name, planes in by_stack.items()} == {
        "yeast_bf": 34,
        "chip_electrodes": 11,
    }
    yeast = [read_pixels(e) for e in by_stack["yeast_bf"]]
    assert {p.shape for p in yeast} == {(63, 60, 3)}
    background = [float(np.median(p)) for p in yeast]
    assert max(background) - min(background) <= 8.0  # one scale: the background keeps its level
    assert len(np.unique(np.stack(yeast))) > 90  # the narrow range of values is not crushed
    assert by_stack["yeast_bf"][0].defocus_um == pytest.approx(5.1)
    assert by_stack["chip_electrodes"][-1].defocus_um == pytest.approx(-49.7729)
    assert read_pixels(by_stack["chip_electrodes"][4]).shape == (1200, 1920, 3)


def test_a_link_out_of_the_folder_is_not_followed(write, tmp_path, tmp_path_factory):
    """A data set names its own pictures: not what a link in it reaches elsewhere."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.tif").touch()
    (tmp_path / "inside.tif").symlink_to("a.tif")
    (tmp_path / "out.tif").symlink_to(outside / "secret.tif")
    (tmp_path / "away").symlink_to(outside)
    assert read_manifest(write(HEAD, "inside.tif,,s,0,,"))[0].path.name == "inside.tif"
    for name in ("out.tif", "away/secret.tif"):
        with pytest.raises(ConfigError, match=rf":2: file = {name} is a link out of"):
            read_manifest(write(HEAD, f"{name},,s,0,,"))


def test_a_manifest_that_is_no_file_is_not_waited_for(tmp_path):
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="cannot be read: it is a pipe or a device"):
        read_manifest(tmp_path / "zero.csv")
