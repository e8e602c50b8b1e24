"""The models in the repository reach what they reached when they were shipped."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engines.engine import MODELS, open_engine
from engines.manifest import Manifest
from tests.support.shipped_models import (
    MEASURED_WITH,
    REACHED,
    reached_by_dpn,
    reached_by_rin,
    worse,
)

RENEW = "another model ships: python -m tests.support.shipped_models, and put its numbers there"


@pytest.mark.parametrize("kind", sorted(MEASURED_WITH))
def test_the_bounds_belong_to_the_models_that_ship(kind: str) -> None:
    manifest = Manifest.read(MODELS / f"{kind}.json")
    assert manifest.sha256 == MEASURED_WITH[kind], RENEW
    assert manifest.accuracy["sha256"] == manifest.sha256, "its scores are another model's"


def test_the_shipped_dpn_knows_the_direction_and_the_distance() -> None:
    numbers, spread = reached_by_dpn(open_engine(MODELS / "dpn.json", threads=1))
    assert worse("dpn", numbers) == []
    assert np.isfinite(spread).all()
    assert (spread > 0.0).all()


def test_the_shipped_rin_finds_content_and_passes_over_dirt() -> None:
    assert worse("rin", reached_by_rin(open_engine(MODELS / "rin.json", threads=1))) == []


def test_what_is_worse_is_told() -> None:
    reached = REACHED["dpn"]
    assert worse("dpn", reached) == []
    assert worse("dpn", {**reached, "median_um": 2 * reached["median_um"]}) == [
        f"dpn: median_um is {2 * reached['median_um']:.4g}, was {reached['median_um']:.4g}, "
        f"bound {1.25 * reached['median_um']:.4g}"
    ]
    assert len(worse("dpn", dict.fromkeys(reached, math.nan))) == len(reached)
    assert worse("dpn", {**reached, "direction": reached["direction"] - 0.05}) != []
    assert worse("dpn", {**reached, "direction": 1.0, "median_um": 0.0}) == []


def test_the_shipped_files_are_small_and_say_what_they_are() -> None:
    for kind in ("rin", "dpn"):
        manifest = open_engine(MODELS / f"{kind}.json", threads=1).manifest
        assert (MODELS / manifest.file).stat().st_size < 3 << 20
        assert manifest.training["samples"] > 0
        assert manifest.accuracy["scores"]
