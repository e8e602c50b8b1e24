"""What the guard asks of a frame exposed while the stage moved: only where the config wants it,
z known during the exposure, little blur, small steps; and everything that it asks otherwise."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.decide.decision import Move
from edge.errors import MoveRefused, MoveUncertain
from edge.guard import Guard, TrackingLimits
from edge.state import RunState
from firmware_bridge.errors import LinkLost, StageRefused
from firmware_bridge.stage import ZAt
from tests.support.fake_microscope import LIMITS, MS, Clock, FakeStage, frame_at

TRACKING = TrackingLimits(max_step_um=5.0)


class MovingStage(FakeStage):
    """A stage that says it moves, and where it was by `where`."""

    where = staticmethod(lambda time_ns: ZAt(0.0, 0.01))

    def status(self):
        return dataclasses.replace(super().status(), moving=True, settled_ns=None)

    def z_at(self, time_ns):
        if self.fail_z:
            raise self.fail_z
        return self.where(time_ns)


def bench(tracking=TRACKING, **stage):
    clock = Clock()
    moving = MovingStage(clock, **stage)
    state = RunState(moving.stop)
    state.ready()
    limits = dataclasses.replace(LIMITS, tracking=tracking)
    return Guard(limits, moving, state, clock), moving, clock


def refusal(guard, clock, target=1.0, assumed=0.0, says="", **of_frame):
    with pytest.raises(MoveRefused) as caught:
        guard.send(Move(target, assumed, "track"), frame_at(clock(), **of_frame))
    assert says in str(caught.value)
    return caught.value.reason


def test_without_tracking_a_moving_stage_is_refused_and_with_it_not():
    guard, stage, clock = bench(tracking=None)
    assert refusal(guard, clock) == "moving"
    guard, stage, clock = bench()
    guard.send(Move(1.0, 0.0, "track"), frame_at(clock()))
    clock.now_ns += 20 * MS  # the next frame was exposed after the last move was sent, or not
    guard.send(Move(2.0, 0.5, "track"), frame_at(clock(), frame_id=1, exposure_ms=30))
    assert stage.moves == [1.0, 2.0]


def test_what_makes_a_frame_useless_while_tracking():
    guard, stage, clock = bench()
    stage.where = lambda time_ns: ZAt(time_ns / 1e6, 0.01)  # 1 um a millisecond
    says = "the stage moved 0.60 um within the exposure"
    assert refusal(guard, clock, says=says, exposure_ms=0.6) == "blurred"
    stage.where = lambda time_ns: ZAt(0.0, 0.4)
    says = "z during the exposure is known to 0.40 um only"
    assert refusal(guard, clock, says=says, frame_id=1) == "z-unknown"
    stage.where = lambda time_ns: ZAt(math.nan, 0.01)
    assert refusal(guard, clock, frame_id=2) == "z-unknown"
    stage.where = lambda time_ns: ZAt(0.0, math.nan)
    assert refusal(guard, clock, frame_id=3) == "z-unknown"
    stage.where = MovingStage.where
    stage.fail_z = StageRefused("no-history", "x")
    assert refusal(guard, clock, frame_id=4) == "no-history"
    stage.fail_z = None
    assert refusal(guard, clock, frame_id=5, age_ms=101) == "stale"
    assert refusal(guard, clock, frame_id=5) == "frame-order"
    stage.latched = "SAFE_STOP"
    assert refusal(guard, clock, frame_id=6) == "latched"
    assert stage.moves == []


@pytest.mark.parametrize("bad", [ZAt(math.nan, 0.01), ZAt(math.inf, 0.01), ZAt(0.0, math.nan),
                                 ZAt(0.0, 0.31)])  # fmt: skip
@pytest.mark.parametrize("at_the_end", [True, False])
def test_both_ends_of_the_exposure_must_be_known(bad, at_the_end):
    guard, stage, clock = bench()
    start_ns = frame_at(clock()).exposure_start_ns
    stage.where = lambda time_ns: bad if (time_ns > start_ns) is at_the_end else ZAt(0.0, 0.01)
    assert refusal(guard, clock) == "z-unknown"
    assert stage.moves == []


def test_blur_is_the_way_within_the_exposure_wherever_the_stage_is():
    guard, stage, clock = bench()
    start_ns = frame_at(clock()).exposure_start_ns
    stage.where = lambda time_ns: ZAt(-40.2 if time_ns > start_ns else -40.0, 0.01)
    guard.send(Move(1.0, 0.0, "track"), frame_at(clock()))
    assert stage.moves == [1.0]


def test_limits_are_met_exactly():
    guard, stage, clock = bench()
    at_start = frame_at(clock()).exposure_start_ns
    stage.where = lambda time_ns: ZAt(0.5 if time_ns > at_start else 0.0, 0.3)
    guard.send(Move(1.0, 0.0, "track"), frame_at(clock()))
    assert stage.moves == [1.0]


def test_steps_are_small_while_tracking():
    guard, stage, clock = bench()
    assert refusal(guard, clock, target=5.2) == "step"
    assert refusal(guard, clock, target=1.0, assumed=-4.2, frame_id=1) == "step"
    guard.send(Move(5.0, 0.0, "track"), frame_at(clock(), frame_id=2))
    assert stage.moves == [5.0]


def test_a_link_that_is_lost_while_asking_is_uncertain():
    guard, stage, clock = bench()
    stage.fail_z = LinkLost("gone")
    with pytest.raises(MoveUncertain):
        guard.send(Move(1.0, 0.0, "track"), frame_at(clock()))
    assert stage.moves == []


@given(
    target=st.floats(allow_nan=True, allow_infinity=True),
    assumed=st.floats(allow_nan=True, allow_infinity=True),
    z=st.floats(allow_nan=True, allow_infinity=True),
    way=st.floats(-2, 2),
    sure=st.floats(0, 2),
)
def test_no_input_moves_the_glass_outside_the_window_or_too_far(target, assumed, z, way, sure):
    clock = Clock()
    stage = MovingStage(clock, z_um=z if math.isfinite(z) else 0.0)
    frame = frame_at(clock())
    stage.where = lambda t: ZAt(way if t > frame.exposure_start_ns else 0.0, sure)
    state = RunState(stage.stop)
    state.ready()
    limits = dataclasses.replace(LIMITS, z_min_um=-50.0, z_max_um=50.0, tracking=TRACKING)
    guard = Guard(limits, stage, state, clock)
    try:
        guard.send(Move(target, assumed, "track"), frame)
    except MoveRefused:
        assert stage.moves == []
        return
    (made,) = stage.moves
    assert -50.0 <= made <= 50.0
    assert abs(made - stage._path[0][1]) <= 5.1
    assert abs(way) <= 0.5
    assert sure <= 0.3


@pytest.mark.parametrize("side", [1, -1])
def test_way_within_the_exposure_is_blur_whichever_way_it_went(side):
    guard, stage, clock = bench()
    start_ns = clock()
    stage.where = lambda time_ns: ZAt(side * 0.3e-6 * (time_ns - start_ns), 0.01)
    assert refusal(guard, clock, says="the stage moved 0.60 um within") == "blurred"
