"""What lies on a simulated slide's glass casts its shadow where it lies, without a seam."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from simulator.world_glass import COVER_SLIP_UM, INKS, Bubble, Glass, Speck, Stroke, draw_glass

F32 = npt.NDArray[np.float32]
NA = 0.75
SPREAD = math.tan(math.asin(NA)) / 2.0
PITCH = 0.5
FAR = (-30_000.0, -13_000.0, 30_000.0, 13_000.0)
STROKE = Stroke(((20.0, -400.0), (20.0, 400.0)), 40.0, INKS[1])
BUBBLE = Bubble(0.0, 0.0, 60.0, 20.0)


def glass(**what: Any) -> Glass:
    """Nothing but that; slide and cover slip end far away."""
    return Glass(**{"slide": FAR, "label": FAR, "cover_slip": FAR, "barcode": "S1", **what})


def shadow(on: Glass, z_um: float = 0.0, half_um: float = 150.0, off_um: float = 0.0) -> F32:
    """Light through a square around the middle, the objective that high above the specimen."""
    axis = np.arange(-half_um, half_um + PITCH / 2, PITCH)
    light = np.ones((len(axis), len(axis), 3), np.float32)
    on.shadow(light, axis + off_um, axis, z_um, NA)
    return light


def depth_at(light: F32, x_um: float, y_um: float) -> npt.NDArray[np.float64]:
    """Absorbance there, R, G, B."""
    middle = (len(light) - 1) // 2
    pixel = light[middle + round(y_um / PITCH), middle + round(x_um / PITCH)]
    return np.asarray(-np.log(pixel.astype(np.float64)))


def test_clean_glass_takes_nothing() -> None:
    assert (shadow(glass()) == 1.0).all()
    clean = draw_glass(4, dirt=0.0)
    assert clean.bubbles == clean.strokes == clean.specks == clean.scratches == ()
    assert (shadow(clean) == 1.0).all()


def test_dust_is_a_disk_in_focus_and_spreads_out_of_it() -> None:
    on = glass(specks=(Speck(0.0, 0.0, 10.0, 30.0, 1.2),))
    sharp, soft = shadow(on, 30.0), shadow(on, 0.0)
    np.testing.assert_allclose(depth_at(sharp, 0.0, 0.0), 1.2, atol=0.02)
    assert depth_at(sharp, 15.0, 0.0).max() < 0.01
    assert 0.1 < depth_at(soft, 0.0, 0.0)[0] < 0.5
    assert depth_at(soft, 15.0, 0.0)[0] > 0.05
    # out of focus its shadow is as much as before, elsewhere
    whole = [-np.log(light[..., 0].astype(float)).sum() * PITCH**2 for light in (sharp, soft)]
    assert whole[0] == pytest.approx(1.2 * math.pi * 100.0, rel=0.03)
    assert whole[1] == pytest.approx(whole[0], rel=0.25)


def test_a_bubble_is_a_dark_ring_and_clear_inside() -> None:
    light = shadow(glass(bubbles=(BUBBLE,)), BUBBLE.height_um)
    for x, y in ((60.0, 0.0), (0.0, -60.0), (60.0 * 0.6, 60.0 * 0.8)):
        np.testing.assert_allclose(depth_at(light, x, y), 1.4, atol=0.05)
    assert depth_at(light, 0.0, 0.0).max() < 1e-4
    assert depth_at(light, 130.0, 0.0).max() < 1e-4


def test_ink_has_its_colour_and_its_width() -> None:
    light = shadow(glass(strokes=(STROKE,)), COVER_SLIP_UM)
    np.testing.assert_allclose(depth_at(light, 20.0, 50.0), INKS[1], atol=0.01)
    np.testing.assert_allclose(depth_at(light, 40.0, 50.0), np.array(INKS[1]) / 2, atol=0.01)
    assert depth_at(light, 50.0, 50.0).max() < 1e-3
    through = shadow(glass(strokes=(STROKE,)))  # from the specimen's plane: blurred, still blue
    red, _, blue = depth_at(through, 20.0, 50.0)
    assert 0.1 < blue < red < 1.5
    assert depth_at(through, 100.0, 50.0)[0] > 0.05


def test_the_cover_slip_ends_in_a_dark_line() -> None:
    on = glass(cover_slip=(-25.0, *FAR[1:]))
    sharp = shadow(on, COVER_SLIP_UM)
    assert depth_at(sharp, -25.0, 10.0)[0] == pytest.approx(1.2, abs=0.05)
    assert depth_at(sharp, 25.0, 10.0)[0] < 1e-3
    soft = shadow(on)
    assert 0.02 < depth_at(soft, -25.0, 10.0)[0] < 0.3
    assert depth_at(soft, 25.0, 10.0)[0] > 0.02


@pytest.mark.parametrize("z_um", [-10.0, 0.0, 20.0, 40.0, COVER_SLIP_UM])
@pytest.mark.parametrize(
    "what",
    [
        {"bubbles": (BUBBLE,)},
        {"specks": (Speck(0.0, 0.0, 3.0, 20.0, 2.0),)},
        {"specks": (Speck(0.0, 0.0, 40.0, -10.0, 2.0),)},
        {"strokes": (Stroke(((0.0, -30.0), (0.0, 30.0)), 40.0, INKS[0]),)},
    ],
)
def test_a_shadow_ends_without_a_seam(what: dict[str, Any], z_um: float) -> None:
    along = np.arange(-1000.0, 1000.0, PITCH)
    light = np.ones((1, len(along), 3), np.float32)
    glass(**what).shadow(light, along, np.zeros(1), z_um, NA)
    row = light[0, :, 0].astype(np.float64)
    seam = np.diff((row == 1.0).astype(int)) != 0
    assert row.min() < 1.0
    assert np.abs(np.diff(row))[seam].max(initial=0.0) < 2e-3


def test_shadows_agree_where_fields_overlap() -> None:
    on = glass(bubbles=(BUBBLE,), strokes=(STROKE,), specks=(Speck(50.0, 3.0, 12.0, 25.0, 1.0),))
    first, second = shadow(on), shadow(on, off_um=20.0)
    columns = round(20.0 / PITCH)
    np.testing.assert_array_equal(first[:, columns:], second[:, :-columns])


def test_drawn_glass_is_drawn_again_and_dirt_is_a_measure() -> None:
    assert draw_glass(7) == draw_glass(7) != draw_glass(8)
    specks = [sum(len(draw_glass(seed, dirt).specks) for seed in range(10)) for dirt in (0.5, 2.0)]
    assert specks[1] / specks[0] == pytest.approx(4.0, rel=0.3)
