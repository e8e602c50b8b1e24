"""`sparsefocus scan --simulate`, `capture --simulate`: the scanner that the options ask for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from edge.appliance.config.config_file import read_config
from edge.errors import ConfigError
from edge.wsi.regions import Region
from simulator.scanner import SimulatedScanner
from simulator.simulate_verb import NOMINAL
from simulator.world_slide import world_slide

SIZE_MM, ROUGHNESS = (1.0, 15.0), (0.0, 4.0)


def open_simulated(options: argparse.Namespace, regions: Sequence[Region]) -> SimulatedScanner:
    """A context manager. ConfigError for a slide that nobody can make."""
    for name, value, (low, high) in (
        ("--size-mm", options.size_mm, SIZE_MM),
        ("--roughness", options.roughness, ROUGHNESS),
    ):
        if not low <= value <= high:
            raise ConfigError(f"{name} {value:g} must be {low:g} to {high:g}")
    if not 0 <= options.seed < 2**31:
        raise ConfigError(f"--seed {options.seed} must be 0 to {2**31 - 1}")
    slide = world_slide(options.kind, options.seed, options.roughness, options.size_mm)
    return SimulatedScanner(read_config(NOMINAL), slide, regions=regions)
