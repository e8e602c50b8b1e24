"""Recorded pictures as a camera: their order, their scale, and sources that are none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.camera import PixelFormat, open_camera
from edge.errors import CameraStalled, ConfigError
from tests.support.camera_benches import (
    picture,
    write_pictures,
)

# ---- recorded ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["folder", "tiff", "manifest"])
def test_recorded_pictures_in_their_order(tmp_path: Path, kind: str) -> None:
    """The manifest's rows are not in the order of z; the camera shows them from low to high."""
    camera = open_camera("recorded", write_pictures(kind, tmp_path))
    for number in range(5):
        frame = camera.next(1.0)
        assert np.array_equal(frame.pixels, picture(number))
        assert (frame.frame_id, frame.pixel_format) == (number, PixelFormat.MONO8)
    with pytest.raises(CameraStalled, match="all 5 recorded images were shown"):
        camera.next(1.0)


def test_pages_of_16_bits_share_one_scale(tmp_path: Path) -> None:
    pages = [np.full((2016, 2016), level, np.uint16) for level in (600, 3000)]  # of 12 bits
    assert cv2.imwritemulti(str(tmp_path / "a.tif"), pages)
    camera = open_camera("recorded", {"tiff": str(tmp_path / "a.tif")})
    assert [int(camera.next(1.0).pixels[0, 0]) for _ in range(2)] == [600 >> 4, 3000 >> 4]


def test_recorded_sources_that_are_none(tmp_path: Path) -> None:
    manifest = write_pictures("manifest", tmp_path)["manifest"]
    text = Path(manifest).read_text()
    Path(manifest).write_text(text + "0.tif,,b,9,0,0.34\n")
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", picture(0))[1].tobytes())
    (tmp_path / "cut.tif").write_bytes(b"II*\0\x08\0\0\0")
    wrong = [
        ({"manifest": manifest}, r"options\.stack = None must be one of a, b"),
        ({"manifest": manifest, "stack": "c"}, r"options\.stack = 'c' must be one of a, b"),
        ({"folder": "x", "stack": "a"}, r"options\.stack needs a manifest"),
        ({"tiff": str(tmp_path / "a.png")}, r"a\.png: is not a TIFF file"),
        ({"tiff": str(tmp_path / "cut.tif")}, r"cut\.tif: .* cut short"),
        ({"tiff": "a", "manifest": "b"}, "give either folder or files, tiff or manifest"),
        ({"tiff": "a", "live": True}, r"options\.live needs a rate_hz"),
        ({"tiff": "a", "rate_hz": 2000}, r"rate_hz = 2000 must be .* 1000 \(frames per second\)"),
    ]
    for options, says in wrong:
        with pytest.raises(ConfigError, match=says):
            open_camera("recorded", options)
    camera = open_camera("recorded", {"manifest": manifest, "stack": "b"})
    assert np.array_equal(camera.next(1.0).pixels, picture(0))
