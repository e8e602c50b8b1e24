"""Kernels that are wrong in one place: the comparison with the CPU path must see each."""

import functools

import numpy as np
import pytest

from edge.camera import PixelFormat
from edge.measure.importance import ClassRule, Importance
from edge.measure.preprocess import CpuPreprocessor
from tests.support.cpu_kernels import CpuKernels, build, new_result
from tests.support.pixel_reference import random_frame

FORMATS = (PixelFormat.BGR8, PixelFormat.MONO12P, PixelFormat.BAYER_GR8)
CELLS = (0, 17, 80)


@functools.cache
def _right(pixel_format):
    """A frame, its small picture and its patches by the CPU path."""
    frame = random_frame(pixel_format)
    reference = CpuPreprocessor()
    patches = reference(frame)
    cut = reference.gather(patches, [divmod(cell, 9) for cell in CELLS]).copy()
    return frame, patches.small[0], cut


def wrong_steps(cpu):
    """The names of the steps in which the kernels and the CPU path differ."""
    wrong = set()
    for pixel_format in FORMATS:
        frame, small, cut = _right(pixel_format)
        result = new_result()
        if not np.array_equal(cpu.prepare(frame, result), small):
            wrong.add("prepare")
        if not np.array_equal(result[0]["sample"], small[4::8, 4::8]):
            wrong.add("sample")
        result[0]["cells"][: len(CELLS)] = CELLS
        if not np.array_equal(cpu.gather(frame, result, len(CELLS)), cut):
            wrong.add("gather")
    return wrong | _wrong_choice(cpu) | _wrong_answers(cpu)


def _wrong_choice(cpu):
    scores = np.tile(np.float32([0.8, 0.9, 0.2]), 27).reshape(9, 9)
    result = new_result()
    cpu.select(scores, ClassRule(dense=40), result)
    ranked = Importance(None, ClassRule(dense=40)).rank(scores)
    cells = [divmod(int(cell), 9) for cell in result[0]["cells"][: result[0]["k"]]]
    return {"select"} if cells != list(ranked.cells) else set()


def _wrong_answers(cpu):
    values = np.float32([4.0, -2.0, 1.0, np.inf])
    finite = []
    for k in (3, 4):
        result = new_result()
        result[0]["k"] = k
        cpu.collect(result, values, np.ones(4, np.float32))
        finite.append(int(result[0]["answers_finite"]))
    same = np.array_equal(result[0]["defocus_um"][:4], values)
    return set() if same and finite == [1, 0] else {"collect"}


def test_the_kernels_as_they_are_are_right():
    assert wrong_steps(CpuKernels(build())) == set()


@pytest.mark.parametrize(
    ("old", "new", "steps"),
    [
        pytest.param(
            "{pixel[frame.red], pixel[1], pixel[2 - frame.red]}",
            "{pixel[2 - frame.red], pixel[1], pixel[frame.red]}",
            {"prepare", "sample", "gather"},
            id="red and blue swapped",
        ),
        pytest.param(
            "Rgb{across, own, along} : Rgb{along, own, across}",
            "Rgb{along, own, across} : Rgb{across, own, along}",
            {"prepare", "sample", "gather"},
            id="Bayer phase",
        ),
        pytest.param(
            "out[0] = (u8)pixel.red;", "out[0] = (u8)pixel.green;", {"gather"}, id="green twice"
        ),
        pytest.param("left + 2 *", "left + 1 + 2 *", {"prepare", "sample"}, id="crop right"),
        pytest.param("top + 2 *", "top - 1 + 2 *", {"prepare", "sample"}, id="crop up"),
        pytest.param("left + cell % GRID", "left + 1 + cell % GRID", {"gather"}, id="patch right"),
        pytest.param("top + cell / GRID", "top + 1 + cell / GRID", {"gather"}, id="patch down"),
        pytest.param(
            "sum = {2048, 2048, 2048}", "sum = {0, 0, 0}", {"prepare", "sample"}, id="cut"
        ),
        pytest.param("sum = {2, 2, 2}", "sum = {1, 1, 1}", {"prepare", "sample"}, id="rounding"),
        pytest.param(
            "x % SAMPLE_STEP == SAMPLE_STEP / 2", "x % SAMPLE_STEP == 0", {"sample"}, id="sample"
        ),
        pytest.param("> threshold", ">= threshold", {"select"}, id="threshold"),
        pytest.param("(a == b && i < j)", "(a == b && i > j)", {"select"}, id="ties"),
        pytest.param(
            "all_finite(defocus_um, k)",
            "all_finite(defocus_um, slots)",
            {"collect"},
            id="all slots",
        ),
        pytest.param(
            "defocus_um[lane] = defocus_um[lane]",
            "defocus_um[lane] = spread_um[lane]",
            {"collect"},
            id="other output",
        ),
    ],
)
def test_a_wrong_kernel_is_seen(old, new, steps):
    assert wrong_steps(CpuKernels(build([(old, new)]))) >= steps


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("scores, float threshold", "scores, double threshold"),
        ("novelty, int slots, Result *result", "novelty, Result *result, int slots"),
        ("const Result *result, u8 *patches)         \\", "u8 *patches, const Result *result)  \\"),
    ],
)
def test_a_prototype_that_the_table_does_not_know_is_refused(old, new):
    with pytest.raises(AssertionError, match=r"is not what launch\.py says"):
        build([(old, new)])
