"""H2: no frame that is stale, repeated, out of order or exposed in motion moves the glass."""

import dataclasses
import math

import pytest

from edge.decide.decision import Hold
from tests.support.fake_microscope import LIMITS, MS, FakeStage, frame_at
from tests.support.guard_bench import guard_bench, refused_move, send_move


def test_stale_frame():
    bench = guard_bench()
    assert "101 ms old" in refused_move(bench, "stale", age_ms=101)
    send_move(bench, age_ms=99, frame_id=1)


def test_age_limit_that_is_not_a_number_refuses():
    refused_move(guard_bench(dataclasses.replace(LIMITS, max_age_ms=math.nan)), "stale")


@pytest.mark.parametrize("ids", [(5, 5), (5, 4), (5, 0), (5, 6, 6), (5, 7, 6)])
def test_repeated_and_reordered_frames(ids):
    bench = guard_bench()
    for frame_id in ids[:-1]:
        bench.guard.send(Hold("looked at"), frame_at(bench.clock(), frame_id))
        bench.clock.now_ns += 50 * MS
    refused_move(bench, "frame-order", frame_id=ids[-1])
    refused_move(bench, "frame-order", frame_id=ids[-1])  # still not newer than the newest
    bench.clock.now_ns += 50 * MS
    send_move(bench, frame_id=max(ids) + 1)


def test_an_old_frame_opens_no_door_for_others():
    bench = guard_bench()
    bench.guard.send(Hold("looked at"), frame_at(bench.clock(), 7))
    for frame_id in (3, 4, 5, 7):
        refused_move(bench, "frame-order", frame_id=frame_id)


def test_moving_is_believed_whatever_else_the_status_says():
    bench = guard_bench()
    status = bench.stage.status()
    bench.stage.status = lambda: dataclasses.replace(status, moving=True)
    refused_move(bench, "moving")


@pytest.mark.parametrize(
    ("start_ms", "end_ms"), [(1, 2), (-1, 1), (0, -2)], ids=["future", "ends-later", "reversed"]
)
def test_exposure_times_that_cannot_be(start_ms, end_ms):
    bench = guard_bench()
    frame = dataclasses.replace(
        frame_at(bench.clock()),
        exposure_start_ns=bench.clock() + start_ms * MS,
        exposure_end_ns=bench.clock() + end_ms * MS,
    )
    refused_move(bench, "exposure-time", frame=frame)


def test_exposed_while_the_stage_moved_or_before_it_settled():
    bench = guard_bench()
    send_move(bench)
    bench.clock.now_ns += 29 * MS
    refused_move(bench, "moving", frame_id=1)
    bench.clock.now_ns += 7 * MS  # settled 30 ms after the move; now 36, exposed at 33
    refused_move(bench, "unsettled", frame_id=2)
    bench.clock.now_ns += 3 * MS  # exposed at 36: 6 ms after settling
    send_move(bench, frame_id=3)


def test_an_exposure_that_may_have_begun_too_early():
    """Its time is known to a half-width only: what counts is the earliest that it can have been."""
    for reason, travel in (("unsettled", {}), ("before-last-move", {"travel_ms": 0.0})):
        bench = guard_bench(**travel)
        if travel:
            bench.stage.status = FakeStage(bench.clock).status
        send_move(bench)
        bench.clock.now_ns += 39 * MS
        frame = frame_at(bench.clock(), 1)
        vague = dataclasses.replace(frame, time_uncertainty_ns=(2 if not travel else 37) * MS)
        refused_move(bench, reason, frame=vague)
        known = dataclasses.replace(frame, frame_id=2, time_uncertainty_ns=MS // 2)
        send_move(bench, frame=known)


def test_exposed_before_the_last_move_even_if_the_stage_says_it_never_moved():
    bench = guard_bench(travel_ms=0.0, settle_ms=0.0)
    bench.stage.status = FakeStage(bench.clock).status  # settled long ago, whatever happens
    send_move(bench)
    bench.clock.now_ns += 2 * MS
    refused_move(bench, "before-last-move", frame_id=1)
