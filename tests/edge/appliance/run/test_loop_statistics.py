"""Late results are dropped and counted; statistics take no memory that grows."""

import tracemalloc

import pytest

from edge.appliance.run import loop_statistics
from edge.appliance.run.loop_statistics import LoopStatistics
from edge.decide.decision import Decision
from edge.loop import Outcome, step
from edge.measure.sensor import Measurement
from edge.measure.training_range import DomainShift
from tests.support.fake_microscope import estimate, microscope


def test_a_late_result_is_dropped_before_it_is_sent():
    rig, _ = microscope(focus_um=6.0)
    rig.late_ms = 0.9  # the fake camera hands its frames over 1 ms after the exposure
    outcome = step(rig)
    assert outcome.decision is Decision.HOLD
    assert outcome.reason == "late: 1 ms after the exposure"
    assert (outcome.move, outcome.sent_ns, rig.stage.moves) == (None, None, [])
    assert outcome.measurement is not None
    rig.late_ms = 1.0
    assert step(rig).move is not None


def outcome(frame_id, decision=Decision.IN_FOCUS, reason="in-deadband", sent_ns=None, ms=5.0):
    return Outcome(
        decision, reason, sent_ns=sent_ns, frame_id=frame_id,
        latency_ms={"rin": ms / 2, "total": ms}, age_ms=ms + 2,
    )  # fmt: skip


def test_every_frame_is_accounted_for():
    statistics = LoopStatistics()
    for each in (
        outcome(7),
        outcome(8, Decision.MOVE, "defocus", sent_ns=1),
        outcome(11, Decision.HOLD, "late: 80 ms after the exposure"),
        outcome(11, Decision.REFUSE, "frame-order: frame 11 after frame 11"),
        outcome(12, Decision.REFUSE, "stale: frame is 90 ms old, 57"),
        Outcome(Decision.HOLD, "camera-stalled: none"),
    ):
        statistics.add(each)
    record = statistics.record()
    assert (record["frames"], record["moves"], record["stalls"]) == (5, 1, 1)
    assert (record["late"], record["stale"]) == (1, 1)
    assert (record["missing_frames"], record["repeated_frames"]) == (2, 1)
    assert record["decisions"] == {"MOVE": 1, "IN_FOCUS": 1, "HOLD": 2, "REFUSE": 2}
    assert set(record["latency_ms"]) == {"rin", "total", "age"}
    assert record["latency_ms"]["total"]["p50"] == pytest.approx(5.0, rel=0.03)
    assert "2 late, 2 missed" in statistics.line()
    assert statistics.line().endswith("HOLD: camera-stalled: none")


def measured(frame_id, shift):
    return Outcome(
        Decision.IN_FOCUS, "in-deadband", frame_id=frame_id,
        measurement=Measurement(None, None, estimate(0.1), shift),
    )  # fmt: skip


def test_frames_outside_the_training_are_told_by_share_and_feature():
    statistics = LoopStatistics()
    assert statistics.record()["outside_training"] == {
        "compared_frames": 0,
        "share": 0.0,
        "frames": {},
    }
    for number in range(8):
        statistics.add(measured(number, DomainShift(0.4, "novelty", alarm=False)))
    assert "outside" not in statistics.line()
    statistics.add(measured(8, None))  # a model that cannot tell: not compared
    statistics.add(measured(9, DomainShift(1.2, "colour", alarm=True)))
    for number in range(10, 13):
        statistics.add(measured(number, DomainShift(3.0, "red balance", alarm=True)))
    assert statistics.record()["outside_training"] == {
        "compared_frames": 12,
        "share": 0.3333,
        "frames": {"colour": 1, "red balance": 3},
    }
    assert "33 % outside the training (red balance)" in statistics.line()


def held_by_the_statistics() -> int:
    """Bytes that their module allocated and still holds; other threads' are not ours to count."""
    ours = [tracemalloc.Filter(True, loop_statistics.__file__)]
    return sum(each.size for each in tracemalloc.take_snapshot().filter_traces(ours).traces)


def test_ten_thousand_outcomes_take_no_more_memory_than_one():
    statistics = LoopStatistics()
    for frame_id in range(300):
        statistics.add(outcome(frame_id))
    tracemalloc.start()
    try:
        statistics.add(outcome(300))
        before = held_by_the_statistics()
        for frame_id in range(301, 10_301):
            statistics.add(outcome(frame_id, ms=frame_id % 40 + 1))
        grown = held_by_the_statistics() - before
    finally:
        tracemalloc.stop()
    assert grown < 2_000  # bytes: counters that became larger numbers, the last outcome
    assert statistics.frames == 10_301
