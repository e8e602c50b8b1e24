"""The drive between motor and glass."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.mechanics import Mechanics, MechanicsParameters

MS = 1_000_000
IDEAL = MechanicsParameters(backlash_um=0.0, repeatability_um=0.0, ringing_um=0.0)


class Script:
    """A motor that did what a test says."""

    def __init__(self, start_nm: int = 0) -> None:
        self._samples: list[tuple[int, int]] = []
        self._last = (0, start_nm)

    def ramp(self, target_nm: int, start_ns: int, steps: int = 20) -> int:
        for i in range(1, steps + 1):
            nm = self._last[1] + (target_nm - self._last[1]) * i // steps
            self._samples.append((start_ns + i * MS, nm))
        self._last = self._samples[-1]
        return self._last[0]

    def read_new(self):
        taken, self._samples = self._samples, []
        times, motor = zip(*taken, strict=True) if taken else ((), ())
        return np.array(times, np.int64), np.array(motor, np.int32)

    def now(self):
        return self._last


@pytest.mark.parametrize(("direction", "expected"), [(1, 10.0), (-1, -10.0)])
def test_direction_is_the_wiring(direction, expected):
    motor = Script()
    glass = Mechanics(motor, 0, MechanicsParameters(0.0, 0.0, 0.0, direction=direction))
    end = motor.ramp(10_000, 100 * MS)
    assert glass.height_um(end + 100 * MS) == pytest.approx(expected)


def test_backlash_is_crossed_on_reversal_and_gone_when_approached_from_below():
    motor = Script()
    glass = Mechanics(motor, 0, MechanicsParameters(0.8, 0.0, 0.0))
    end = motor.ramp(10_000, 100 * MS)
    assert glass.height_um(end) == pytest.approx(10.0)
    end = motor.ramp(9_500, end + 200 * MS)
    assert glass.height_um(end) == pytest.approx(10.0)  # still inside the play
    end = motor.ramp(5_000, end + 200 * MS)
    assert glass.height_um(end) == pytest.approx(5.8)
    motor.ramp(3_000, end + 200 * MS)
    end = motor.ramp(5_000, end + 230 * MS)
    assert glass.height_um(end + 200 * MS) == pytest.approx(5.0)


def test_position_error_differs_between_moves_and_stays_within_repeatability():
    motor = Script()
    glass = Mechanics(motor, 5, MechanicsParameters(0.0, 0.150, 0.0))
    errors, end = [], 0
    for n in range(1, 60):
        end = motor.ramp(n * 1000, end + 200 * MS)
        errors.append(glass.height_um(end + 100 * MS) - n)
    assert max(abs(e) for e in errors) <= 0.150 + 1e-9
    assert 0.04 < np.std(errors) < 0.11


def test_rings_after_a_stop_and_settles():
    motor = Script()
    glass = Mechanics(motor, 0, MechanicsParameters(0.0, 0.0, 0.4))
    end = motor.ramp(10_000, 100 * MS)
    early = [abs(glass.height_um(end + t * MS) - 10.0) for t in range(1, 8)]
    assert max(early) > 0.1
    assert abs(glass.height_um(end + 60 * MS) - 10.0) < 0.001
    assert not glass.at_rest(end + 10 * MS)
    assert glass.at_rest(end + 60 * MS)


def test_lost_steps_fall_short():
    motor = Script()
    glass = Mechanics(motor, 0, MechanicsParameters(0.0, 0.0, 0.0, gain=0.5))
    end = motor.ramp(10_000, 100 * MS)
    assert glass.height_um(end) == pytest.approx(5.0)
    assert glass.motor_for_um(5.0) == pytest.approx(10.0)


def test_history_is_what_happened():
    motor = Script()
    glass = Mechanics(motor, 0, IDEAL)
    end = motor.ramp(2_000, 100 * MS, steps=2)
    history = glass.history(50 * MS, end + 100 * MS)
    assert history[0] == (0.0, 0.0)
    assert history[-1] == (pytest.approx(0.152), pytest.approx(2.0))
    assert glass.extremes_um == (0.0, 2.0)
    assert glass.travelled_um == pytest.approx(2.0)
