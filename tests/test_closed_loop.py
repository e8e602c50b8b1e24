"""Frame in, Z move out: real models, real firmware over a serial port, simulated glass."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from edge.appliance.config.config_file import read_config
from edge.camera import Frame
from edge.decide.decision import Decision, Move
from edge.loop import focus_field, step
from edge.state import State
from simulator.closed_loop import Scenario, SimulatedInstrument
from simulator.simulate_verb import NOMINAL
from tests.support.shipped_models import IN_THE_LOOP_UM, LOOP_SLACK_UM

#: just the crop: everything as on the sensor, rendered in two thirds of the time
CROP = (2016, 2016)
SEED = 11


@pytest.fixture(scope="module")
def config():
    """However long this computer takes for a frame: lateness is tested on a clock of its own."""
    nominal = read_config(NOMINAL)
    return replace(nominal, loop=replace(nominal.loop, max_age_ms=60_000.0))


@pytest.fixture(scope="module")
def bench(config):
    with SimulatedInstrument(config, SEED, shape=CROP) as instrument:
        yield instrument


@pytest.mark.parametrize(
    ("kind", "sparsity", "start_um"),
    [("tissue", "dense", 18.0), ("cell", "sparse", -12.0), ("tissue", "ex-sparse", 6.0)],
)
def test_comes_into_focus(bench, kind, sparsity, start_um):
    record = bench.focus(Scenario(2, kind, sparsity, start_um))
    assert record.direction_right
    # close to focus a lone shred may leave which way open: then holding is the right answer
    sure = (Decision.IN_FOCUS,) if sparsity != "ex-sparse" else (Decision.IN_FOCUS, Decision.HOLD)
    assert record.last.decision in sure, record.last.reason
    moves = sum(outcome.move is not None for outcome in record.outcomes)
    assert 1 <= moves <= bench.rig.config.loop.max_shots + 1
    final = record.error_um(record.z_final_um)
    assert final <= IN_THE_LOOP_UM[f"{kind} {sparsity}"] + LOOP_SLACK_UM
    assert final < record.error_um(record.z_start_um) / 3


@pytest.mark.parametrize("number", [0, 1, 2])
def test_blank_field_does_not_move(bench, number):
    before = bench.rig.guard.moves
    record = bench.focus(Scenario(number, "cell", "blank", 7.0))
    assert record.last.decision is Decision.HOLD
    assert bench.rig.guard.moves == before
    assert record.z_final_um == pytest.approx(record.z_start_um, abs=1e-3)


def test_a_stale_frame_moves_nothing(bench):
    """The frame is held back until the guard's age limit has passed."""
    bench.microscope.load_field("tissue", "dense", 3)
    stage = bench.rig.stage
    stage.move_to(bench.microscope.truth.z_focus_um + 10.0, stage.status().z_um)
    stage.wait(30.0)
    bench.rig.controller.new_field()
    real, clock = bench.rig.camera, bench.rig.guard._clock
    late_ns = int(bench.rig.guard.limits.max_age_ms * 1e6) + 1
    bench.rig.guard._clock = lambda: clock() + late_ns
    try:
        before = stage.status().z_um
        outcome = step(bench.rig)
    finally:
        bench.rig.camera, bench.rig.guard._clock = real, clock
    assert outcome.decision is Decision.REFUSE
    assert "stale" in outcome.reason
    assert stage.status().z_um == before


@pytest.mark.parametrize("target", [99.99, 300.01, 1e9, float("nan"), float("-inf")])
def test_no_move_outside_the_window_reaches_the_wire(bench, target):
    """A controller gone mad: the guard refuses; beneath it, so does the driver or the firmware."""
    from edge.errors import MoveRefused
    from firmware_bridge.errors import StageRefused

    frame = bench.rig.camera.next(5.0)
    here = bench.rig.stage.status().z_um
    aged = Frame(frame.pixels, frame.pixel_format, 10**9, frame.exposure_start_ns,
                 frame.exposure_end_ns)  # fmt: skip
    with pytest.raises(MoveRefused):
        bench.rig.guard.send(Move(target, here, "mad"), aged)
    with pytest.raises(StageRefused):
        bench.rig.stage.move_to(target, here)
    assert bench.rig.stage.status().z_um == here


@pytest.fixture(scope="module")
def microscope(config):
    """One for every start: a field that lies there already is not painted again."""
    return SimulatedInstrument(config, SEED, shape=CROP).microscope


@pytest.mark.parametrize("start_um", [-22.0, -4.0, 3.0, 15.0])
def test_inverted_motor_shuts_down_within_two_moves(config, microscope, start_um):
    inverted = SimulatedInstrument(config, SEED, inverted=True, shape=CROP)
    inverted.microscope = microscope
    with inverted as instrument:
        for number in itertools.count():
            record = instrument.focus(Scenario(number, "tissue", "dense", start_um))
            if instrument.rig.state.value is State.SHUTDOWN or number == 2:
                break
        assert instrument.rig.state.value is State.SHUTDOWN
        assert instrument.rig.guard.moves <= 2
        low, high = instrument.mechanics.extremes_um
        assert config.stage.z_min_um - 1 <= low <= high <= config.stage.z_max_um + 1
        # and it stays shut: nothing but a person opens it
        moves = instrument.rig.guard.moves
        focus_field(instrument.rig)
        assert instrument.rig.guard.moves == moves
        assert record.number == 0
