"""H1, H2: whatever is proposed, nothing leaves the window, nothing stale or repeated moves the
glass, and a refusal is a refusal, never a smaller move."""

import dataclasses
import math
from types import SimpleNamespace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from edge.camera import Frame, PixelFormat
from edge.decide.decision import Hold, InFocus, Move, Shutdown
from edge.errors import MoveRefused, MoveUncertain
from edge.guard import Guard, GuardLimits
from edge.state import RunState
from firmware_bridge.errors import LinkLost, StageRefused, StageUncertain
from tests.support.fake_microscope import LIMITS, MS, Clock, FakeStage, frame_at


def _bench(limits=LIMITS, **stage):
    clock = Clock()
    stage = FakeStage(clock, **stage)
    state = RunState(stage.stop)
    state.ready()
    return SimpleNamespace(
        clock=clock, stage=stage, state=state, guard=Guard(limits, stage, state, clock)
    )


def _send(bench, target=1.0, assumed=0.0, frame=None, **of_frame):
    frame = frame or frame_at(bench.clock(), **of_frame)
    return bench.guard.send(Move(target, assumed, "test"), frame)


def _refused(bench, reason, **send):
    before = list(bench.stage.moves)
    with pytest.raises(MoveRefused) as caught:
        _send(bench, **send)
    assert caught.value.reason == reason
    assert bench.stage.moves == before
    assert bench.guard.refused[reason] >= 1
    return str(caught.value)


def test_a_good_move_is_sent_as_it_is():
    bench = _bench()
    assert _send(bench, target=1.25) == bench.clock()
    assert bench.stage.moves == [1.25]
    assert bench.guard.moves == 1
    assert not bench.guard.refused


@pytest.mark.parametrize("plan", [Hold("x"), InFocus(), Shutdown("x")])
def test_other_plans_move_nothing(plan):
    bench = _bench()
    assert bench.guard.send(plan, frame_at(bench.clock())) is None
    assert bench.stage.moves == []


@pytest.mark.parametrize("target", [1000.01, -1000.01, 1e300, math.inf, -math.inf, math.nan])
def test_outside_the_window(target):
    bench = _bench(dataclasses.replace(LIMITS, max_step_um=1e301))
    text = _refused(bench, "outside-window", target=target, assumed=target)
    assert "-1000..1000 um" in text


@pytest.mark.parametrize("target", [1000.0, -1000.0])
def test_the_window_is_inclusive(target):
    bench = _bench(dataclasses.replace(LIMITS, max_step_um=2000))
    _send(bench, target=target)
    assert bench.stage.moves == [target]


@pytest.mark.parametrize(
    ("target", "assumed"), [(25.2, 0.0), (-25.2, 0.0), (1.0, 30.0), (1.0, math.nan)]
)
def test_step(target, assumed):
    _refused(_bench(), "step", target=target, assumed=assumed)


def test_step_is_counted_from_where_the_stage_says_it_is():
    bench = _bench(z_um=100.0)
    _refused(bench, "step", target=1.0, assumed=1.0)


@pytest.mark.parametrize("step", [25.0, -25.0, 25.1])
def test_a_full_step_back_may_start_within_the_resolution(step):
    bench = _bench()
    _send(bench, target=step)
    assert bench.stage.moves == [step]


@pytest.mark.parametrize("resolution", [math.nan, 1e9])
def test_a_stage_with_a_silly_resolution_opens_no_door(resolution):
    _refused(_bench(resolution_um=resolution), "step", target=25.6)


@pytest.mark.parametrize("direction", [None, 0, 2, -2, 0.5, math.nan])
def test_unknown_sign(direction):
    _refused(_bench(dataclasses.replace(LIMITS, focus_direction=direction)), "sign-unknown")


def test_stale_frame():
    bench = _bench()
    assert "101 ms old" in _refused(bench, "stale", age_ms=101)
    _send(bench, age_ms=99, frame_id=1)


def test_age_limit_that_is_not_a_number_refuses():
    _refused(_bench(dataclasses.replace(LIMITS, max_age_ms=math.nan)), "stale")


@pytest.mark.parametrize("ids", [(5, 5), (5, 4), (5, 0), (5, 6, 6), (5, 7, 6)])
def test_repeated_and_reordered_frames(ids):
    bench = _bench()
    for frame_id in ids[:-1]:
        bench.guard.send(Hold("looked at"), frame_at(bench.clock(), frame_id))
        bench.clock.now_ns += 50 * MS
    _refused(bench, "frame-order", frame_id=ids[-1])
    _refused(bench, "frame-order", frame_id=ids[-1])  # still not newer than the newest
    bench.clock.now_ns += 50 * MS
    _send(bench, frame_id=max(ids) + 1)


def test_an_old_frame_opens_no_door_for_others():
    bench = _bench()
    bench.guard.send(Hold("looked at"), frame_at(bench.clock(), 7))
    for frame_id in (3, 4, 5, 7):
        _refused(bench, "frame-order", frame_id=frame_id)


def test_moving_is_believed_whatever_else_the_status_says():
    bench = _bench()
    status = bench.stage.status()
    bench.stage.status = lambda: dataclasses.replace(status, moving=True)
    _refused(bench, "moving")


@pytest.mark.parametrize(
    ("start_ms", "end_ms"), [(1, 2), (-1, 1), (0, -2)], ids=["future", "ends-later", "reversed"]
)
def test_exposure_times_that_cannot_be(start_ms, end_ms):
    bench = _bench()
    frame = dataclasses.replace(
        frame_at(bench.clock()),
        exposure_start_ns=bench.clock() + start_ms * MS,
        exposure_end_ns=bench.clock() + end_ms * MS,
    )
    _refused(bench, "exposure-time", frame=frame)


def test_exposed_while_the_stage_moved_or_before_it_settled():
    bench = _bench()
    _send(bench)
    bench.clock.now_ns += 29 * MS
    _refused(bench, "moving", frame_id=1)
    bench.clock.now_ns += 7 * MS  # settled 30 ms after the move; now 36, exposed at 33
    _refused(bench, "unsettled", frame_id=2)
    bench.clock.now_ns += 3 * MS  # exposed at 36: 6 ms after settling
    _send(bench, frame_id=3)


def test_an_exposure_that_may_have_begun_too_early():
    """Its time is known to a half-width only: what counts is the earliest that it can have been."""
    for reason, travel in (("unsettled", {}), ("before-last-move", {"travel_ms": 0.0})):
        bench = _bench(**travel)
        if travel:
            bench.stage.status = FakeStage(bench.clock).status
        _send(bench)
        bench.clock.now_ns += 39 * MS
        frame = frame_at(bench.clock(), 1)
        vague = dataclasses.replace(frame, time_uncertainty_ns=(2 if not travel else 37) * MS)
        _refused(bench, reason, frame=vague)
        known = dataclasses.replace(frame, frame_id=2, time_uncertainty_ns=MS // 2)
        _send(bench, frame=known)


def test_exposed_before_the_last_move_even_if_the_stage_says_it_never_moved():
    bench = _bench(travel_ms=0.0, settle_ms=0.0)
    bench.stage.status = FakeStage(bench.clock).status  # settled long ago, whatever happens
    _send(bench)
    bench.clock.now_ns += 2 * MS
    _refused(bench, "before-last-move", frame_id=1)


def test_latched_stage():
    assert "SAFE_STOP" in _refused(_bench(latched="SAFE_STOP"), "latched")


@pytest.mark.parametrize("plan", [Hold("blank"), InFocus()])
def test_a_latch_is_found_out_while_nothing_is_to_be_moved(plan):
    bench = _bench()
    assert bench.guard.send(plan, frame_at(bench.clock())) is None
    bench.stage.latched = "LIMIT"
    with pytest.raises(MoveRefused, match="LIMIT"):
        bench.guard.send(plan, frame_at(bench.clock(), 1))
    assert bench.guard.refused == {"latched": 1}
    assert bench.guard.send(Shutdown("why"), frame_at(bench.clock(), 2)) is None


def test_state():
    bench = _bench()
    bench.state.follow(tracking=False)
    _refused(bench, "state")
    bench.state.follow(tracking=True)
    _send(bench, frame_id=1)
    bench.state.shutdown("why not")
    assert "why not" in _refused(bench, "state", frame_id=2)


def test_starting_is_not_ready():
    bench = _bench()
    bench.guard = Guard(LIMITS, bench.stage, RunState(), bench.clock)
    _refused(bench, "state")


def test_rate():
    bench = _bench(
        dataclasses.replace(LIMITS, max_moves_per_s=3, settle_ms=0), travel_ms=0.0, settle_ms=0.0
    )
    for i in range(3):
        bench.clock.now_ns += 100 * MS
        _send(bench, target=i * 0.1, frame_id=i)
    bench.clock.now_ns += 799 * MS
    _refused(bench, "rate", frame_id=3)
    bench.clock.now_ns += 1 * MS
    _send(bench, frame_id=4)


def test_stage_that_refuses():
    bench = _bench(fail=StageRefused("position-mismatch", "at 3 um"))
    assert "at 3 um" in _refused(bench, "position-mismatch")


@pytest.mark.parametrize("error", [StageUncertain("no answer"), LinkLost("gone"), OSError("port")])
def test_stage_that_does_not_say(error):
    with pytest.raises(MoveUncertain):
        _send(_bench(fail=error))
    with pytest.raises(MoveUncertain):
        _send(_bench(fail_status=error))


def test_shutdown_from_another_thread_while_the_move_is_sent():
    bench = _bench()
    move_to = bench.stage.move_to

    def interrupted(target, assumed):
        bench.state.shutdown("emergency")  # between the check and the move
        return move_to(target, assumed)

    bench.stage.move_to = interrupted
    with pytest.raises(MoveUncertain, match="shut down while"):
        _send(bench)
    assert bench.stage.stops == 2


anything = st.floats() | st.integers(-(10**6), 10**6)


def _faulty(**fields):
    """In order but for at most two fields; each field is (good values, any values)."""

    @st.composite
    def draw_all(draw):
        faults = draw(st.sets(st.sampled_from(sorted(fields)), max_size=2))
        return {name: draw(any_ if name in faults else good)
                for name, (good, any_) in fields.items()}  # fmt: skip

    return draw_all()


PROPOSAL = _faulty(
    target=(st.floats(-20, 20), anything),
    assumed=(st.floats(-20, 20), anything),
    id_step=(st.just(1), st.integers(-3, 3)),
    age_ms=(st.integers(0, 20), st.integers(-10, 300)),
    exposure_ms=(st.integers(1, 10), st.integers(-3, 3)),
    later_ms=(st.integers(100, 400), st.integers(0, 100)),
)
LIMIT = _faulty(
    z_min_um=(st.floats(-60, -20), anything),
    z_max_um=(st.floats(20, 60), anything),
    focus_direction=(st.sampled_from([1, -1]), st.sampled_from([0, None, math.nan])),
    max_step_um=(st.floats(40, 100), anything),
    max_age_ms=(st.floats(20, 200), anything),
)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(LIMIT, st.lists(PROPOSAL, min_size=1, max_size=6), st.floats(-20, 20))
def test_no_input_moves_the_glass_outside_the_window(limits, proposals, z_um):
    bench = _bench(GuardLimits(**limits), z_um=z_um)
    limits, frame_id = bench.guard.limits, 0
    for it in proposals:
        bench.clock.now_ns += it["later_ms"] * MS
        frame_id += it["id_step"]
        end = bench.clock() - it["age_ms"] * MS
        frame = Frame(None, PixelFormat.RGB8, frame_id, end - it["exposure_ms"] * MS, end)
        status, sent = bench.stage.status(), len(bench.stage.moves)
        try:
            bench.guard.send(Move(it["target"], it["assumed"], "any"), frame)
        except MoveRefused:
            assert len(bench.stage.moves) == sent
            continue
        (made,) = bench.stage.moves[sent:]
        event("moved")  # pytest --hypothesis-show-statistics: in every third example
        assert made == it["target"]  # never a smaller move instead
        assert limits.z_min_um <= made <= limits.z_max_um
        assert abs(made - status.z_um) <= limits.max_step_um + 0.5
        assert limits.focus_direction in (1, -1)
        assert not status.moving
        assert status.settled_ns <= frame.exposure_start_ns <= end <= bench.clock()
        assert it["age_ms"] <= limits.max_age_ms
