"""Lap timer and histogram."""

import math

import numpy as np
import pytest

from edge.latency import Lap, LatencyHistogram
from tests.support.fake_microscope import MS, Clock


def test_lap_books_time_and_passes_the_value_on():
    clock = Clock()
    lap = Lap(clock)
    clock.now_ns += 7 * MS
    lap.restart()
    for stage, ms in (("preprocess", 2), ("rin", 5)):
        clock.now_ns += ms * MS
        assert lap(stage, stage) == stage
    assert lap.ms == {"preprocess": 2.0, "rin": 5.0, "total": 7.0}


@pytest.mark.parametrize("q", [0.5, 0.99, 1.0])
def test_quantiles_within_a_bin(q):
    values = np.random.default_rng(1).lognormal(3, 0.5, 5000)
    histogram = LatencyHistogram()
    for value in values:
        histogram.add(value)
    exact = np.quantile(values, q, method="inverted_cdf")
    assert exact * 0.999 <= histogram.quantile_ms(q) <= exact * 1.021
    assert histogram.total == 5000
    assert histogram.max_ms == values.max()


def test_extremes():
    histogram = LatencyHistogram()
    assert math.isnan(histogram.quantile_ms(0.5))
    for value in (0.0, 1e-9, 1e9):
        histogram.add(value)
    assert histogram.quantile_ms(0.5) < 0.011
    assert histogram.total == 3
