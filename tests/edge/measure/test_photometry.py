"""The light of a frame: its background, its balance and its shares."""

import math
import time
import timeit

import numpy as np
import pytest

from edge.measure.photometry import PHOTOMETRY, photometry_of
from tests.support.known_range import BOUNDS, patches_of, training_range_of

# --- light and colour


def _small(red, green, blue):
    picture = np.empty((1, 512, 512, 3), np.uint8)
    picture[...] = red, green, blue
    return picture


def test_photometry_of_plain_pictures():
    plain = photometry_of(_small(200, 100, 50))
    assert set(plain) == set(PHOTOMETRY)
    assert plain["background"] == pytest.approx(350 / 3)
    assert plain["red balance"] == pytest.approx(math.log2(201 / 101))
    assert plain["blue balance"] == pytest.approx(math.log2(51 / 101))
    assert (plain["saturated"], plain["black"], plain["contrast"]) == (0.0, 0.0, 0.0)
    assert plain["colour"] == pytest.approx(150 / 200)
    assert photometry_of(_small(255, 128, 0))["saturated"] == 1.0
    assert photometry_of(_small(255, 128, 0))["black"] == 1.0
    assert photometry_of(_small(90, 90, 90))["colour"] == 0.0


def test_photometry_counts_shares_and_sees_the_ground_behind_the_specimen():
    picture = _small(180, 180, 180)
    picture[0, :128, :, 1] = 255  # a quarter burnt out in one channel
    picture[0, 500:, :, :] = 0
    light = photometry_of(picture)
    assert light["saturated"] == pytest.approx(0.25, abs=0.02)
    assert light["black"] == pytest.approx(12 / 512, abs=0.01)
    specimen = _small(230, 230, 230)
    specimen[0, :, : int(512 * 0.9)] = 60  # nine tenths are covered
    assert photometry_of(specimen)["background"] == 230
    assert photometry_of(specimen)["contrast"] > photometry_of(_small(60, 60, 60))["contrast"]


@pytest.mark.parametrize("level", [0, 1, 255])
def test_photometry_is_finite_on_any_even_picture(level):
    assert all(map(math.isfinite, photometry_of(_small(level, level, level)).values()))


def test_photometry_is_cheap():
    picture = np.random.default_rng(0).integers(0, 256, (1, 512, 512, 3), np.uint8)
    patches = patches_of(np.full((31, 4), 0.5), np.ones(31), k=31)
    training_range = training_range_of({**BOUNDS, **{name: [-99.0, 999.0] for name in PHOTOMETRY}})
    judge = timeit.Timer(
        lambda: training_range(photometry_of(picture), patches), timer=time.process_time
    )
    assert min(judge.repeat(repeat=40, number=5)) / 5 < 1e-3  # 0.3 ms on a busy core
