"""The exposure's time: the truth lies within the half-width that is stated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cameras.exposure_time import CameraClock, FrameTimes, arrived

MS = 1_000_000
READOUT_NS = 8 * MS
EXPOSURE_NS = 4 * MS


@given(st.integers(0, READOUT_NS), st.one_of(st.none(), st.integers(0, 3 * MS)))
def test_from_the_arrival_alone(way_ns: int, trigger_before_ns: int | None) -> None:
    start_ns = 10**12
    triggered_ns = None if trigger_before_ns is None else start_ns - trigger_before_ns
    arrival_ns = start_ns + EXPOSURE_NS + way_ns
    when = arrived(arrival_ns, EXPOSURE_NS, READOUT_NS, triggered_ns)
    assert when.end_ns - when.start_ns == EXPOSURE_NS
    assert abs(when.start_ns - start_ns) <= when.uncertainty_ns <= READOUT_NS // 2 + 1
    if trigger_before_ns is not None:
        assert when.uncertainty_ns <= (way_ns + trigger_before_ns) // 2 + 1


def frames(seed: int, drift: float, count: int = 300) -> list[tuple[int, int, int]]:
    """(true time of the stamp, the camera's stamp, arrival): the way takes 3 ms at least, is
    often disturbed, and the camera's clock runs fast by `drift`."""
    random = np.random.default_rng(seed)
    true_ns = 10**12 + np.arange(count) * 28_600_000
    camera_ns = ((true_ns - 10**12) * (1 + drift)).astype(np.int64) + 7 * 10**15
    way_ns = EXPOSURE_NS + 3 * MS + random.exponential(4 * MS, count)
    arrival_ns = (true_ns + way_ns).astype(np.int64)
    return [(int(t), int(c), int(a)) for t, c, a in np.stack([true_ns, camera_ns, arrival_ns], -1)]


@pytest.mark.parametrize("drift", [-1e-4, -2e-5, 0.0, 2e-5, 1e-4])
@pytest.mark.parametrize("seed", range(4))
def test_from_a_clock_that_cannot_be_asked(seed: int, drift: float) -> None:
    clock, errors = CameraClock(), []
    for true_ns, camera_ns, arrival_ns in frames(seed, drift):
        clock.frame(camera_ns, arrival_ns, EXPOSURE_NS, READOUT_NS)
        host_ns, half_ns = clock.host_ns(camera_ns)
        assert abs(host_ns - true_ns) <= half_ns
        errors.append(host_ns - true_ns)
    assert half_ns < READOUT_NS
    # arrivals scatter by 4 ms, exposure times must not: a moving stage would be misplaced by it
    assert np.std(errors[-128:]) < 0.4 * MS


@pytest.mark.parametrize("drift", [-1e-4, 1e-4])
def test_from_a_clock_that_can_be_asked(drift: float) -> None:
    clock, random = CameraClock(), np.random.default_rng(1)
    for number, (true_ns, camera_ns, arrival_ns) in enumerate(frames(1, drift)):
        if number % 35 == 0:
            there, back = (random.uniform(0.1, 0.3, 2) * MS).astype(int).tolist()
            clock.latched(true_ns - there, true_ns + back, camera_ns)
        clock.frame(camera_ns, arrival_ns, EXPOSURE_NS, READOUT_NS)  # says nothing new
        host_ns, half_ns = clock.host_ns(camera_ns)
        assert abs(host_ns - true_ns) <= half_ns < 0.6 * MS


@pytest.mark.parametrize("asked", [True, False])
def test_a_clock_that_jumps_back_is_learned_anew(asked: bool) -> None:
    clock = CameraClock()
    for base_ns in (7 * 10**15, 5):
        for true_ns in range(10**12 + base_ns, 10**12 + base_ns + 100 * MS, 10 * MS):
            camera_ns = true_ns - 10**12
            if asked:
                clock.latched(true_ns - MS, true_ns + MS, camera_ns)
            else:
                clock.frame(camera_ns, true_ns + 2 * MS, 0, READOUT_NS)
        host_ns, half_ns = clock.host_ns(camera_ns)
        assert abs(host_ns - true_ns) <= half_ns < READOUT_NS


def test_which_end_of_the_exposure_the_stamp_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = [10**12]
    monkeypatch.setattr("edge.cameras.exposure_time.time.monotonic_ns", lambda: now_ns[0])
    monkeypatch.setattr("edge.cameras.exposure_time.time.monotonic", lambda: now_ns[0] / 1e9)
    asked: list[int] = []

    def ask() -> int:
        asked.append(now_ns[0])
        return now_ns[0] - 10**11

    for stamp, starts in (("start", 0), ("end", -EXPOSURE_NS)):
        times = FrameTimes(stamp, EXPOSURE_NS, READOUT_NS, ask)
        times.synchronise()
        times.synchronise()  # not yet again
        when = times.of(9 * 10**11, 10**12 + 20 * MS)
        assert when.start_ns == 10**12 + starts
        assert when.end_ns == when.start_ns + EXPOSURE_NS
    assert len(asked) == 2
    times = FrameTimes("none", EXPOSURE_NS, READOUT_NS, ask)
    times.synchronise()
    times.triggered()
    assert times.of(9 * 10**11, 10**12 + 6 * MS) == arrived(10**12 + 6 * MS, EXPOSURE_NS,
                                                          READOUT_NS, 10**12)  # fmt: skip
    assert len(asked) == 2


def test_a_camera_without_a_clock_is_asked_once() -> None:
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)

    times = FrameTimes("start", EXPOSURE_NS, READOUT_NS, ask)
    times.synchronise()
    times.synchronise()
    assert asked == [1]
    assert times.of(0, 10**12) == arrived(10**12, EXPOSURE_NS, READOUT_NS)
