"""`sparsefocus check-config FILE`: read a config and open its models, nothing else.

Every mistake is told at once, a line each; what `run` would refuse is refused here.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.appliance.config.config_file import calibrated, read_config, vouched_for
from edge.appliance.telling import tell
from edge.errors import ConfigError, ConfigFaults, EngineRejected
from edge.images.image_file import printable
from edge.rig import sensor_of
from edge.settings import Config

WRONG_USE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("config", type=Path)
    what = "as `calibrate` takes it: the calibration is only about to be made"
    parser.add_argument("--calibrating", action="store_true", help=what)


def run(options: argparse.Namespace) -> int:
    """0 and one line; 2 and a line for each mistake."""
    config, faults = faults_of(options.config, options.calibrating)
    for fault in faults:
        tell(f"sparsefocus: {' '.join(fault.split())}")
    if config is None or faults:
        return WRONG_USE
    stage = config.stage
    print(
        f"{printable(options.config)}: camera {config.camera.driver}, stage {stage.driver}, "
        f"window {stage.z_min_um:g}..{stage.z_max_um:g} um, direction {stage.focus_direction:+d}"
    )
    return 0


def faults_of(path: Path, calibrating: bool = False) -> tuple[Config | None, list[str]]:
    """The config, None where it cannot be read, and all for which `run` would refuse it, or
    `calibrate` with `calibrating`."""
    try:
        config = read_config(path, calibrating=True)
    except ConfigFaults as error:
        return None, list(error.lines)
    except ConfigError as error:
        return None, [str(error)]
    faults: list[str] = []
    try:
        if not calibrating:
            vouched_for(path, config)
            config = calibrated(path, config)
    except (ConfigError, EngineRejected) as error:
        faults.append(str(error))
    try:
        _, nets = sensor_of(config)
        for net in nets:
            net.close()
    except (ConfigError, EngineRejected) as error:
        if str(error) not in faults:  # a calibration asks for the models, too
            faults.append(str(error))
    return config, faults
