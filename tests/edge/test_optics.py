"""Normalised optics: pixels in lambda/NA, the axis in waves at the pupil's edge."""

import math

import pytest

from edge.optics import Normalised, Objective, normalised
from engines.manifest import NOMINAL_OPTICS

NOMINAL = Objective(0.75, 20, 0.34)


def test_the_models_own_instrument_is_exactly_one():
    assert normalised(NOMINAL, NOMINAL_OPTICS) == Normalised(1.0, 1.0)
    assert NOMINAL.axial_unit == 1.0


@pytest.mark.parametrize(
    ("here", "pixels", "unit"),
    [
        (Objective(0.75, 40, 0.17), 0.5, 1.0),
        (Objective(0.5, 20, 0.34), 2 / 3, 0.338562 / 0.133975),
        (Objective(0.3, 10, 0.68), 0.8, 0.338562 / 0.046061),
        (Objective(0.75, 20, 0.34, wavelength_um=0.66), 1 / 1.2, 1.2),
        (Objective(1.2, 60, 0.1, refractive_index=1.515), 0.4 / 0.85, None),
    ],
)
def test_other_instruments(here, pixels, unit):
    if unit is None:
        unit = 0.338562 / (1.515 - math.sqrt(1.515**2 - 1.44))
    sampling = normalised(here, NOMINAL_OPTICS)
    assert sampling.pixels == pytest.approx(pixels, rel=1e-4)
    assert sampling.axial_unit == pytest.approx(unit, rel=1e-4)


@pytest.mark.parametrize(("um_per_px", "same"), [(0.3415, True), (0.3385, True), (0.336, False)])
def test_a_hair_of_pixel_size_is_not_worth_another_way(um_per_px, same):
    sampling = normalised(Objective(0.75, 20, um_per_px), NOMINAL_OPTICS)
    assert (sampling.pixels == 1.0) is same
