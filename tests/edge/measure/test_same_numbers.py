"""A picture's way to the networks gives the same bytes whatever release of OpenCV, NumPy and Python
computes it, and its file the same answer as its pixels: make test-lowest runs this on the oldest
that are allowed."""

from __future__ import annotations

import json
import zlib

import cv2
import numpy as np
import pytest

from edge.appliance import cli
from edge.camera import Frame, PixelFormat
from edge.images.image_file import read_image
from edge.latency import Lap
from edge.measure.importance import ClassRule
from edge.measure.preprocess import CpuPreprocessor
from edge.open_sensor import build_sensor
from edge.optics import NOMINAL
from edge.settings import ModelSettings
from engines.golden import batches

#: zlib.crc32, found with OpenCV 5.0.0 and NumPy 2.4.6, and alike with 4.8.0 and 1.24.0
RIN_INPUT = {"RGB8": 3663268002, "Mono8": 2662921443, "BayerRG8": 2461068597}


def frame_of(name: str) -> Frame:
    pixel_format = PixelFormat(name)
    shape = (2048, 2448, 3)[: 3 if pixel_format.channels == 3 else 2]
    rows = np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    return Frame((rows * rows // 977 % 251).astype(np.uint8), pixel_format, 1, 0, 1)


@pytest.mark.parametrize("name", list(RIN_INPUT))
def test_the_networks_see_the_same_bytes(name):
    preprocess = CpuPreprocessor(1)
    patches = preprocess(frame_of(name))
    input_bytes = patches.small.tobytes() + preprocess.gather(patches, [(0, 0), (8, 8)]).tobytes()
    assert zlib.crc32(input_bytes) == RIN_INPUT[name]


def test_a_file_is_answered_as_its_pixels_are(tmp_path, capsys):
    tiles = batches("dpn")[0]
    rgb = np.full((2016, 2016, 3), 225, np.uint8)
    for n in range(81):
        y, x = 224 * (n // 9), 224 * (n % 9)
        rgb[y : y + 224, x : x + 224] = tiles[n % len(tiles)]
    names = [str(tmp_path / f"x.{kind}") for kind in ("png", "tif")]
    for name in names:
        assert cv2.imwrite(name, rgb[..., ::-1])
        assert zlib.crc32(read_image(name)[0].tobytes()) == zlib.crc32(rgb[..., ::-1].tobytes())
    sensor, nets = build_sensor(ModelSettings(backend="cpu"), NOMINAL, ClassRule())
    measurement = sensor.measure(Frame(rgb, PixelFormat.RGB8, 1, 0, 1), Lap())
    for net in nets:
        net.close()
    assert cli.main(["focus", *names, "--json", "-"]) == 0
    for row in json.loads(capsys.readouterr().out):
        numbers = [patch["defocus_um"] for patch in row["patches"]]
        assert numbers == pytest.approx(measurement.patches.defocus_um.tolist(), abs=1e-3)
