"""H1, H2: whatever is proposed, nothing leaves the window, nothing stale or repeated moves the
glass, and a refusal is a refusal, never a smaller move."""

import dataclasses
import math

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from edge.camera import Frame, PixelFormat
from edge.decide.decision import Hold, InFocus, Move, Shutdown
from edge.errors import MoveRefused, MoveUncertain
from edge.guard import Guard, GuardLimits
from edge.state import RunState
from firmware_bridge.errors import LinkLost, StageRefused, StageUncertain
from tests.support.fake_microscope import LIMITS, MS, frame_at
from tests.support.guard_bench import guard_bench, refused_move, send_move


def test_a_good_move_is_sent_as_it_is():
    bench = guard_bench()
    assert send_move(bench, target=1.25) == bench.clock()
    assert bench.stage.moves == [1.25]
    assert bench.guard.moves == 1
    assert not bench.guard.refused


@pytest.mark.parametrize("plan", [Hold("x"), InFocus(), Shutdown("x")])
def test_other_plans_move_nothing(plan):
    bench = guard_bench()
    assert bench.guard.send(plan, frame_at(bench.clock())) is None
    assert bench.stage.moves == []


@pytest.mark.parametrize("target", [1000.01, -1000.01, 1e300, math.inf, -math.inf, math.nan])
def test_outside_the_window(target):
    bench = guard_bench(dataclasses.replace(LIMITS, max_step_um=1e301))
    text = refused_move(bench, "outside-window", target=target, assumed=target)
    assert "-1000..1000 um" in text


@pytest.mark.parametrize("target", [1000.0, -1000.0])
def test_the_window_is_inclusive(target):
    bench = guard_bench(dataclasses.replace(LIMITS, max_step_um=2000))
    send_move(bench, target=target)
    assert bench.stage.moves == [target]


@pytest.mark.parametrize(
    ("target", "assumed"), [(25.2, 0.0), (-25.2, 0.0), (1.0, 30.0), (1.0, math.nan)]
)
def test_step(target, assumed):
    refused_move(guard_bench(), "step", target=target, assumed=assumed)


def test_step_is_counted_from_where_the_stage_says_it_is():
    bench = guard_bench(z_um=100.0)
    refused_move(bench, "step", target=1.0, assumed=1.0)


@pytest.mark.parametrize("step", [25.0, -25.0, 25.1])
def test_a_full_step_back_may_start_within_the_resolution(step):
    bench = guard_bench()
    send_move(bench, target=step)
    assert bench.stage.moves == [step]


@pytest.mark.parametrize("resolution", [math.nan, 1e9])
def test_a_stage_with_a_silly_resolution_opens_no_door(resolution):
    refused_move(guard_bench(resolution_um=resolution), "step", target=25.6)


@pytest.mark.parametrize("direction", [None, 0, 2, -2, 0.5, math.nan])
def test_unknown_sign(direction):
    refused_move(
        guard_bench(dataclasses.replace(LIMITS, focus_direction=direction)), "sign-unknown"
    )


def test_latched_stage():
    assert "SAFE_STOP" in refused_move(guard_bench(latched="SAFE_STOP"), "latched")


@pytest.mark.parametrize("plan", [Hold("blank"), InFocus()])
def test_a_latch_is_found_out_while_nothing_is_to_be_moved(plan):
    bench = guard_bench()
    assert bench.guard.send(plan, frame_at(bench.clock())) is None
    bench.stage.latched = "LIMIT"
    with pytest.raises(MoveRefused, match="LIMIT"):
        bench.guard.send(plan, frame_at(bench.clock(), 1))
    assert bench.guard.refused == {"latched": 1}
    assert bench.guard.send(Shutdown("why"), frame_at(bench.clock(), 2)) is None


def test_state():
    bench = guard_bench()
    bench.state.follow(tracking=False)
    refused_move(bench, "state")
    bench.state.follow(tracking=True)
    send_move(bench, frame_id=1)
    bench.state.shutdown("why not")
    assert "why not" in refused_move(bench, "state", frame_id=2)


def test_starting_is_not_ready():
    bench = guard_bench()
    bench.guard = Guard(LIMITS, bench.stage, RunState(), bench.clock)
    refused_move(bench, "state")


def test_rate():
    bench = guard_bench(
        dataclasses.replace(LIMITS, max_moves_per_s=3, settle_ms=0), travel_ms=0.0, settle_ms=0.0
    )
    for i in range(3):
        bench.clock.now_ns += 100 * MS
        send_move(bench, target=i * 0.1, frame_id=i)
    bench.clock.now_ns += 799 * MS
    refused_move(bench, "rate", frame_id=3)
    bench.clock.now_ns += 1 * MS
    send_move(bench, frame_id=4)


def test_stage_that_refuses():
    bench = guard_bench(fail=StageRefused("position-mismatch", "at 3 um"))
    assert "at 3 um" in refused_move(bench, "position-mismatch")


@pytest.mark.parametrize("error", [StageUncertain("no answer"), LinkLost("gone"), OSError("port")])
def test_stage_that_does_not_say(error):
    with pytest.raises(MoveUncertain):
        send_move(guard_bench(fail=error))
    with pytest.raises(MoveUncertain):
        send_move(guard_bench(fail_status=error))


def test_shutdown_from_another_thread_while_the_move_is_sent():
    bench = guard_bench()
    move_to = bench.stage.move_to

    def interrupted(target, assumed):
        bench.state.shutdown("emergency")  # between the check and the move
        return move_to(target, assumed)

    bench.stage.move_to = interrupted
    with pytest.raises(MoveUncertain, match="shut down while"):
        send_move(bench)
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
    bench = guard_bench(GuardLimits(**limits), z_um=z_um)
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
