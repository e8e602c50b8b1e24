"""Another objective or condenser on the simulated microscope, and what the runtime is told."""

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.optics import Objective
from simulator.optics import NOMINAL, SlideOptics, transfer_functions
from simulator.other_instrument import config_for, instrument_of
from simulator.simulate_verb import NOMINAL as CONFIG
from simulator.simulate_verb import _config


def test_the_iris_alone_is_told_nothing_of():
    instrument, unit = instrument_of(None, None, 0.6)
    assert (instrument.condenser_sigma, unit) == (0.6, 1.0)
    config = _config(CONFIG)
    assert config_for(config, instrument, unit) == config


def test_another_objective_has_its_own_axis():
    instrument, unit = instrument_of(0.5, 0.5, None)
    assert unit == pytest.approx(0.338562 / 0.133975, rel=1e-4)
    assert instrument.axial_colour == pytest.approx([unit * c for c in NOMINAL.axial_colour])
    config = _config(CONFIG)
    there = config_for(config, instrument, unit)
    assert there.objective == Objective(0.5, 20 * 0.34 / 0.5, 0.5)
    assert there.stage.z_min_um == pytest.approx(200 - 100 * unit)
    assert there.stage.z_max_um == pytest.approx(200 + 100 * unit)
    assert there.stage.max_step_um == pytest.approx(27 * unit)
    assert there.loop.max_interval_for(there.objective) == pytest.approx(4 * unit)
    assert there.loop.verify_above_for(there.objective) == pytest.approx(5 * unit)


def test_pictures_are_alike_in_waves_and_lambda_over_na():
    """The transfer function of an objective of NA 0.3, at its own frequencies and defocus, is that
    of NA 0.75, but for what is not paraxial."""
    other, unit = instrument_of(0.3, 0.34 * 0.75 / 0.3, None)
    frequency = np.linspace(0.0, 1.2, 25) * 0.75 / 0.55
    slide = SlideOptics(axial_colour_um=0.0)
    for delta in (-4.0, 3.0):
        here = transfer_functions(delta, frequency, 1, slide)[0]
        there = transfer_functions(delta * unit, frequency * 0.3 / 0.75, 1, slide, other)[0]
        assert np.abs(here - there).max() < 0.12


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((1.0, None, None), "--na 1 must be 0.05 to 0.95"),
        ((None, 0.17, None), "--um-per-px 0.17 must be 0.335 to 2"),
        ((None, None, 1.1), "--condenser 1.1 must be 0.1 to 1"),
    ],
)
def test_what_no_such_microscope_has_is_refused(given, says):
    with pytest.raises(ConfigError, match=says):
        instrument_of(*given)
