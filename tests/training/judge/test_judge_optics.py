"""The second judge's optics: its formula against the sum over the condenser, and its signs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.judge.canvas import Layer, noise
from training.judge.exact import ExactImager
from training.judge.instrument import Scope, Slide
from training.judge.optics import absorption_focus_um, transfer, vertex
from training.judge.picture import LinearImager
from training.judge.specimens import Specimen

SIDE, FINE_UM = 96, 0.17
SCOPE = Scope()
SLIDE = Slide(
    w040_waves=0.45, axial_um=1.0, phase=1.0, softness=1.0, strength=1.0, thickness_um=0.0,
    tilt_um_per_mm=(0.0, 0.0), stain="usual", dirt=0.0,
)  # fmt: skip


def _weak(absorbance: float, phase: float, heights: tuple[float, ...] = (0.0,)) -> Specimen:
    rng = np.random.default_rng(5)
    layers = []
    for z_um in heights:
        planes = [noise((SIDE, SIDE), FINE_UM, rng, 8.0, 2.0) for _ in range(2)]
        amount = planes[0] - planes[0].min()
        stained = np.stack([amount * np.float32(absorbance)] * 3)
        layers.append(Layer(z_um, stained, planes[1] * np.float32(phase)))
    return Specimen(FINE_UM, layers)


def _halved(picture: np.ndarray) -> np.ndarray:
    return picture.reshape(SIDE // 2, 2, SIDE // 2, 2).mean((1, 3))


@pytest.mark.parametrize(
    ("z_um", "scope", "heights"),
    [
        (-5.0, SCOPE, (0.0,)),
        (0.0, SCOPE, (0.0,)),
        (3.0, replace(SCOPE, light_tilt_na=0.15), (0.0,)),
        (2.0, SCOPE, (-1.5, 1.5)),
    ],
)
def test_the_formula_agrees_with_the_sum_over_the_condenser_where_a_specimen_is_weak(
    z_um: float, scope: Scope, heights: tuple[float, ...]
) -> None:
    specimen = _weak(0.004, 0.004, heights)
    exact = ExactImager(specimen, scope, SLIDE, across=13).channel(1, z_um)
    formula = _halved(LinearImager(specimen, scope, SLIDE).channel(1, z_um))
    exact, formula = exact - exact.mean(), formula - formula.mean()
    assert np.std(exact - formula) < 0.06 * np.std(exact)


def test_a_disc_that_retards_light_is_bright_in_its_middle_when_the_objective_is_too_high() -> None:
    y, x = np.mgrid[-48:48, -48:48] * FINE_UM
    disc = (np.hypot(y, x) < 2.0).astype(np.float32) * 0.2
    specimen = Specimen(FINE_UM, [Layer(0.0, np.zeros((3, SIDE, SIDE), np.float32), disc)])
    level = replace(SLIDE, w040_waves=0.0, axial_um=0.0)
    for imager in (LinearImager(specimen, SCOPE, level), ExactImager(specimen, SCOPE, level)):
        middle = imager.channel(1, 2.0).shape[0] // 2
        high, low = (imager.channel(1, z)[middle, middle] for z in (2.0, -2.0))
        assert high > 1.01
        assert low < 0.99


def test_red_focuses_above_green_and_blue_below() -> None:
    def best(channel: int) -> float:
        heights = np.arange(-1.5, 1.51, 0.25)
        level = replace(SLIDE, w040_waves=0.0)
        energy = []
        for z_um in heights:
            step, absorption, _ = transfer(SCOPE, channel, level, z_um)
            energy.append(float(np.sum((step * absorption) ** 2)))
        return vertex(heights, np.array(energy))

    assert best(0) == pytest.approx(0.7, abs=0.05)
    assert best(1) == pytest.approx(0.0, abs=0.05)
    assert best(2) == pytest.approx(-0.9, abs=0.05)


def test_absorption_is_in_focus_at_the_pupils_zero_without_spherical_aberration() -> None:
    assert absorption_focus_um(SCOPE, replace(SLIDE, w040_waves=0.0)) == pytest.approx(0, abs=0.01)
    assert -0.2 < absorption_focus_um(SCOPE, SLIDE) < -0.03


def test_a_transfer_function_ends_where_no_light_passes_both_pupils() -> None:
    step, absorption, phase = transfer(SCOPE, 1, SLIDE, 0.0)
    middle = absorption.shape[0] // 2
    end = int(1.72 * SCOPE.na / SCOPE.wavelength_um[1] / step)
    assert absorption[middle, middle] == pytest.approx(1.0, abs=1e-3)
    assert phase[middle, middle] == pytest.approx(0.0, abs=1e-3)
    beyond = absorption[middle, middle + end :]
    assert np.all(np.abs(beyond) < 0.01)


def test_another_objective_is_summed_as_finely_in_its_own_units() -> None:
    """At the same defocus of the pupil's edge, its rings are as fine, and no picture costs more."""
    low = replace(SCOPE, na=0.3)
    assert low.axial_unit == pytest.approx(7.351, abs=1e-3)
    z_um = 24.0
    here = transfer(SCOPE, 1, SLIDE, z_um)[1]
    there = transfer(low, 1, SLIDE, z_um * low.axial_unit)[1]
    assert here.shape == there.shape
    assert np.abs(here - there).max() < 0.12  # high NA differs, but by the paraxial terms alone
