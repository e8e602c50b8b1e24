"""The trapezoid in the firmware's fixed point: whatever is asked, it stays inside and stops."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.firmware.host import HERE, compile_c

PROBE = Path(__file__).with_name("motion_probe.c")
HARD = (-2_000_000, 3_000_000)
WINDOW = (-500_000, 1_200_000)
STEP, SPEED, ACCEL = 50, 2_000_000, 20_000_000  # nm, nm/s, nm/s2
BACKLASH, SETTLE_MS = 2_000, 7
BRAKE = 1

ROWS = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.one_of(st.integers(-600_000, 1_300_000), st.sampled_from([-498_000, *WINDOW, 0])),
        st.sampled_from([0, 0, 0, 0, BRAKE]),
    ),
    max_size=8,
)


@dataclass(frozen=True)
class Run:
    lowest_nm: int
    highest_nm: int
    largest_step_nm: int
    largest_change_q8: int
    final_nm: int
    target_nm: int
    accepted: int
    ticks_to_rest: int
    last_run_nm: int


Probe = Callable[..., Run]


@pytest.fixture(scope="module")
def probe() -> Probe:
    options = ["-O1", "-shared", "-fPIC", f"-I{HERE}"]
    library = ctypes.CDLL(
        str(compile_c("motion_probe.so", [str(PROBE), "motion.c"], options, PROBE.read_bytes()))
    )

    def run(
        rows: Sequence[tuple[int, int, int]], backlash_nm: int = BACKLASH, start_nm: int = 0
    ) -> Run:
        limits = (ctypes.c_int32 * 5)(*HARD, STEP, SPEED, ACCEL)
        settings = (ctypes.c_int32 * 5)(*WINDOW, backlash_nm, SPEED, SETTLE_MS)
        flat = [value for row in rows for value in row]
        script = (ctypes.c_int32 * max(1, len(flat)))(*flat)
        out = (ctypes.c_int64 * 9)()
        library.motion_probe(limits, settings, start_nm, script, len(rows), out)
        return Run(*out)

    return run


@given(rows=ROWS, backlash_nm=st.sampled_from([0, 50, BACKLASH, 30_000, -50, -BACKLASH, -30_000]))
def test_no_script_leaves_the_window_or_exceeds_speed_and_acceleration(
    probe: Probe, rows: list[tuple[int, int, int]], backlash_nm: int
) -> None:
    run = probe(rows, backlash_nm)
    assert run.lowest_nm >= WINDOW[0]
    assert run.highest_nm <= WINDOW[1]
    assert run.largest_step_nm <= SPEED // 1000 + STEP
    assert run.largest_change_q8 <= ACCEL * 256 // 1_000_000
    assert 0 <= run.ticks_to_rest < 10_000


@given(rows=ROWS, side=st.sampled_from([1, -1]))
def test_without_a_stop_it_ends_on_the_last_target_coming_from_its_side(
    probe: Probe, rows: list[tuple[int, int, int]], side: int
) -> None:
    run = probe([(ticks, target, 0) for ticks, target, _ in rows], side * BACKLASH)
    assert run.final_nm == run.target_nm
    if run.accepted:
        assert run.last_run_nm * side >= BACKLASH


def test_time_of_a_long_move_is_the_trapezoids(probe: Probe) -> None:
    """1 mm at 2 mm/s and 20 mm/s2: 0.1 s up, 0.4 s cruise, 0.1 s down, then settling."""
    run = probe([(0, 1_000_000, 0)])
    assert run.final_nm == 1_000_000
    assert run.highest_nm == 1_000_000
    assert abs(run.ticks_to_rest - (600 + SETTLE_MS)) <= 4


def test_a_dip_below_the_window_is_refused(probe: Probe) -> None:
    assert probe([(0, WINDOW[0] + BACKLASH, 0)]).accepted == 1
    assert probe([(0, WINDOW[0] + BACKLASH - STEP, 0)]).accepted == 0
    assert probe([(0, WINDOW[0], 0)], backlash_nm=0).accepted == 1


def test_an_overshoot_above_the_window_is_refused(probe: Probe) -> None:
    assert probe([(0, WINDOW[1] - BACKLASH, 0)], -BACKLASH).accepted == 1
    assert probe([(0, WINDOW[1] - BACKLASH + STEP, 0)], -BACKLASH).accepted == 0
    assert probe([(0, WINDOW[0], 0)], -BACKLASH).accepted == 1


def test_rounding_never_leaves_the_window(probe: Probe) -> None:
    assert probe([(0, WINDOW[1], 0)]).accepted == 1
    assert probe([(0, WINDOW[1] + 1, 0)]).accepted == 0


def test_a_second_small_move_up_needs_no_dip(probe: Probe) -> None:
    run = probe([(0, 10_000, 0), (200, 10_050, 0)])
    assert run.lowest_nm == 0
    assert run.final_nm == 10_050
