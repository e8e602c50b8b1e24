"""The fits on rows whose errors are drawn from a known model: does what is promised hold on fresh
slides, in every group, and does the alarm ring where it should?"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from edge.measure.by_patches import number_for
from edge.measure.interval import IntervalModel
from tests.support.drawn_rows import GROUPS, START, at_every_k, group_coverage, interval_rows
from training import fit_interval as fit_interval_module
from training.conformal import slide_quantile, slide_share, weights
from training.fit_interval import LEAST_SLIDES, fit_interval, intervals
from training.frame_rows import FrameRow, k_keys, slide_numbers, split

# --- quantiles over slides


def test_every_slide_counts_once():
    slides = np.array([0, 0, 0, 0, 1])
    assert weights(slides).tolist() == [0.25, 0.25, 0.25, 0.25, 1.0]
    assert slide_share(np.array([True] * 4 + [False]), slides) == (0.5, 0.5)
    alone = slide_share(np.array([True]), np.array([7]))
    assert alone[0] == 1.0
    assert math.isnan(alone[1])


def test_the_quantile_is_the_finite_sample_one():
    scores = np.arange(1.0, 20.0)  # 19 slides: ceil(20 * 0.95) = the 19th
    slides = np.arange(19)
    assert slide_quantile(scores, slides, 0.95) == 19.0
    assert slide_quantile(scores, slides, 0.95, new=0) == 19.0
    assert slide_quantile(scores, slides, 0.90) == 18.0
    assert slide_quantile(scores[:18], slides[:18], 0.95) == math.inf
    assert slide_quantile(scores[::-1], slides, 0.5) == 10.0


def test_many_frames_of_one_slide_do_not_outvote_the_others():
    scores = np.concatenate([np.full(1000, 0.1), np.arange(1.0, 100.0)])
    slides = np.concatenate([np.zeros(1000, int), np.arange(1, 100)])
    assert slide_quantile(scores, slides, 0.95) == 95.0  # 101 * 0.95 = 95.95, one of them at 0.1


# --- splitting


def test_a_slide_is_in_one_part_and_every_group_in_all():
    rows = interval_rows(10, 0)
    parts = split(rows, (0, 1, 0, 1, 2), seed=3)
    assert sorted(map(id, rows)) == sorted(id(row) for part in parts for row in part)
    names = [{(row.condition, row.slide) for row in part} for part in parts]
    assert [len(each) for each in names] == [24, 24, 12]
    assert len(set.union(*names)) == 60
    assert all({row.group for row in part} == {f"{a} {b}" for a, b, _ in GROUPS} for part in parts)
    assert [len(part) for part in split(rows, (0, 1), seed=4)] == [60, 60]


def test_small_strata_do_not_all_miss_the_same_part():
    rows = [dataclasses.replace(row, slide=f"{row.slide}") for row in interval_rows(1, 0)]
    assert min(len(part) for part in split(rows, (0, 1))) > 0


def test_few_slides_share_a_factor():
    def rows(**counts: int) -> list[FrameRow]:
        one = interval_rows(1, 0)[0]
        return [dataclasses.replace(one, k=int(k[1:]), slide=f"{k} {i}")
                for k, n in counts.items() for i in range(n)]  # fmt: skip

    assert k_keys(rows(k3=40, k9=40, k31=40), 40) == (1, 9, 31)
    assert k_keys(rows(k3=10, k9=40, k31=40), 40) == (1, 31)
    assert k_keys(rows(k3=40, k9=40, k31=10), 40) == (1, 9)
    assert k_keys(rows(k3=40, k9=10, k31=40), 40) == (1, 9)
    assert k_keys(rows(k3=9), 40) == (1,)
    assert k_keys(rows(k1=120, k2=120, k3=120, k9=40, k31=40), 40) == (1, 2, 3, 9, 31)


# --- the interval


@pytest.mark.parametrize("heavy", [False, True])
def test_coverage_on_fresh_slides_in_every_group(heavy):
    calibration = fit_interval(*split(interval_rows(400, 1, heavy), (0, 1)), START)
    fresh = interval_rows(500, 2, heavy)
    coverage = group_coverage(fresh, calibration)
    assert all(0.93 <= share <= 0.97 for share in coverage.values()), coverage
    # and it is no constant: vague frames get wide intervals
    half = intervals(fresh, calibration)
    vague = np.array([row.network_um for row in fresh])
    assert np.median(half[vague > 0.5]) > 1.5 * np.median(half[vague < 0.2])


def test_one_factor_for_all_would_not_do():
    rows = interval_rows(160, 1)
    plain = dataclasses.replace(START, scale_um=1.0, network=0.0)
    factor = slide_quantile(np.array([row.error_um for row in rows]), slide_numbers(rows), 0.95)
    constant = dataclasses.replace(plain, factors=((1, factor),))
    coverage = group_coverage(interval_rows(250, 2), constant)
    assert max(coverage.values()) > 0.97 or min(coverage.values()) < 0.93


def test_the_promise_does_not_rest_on_the_shape():
    """Errors that follow nothing known: the shape is wrong, the factors still cover."""
    rng = np.random.default_rng(3)

    def random(rows: list[FrameRow]) -> list[FrameRow]:
        return [
            dataclasses.replace(row, error_um=float(rng.pareto(2.5)) * (4 if row.k == 9 else 1))
            for row in rows
        ]

    calibration = fit_interval(*split(random(interval_rows(250, 4)), (0, 1)), START)
    fresh = random(interval_rows(250, 5))
    inside = np.array([row.error_um for row in fresh]) <= intervals(fresh, calibration)
    k = np.array([row.k for row in fresh])
    for mine in (k < 9, k == 9, k == 31):
        assert 0.93 <= inside[mine].mean() <= 0.97


def test_what_matters_is_found():
    rows = interval_rows(160, 6)
    noise = np.random.default_rng(7).normal(0, 1, len(rows))
    by_network = [dataclasses.replace(row, error_um=abs(float(n)) * row.network_um)
                  for row, n in zip(rows, noise, strict=True)]  # fmt: skip
    fit = fit_interval(*split(by_network, (0, 1)), START)
    assert at_every_k(fit.network) == pytest.approx([1.0] * 3, abs=0.25)
    assert max(at_every_k(fit.importance)) < 0.15
    by_importance = [dataclasses.replace(row, error_um=abs(float(n)) * (1 - row.importance))
                     for row, n in zip(rows, noise, strict=True)]  # fmt: skip
    fit = fit_interval(*split(by_importance, (0, 1)), START)
    assert at_every_k(fit.importance) == pytest.approx([1.0] * 3, abs=0.25)
    # the network's own doubt always counts
    assert at_every_k(fit.network) == pytest.approx([0.25] * 3, abs=0.05)
    by_colour = [
        dataclasses.replace(
            row, error_um=abs(float(n)) * colour, photometry={"colour": colour - 0.01}
        )
        for row, n in zip(rows, noise, strict=True)
        for colour in [0.02 + 0.1 * row.importance**20]
    ]
    fit = fit_interval(*split(by_colour, (0, 1)), START)
    assert number_for(fit.colour, 31) == pytest.approx(1.0, abs=0.3)
    covered = [row for row in rows if row.k >= 31]
    levels = np.random.default_rng(8).uniform(100.0, 225.0, len(covered))
    by_ground = [
        dataclasses.replace(
            row, error_um=abs(float(n)) * (240.0 - level) / 100.0, photometry={"background": level}
        )
        for row, n, level in zip(covered, noise, levels.tolist(), strict=False)
    ]
    fit = fit_interval(*split(by_ground, (0, 1)), START)
    assert fit.background == pytest.approx(1.0, abs=0.3)
    assert fit.network == pytest.approx(0.25, abs=0.05)


def test_few_and_many_patches_have_coefficients_of_their_own_where_there_are_slides_enough():
    """Few patches err by the network's own spread, many by how they differ."""
    noise = np.random.default_rng(13)

    def by_k(slides: int) -> list[FrameRow]:
        rows = []
        for row in interval_rows(slides, 14):
            between = 3.0 * math.exp(noise.normal(0, 0.6))
            size = row.network_um if row.k < 9 else between
            error = abs(float(noise.normal())) * size
            rows.append(dataclasses.replace(row, error_um=error, between_um=between))
        return rows

    fit = fit_interval(*split(by_k(250), (0, 1)), START)
    few, nine, many = at_every_k(fit.network)
    assert few == pytest.approx(1.0, abs=0.25)
    assert (nine, many) == pytest.approx((0.25, 0.25), abs=0.05)
    few, nine, many = at_every_k(fit.patches)
    assert few < 0.15
    assert (nine, many) == pytest.approx((1.0, 1.0), abs=0.3)
    together = fit_interval(*split(by_k(60), (0, 1)), START)
    assert isinstance(together.network, float)
    assert isinstance(together.scale_um, float)


def test_near_is_inside_as_often_as_far():
    """Errors that grow with the distance, which the network's own spread does not tell."""
    noise = np.random.default_rng(16)

    def growing(rows: list[FrameRow]) -> list[FrameRow]:
        return [
            dataclasses.replace(
                row, error_um=abs(float(noise.normal())) * 0.1 * (1 + abs(row.found_um)) ** 0.3
            )
            for row in rows
        ]

    fit = fit_interval(*split(growing(interval_rows(160, 17)), (0, 1)), START)
    assert max(at_every_k(fit.distance)) <= 0.0
    fresh = growing(interval_rows(300, 18))
    inside = np.array([row.error_um for row in fresh]) <= intervals(fresh, fit)
    assert inside[np.abs([row.found_um for row in fresh]) < 3.0].mean() > 0.93


def test_a_shape_that_is_kept_still_covers():
    calibration = fit_interval(*split(interval_rows(100, 8), (0, 1)), START, keep_shape=True)
    default = IntervalModel(START.range_um)
    assert dataclasses.replace(calibration, factors=default.factors) == default
    fresh = interval_rows(250, 9)
    inside = np.array([row.error_um for row in fresh]) <= intervals(fresh, calibration)
    assert 0.93 <= inside.mean() <= 0.975


def test_no_slide_judges_what_was_fitted_on_it(monkeypatch):
    fitted, judged, rows = [], [], interval_rows(20, 3)

    def fit(given: list[FrameRow], start: IntervalModel) -> IntervalModel:
        fitted.append({row.slide for row in given})
        return start

    def judge(given: list[FrameRow], calibration: IntervalModel) -> np.ndarray:
        judged.append({row.slide for row in given})
        return np.ones(len(given))

    monkeypatch.setattr(fit_interval_module, "_fitted", fit)
    monkeypatch.setattr(fit_interval_module, "_ratios", judge)
    fit_interval_module._wider(split(rows, range(5)), START)
    everybody = {row.slide for row in rows}
    assert len(judged) == 5
    assert set().union(*judged) == everybody
    for mine, others in zip(judged, fitted, strict=True):
        assert mine
        assert others == everybody - mine


def test_only_many_slides_may_narrow_what_was_fitted(monkeypatch):
    """Where the halves say that 0.8 times as wide would do."""
    results = {}
    for slides in (40, 80):  # of each of six groups
        rows = interval_rows(slides, 3)
        for wider in (0.8, 1.0):
            monkeypatch.setattr(
                "training.fit_interval._wider", lambda halves, start, to=wider: ((1, to),)
            )
            results[slides, wider] = fit_interval(*split(rows, (0, 1)), START).factors
    assert results[40, 0.8] == results[40, 1.0]
    for (k, narrow), (_, whole) in zip(results[80, 0.8], results[80, 1.0], strict=True):
        assert narrow == pytest.approx(0.8 * whole, abs=1e-3), k


def test_too_few_slides_and_unanswered_frames():
    rows = interval_rows(5, 0)
    with pytest.raises(ValueError, match=rf"30 slides for the fit part, {LEAST_SLIDES} are"):
        fit_interval(rows, rows, START)
    silent = [dataclasses.replace(row, error_um=math.nan) for row in interval_rows(40, 0)]
    with pytest.raises(ValueError, match="0 slides"):
        fit_interval(silent, silent, START)
    many = interval_rows(40, 0)
    assert fit_interval([*many, *silent], many, START) == fit_interval(many, many, START)
