"""The class rule, the choice of patches, and what happens when a network answers nonsense."""

from types import SimpleNamespace

import numpy as np
import pytest

from edge.measure.defocus import Defocus
from edge.measure.importance import ClassRule, Importance, Sparsity
from engines.manifest import Output, OutputNotFinite, Preprocessing


class FakeEngine:
    manifest = SimpleNamespace(
        file="dpn.onnx",
        outputs=(Output("defocus_um", ("k",), "um"), Output("spread_um", ("k",), "um")),
        preprocessing=Preprocessing(),
    )

    def __init__(self, *answers):
        self.answers, self.batches = answers, []

    def infer(self, batch):
        self.batches.append(batch)
        if isinstance(self.answers[0], str):
            raise OutputNotFinite("x")
        return self.answers


def _scores(n, value=0.9):
    scores = np.full(81, 0.1, np.float32)
    scores[:n] = value
    return scores.reshape(9, 9)


def _rank(scores, rule=None):
    return Importance(FakeEngine(), rule or ClassRule()).rank(scores)


@pytest.mark.parametrize(
    ("n", "sparsity", "papers_k"),
    [
        (81, Sparsity.DENSE, 31),
        (31, Sparsity.DENSE, 31),
        (30, Sparsity.SPARSE, 9),
        (9, Sparsity.SPARSE, 9),
        (8, Sparsity.EX_SPARSE, 3),
        (3, Sparsity.EX_SPARSE, 3),
        (2, Sparsity.EX_SPARSE, 2),
        (1, Sparsity.EX_SPARSE, 1),
        (0, Sparsity.BLANK, 0),
    ],
)
@pytest.mark.parametrize("every", [True, False])
def test_class_rule(n, sparsity, papers_k, every):
    ranked = _rank(_scores(n), ClassRule(every=every))
    k = min(n, 31) if every else papers_k
    assert (ranked.sparsity, ranked.k, len(ranked.cells)) == (sparsity, k, k)
    assert ranked.importance.shape == (k,)


def test_every_patch_with_content_is_measured_unless_told_otherwise():
    assert ClassRule().every
    assert ClassRule().k_by_class == (31, 31, 31)
    assert ClassRule(every=False).k_by_class == (31, 9, 3)
    assert ClassRule(dense=20).classify(19) == (Sparsity.SPARSE, 19)
    assert ClassRule(dense=20).classify(25) == (Sparsity.DENSE, 20)


@pytest.mark.parametrize(
    ("n", "left_out"), [(81, 0), (31, 0), (30, 21), (10, 1), (9, 0), (8, 5), (3, 0), (0, 0)]
)
def test_patches_with_content_that_the_papers_k_leaves_out_are_counted(n, left_out):
    ranked = _rank(_scores(n), ClassRule(every=False))
    assert ranked.left_out == left_out
    source = SimpleNamespace(gather=lambda patches, c: "batch")
    answers = [np.zeros(ranked.k, np.float32)] * 2
    assert Defocus(FakeEngine(*answers), source)(None, ranked).left_out == left_out
    assert _rank(_scores(n)).left_out == 0  # every patch is measured
    spoiled = _scores(n)
    spoiled[8, 8] = np.nan
    assert _rank(spoiled, ClassRule(every=False)).left_out == 0


def test_threshold_is_exclusive():
    assert _rank(_scores(5, np.float32(0.8) - np.float32(1e-6))).k == 0
    assert ClassRule(threshold=0.5).classify(0) == (Sparsity.BLANK, 0)
    assert _rank(_scores(5, 0.5), ClassRule(threshold=0.5)).k == 0


def test_best_first_and_ties_in_reading_order():
    scores = _scores(0)
    scores[4, 7], scores[2, 3], scores[8, 0], scores[0, 8] = 0.95, 0.99, 0.95, 0.9
    ranked = _rank(scores)
    assert ranked.cells == ((2, 3), (4, 7), (8, 0), (0, 8))
    np.testing.assert_allclose(ranked.importance, [0.99, 0.95, 0.95, 0.9])
    assert _rank(np.ones((9, 9), np.float32)).cells == tuple(divmod(i, 9) for i in range(31))


def test_many_ties_keep_reading_order():
    scores = np.random.default_rng(5).choice([0.85, 0.9, 0.95], (9, 9)).astype(np.float32)
    order = sorted(range(81), key=lambda i: -scores.reshape(-1)[i])  # sorted() is stable
    assert _rank(scores).cells == tuple(divmod(i, 9) for i in order[:31])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_score_that_is_not_finite_chooses_nothing(bad):
    scores = _scores(40)
    scores[8, 8] = bad
    ranked = _rank(scores)
    assert (ranked.k, ranked.finite) == (0, False)


def test_engine_that_refuses_its_own_answer():
    importance = Importance(FakeEngine("not-finite"), ClassRule())
    scores = importance(SimpleNamespace(small=None))
    assert np.isnan(scores).all()
    assert not importance.rank(scores).finite


def test_defocus_measures_the_chosen_cells_in_order():
    cells = []
    source = SimpleNamespace(gather=lambda patches, c: cells.append(c) or "batch")
    engine = FakeEngine(np.array([1, 2, 3], np.float32), np.array([0.1, 0.2, 0.3], np.float32))
    measured = Defocus(engine, source)(None, _rank(_scores(3)))
    assert cells == [((0, 0), (0, 1), (0, 2))]
    assert measured.defocus_um.tolist() == [1, 2, 3]
    assert measured.finite


def test_blank_field_runs_no_network():
    engine = FakeEngine()
    measured = Defocus(engine, None)(None, _rank(_scores(0)))
    assert engine.batches == []
    assert measured.defocus_um.shape == measured.spread_um.shape == (0,)
    assert measured.finite


@pytest.mark.parametrize(
    "answers",
    [
        ("not-finite",),
        (np.array([1, np.nan, 2], np.float32), np.ones(3, np.float32)),
        (np.ones(3, np.float32), np.array([1, np.inf, 2], np.float32)),
    ],
)
def test_defocus_that_is_not_finite_is_marked(answers):
    source = SimpleNamespace(gather=lambda patches, cells: None)
    measured = Defocus(FakeEngine(*answers), source)(None, _rank(_scores(3)))
    assert not measured.finite
    assert len(measured.defocus_um) == 3
