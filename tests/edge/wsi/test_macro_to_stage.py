"""The macro picture's place on the stage, and how far off it may be."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError
from edge.wsi.macro_to_stage import PlacePair, fit, locate_field, margin_um, stage_region
from edge.wsi.regions import Box

TRUE = np.array([[16.1, 0.3, -20_000.0], [-0.3, 16.1, -9_000.0]])
CORNERS = [(100.0, 100.0), (2400.0, 120.0), (2380.0, 900.0), (90.0, 880.0), (1200.0, 500.0)]


def pairs(sd_um: float = 0.0, seed: int = 0, count: int = 5) -> list[PlacePair]:
    """Places of the true map, told with an error."""
    rng = np.random.default_rng(seed)
    return [
        PlacePair(p, tuple(TRUE @ (*p, 1.0) + rng.normal(0.0, 1.0, 2) * sd_um))
        for p in CORNERS[:count]
    ]


def test_exact_places_give_the_exact_map() -> None:
    place = fit(pairs(), 16.0)
    np.testing.assert_allclose(place.matrix, TRUE, atol=1e-6)
    assert place.uncertainty_um(1200.0, 500.0) < 1e-6


def test_the_uncertainty_holds_the_truth_as_often_as_it_says() -> None:
    held = []
    for seed in range(200):
        place = fit(pairs(20.0, seed), 16.0)
        for at in ((1200.0, 500.0), (3000.0, 400.0)):
            off = np.abs(np.array(place(*at)) - TRUE @ (*at, 1.0))
            held += list(off <= place.uncertainty_um(*at))
    assert 0.92 < np.mean(held) < 0.98
    far, near = place.uncertainty_um(5000.0, 500.0), place.uncertainty_um(1200.0, 500.0)
    assert far > 2.0 * near


def test_three_places_need_to_be_told_how_well_they_are_known() -> None:
    with pytest.raises(ConfigError, match="three places"):
        fit(pairs(count=3), 16.0)
    place = fit(pairs(count=3), 16.0, place_sd_um=10.0)
    assert 10.0 < place.uncertainty_um(1600.0, 300.0) < 40.0


def test_what_no_camera_does_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least"):
        fit(pairs(count=2), 16.0)
    with pytest.raises(ConfigError, match="scale"):
        fit(pairs(), 20.0)
    line = [
        PlacePair((c, 100.0), tuple(TRUE @ (c, 100.0, 1.0))) for c in (0.0, 900.0, 2000.0, 2500.0)
    ]
    with pytest.raises(ConfigError, match="on a line"):
        fit(line, 16.0)
    wrong = pairs()
    wrong[2] = PlacePair(wrong[2].macro_px, (wrong[2].stage_um[0] + 4_000.0, wrong[2].stage_um[1]))
    with pytest.raises(ConfigError, match=r"shear|scale"):
        fit(wrong, 16.0)


def test_a_region_holds_all_specimen_and_is_wider_by_the_margin() -> None:
    place = fit(pairs(20.0, 3), 16.0)
    specimen = np.zeros((1000, 2500), np.bool_)
    specimen[400:600, 1000:1400] = True
    specimen[300, 1800] = True  # a lone pixel
    region = stage_region(place, specimen, extra_um=100.0)
    assert region is not None
    wide = margin_um(place, specimen) + 100.0
    for column, row in ((1000, 400), (1399, 599), (1800, 300)):
        x, y = TRUE @ (column, row, 1.0)
        assert region.content_um2(Box(x - 25, y - 25, x + 25, y + 25)) == pytest.approx(2500.0)
    beyond = TRUE @ (1000 - (wide + 150.0) / 16.1, 500, 1.0)
    assert region.content_um2(Box(beyond[0] - 5, beyond[1] - 5, beyond[0] + 5, beyond[1] + 5)) == 0
    assert stage_region(place, np.zeros_like(specimen)) is None


def test_a_field_is_found_in_the_macro_picture_or_not_at_all() -> None:
    rng = np.random.default_rng(4)

    macro = cv2.GaussianBlur(rng.normal(0.3, 1.0, (300, 400)), (0, 0), 2.0).astype(np.float32)
    field = macro[120:160, 200:252] + rng.normal(0, 0.02, (40, 52)).astype(np.float32)
    middle = (225.5, 139.5)
    found = locate_field(macro, field, 16.0, (middle[0] + 20.0, middle[1] - 15.0), 600.0)
    assert found == pytest.approx(middle, abs=0.3)
    assert locate_field(macro, field, 16.0, (100.0, 60.0), 300.0) is None  # too far off
    assert locate_field(macro, np.zeros((40, 52), np.float32), 16.0, middle, 600.0) is None
    ripples = np.sin(np.arange(400) / 3.0)[None, :] * np.ones((300, 1))
    same = ripples.astype(np.float32)
    assert locate_field(same, same[120:160, 200:252], 16.0, middle, 600.0) is None
