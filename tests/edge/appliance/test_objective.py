"""Which objective pictures were taken with, and what was assumed of it."""

import argparse
import dataclasses

import pytest

from edge.appliance.objective import add_objective, objective_of
from edge.errors import ConfigError
from edge.optics import NOMINAL, Objective
from edge.settings import CameraSettings, Config, StageSettings
from engines.engine import MODELS


def asked(words="", config=None):
    parser = argparse.ArgumentParser()
    add_objective(parser)
    return objective_of(parser.parse_args(words.split()), MODELS / "dpn.json", config)


def test_without_a_word_the_models_own_is_assumed():
    objective = asked()
    assert objective.objective == NOMINAL
    assert objective.sentence.startswith(
        "20x (assumed), NA 0.75 (assumed), 0.34 um per pixel in the object plane (assumed), the "
        "condenser's aperture at 0.7"
    )


def test_options_are_taken_and_said():
    objective = asked("--na 0.5 --um-per-px 0.65 --refractive-index 1.33")
    assert objective.objective == dataclasses.replace(
        NOMINAL, na=0.5, um_per_px=0.65, refractive_index=1.33
    )
    assert "20x (assumed), NA 0.5 (as given), 0.65 um per pixel" in objective.sentence


def test_a_magnification_alone_is_the_same_camera_behind_it():
    objective = asked("--magnification 40")
    assert objective.objective.um_per_px == pytest.approx(0.17)
    assert "0.17 um per pixel in the object plane (of the same camera)" in objective.sentence


def test_a_config_is_asked_before_the_models_and_after_options():
    objective = Objective(0.3, 10, 0.68)
    config = Config(CameraSettings("recorded", 50.0), StageSettings("binary", 0, 9, 1), objective)
    assert asked(config=config).objective == objective
    both = asked("--na 0.4", config)
    assert both.objective == dataclasses.replace(objective, na=0.4)
    assert "10x (by the config), NA 0.4 (as given), 0.68 um per pixel" in both.sentence


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--na 1.2", "--na 1.2 must be 0.02 to 0.99"),
        ("--na 0", "--na 0 must be 0.02"),
        ("--um-per-px nan", "--um-per-px nan must be 0.01 to 20"),
        ("--magnification 0.5", "--magnification 0.5 must be 1 to 200"),
    ],
)
def test_what_no_objective_has_is_one_line(words, says):
    with pytest.raises(ConfigError, match=says):
        asked(words)
