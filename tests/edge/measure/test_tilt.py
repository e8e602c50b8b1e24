"""A tilted field: the patches' answers are brought to the middle of what the field holds."""

import dataclasses

import numpy as np
import pytest

from edge.measure.aggregate import median_and_spread
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import ClassRule, Importance, Sparsity
from edge.measure.tilt import levelled

NINE = ((0, 0), (0, 1), (1, 0), (1, 2), (2, 1), (2, 2), (3, 0), (3, 1), (0, 3))
CENTROID = (4.0, 5.0)
NOISE = np.random.default_rng(1).normal(0.0, 0.05, len(NINE))


def _tilted(slope, cells=NINE, noise=NOISE, at_middle_um=3.0):
    away = np.array(cells, float) - CENTROID
    return (at_middle_um + away @ slope + noise[: len(cells)]).tolist()


@pytest.mark.parametrize("slope", [(0.2, 0.0), (0.0, -0.3), (0.25, 0.25), (-0.1, 0.2)])
def test_a_clear_slope_is_followed_to_the_middle(slope):
    there = levelled(_tilted(slope), NINE, CENTROID)
    assert np.median(there) == pytest.approx(3.0, abs=0.12)  # 0.9 um away before, or more
    assert np.std(there) < 0.08


def test_one_odd_patch_neither_tilts_the_field_nor_hides_its_slope():
    defocus = _tilted((0.2, -0.1))
    defocus[4] += 2.0
    there = levelled(defocus, NINE, CENTROID)
    assert np.median(there) == pytest.approx(3.0, abs=0.1)
    assert np.median(np.abs(there - np.median(there))) < 0.05  # 0.28 where nothing is levelled
    defocus[4] += 18.0  # no plane is clear beside it
    assert levelled(defocus, NINE, CENTROID) == defocus
    level = _tilted((0.0, 0.0))
    level[0] += 20.0
    assert levelled(level, NINE, CENTROID) == level


def test_patches_in_one_column_tell_the_slope_along_it():
    column = tuple((row, 2) for row in range(9))
    defocus = _tilted((0.2, 0.0), column)
    assert np.median(levelled(defocus, column, (6.0, 2.0))) == pytest.approx(3.4, abs=0.12)
    assert np.median(levelled(defocus, column, (6.0, 8.0))) == pytest.approx(3.4, abs=0.12)


@pytest.mark.parametrize(
    ("defocus", "cells", "centroid"),
    [
        (_tilted((0.0, 0.0)), NINE, CENTROID),  # noise alone
        (_tilted((0.2, 0.2)), NINE, None),  # nobody says where the content is
        (_tilted((0.2, 0.2))[:5], NINE[:5], CENTROID),  # too few for a plane
        (_tilted((0.66, 0.0)), NINE, CENTROID),  # a fold, not a slide
        ([1.0] * 9, NINE, CENTROID),
        (np.random.default_rng(2).normal(0.0, 1.0, 9).tolist(), NINE, CENTROID),
        ([float("nan")] * 9, NINE, CENTROID),
        ([], (), None),
    ],
)
def test_without_a_clear_slope_nothing_changes(defocus, cells, centroid):
    np.testing.assert_array_equal(levelled(defocus, cells, centroid), defocus)


def test_noise_is_rarely_taken_for_a_slope():
    rng = np.random.default_rng(3)
    changed = 0
    for _ in range(500):
        defocus = rng.normal(0.0, 0.3, 9).tolist()
        changed += levelled(defocus, NINE, CENTROID) != defocus
    assert changed <= 15  # F of two against six degrees of freedom: 16 in 0.4 % of the cases


def test_the_estimate_is_the_levelled_median_with_the_rest_as_its_spread():
    measured = PatchDefocus(
        np.array(_tilted((0.3, 0.0)), np.float32), np.ones(9, np.float32), np.ones(9, np.float32),
        NINE, Sparsity.SPARSE, True, centroid=CENTROID,
    )  # fmt: skip
    median, spread = median_and_spread(measured)
    assert median == pytest.approx(3.0, abs=0.12)
    assert spread < 0.1
    median, spread = median_and_spread(dataclasses.replace(measured, centroid=None))
    assert median < 2.3
    assert spread > 0.3


def test_the_middle_is_that_of_all_content_chosen_or_not():
    scores = np.zeros((9, 9), np.float32)
    scores[0, :3] = 0.99
    scores[8, :3] = 0.85
    scores[4, 8] = 0.5  # below the threshold
    ranked = Importance(None, ClassRule()).rank(scores)
    assert ranked.cells[:3] == ((0, 0), (0, 1), (0, 2))
    assert ranked.centroid == (4.0, 1.0)
    assert Importance(None, ClassRule()).rank(np.zeros((9, 9), np.float32)).centroid is None
