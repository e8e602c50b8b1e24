"""Everything that must stop the start: models of another instrument, drivers and options
unknown."""

import dataclasses
import json

import pytest

from edge.errors import ConfigError, EngineRejected
from edge.rig import HOLD_RULES, build_rig
from tests.support.fake_microscope import Clock, FakeCamera, FakeStage
from tests.support.painted_rig import OBJECTIVE, config_of
from tests.support.tiny_models import CALIBRATED, write_dpn, write_rin


@pytest.mark.parametrize("factor", [0.971, 1.029])
@pytest.mark.parametrize("name", ["na", "magnification", "um_per_px"])
def test_models_for_nearly_this_objective(models, name, factor):
    """Makers round; 3 % is within what the interval was fitted for."""
    objective = dataclasses.replace(OBJECTIVE, **{name: getattr(OBJECTIVE, name) * factor})
    config = dataclasses.replace(config_of(models), objective=objective)
    build_rig(config, FakeCamera(Clock()), FakeStage(Clock())).close()


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"um_per_px": 0.17}, "um_per_px"),
        ({"na": 0.95}, "na"),
        ({"magnification": 40}, "magnification"),
        ({"na": 0.75 * 1.031}, "na"),
        ({"um_per_px": 0.34 * 0.969}, "um_per_px"),
        ({"magnification": 20 * 1.031}, "magnification"),
    ],
)
def test_models_of_one_instrument_alone(tmp_path, changes, names):
    models = write_rin(tmp_path), write_dpn(tmp_path)
    for path in models:
        values = json.loads(path.read_text())
        del values["optics"]["family"]
        path.write_text(json.dumps(values))
    objective = dataclasses.replace(OBJECTIVE, **changes)
    config = dataclasses.replace(config_of(models), objective=objective)
    with pytest.raises(EngineRejected, match=f"objective.{names} = "):
        build_rig(config, FakeCamera(Clock()), FakeStage(Clock()))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"na": 0.95}, "objective.na = 0.95 is outside 0.28 to 0.8"),
        ({"na": 0.25}, "objective.na = 0.25 is outside 0.28 to 0.8"),
        ({"um_per_px": 0.1}, r"um_per_px = 0.1 is outside 0.147 to 0.513 \(0.2 to 0.7 lambda/NA\)"),
        ({"um_per_px": 0.52}, "um_per_px = 0.52 is outside 0.147 to 0.513"),
        ({"refractive_index": 1.5}, "refractive_index = 1.5 is outside 1 to 1, for which"),
    ],
)
def test_an_objective_outside_the_family(models, changes, says):
    objective = dataclasses.replace(OBJECTIVE, **changes)
    config = dataclasses.replace(config_of(models), objective=objective)
    with pytest.raises(EngineRejected, match=says):
        build_rig(config, FakeCamera(Clock()), FakeStage(Clock()))


def test_models_changed_places(models):
    with pytest.raises(EngineRejected, match="is a dpn, not a rin"):
        build_rig(config_of(models[::-1]), FakeCamera(Clock()), FakeStage(Clock()))


def test_models_with_another_preprocessing(tmp_path):
    rin, dpn = write_rin(tmp_path), write_dpn(tmp_path)
    values = json.loads(dpn.read_text())
    values["preprocessing"]["patch_px"] = 256
    dpn.write_text(json.dumps(values))
    with pytest.raises(EngineRejected, match="patch_px=256"):
        build_rig(config_of((rin, dpn)), FakeCamera(Clock()), FakeStage(Clock()))


def test_step_above_the_calibrated_range(models):
    with pytest.raises(ConfigError, match=r"max_step_um = 28 must be at most 27"):
        build_rig(config_of(models, max_step_um=28.0), FakeCamera(Clock()), FakeStage(Clock()))


@pytest.mark.parametrize("lacks", ["envelope", *HOLD_RULES, "interval"])
def test_a_model_that_was_not_calibrated_moves_no_glass(tmp_path, lacks):
    """What is not in its calibration would never hold: refused, and said by name."""
    interval = {k: v for k, v in CALIBRATED["interval"].items() if k != lacks}
    whole = {"interval": interval, "envelope": CALIBRATED["envelope"]}
    calibration = {key: value for key, value in whole.items() if key != lacks}
    models = write_rin(tmp_path), write_dpn(tmp_path, calibration=calibration)
    clock = Clock()
    with pytest.raises(ConfigError, match=rf"dpn.json: calibration\..*{lacks}.* is missing"):
        build_rig(config_of(models), FakeCamera(clock), FakeStage(clock))


def test_unknown_drivers_and_options(models):
    config = config_of(models)
    clock = Clock()
    camera = FakeCamera(clock)
    unknown = dataclasses.replace(config.stage, driver="hydraulic")
    with pytest.raises(ConfigError, match=r"stage\.driver = 'hydraulic' must be one of"):
        build_rig(dataclasses.replace(config, stage=unknown), camera)
    assert camera.closed == 1  # what was opened is closed again
    unknown = dataclasses.replace(config.camera, options={"folder": "x", "colour": 1})
    with pytest.raises(ConfigError, match=r"camera\.options\.colour is not"):
        build_rig(dataclasses.replace(config, camera=unknown), stage=FakeStage(clock))
    window = dataclasses.replace(config.stage, options={"z_max_um": 5000.0})
    with pytest.raises(ConfigError, match=r"stage\.options\.z_max_um"):
        build_rig(dataclasses.replace(config, stage=window), camera)
