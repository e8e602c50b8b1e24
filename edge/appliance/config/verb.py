"""`sparsefocus check-config FILE`: read a config and open its models, nothing else."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.appliance.config.config_file import read_config
from edge.open_sensor import build_sensor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("config", type=Path)


def run(options: argparse.Namespace) -> int:
    """0 and one line; ConfigError or EngineRejected name the place otherwise."""
    config = read_config(options.config)
    _, nets = build_sensor(config.models, config.objective, config.loop.classes)
    for net in nets:
        net.close()
    stage = config.stage
    print(
        f"{options.config}: camera {config.camera.driver}, stage {stage.driver}, "
        f"window {stage.z_min_um:g}..{stage.z_max_um:g} um, direction {stage.focus_direction:+d}"
    )
    return 0
