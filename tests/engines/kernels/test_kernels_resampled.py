"""The kernels for frames of another pixel size or size: byte for byte what the CPU path makes."""

import numpy as np
import pytest

from edge.camera import PixelFormat
from edge.measure.gpu_sensor import view
from edge.measure.importance import ClassRule, Importance
from edge.measure.preprocess import CpuPreprocessor
from engines.kernels.launch import FORMATS
from engines.manifest import Manifest, Preprocessing
from tests.support.cpu_kernels import CpuKernels, build, new_result
from tests.support.pixel_reference import random_frame

CELLS = [(i // 9, i % 9) for i in range(81)]


@pytest.fixture(scope="module")
def cpu():
    return CpuKernels(build())


@pytest.mark.parametrize(
    ("name", "width", "height", "pixels"),
    [
        ("RGB8", 1200, 900, 0.5),
        ("BGR8", 700, 500, 1.0),
        ("Mono8", 640, 480, 1.47),
        ("BayerGR8", 900, 1000, 0.667),
        ("BayerBG12p", 600, 601, 0.8),
        ("Mono10p", 1000, 700, 0.41),
    ],
)
def test_any_pixel_size_equals_the_cpu_path(cpu, name, width, height, pixels):
    frame = random_frame(PixelFormat(name), width, height)
    reference = CpuPreprocessor(1, pixels=pixels)
    patches = reference(frame)
    result = new_result()
    small = cpu.prepare_resampled(frame, pixels, result)
    assert np.array_equal(small, patches.small[0])
    assert np.array_equal(result[0]["sample"], small[4::8, 4::8])
    (top, bottom), (left, right) = patches.inside
    cells = [9 * top + left, 9 * (bottom - 1) + right - 1, 9 * top + right - 1]
    result[0]["cells"][:3] = cells
    want = reference.gather(patches, [CELLS[i] for i in cells])
    assert np.array_equal(cpu.gather_resampled(frame, pixels, result, 3), want)
    assert view(frame, pixels).resampled.inside == patches.inside


def test_the_models_own_frames_go_the_old_way():
    frame = random_frame(PixelFormat.RGB8, 2448, 2048)
    view_of_frame = view(frame)
    assert (view_of_frame.resampled, view_of_frame.left, view_of_frame.top) == (None, 216, 16)


class _Says:
    """A RIN that gives these scores."""

    manifest = Manifest("rin", "x", "0" * 64, (), (), None, Preprocessing())

    def __init__(self, scores):
        self._scores = scores

    def infer(self, batch):
        return (self._scores[None],)


@pytest.mark.parametrize("bad", [None, (3, 3), (0, 0)])
def test_nothing_is_chosen_where_there_is_no_picture(cpu, bad):
    """As on the CPU; a score that is not finite counts where it is inside only."""
    scores = np.random.default_rng(3).random((9, 9)).astype(np.float32)
    if bad:
        scores[bad] = np.nan
    frame = random_frame(PixelFormat.RGB8, 700, 500)
    patches = CpuPreprocessor(1)(frame)
    importance = Importance(_Says(scores), ClassRule(0.3))
    want = importance.rank(importance(patches))
    result = new_result()
    cpu.select(cpu.mask(scores, patches.inside), ClassRule(0.3), result)
    assert result[0]["k"] == want.k == (0 if bad == (3, 3) else want.k)
    chosen = [CELLS[i] for i in result[0]["cells"][: want.k]]
    assert chosen == list(want.cells)
    assert all(3 <= row < 5 and 3 <= column < 6 for row, column in chosen)


def test_every_format_has_its_kernels():
    for used in FORMATS.values():
        assert used.prepare_resampled.name == used.prepare.name.replace("_", "_resampled_", 1)
        assert used.gather_resampled.name == used.gather.name.replace("_", "_resampled_", 1)
