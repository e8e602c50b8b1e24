"""The kernels' own sources on the CPU: bit for bit what the CPU path and float64 NumPy compute."""

import numpy as np
import pytest

from edge.camera import Frame, PixelFormat
from edge.measure import preprocess as edge_preprocess
from edge.measure.defocus import Defocus
from edge.measure.importance import ClassRule, Importance
from edge.measure.photometry import STEP, of_sample, photometry_of
from edge.measure.preprocess import CpuPreprocessor
from engines import kernels
from engines.engine import MODELS, open_engine
from engines.kernels.launch import FORMATS, KERNELS
from engines.kernels.result import RESULT
from simulator.microscope import Microscope
from tests.support.cpu_kernels import CpuKernels, build, new_result
from tests.support.pixel_reference import developed, patch, random_frame, small_picture

CELLS = [(i // 9, i % 9) for i in range(81)]
#: one of each kernel; the other phases and BGR8 differ in one argument
KINDS = ("Mono8", "Mono10p", "Mono12p", "BGR8", "BayerGR8", "BayerGB10p", "BayerBG12p")


@pytest.fixture(scope="module")
def cpu():
    return CpuKernels(build())


def _sizes(name):
    """2016 leaves no margin; then odd margins, as far as packed rows allow."""
    width = {"10p": 2020, "12p": 2018}.get(name[-3:], 2019)
    return ((2016, 2016), (width, 2017), (width + 80, 2049))


@pytest.mark.parametrize("pixel_format", PixelFormat)
def test_every_format_equals_the_cpu_path(cpu, pixel_format):
    frame = random_frame(pixel_format)
    reference = CpuPreprocessor()
    patches = reference(frame)
    result = new_result()
    small = cpu.prepare(frame, result)
    assert np.array_equal(small, patches.small[0])
    result[0]["cells"] = range(20, 51)
    want = reference.gather(patches, CELLS[20:51])
    assert np.array_equal(cpu.gather(frame, result, 31), want)


@pytest.mark.parametrize("name", KINDS)
def test_any_size_equals_the_cpu_path(cpu, name):
    for width, height in _sizes(name):
        frame = random_frame(PixelFormat(name), width, height)
        reference = CpuPreprocessor()
        patches = reference(frame)
        result = new_result()
        assert np.array_equal(cpu.prepare(frame, result), patches.small[0]), (width, height)
        edge_cells = [0, 4, 8, 36, 44, 72, 76, 80]
        result[0]["cells"][:8] = edge_cells
        want = reference.gather(patches, [CELLS[i] for i in edge_cells])
        assert np.array_equal(cpu.gather(frame, result, 8), want), (width, height)


@pytest.mark.parametrize("name", KINDS)
def test_both_equal_float64(cpu, name):
    width, height = _sizes(name)[0]  # the frame's edge is the crop's: the border rule counts
    frame = random_frame(PixelFormat(name), width, height, seed=8)
    rgb = developed(frame)
    result = new_result()
    small = cpu.prepare(frame, result)
    assert np.array_equal(small, small_picture(rgb))
    assert np.array_equal(CpuPreprocessor()(frame).small[0], small)
    result[0]["cells"][:4] = 0, 8, 72, 80
    for cut, cell in zip(cpu.gather(frame, result, 4), (0, 8, 72, 80), strict=True):
        assert np.array_equal(cut, patch(rgb, *CELLS[cell])), cell


@pytest.mark.parametrize("block", [(32, 8, 1), (48, 5, 1), (7, 3, 1), (256, 1, 1), (1, 97, 1)])
def test_blocks_need_not_divide_the_work(cpu, block):
    frame = random_frame(PixelFormat.BAYER_RG8)
    result, other = new_result(), new_result()
    small = cpu.prepare(frame, result)
    assert np.array_equal(cpu.prepare(frame, other, block), small)
    assert np.array_equal(result["sample"], other["sample"])
    result[0]["cells"][:2] = 7, 75
    assert np.array_equal(cpu.gather(frame, result, 2, block), cpu.gather(frame, result, 2))


def test_photometry_needs_only_the_sample(cpu):
    frame = random_frame(PixelFormat.RGB8)
    result = new_result()
    small = cpu.prepare(frame, result)
    assert np.array_equal(result[0]["sample"], small[STEP // 2 :: STEP, STEP // 2 :: STEP])
    assert of_sample(result[0]["sample"]) == photometry_of(small[None])


def test_gather_fills_only_its_slots(cpu):
    frame = random_frame(PixelFormat.MONO8)
    result = new_result()
    result[0]["cells"] = range(31)
    assert np.array_equal(cpu.gather(frame, result, 3), cpu.gather(frame, result, 31)[:3])
    with pytest.raises(ValueError, match=r"0 slots, must be 1\.\.31"):
        FORMATS["Mono8"].gather.grid(0)
    with pytest.raises(ValueError, match=r"32 slots, must be 1\.\.31"):
        FORMATS["Mono8"].gather.grid(32)


def _some_scores():
    """Fields of every class, with many equal scores and some at the threshold itself."""
    rng = np.random.default_rng(2)
    at = np.float32(0.8)
    for n in (0, 1, 2, 3, 8, 9, 10, 30, 31, 32, 80, 81):
        scores = rng.choice(np.float32([0, 0.1, 0.3, at, np.nextafter(at, np.float32(0))]), 81)
        scores[rng.permutation(81)[:n]] = rng.choice(np.float32([0.81, 0.9, 0.9001, 1]), n)
        yield scores.reshape(9, 9)
    yield rng.random((9, 9), np.float32)
    yield np.full((9, 9), np.float32(0.9))


@pytest.mark.parametrize(
    "rule",
    [
        ClassRule(),
        ClassRule(0.5, every=False),
        ClassRule(0.3, 20, 6, 4),
        ClassRule(0.3, 20, 6, 4, every=False),
    ],
)
def test_selects_as_the_cpu_path(cpu, rule):
    for scores in _some_scores():
        result = new_result()
        cpu.select(scores, rule, result)
        want = Importance(None, rule).rank(scores)
        got = result[0]
        assert got["k"] == want.k
        assert got["above"] == np.count_nonzero(scores > np.float32(rule.threshold))
        assert [CELLS[i] for i in got["cells"][: want.k]] == list(want.cells)
        assert np.array_equal(got["chosen"][: want.k], want.importance)
        assert np.array_equal(got["scores"], scores)
        assert got["scores_finite"] == 1
        best = np.argsort(-scores.reshape(-1), kind="stable")[:31]
        assert np.array_equal(got["cells"], best)  # beyond k too: a fixed-size DPN reads them


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nothing_is_chosen_on_scores_that_are_not_finite(cpu, bad):
    scores = np.full((9, 9), 0.95, np.float32)
    scores[2, 3] = scores[8, 8] = bad
    result = new_result()
    cpu.select(scores, ClassRule(), result)
    got = result[0]
    assert (got["k"], got["scores_finite"]) == (0, 0)
    assert Importance(None, ClassRule()).rank(scores).k == 0
    assert len(set(got["cells"].tolist())) == 31  # still cells of the grid: they are gathered
    assert got["cells"].min() >= 0
    assert got["cells"].max() <= 80


def _answers(slots, seed):
    rng = np.random.default_rng(seed)
    defocus = rng.normal(0, 8, slots).astype(np.float32)
    defocus[: slots // 2] = np.round(defocus[: slots // 2])  # some are equal
    spread = rng.gamma(2, 0.3, slots).astype(np.float32)
    optics = rng.random((slots, 4), np.float32)
    return defocus, spread, optics, rng.random(slots, np.float32)


@pytest.mark.parametrize("slots", [3, 9, 31])
def test_answers_come_back_as_the_network_gave_them(cpu, slots):
    for k in range(1, slots + 1):
        answers = _answers(slots, k)
        result = new_result()
        result[0]["k"] = k
        result[0]["chosen"] = np.random.default_rng(k).random(31, np.float32)
        cpu.collect(result, *answers)
        got = result[0]
        assert (got["measured"], got["answers_finite"]) == (k, 1)
        for name, given in zip(
            ("defocus_um", "spread_um", "optics", "novelty"), answers, strict=True
        ):
            assert np.array_equal(got[name][:slots], given), name


def test_a_dpn_without_witnesses_and_one_too_small(cpu):
    defocus, spread, *_ = _answers(3, 1)
    result = new_result()
    result[0]["k"] = 9
    result[0]["chosen"] = 0.9
    cpu.collect(result, defocus, spread)
    assert result[0]["measured"] == 3
    assert np.array_equal(result[0]["defocus_um"][:3], defocus)
    assert result[0]["novelty"].tobytes() == b"\xab" * 124


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_answer_that_is_not_finite_is_told(cpu, which, bad):
    for slot, counts in ((2, True), (5, False)):
        answers = _answers(9, 3)
        answers[which][slot] = bad
        result = new_result()
        result[0]["k"] = 3
        result[0]["chosen"] = 0.9
        cpu.collect(result, *answers)
        assert result[0]["answers_finite"] == (not counts)


def test_a_blank_field_has_nothing_measured(cpu):
    result = new_result()
    result[0]["k"] = 0
    cpu.collect(result, *_answers(3, 3))
    assert (result[0]["measured"], result[0]["answers_finite"]) == (0, 1)


@pytest.fixture(scope="module")
def view():
    """A frame of a microscope, 4 um out of focus."""
    microscope = Microscope(11, workers=1)
    truth = microscope.load_field("tissue", "dense", number=2)
    return Frame(microscope.picture(truth.z_focus_um - 4.0), PixelFormat.RGB8, 0, 0, 0)


@pytest.mark.parametrize(("rule", "k"), [(ClassRule(), 31), (ClassRule(dense=82, every=False), 9)])
def test_a_whole_frame_with_the_shipped_networks(cpu, view, rule, k):
    """Frame to answers, each step by the kernels, beside the CPU path."""
    rin, dpn = (open_engine(MODELS / f"{name}.json", threads=1) for name in ("rin", "dpn"))
    result = new_result()
    small = cpu.prepare(view, result)
    cpu.select(rin.infer(small[None])[0], rule, result)
    cpu.collect(result, *dpn.infer(cpu.gather(view, result, k))[:4])
    got = result[0]

    reference = CpuPreprocessor()
    patches = reference(view)
    importance = Importance(rin, rule)
    ranked = importance.rank(importance(patches))
    defocus = Defocus(dpn, reference)(patches, ranked)
    assert (got["k"], ranked.k) == (k, k)
    assert [CELLS[i] for i in got["cells"][:k]] == list(ranked.cells)
    assert np.array_equal(got["scores"], ranked.scores)
    assert np.array_equal(got["novelty"][:k], defocus.novelty)
    assert np.array_equal(got["defocus_um"][:k], defocus.defocus_um)
    assert np.array_equal(got["spread_um"][:k], defocus.spread_um)
    assert 3 < np.median(got["defocus_um"][:k]) < 5


def test_sizes_and_layout_are_alike_everywhere(cpu):
    size, fields = cpu.layout()
    assert size == RESULT.itemsize
    for name, (offset, length) in zip(RESULT.names, fields, strict=True):
        dtype, place = RESULT.fields[name][:2]
        assert (place, dtype.itemsize) == (offset, length), name
    header = (kernels.HERE / kernels.HEADER).read_text()
    for name in ("CROP", "SMALL", "PATCH"):
        assert f"{name} = {getattr(edge_preprocess, name + '_PX')}," in header
    assert f"GRID = {edge_preprocess.GRID}," in header
    assert f"MOST = {edge_preprocess.MAX_PATCHES}," in header
    assert f"SAMPLE_STEP = {STEP}," in header


def test_every_camera_format_has_its_kernels():
    assert set(FORMATS) == {pixel_format.value for pixel_format in PixelFormat}
    used = {
        k.name
        for f in FORMATS.values()
        for k in (f.prepare, f.gather, f.prepare_resampled, f.gather_resampled)
    }
    assert used | {"select_patches", "collect", "mask_scores"} == set(KERNELS)


def test_arguments_are_packed_by_name():
    kernel = KERNELS["select_patches"]
    values = {"scores": 64, "threshold": 0.5, "dense": 31, "sparse": 9, "ex_sparse": 3}
    packed = kernel.arguments(**values, result=None)
    assert kernel.letters == "PfiiiP"
    assert [argument.value for argument in packed] == [64, 0.5, 31, 9, 3, None]
    with pytest.raises(TypeError, match="result"):
        kernel.arguments(**values)
    with pytest.raises(TypeError, match="k"):
        kernel.arguments(**values, result=0, k=3)
    with pytest.raises(TypeError):
        kernel.arguments(**{**values, "dense": 31.0}, result=0)
