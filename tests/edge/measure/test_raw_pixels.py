"""Packed and Bayer frames: against bit by bit NumPy, OpenCV's whole-frame demosaic, and plain
colours."""

import functools

import cv2
import numpy as np
import pytest

from edge.camera import Frame, PixelFormat
from edge.errors import ConfigError
from edge.measure.preprocess import CpuPreprocessor
from edge.measure.raw_pixels import RED_AT, bits, demosaic, red_at, unpack, width_px

PHASES = tuple(RED_AT)
TILES = {"RG": "RGGB", "GR": "GRBG", "GB": "GBRG", "BG": "BGGR"}
RNG = np.random.default_rng(9)


def _pack(values, depth):
    """GenICam "p": least significant bit first."""
    bit = (values[..., None] >> np.arange(depth)) & 1
    return np.packbits(bit.reshape(len(values), -1).astype(np.uint8), axis=1, bitorder="little")


def _mosaic(rgb, phase):
    """What a sensor with this phase sees of a colour picture."""
    channel = np.array(["RGB".index(letter) for letter in TILES[phase]]).reshape(2, 2)
    y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    return np.take_along_axis(rgb, channel[y % 2, x % 2][..., None], axis=2)[..., 0]


def _frame(pixels, name):
    return Frame(np.ascontiguousarray(pixels), PixelFormat(name), 0, 0, 0)


@pytest.mark.parametrize("depth", [10, 12])
def test_unpacks_the_top_eight_bits(depth):
    values = RNG.integers(0, 1 << depth, (7, 40))
    assert np.array_equal(unpack(_pack(values, depth), depth), values >> (depth - 8))


def test_the_bytes_of_the_standard():
    """Two pixels 0xABC, 0x123 in 12p: BC 3A 12; four in 10p hold 0x3FF, 0, 0x201, 0x100."""
    assert _pack(np.array([[0xABC, 0x123]]), 12).tolist() == [[0xBC, 0x3A, 0x12]]
    assert unpack(np.uint8([[0xBC, 0x3A, 0x12]]), 12).tolist() == [[0xAB, 0x12]]
    ten = np.uint8([[0xFF, 0x03, 0x10, 0x20, 0x40]])
    assert unpack(ten, 10).tolist() == [[0xFF, 0x00, 0x80, 0x40]]


@pytest.mark.parametrize("phase", PHASES)
def test_one_colour_stays_that_colour(phase):
    """Every phase, every parity of the square, at each corner of the mosaic."""
    rgb = np.broadcast_to(np.uint8([10, 120, 230]), (41, 43, 3))
    mosaic = _mosaic(rgb, phase)
    for top in (0, 1, 2, 11, 21):
        for left in (0, 1, 4, 13, 23):
            got = demosaic(mosaic, RED_AT[phase], (top, left), (20, 20))
            assert got.shape == (20, 20, 3)
            assert (got == [10, 120, 230]).all(), (top, left)


@pytest.mark.parametrize("phase", PHASES)
def test_inside_a_mosaic_it_is_opencvs_demosaic(phase):
    mosaic = RNG.integers(0, 256, (60, 71), dtype=np.uint8)
    code = getattr(
        cv2, f"COLOR_Bayer{ {'RG': 'BG', 'BG': 'RG', 'GR': 'GB', 'GB': 'GR'}[phase] }2RGB"
    )
    whole = cv2.cvtColor(mosaic, code)
    for top, left in ((1, 1), (2, 5), (7, 2), (39, 50)):
        got = demosaic(mosaic, RED_AT[phase], (top, left), (20, 20))
        assert np.array_equal(got, whole[top : top + 20, left : left + 20])


@pytest.mark.parametrize("phase", PHASES)
def test_beyond_the_edge_lies_the_mirror_image(phase):
    mosaic = RNG.integers(0, 256, (20, 20), dtype=np.uint8)
    mirrored = np.pad(mosaic, 2, mode="reflect")  # two: the phase stays
    want = demosaic(mirrored, RED_AT[phase], (2, 2), (20, 20))
    assert np.array_equal(demosaic(mosaic, RED_AT[phase], (0, 0), (20, 20)), want)


@functools.cache
def _soft_picture():
    """(2021, 2020, 3) uint8: two lines above the crop, three below."""
    y, x = np.arange(2021)[:, None], np.arange(2020)
    waves = [np.cos(y / 70 + c) * np.sin(x / 90 + 2 * c) * 100 + 128 for c in range(3)]
    rgb = np.stack(waves, -1).astype(np.uint8)
    plain = CpuPreprocessor()
    patches = plain(_frame(rgb, "RGB8"))
    return rgb, patches.small, plain.gather(patches, [(0, 0), (4, 4), (8, 8)])


@pytest.mark.parametrize("name", [f.value for f in PixelFormat if f.value.startswith("Bayer")])
def test_a_raw_frame_becomes_the_picture_it_shows(name):
    """A soft picture survives its mosaic to within two grey levels; a wrong phase would not."""
    rgb, small, cut = _soft_picture()
    values = _mosaic(rgb, name[5:7])
    depth = {"10p": 10, "12p": 12}.get(name[-3:], 8)
    if depth > 8:
        values = _pack(values.astype(np.uint16) << (depth - 8), depth)
    preprocess = CpuPreprocessor()
    patches = preprocess(_frame(values, name))
    assert (patches.crop.shape, patches.pixel_format) == ((2016, 2016, 3), PixelFormat.RGB8)
    assert np.abs(patches.small.astype(int) - small).max() <= 2
    off = preprocess.gather(patches, [(0, 0), (4, 4), (8, 8)]).astype(int) - cut
    assert np.abs(off).max() <= 4


@pytest.mark.parametrize(("name", "depth"), [("Mono10p", 10), ("Mono12p", 12)])
def test_packed_mono_is_mono(name, depth):
    values = RNG.integers(0, 1 << depth, (2022, 2020), dtype=np.uint16)
    packed, plain = CpuPreprocessor(), CpuPreprocessor()
    patches = packed(_frame(_pack(values, depth), name))
    want = plain(_frame((values >> (depth - 8)).astype(np.uint8), "Mono8"))
    assert np.array_equal(patches.small, want.small)
    assert np.array_equal(
        packed.gather(patches, [(0, 8), (7, 1)]), plain.gather(want, [(0, 8), (7, 1)])
    )


def test_a_format_is_read_from_its_name():
    facts = {f: (bits(_frame(np.zeros((4, 30)), f)), red_at(_frame(np.zeros((4, 30)), f)),
                 width_px(_frame(np.zeros((4, 30)), f))) for f in PixelFormat}  # fmt: skip
    assert facts[PixelFormat.MONO8] == (8, None, 30)
    assert facts[PixelFormat.BAYER_GB8] == (8, (0, 1), 30)
    assert facts[PixelFormat.MONO10P] == (10, None, 24)
    assert facts[PixelFormat.BAYER_BG12P] == (12, (1, 1), 20)
    assert facts[PixelFormat.BGR8][:2] == (8, None)


@pytest.mark.parametrize("name", ["Mono10p", "BayerRG12p"])
def test_rows_that_do_not_hold_whole_groups(name):
    with pytest.raises(ConfigError, match=f"3001 bytes is not {name}"):
        CpuPreprocessor()(_frame(np.zeros((2048, 3001), np.uint8), name))


@pytest.mark.parametrize(
    ("name", "row"), [("Mono10p", 275), ("BayerGR12p", 333), ("BayerRG8", 223)]
)
def test_too_small_counts_pixels_not_bytes(name, row):
    with pytest.raises(ConfigError, match=r"a side of 22[0-3] px .* is the least"):
        CpuPreprocessor()(_frame(np.zeros((2048, row), np.uint8), name))
    with pytest.raises(ConfigError, match=name):
        CpuPreprocessor()(_frame(np.zeros((2048, row, 3), np.uint8), name))
