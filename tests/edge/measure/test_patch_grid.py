"""Sensors of other sizes: the grid follows the frame, from the crop to the report."""

import dataclasses
import json

import cv2
import numpy as np
import pytest

from edge.appliance.report.focus_record import View
from edge.appliance.report.pictures import STRIP, before_after, draw_patches, thumbnail
from edge.camera import Frame, PixelFormat
from edge.decide.decision import Decision
from edge.errors import ConfigError, EngineRejected
from edge.latency import Lap
from edge.loop import Outcome
from edge.measure.importance import ClassRule
from edge.measure.preprocess import PAPER, CpuPreprocessor, PatchGrid
from edge.measure.sensor import measure
from edge.open_sensor import build_sensor
from edge.optics import Objective
from edge.settings import ModelSettings
from engines import golden
from engines.manifest import Manifest, Preprocessing
from tests.support.tiny_models import write_dpn, write_rin

OBJECTIVE = Objective(na=0.75, magnification=20, um_per_px=0.34)
WIDE = PatchGrid(2, 3)


def frame(pixels, pixel_format=PixelFormat.RGB8):
    return Frame(pixels, pixel_format, 0, 0, 0)


def picture(height, width):
    coarse = np.random.default_rng(0).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    return coarse.repeat(8, 0).repeat(8, 1)[:height, :width].astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "grid", "small"),
    [
        ((2048, 2448), (9, 9), (512, 512)),
        ((1200, 1920), (5, 8), (288, 448)),
        ((224, 224), (1, 1), (64, 64)),
        ((480, 640), (2, 2), (112, 112)),
        ((3000, 4096), (9, 9), (512, 512)),
    ],
)
def test_the_grid_follows_the_frame(size, grid, small):
    patch_grid = PatchGrid.of_frame(*size)
    assert (patch_grid.rows, patch_grid.columns) == grid
    assert patch_grid.small_px == small
    assert all(crop <= px for crop, px in zip(patch_grid.crop_px, size, strict=True))


def test_a_frame_smaller_than_a_patch_has_none():
    with pytest.raises(ConfigError, match="63 x 60 px is too small, a patch of 224 x 224 px"):
        PatchGrid.of_frame(60, 63)


def test_the_papers_grid_is_the_shipped_models():
    assert PAPER.preprocessing == Preprocessing()
    assert PatchGrid(2, 3).preprocessing == Preprocessing((448, 672), (112, 176), 224, (2, 3))


@pytest.mark.parametrize("pixel_format", [PixelFormat.RGB8, PixelFormat.MONO8])
def test_crop_small_picture_and_patches(pixel_format):
    pixels = picture(500, 700)
    if pixel_format is PixelFormat.MONO8:
        pixels = pixels[..., 0].copy()
    prepare = CpuPreprocessor(1, WIDE)
    ready = prepare(frame(pixels, pixel_format))
    crop = pixels[26:474, 14:686]
    assert np.shares_memory(ready.crop, pixels)
    np.testing.assert_array_equal(ready.crop, crop)
    half = cv2.resize(crop, (336, 224), interpolation=cv2.INTER_AREA)
    small = cv2.resize(half, (176, 112), interpolation=cv2.INTER_LINEAR_EXACT)
    expected = small if small.ndim == 3 else np.repeat(small[..., None], 3, 2)
    np.testing.assert_array_equal(ready.small[0], expected)
    patch = prepare.gather(ready, [(1, 2)])[0]
    wanted = crop[224:448, 448:672]
    np.testing.assert_array_equal(patch, wanted if wanted.ndim == 3 else np.stack([wanted] * 3, -1))


def test_bayer_frames_too():
    mosaic = picture(500, 700)[..., 0].copy()
    ready = CpuPreprocessor(1, WIDE)(frame(mosaic, PixelFormat.BAYER_RG8))
    assert ready.crop.shape == (448, 672, 3)
    whole = cv2.cvtColor(mosaic, cv2.COLOR_BayerBG2RGB)  # OpenCV names the second row
    np.testing.assert_array_equal(ready.crop, whole[26:474, 14:686])


def write_models(folder, patch_grid=WIDE, dpn_grid=None):
    grid = (patch_grid.rows, patch_grid.columns)
    rin = write_rin(folder, patch_grid.small_px, grid, preprocessing=patch_grid.preprocessing)
    dpn = write_dpn(folder, preprocessing=(dpn_grid or patch_grid).preprocessing)
    return ModelSettings(rin, dpn, threads=1, backend="cpu")


def test_a_frame_of_another_size_is_measured(tmp_path):
    models = write_models(tmp_path)
    pixels = np.full((500, 700, 3), (0, 255, 30), np.uint8)
    for row, column in ((0, 2), (1, 1)):  # green is emptiness, red is defocus
        top, left = 26 + 224 * row, 14 + 224 * column
        pixels[top : top + 224, left : left + 224] = (128 + 4 * 3, 0, 30)
    sensor, nets = build_sensor(models, OBJECTIVE, ClassRule())
    measurement = measure(sensor, frame(pixels), Lap())
    for net in nets:
        net.close()
    assert measurement.ranked.scores.shape == (2, 3)
    assert set(measurement.ranked.cells) == {(0, 2), (1, 1)}
    assert measurement.estimate.defocus_um == pytest.approx(3.0, abs=0.3)
    with pytest.raises(ConfigError, match=r"a side of 200 px is 200 px .*224 px, one patch"):
        sensor.measure(frame(picture(200, 500)), Lap())


def test_networks_of_two_instruments_do_not_mix(tmp_path):
    models = write_models(tmp_path, dpn_grid=PAPER)
    with pytest.raises(EngineRejected, match=r"made for a grid of \(9, 9\) patches, rin\.onnx"):
        build_sensor(models, OBJECTIVE, ClassRule())


@pytest.mark.parametrize(
    "change",
    [{"crop_px": 2016}, {"resize_px": [112, 160]}, {"patch_px": 112}, {"grid": [2, 12]}],
)
def test_a_way_that_is_none_of_ours_is_refused(tmp_path, change):
    models = write_models(tmp_path)
    values = json.loads(models.rin.read_text())
    values["preprocessing"].update(change)
    models.rin.write_text(json.dumps(values))
    with pytest.raises(EngineRejected, match="which this release lacks"):
        build_sensor(models, OBJECTIVE, ClassRule())


def test_the_gpu_takes_the_papers_grid_only(tmp_path):
    models = dataclasses.replace(write_models(tmp_path), backend="gpu")
    with pytest.raises(EngineRejected, match=r"2 x 3 patches; the GPU takes 9 x 9 only"):
        build_sensor(models, OBJECTIVE, ClassRule())


def test_golden_pictures_fit_the_input(tmp_path):
    rin = Manifest.read(write_models(tmp_path).rin)
    (first, *_), (whole, *_) = (
        golden.batches("rin", shape=rin.inputs[0].shape),
        golden.batches("rin"),
    )
    assert first.shape == (1, 112, 176, 3)
    np.testing.assert_array_equal(first[0], whole[0, :112, :176])
    (large, *_) = golden.batches("rin", shape=(1, 640, 512, 3))
    np.testing.assert_array_equal(large[0, 512:], whole[0, :128])


def test_pictures_of_a_report_keep_their_shape(tmp_path):
    models = write_models(tmp_path)
    pixels = np.full((500, 700, 3), (140, 0, 30), np.uint8)
    sensor, nets = build_sensor(models, OBJECTIVE, ClassRule())
    measurement = measure(sensor, frame(pixels), Lap())
    for net in nets:
        net.close()
    small = thumbnail(pixels[26:474, 14:686], 252)
    assert small.shape == (168, 252, 3)
    view = View(small, Outcome(Decision.HOLD, "blank", measurement=measurement), "after")
    assert draw_patches(view, 0.34).shape == (168 + STRIP, 252, 3)
    assert before_after(view, view).shape == (168, 252 + 4 + 252, 3)
