"""The loop on a stage that only tells where it is when asked: frames that it cannot place are held,
and focus is reached all the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.appliance.config.config_file import read_config
from edge.decide.decision import Decision
from edge.loop import focus_field
from edge.rig import build_rig
from simulator.camera import SimulatedCamera
from simulator.controllers.asi import SimulatedAsi
from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.serving import Served
from simulator.mechanics import Mechanics
from simulator.microscope import Microscope
from simulator.simulate_verb import NOMINAL

SEED = 11


def test_an_asi_stage_comes_into_focus() -> None:
    nominal = read_config(NOMINAL)
    axis = SimulatedAxis(start_nm=200_000, min_nm=0, max_nm=400_000)
    microscope = Microscope(SEED, (2016, 2016), slide_z_um=200.0, dirt=0.0)
    truth = microscope.load_field("tissue", "dense", 2)
    mechanics = Mechanics(axis, SEED)
    with Served(SimulatedAsi(axis)) as served:
        options = {"port": served.port, "axis": "Z", "resolution_um": 0.05, "poll_ms": 10}
        config = replace(
            nominal,
            stage=replace(nominal.stage, driver="asi", options=options),
            loop=replace(nominal.loop, max_age_ms=60_000.0),  # lateness is not tested here
        )
        rig = build_rig(config, camera=SimulatedCamera(microscope, mechanics))
        here = rig.stage.status().z_um
        rig.stage.move_to(mechanics.motor_for_um(truth.z_focus_um - 14.0), here)
        rig.stage.wait(10.0)
        outcomes = focus_field(rig)
        rig.close()
    assert outcomes[-1].decision is Decision.IN_FOCUS, outcomes[-1].reason
    assert sum(outcome.move is not None for outcome in outcomes) >= 1
    final_um = mechanics.height_um(axis.now()[0])
    assert final_um == pytest.approx(truth.z_focus_um, abs=1.5)
    low, high = axis.extremes_nm
    assert 100_000 <= low <= high <= 300_000
