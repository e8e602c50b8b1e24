"""The soak of X, Y and Z (benchmarks.slide_soak) in small, and that it notices what it is for."""

from __future__ import annotations

import pytest

from benchmarks.slide_soak import broken, soak
from tests.support.broken_firmware import broken_core
from tests.support.broken_xy import XY_MISTAKES


def test_commands_to_three_axes_through_a_bad_line() -> None:
    result = soak(400, 3)
    assert broken(result) == []
    assert sum(result["faults_made"].values()) > 200
    assert result["outcomes"]["sweep"] > 20
    assert result["outcomes"]["refused WINDOW"] > 5
    assert soak(400, 3) == result  # the same seed, the same run


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        ("makes a copy of a move of X and Y again", "moves_made_twice"),
        ("gives a pulse a step early", "sweeps_with_pulses_lost_or_moved"),
    ],
)
def test_it_notices(mistake: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (wrong,) = [one for one in XY_MISTAKES if one.name == mistake]
    monkeypatch.setenv("VIRTUAL_CORE", str(broken_core(wrong)))
    assert any(fault.startswith(told) for fault in broken(soak(400, 3)))
