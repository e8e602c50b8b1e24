"""The scale of more than 8 bits is the camera's depth, never the brightest pixel."""

from __future__ import annotations

import logging

import cv2
import numpy as np
import pytest

from edge.camera import open_camera
from edge.errors import ConfigError
from edge.images.bit_depth import DepthUnknown, depth_of, to_8_bit
from edge.images.image_file import read_image
from edge.images.zstack import read_manifest, read_pixels
from tests.support.small_tiff import page, tiff

OME = b'<OME><Image><Pixels ID="p" SignificantBits="12" Type="uint16"/></Image></OME>\0'
MANAGER = b'{"Width":1,"BitDepth":12}\0'
DIM = np.full((224, 224), 1000, np.uint16)


@pytest.mark.parametrize(
    ("option", "largest", "bits"),
    [(None, 65535, 16), (None, 1 << 14, 16), (12, 4095, 12), (12, 3, 12), (16, 3, 16), (9, 1, 9)],
)
def test_the_depth_that_is_known(option, largest, bits):
    assert depth_of(largest, option) == bits
    assert to_8_bit(np.array([largest], np.uint16), bits).tolist() == [largest >> (bits - 8)]


@pytest.mark.parametrize(
    ("option", "largest", "says"),
    [
        (None, 16383, "a camera of 14 to 14 bits"),
        (None, 4095, r"values up to 4095: a dim picture, or a camera of 12 to 14 bits; "
                     r"say which \(--bits"),
        (None, 0, "a camera of 8 to 14 bits"),
        (12, 4096, "has values up to 4096, more than the 12 bits it is of"),
    ],
)  # fmt: skip
def test_a_depth_that_is_not_known_is_asked_for(option, largest, says):
    with pytest.raises(DepthUnknown, match=says):
        depth_of(largest, option)


@pytest.mark.parametrize("more", [{"t270": OME}, {"t270": MANAGER}, {"t281": [4095]}], ids=str)
def test_what_a_tiff_says(tmp_path, more):
    (tmp_path / "x.tif").write_bytes(tiff(page(DIM, **more)))
    assert int(read_image(tmp_path / "x.tif")[0][0, 0]) == 1000 >> 4


@pytest.mark.parametrize(
    "more", [{"t270": b"{\0"}, {"t270": b'{"BitDepth":99}\0'}, {"t281": [1000]}], ids=str
)
def test_what_says_nothing_is_no_depth(tmp_path, more):
    (tmp_path / "x.tif").write_bytes(tiff(page(DIM, **more)))
    with pytest.raises(ConfigError, match=r"x\.tif: the image has 16 bits and values up to 1000"):
        read_image(tmp_path / "x.tif")
    assert int(read_image(tmp_path / "x.tif", bits=10)[0][0, 0]) == 1000 >> 2


def test_one_pixel_does_not_change_the_scale(tmp_path):
    """The old rule: a single hot pixel turned a picture of 12 bits into one of 16."""
    hot = DIM.copy()
    hot[0, 0] = 4095
    for image in (DIM, hot):
        assert cv2.imwrite(str(tmp_path / "x.png"), image)
        assert int(read_image(tmp_path / "x.png", bits=12)[0][1, 1]) == 1000 >> 4


def test_a_recorded_camera_takes_the_depth(tmp_path):
    assert cv2.imwrite(str(tmp_path / "x.png"), DIM)
    options = {"files": [str(tmp_path / "x.png")]}
    assert int(open_camera("recorded", {**options, "bits": 10}).next(1.0).pixels[0, 0]) == 250
    with pytest.raises(ConfigError, match="say which"):
        open_camera("recorded", options).next(1.0)
    with pytest.raises(ConfigError, match=r"options\.bits = 7 must be a whole number 8 to 16"):
        open_camera("recorded", {**options, "bits": 7})


def test_a_manifest_says_the_depth_or_the_whole_stack_is_asked(tmp_path, caplog):
    for n, level in enumerate((1000, 200)):
        assert cv2.imwrite(str(tmp_path / f"{n}.tif"), np.full((8, 8), level, np.uint16))
    head = "file,page,stack_id,z_um,focus_z_um,um_per_px"
    manifest = tmp_path / "manifest.csv"

    def levels(names: str, *cells: str) -> list[int]:
        rows = [f"{n}.tif,,s,{n},,{cell}" for n, cell in enumerate(cells)]
        manifest.write_text("\n".join([head + names, *rows]))
        return [int(read_pixels(e)[0, 0, 0]) for e in read_manifest(manifest)]

    with caplog.at_level(logging.WARNING):
        assert levels(",bits", ",12", ",12") == [1000 >> 4, 200 >> 4]
        assert not caplog.records
        assert levels("", "", "") == [1000 >> 2, 200 >> 2]
    assert "taken for those of a camera of 10 bits" in caplog.text
    with pytest.raises(ConfigError, match=":3: bits = 12 must equal 10 of line 2"):
        levels(",bits", ",10", ",12")
    with pytest.raises(ConfigError, match=":2: bits = 17 must be a whole number 8 to 16"):
        levels(",bits", ",17", ",17")
    with pytest.raises(ConfigError, match="more than the 8 bits"):
        levels(",bits", ",8", ",8")
