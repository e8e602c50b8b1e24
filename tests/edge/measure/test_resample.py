"""Frames of any pixel size and size as the models want them."""

import cv2
import numpy as np
import pytest

from edge.camera import Frame, PixelFormat
from edge.errors import ConfigError
from edge.measure.best_patches import cut
from edge.measure.importance import ClassRule, Importance
from edge.measure.preprocess import CpuPreprocessor, PatchGrid
from edge.measure.resample import Resampler, axis_of
from engines.manifest import Manifest, Preprocessing

FACTORS = (0.123, 0.25, 0.5, 0.667, 0.8, 0.97, 1.0, 1.03, 1.47, 2.0)


def axes(shape, factor, cells=(9, 9)):
    return tuple(axis_of(side, factor, n, 224) for side, n in zip(shape[:2], cells, strict=True))


def resampled(image, factor, native=True, cells=(9, 9)):
    rows, columns = axes(image.shape, factor, cells)
    out = np.full((224 * cells[0], 224 * cells[1], 3)[: image.ndim], 7, np.uint8)
    resampler = Resampler(rows, columns, native)
    assert resampler.native is native
    resampler.fill(image, out, 0, len(out))
    return out


def noise(*shape):
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("factor", FACTORS)
def test_weights_add_up_and_stay_in_the_frame(factor):
    for side in (round(230 / factor), 2048, 5000):
        if side * factor < 224:
            continue
        axis = axis_of(side, factor, 9, 224)
        assert (axis.weights.sum(axis=1) == 256).all()
        assert axis.first.min() >= 0
        assert (axis.first + axis.taps).max() <= side
        assert (axis.weights >= 0).all() == (factor < 1 or factor == 1.0 or axis.taps == 1)


@pytest.mark.parametrize("factor", [0.25, 0.667, 1.0, 1.47])
@pytest.mark.parametrize("channels", [1, 3])
def test_c_and_numpy_give_the_same_bytes(factor, channels):
    shape = (round(500 / factor), round(700 / factor), 3)[: 2 + (channels == 3)]
    image = noise(*shape)
    one, other = (resampled(image, factor, native, (3, 2)) for native in (True, False))
    assert np.array_equal(one, other)


def test_a_finer_frame_is_averaged_over_area():
    image = noise(1792, 1344, 3)  # 1344 x 1008 of the models
    reference = cv2.resize(image, (1008, 1344), interpolation=cv2.INTER_AREA).astype(int)
    got = resampled(image, 0.75)
    rows, columns = axes(image.shape, 0.75)
    (top, bottom), (left, right) = rows.lies_in, columns.lies_in
    assert (bottom - top, right - left) == (1344, 1008)
    assert np.abs(got[top:bottom, left:right] - reference).max() <= 1  # weights are 256ths


def test_a_coarser_frame_is_interpolated_where_it_lies():
    y, x = np.mgrid[0:1100, 0:1000]
    scene = lambda y, x: 128 + 60 * np.sin(x / 23) * np.cos(y / 31)  # noqa: E731
    image = np.rint(scene(y, x)).astype(np.uint8)
    got = resampled(image, 1.6)  # 1760 x 1600: 7 patches each way and margins
    rows, columns = axes(image.shape, 1.6)
    inside = slice(rows.lies_in[0] + 4, rows.lies_in[1] - 4)
    at_y = (np.arange(*rows.lies_in)[4:-4] - rows.lies_in[0] + 0.5) / 1.6 - 0.5
    at_x = (np.arange(*columns.lies_in)[4:-4] - columns.lies_in[0] + 0.5) / 1.6 - 0.5
    want = scene(at_y[:, None], at_x[None, :])
    there = got[inside, columns.lies_in[0] + 4 : columns.lies_in[1] - 4]
    assert np.abs(there - want).max() < 1.5


def test_a_small_frame_lies_in_the_middle_of_its_mirror_image():
    image = noise(500, 700, 3)
    rows, columns = axes(image.shape, 1.0)
    assert (rows.cells, columns.cells) == ((3, 5), (3, 6))
    got = resampled(image, 1.0)
    top, left = 3 * 224 - (500 - 448) // 2, 3 * 224 - (700 - 672) // 2
    assert np.array_equal(got[top : top + 500, left : left + 700], image)
    mirrored = cv2.copyMakeBorder(
        image, top, 2016 - 500 - top, left, 2016 - 700 - left, cv2.BORDER_REFLECT_101
    )
    assert np.array_equal(got, mirrored)


def test_the_models_own_pixels_are_taken_as_they_are():
    image = noise(2048, 2448, 3)
    frame = Frame(image, PixelFormat.RGB8, 0, 0, 0)
    plain = CpuPreprocessor(1)(frame)
    assert np.shares_memory(plain.crop, image)  # no pass over the pixels
    assert plain.inside is None
    assert np.array_equal(resampled(image, 1.0), plain.crop)


@pytest.mark.parametrize("pixel_format", [PixelFormat.RGB8, PixelFormat.MONO8,
                                          PixelFormat.BAYER_GB8, PixelFormat.MONO12P])  # fmt: skip
def test_pieces_in_any_order_make_the_same_picture(pixel_format):
    shape = (1200, 1500, 3)[: 3 if pixel_format.channels == 3 else 2]
    frame = Frame(noise(*shape), pixel_format, 0, 0, 0)
    one, two = CpuPreprocessor(1, pixels=0.8), CpuPreprocessor(4, pixels=0.8)
    a, b = one(frame), two(frame)
    assert a.inside == b.inside == ((2, 6), ((2, 7) if pixel_format.value != "Mono12p" else (3, 6)))
    assert np.array_equal(a.small, b.small)
    cells = [(3, 3), (5, 5)]
    whole = one.gather(a, cells).copy()
    assert np.array_equal(cut(frame, cells, pixels=0.8), whole.reshape(-1, 224, 3))


def test_the_rins_picture_is_that_of_the_resampled_frame():
    """Nothing is lost by scaling while it is resampled: as in two steps."""
    image = noise(1344, 1344, 3)
    crop = resampled(image, 1.5)
    direct = CpuPreprocessor(1, pixels=1.5)(Frame(image, PixelFormat.RGB8, 0, 0, 0))
    whole = CpuPreprocessor(1)(Frame(crop, PixelFormat.RGB8, 0, 0, 0))
    assert np.array_equal(direct.small, whole.small)


class _AllThere:
    """A RIN to which everything is content."""

    manifest = Manifest("rin", "x", "0" * 64, (), (), None, Preprocessing())

    def infer(self, batch):
        return (np.full((1, 9, 9), 0.9, np.float32),)


def test_nothing_is_measured_where_there_is_no_picture():
    frame = Frame(noise(500, 700, 3), PixelFormat.RGB8, 0, 0, 0)
    importance = Importance(_AllThere(), ClassRule())
    ranked = importance.rank(importance(CpuPreprocessor(1)(frame)))
    assert sorted(ranked.cells) == [(y, x) for y in (3, 4) for x in (3, 4, 5)]


def test_models_of_a_smaller_grid_too():
    frame = Frame(noise(700, 900, 3), PixelFormat.RGB8, 0, 0, 0)
    patches = CpuPreprocessor(1, PatchGrid(2, 3), 0.5)(frame)
    assert patches.small.shape == (1, 112, 176, 3)
    assert patches.inside == ((0, 1), (0, 2))


def test_too_small_and_too_fine_are_refused_in_one_line():
    with pytest.raises(ConfigError, match=r"a side of 440 px is 220 px .*224 px, one patch"):
        axis_of(440, 0.5, 9, 224)
    with pytest.raises(ConfigError, match=r"12\.5 of its pixels make one of the models', 10"):
        axis_of(5000, 0.08, 9, 224)
