"""The anytime median: patches in order of importance until the time or the doubt is used up."""

import numpy as np
import pytest

from edge.latency import Lap
from edge.measure.aggregate import FocusEstimate
from edge.measure.budget import AFTER_MS, PatchBudget
from edge.measure.defocus import Defocus
from edge.measure.importance import Ranked, Sparsity
from edge.measure.interval import IntervalModel
from edge.measure.preprocess import Patches
from edge.measure.sensor import CpuMeasurer
from engines.manifest import NOMINAL_OPTICS, Input, Manifest, Output, OutputNotFinite
from tests.support.fake_microscope import MS, Clock, frame_at

COST_MS = 1.0  # of a patch


class FakeEngine:
    """Answers 0, 1, 2... um in the order it is asked, each costing COST_MS."""

    manifest = Manifest(
        "dpn", "dpn.onnx", "0" * 64, (Input("patches", ("k", 224, 224, 3)),),
        (Output("defocus_um", ("k",), "um"), Output("spread_um", ("k",), "um")), NOMINAL_OPTICS,
    )  # fmt: skip

    def __init__(self, clock, spread_um=0.2):
        self.clock, self.spread_um, self.batches, self.asked = clock, spread_um, [], 0
        self.fail_at = None

    def infer(self, batch):
        k = len(batch)
        self.batches.append(k)
        self.clock.now_ns += round(k * COST_MS * MS)
        if self.fail_at == len(self.batches):
            raise OutputNotFinite("not finite")
        first, self.asked = self.asked, self.asked + k
        um = np.arange(first, first + k, dtype=np.float32)
        return um, np.full(k, self.spread_um, np.float32)


class FakePreprocessor:
    def gather(self, patches, cells):
        return np.zeros((len(cells), 1), np.uint8)


def ranked(k):
    cells = tuple((i // 9, i % 9) for i in range(k))
    importance = np.linspace(0.99, 0.81, k).astype(np.float32)
    return Ranked(np.ones((9, 9), np.float32), Sparsity.DENSE, k, cells, importance)


def made(budget_ms, patch_ms=COST_MS):
    clock = Clock()
    budget = PatchBudget(budget_ms, clock)
    budget.patch_ms = patch_ms
    engine = FakeEngine(clock)
    return Defocus(engine, FakePreprocessor(), budget), engine, clock


def test_without_a_budget_all_patches_go_at_once():
    defocus, engine, _ = made(None)
    assert len(defocus(None, ranked(31)).cells) == 31
    assert engine.batches == [31]


@pytest.mark.parametrize(
    ("budget_ms", "k", "batches"),
    [
        (100, 31, [3, 6, 22]),
        (31 + AFTER_MS, 31, [3, 6, 22]),
        (31 + AFTER_MS - 0.1, 31, [3, 6]),
        (8, 31, [3]),
        (0.1, 31, [3]),  # the first group is always measured
        (100, 9, [3, 6]),
        (100, 2, [2]),
        (100, 20, [3, 6, 11]),
    ],
)
def test_measuring_stops_before_the_group_that_would_be_late(budget_ms, k, batches):
    defocus, engine, _ = made(budget_ms)
    defocus.budget.arrived()
    patches = defocus(None, ranked(k))
    assert engine.batches == batches
    n = sum(batches)
    assert patches.defocus_um.tolist() == list(range(n))  # the most important ones, in order
    assert patches.cells == ranked(k).cells[:n]
    assert patches.importance.tolist() == ranked(k).importance[:n].tolist()
    assert patches.finite
    assert defocus.budget.cut == (n < k)
    assert patches.left_out == k - n


def test_time_that_went_before_the_patches_counts():
    defocus, engine, clock = made(15)
    defocus.budget.arrived()
    clock.now_ns += 10 * MS  # preprocess and RIN
    defocus(None, ranked(31))
    assert engine.batches == [3]


def test_the_cost_of_a_patch_is_learned():
    defocus, engine, _ = made(35.0, patch_ms=10.0)
    for _ in range(40):
        defocus.budget.arrived()
        engine.batches.clear()
        defocus(None, ranked(31))
    assert defocus.budget.patch_ms == pytest.approx(COST_MS, rel=0.05)
    assert engine.batches == [3, 6, 22]


def test_a_group_that_is_not_finite_spoils_the_frame():
    defocus, engine, _ = made(100)
    engine.fail_at = 2
    defocus.budget.arrived()
    patches = defocus(None, ranked(31))
    assert not patches.finite
    assert len(patches.cells) == 31


def sensor(enough_um, spread_um):
    clock = Clock()
    engine = FakeEngine(clock, spread_um)
    defocus = Defocus(engine, FakePreprocessor(), PatchBudget(None, clock))

    class Rin:
        def __call__(self, patches):
            return patches

        def rank(self, _):
            return ranked(31)

    patches = Patches(np.zeros((1, 1, 3), np.uint8), None, np.full((1, 64, 64, 3), 200, np.uint8))
    calibration = IntervalModel(25.0, scale_um=1.0, network=1.0, disagree_um=50.0)
    parts = (lambda frame: patches), Rin(), defocus, calibration
    return CpuMeasurer(*parts, enough_um=enough_um), engine, clock


@pytest.mark.parametrize(
    ("enough_um", "batches"), [(None, [31]), (2.2, [3]), (1.0, [3, 6, 22]), (0.1, [3, 6, 22])]
)
def test_measuring_stops_when_the_interval_is_narrow_enough(enough_um, batches):
    looked, engine, clock = sensor(enough_um, spread_um=0.5)
    measurement = looked.measure(frame_at(clock()), Lap(clock))
    assert engine.batches == batches
    assert isinstance(measurement.estimate, FocusEstimate)
    assert measurement.estimate.patches == sum(batches)
    assert measurement.estimate.defocus_um == (sum(batches) - 1) / 2  # the median of 0, 1, 2...
