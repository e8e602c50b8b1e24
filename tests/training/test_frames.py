"""The interval's factor covers what it promises, and the table says what happened."""

from __future__ import annotations

import numpy as np
import pytest

from edge.aggregate import Calibration
from training.frames import conformal_factor, covered, scaled, summarise, with_interval

CALIBRATION = Calibration(range_um=27.0)


def rows(count: int, scale: float, seed: int) -> list[dict]:
    """Frames whose errors are Gaussian with `scale` times half of the default interval."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(count):
        d, network, spread, k = rng.uniform(-25, 25), rng.uniform(0.2, 2), rng.uniform(0, 1), 9
        half = CALIBRATION.interval_um(d, network, spread, k)
        out.append({"field": i, "group": "cell dense", "d_um": d, "k": k, "interval_um": half,
                    "estimate_um": d + rng.normal(0, scale * half / 1.96), "network_um": network,
                    "spread_um": spread, "reason": None})  # fmt: skip
    return out


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5])
def test_factor_finds_the_scale_and_covers_fresh_frames(scale):
    factor = conformal_factor(rows(600, scale, 0), CALIBRATION)
    assert factor == pytest.approx(scale, rel=0.15)
    fresh, fitted = rows(600, scale, 1), scaled(CALIBRATION, factor)
    assert 0.92 <= covered(fresh, fitted) <= 0.98
    (line,) = summarise(with_interval(fresh, fitted))
    assert line["coverage"] == covered(fresh, fitted)


def test_too_few_frames_are_refused():
    with pytest.raises(SystemExit, match="too few"):
        conformal_factor(rows(5, 1.0, 0), CALIBRATION)


def test_table_counts_what_was_not_answered():
    silent = {"field": 0, "group": "cell dense", "d_um": 3.0, "k": 0, "estimate_um": None,
              "reason": "blank"}  # fmt: skip
    wrong = {**rows(1, 0.0, 0)[0], "d_um": 4.0, "estimate_um": -4.0, "interval_um": 1.0}
    (line,) = summarise([silent, wrong])
    assert (line["frames"], line["answered"]) == (2, 0.5)
    assert (line["mae_um"], line["direction"], line["coverage"]) == (8.0, 0.0, 0.0)
