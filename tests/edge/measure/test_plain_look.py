"""Smear, sharp dirt and noise alone are seen on the pixels, and frames without them pass."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.camera import Frame, PixelFormat
from edge.measure.best_patches import cut
from edge.measure.only_noise import whiteness_of
from edge.measure.plain_look import (
    DARK,
    DIRT,
    DIRT_LIMIT,
    NOISE,
    NOISE_LIMIT,
    SMEAR,
    SMEAR_LIMIT,
    PlainLook,
)
from edge.measure.preprocess import CpuPreprocessor
from edge.measure.smear_and_dirt import dirt_of, smear_of

SIDE = 2016
CELLS = [(0, 0), (8, 8), (3, 4), (0, 8), (8, 0), (5, 5), (2, 7)]


def specimen(blur: float, seed: int = 0) -> np.ndarray:
    """A field of blobs of many sizes, blurred alike everywhere, with a camera's noise."""
    random = np.random.default_rng(seed)
    field = sum(
        cv2.GaussianBlur(random.normal(size=(SIDE, SIDE)).astype(np.float32), (0, 0), s) * s * w
        for s, w in ((1.5, 6), (4, 10), (10, 14))
    )
    field = cv2.GaussianBlur(field, (0, 0), blur) if blur else field
    grey = 170 + field + random.normal(scale=1.0, size=field.shape)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def edged(seed: int = 0) -> np.ndarray:
    """Like tissue nearly in focus: fine islands with edges."""
    random = np.random.default_rng(seed)
    field = cv2.GaussianBlur(random.normal(size=(SIDE, SIDE)).astype(np.float32), (0, 0), 2.5) * 5
    grey = cv2.GaussianBlur(170 + 40 * np.tanh(4 * field), (0, 0), 1.2)
    grey += random.normal(scale=1.0, size=grey.shape)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def frame(pixels: np.ndarray) -> Frame:
    return Frame(np.ascontiguousarray(pixels), PixelFormat.RGB8, 1, 0, 1)


def scratched(pixels: np.ndarray) -> np.ndarray:
    out, random = pixels.copy(), np.random.default_rng(5)
    for _ in range(60):
        a, b = (tuple(int(v) for v in random.integers(0, SIDE, 2)) for _ in range(2))
        cv2.line(out, a, b, (250, 250, 250), 2, cv2.LINE_AA)
    return out


def specked(pixels: np.ndarray) -> np.ndarray:
    random, mask = np.random.default_rng(3), np.ones((SIDE, SIDE), np.float32)
    for _ in range(250):
        centre = tuple(int(v) for v in random.integers(0, SIDE, 2))
        size = (int(random.integers(4, 22)), int(random.integers(3, 14)))
        depth = float(random.uniform(0.05, 0.4))
        cv2.ellipse(mask, centre, size, 30, 0, 360, depth, -1, cv2.LINE_AA)
    return (pixels * mask[..., None]).astype(np.uint8)


@pytest.mark.parametrize("blur", [0, 1.5, 4, 8])
def test_a_specimen_passes_at_any_defocus(blur):
    assert PlainLook()(frame(specimen(blur)), CELLS) is None
    assert PlainLook()(frame(edged(int(blur))), CELLS) is None


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("pixels", [12, 20])
def test_a_smeared_frame_is_held(pixels, turned):
    kernel = (1, pixels) if turned else (pixels, 1)
    verdict = PlainLook()(frame(cv2.blur(edged(), kernel)), CELLS)
    assert verdict is not None
    assert (verdict.feature, verdict.alarm, verdict.hold) == (SMEAR, True, True)
    assert verdict.score > 1


def test_a_smear_at_any_angle():
    kernel = np.zeros((15, 15), np.float32)
    cv2.line(kernel, (1, 3), (13, 11), 1.0)
    smeared = cv2.filter2D(edged(), -1, kernel / kernel.sum())
    assert smear_of(cut(frame(smeared), CELLS[:6])) > SMEAR_LIMIT


@pytest.mark.parametrize("dirt", [scratched, specked])
def test_sharp_dirt_over_a_blurred_specimen_is_held(dirt):
    verdict = PlainLook()(frame(dirt(specimen(8))), CELLS)
    assert verdict is not None
    assert (verdict.feature, verdict.hold) == (DIRT, True)


def test_sharp_dirt_over_a_sharp_specimen_harms_nothing():
    assert dirt_of(cut(frame(specked(specimen(0))), CELLS[:6])) < DIRT_LIMIT


def grey_with_noise(level: float, noise_sd: float, channels: int = 1) -> np.ndarray:
    made = np.random.default_rng(2).standard_normal((SIDE, SIDE, channels), np.float32)
    pixels = (level + noise_sd * made).clip(0, 255).astype(np.uint8)
    return np.broadcast_to(pixels, (SIDE, SIDE, 3))


@pytest.mark.parametrize(
    ("level", "noise_sd", "channels"), [(128, 10, 1), (128, 40, 3), (225, 25, 1)]
)
def test_noise_alone_is_held(level, noise_sd, channels):
    """Shaded, too: what a lens does to the light is no specimen."""
    pixels = grey_with_noise(level, noise_sd, channels)
    shade = np.linspace(1.0, 0.7, SIDE)[:, None, None]
    for each in (pixels, (pixels * shade).astype(np.uint8)):
        verdict = PlainLook()(frame(each), CELLS)
        assert verdict is not None
        assert (verdict.feature, verdict.alarm, verdict.hold) == (NOISE, True, True)


@pytest.mark.parametrize("noise_sd", [4, 15])
def test_a_specimen_in_noise_is_no_noise(noise_sd):
    """As strong in the fine as a camera without light to spare has it; blurred by 8 pixels."""
    noisy = specimen(8).astype(np.float32) + np.random.default_rng(4).normal(
        0, noise_sd, (SIDE, SIDE, 3)
    )
    assert whiteness_of(cut(frame(noisy.clip(0, 255).astype(np.uint8)), CELLS[:6])) < NOISE_LIMIT


def test_too_few_patches_say_nothing():
    smeared = frame(cv2.blur(edged(), (20, 1)))
    assert PlainLook()(smeared, CELLS[:3]) is None
    assert PlainLook()(smeared, []) is None


def test_an_empty_or_black_frame_says_nothing():
    for level in (0, 255):
        assert PlainLook()(frame(np.full((SIDE, SIDE, 3), level, np.uint8)), CELLS) is None


@pytest.mark.parametrize("name", ["RGB8", "BGR8", "Mono8", "BayerRG8", "BayerGB8", "BayerBG10p",
                                  "Mono12p"])  # fmt: skip
def test_patches_are_those_of_the_networks(name):
    """Cut from the frame itself, and byte for byte what the preprocessing hands to the DPN."""
    pixel_format, random = PixelFormat(name), np.random.default_rng(1)
    width = {"10p": 2060 * 10 // 8, "12p": 2060 * 12 // 8}.get(name[-3:], 2060)
    shape = (2041, width, 3) if pixel_format.channels == 3 else (2041, width)
    whole = Frame(random.integers(0, 256, shape).astype(np.uint8), pixel_format, 1, 0, 1)
    preprocess = CpuPreprocessor(1)
    wanted = preprocess.gather(preprocess(whole), CELLS)
    np.testing.assert_array_equal(cut(whole, CELLS).reshape(wanted.shape), wanted)


@pytest.mark.parametrize("sideways", [False, True])
def test_a_part_without_light_is_called_by_its_name(sideways):
    """Half a shutter, a lamp beside the pupil: its edge lies one way, and that is no smear."""
    pixels = edged().copy()
    rows = pixels.swapaxes(0, 1) if sideways else pixels
    for start in range(0, SIDE, 224):
        rows[start : start + 112] = 3
    verdict = PlainLook()(frame(pixels), CELLS)
    assert verdict is not None
    assert (verdict.feature, verdict.alarm, verdict.hold) == (DARK, True, True)
