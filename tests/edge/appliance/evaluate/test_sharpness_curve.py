"""Where an estimate would have ended is looked up on the field's own curve of sharpness."""

from __future__ import annotations

import pytest

from edge.appliance.evaluate.metrics import tables
from edge.appliance.evaluate.sharpness_curve import OFFSETS_UM, curve_text, reached
from edge.appliance.frame_result import FrameResult
from edge.errors import ConfigError

#: sharpest in focus, falling to nothing at the ends
CURVE = curve_text([1.0 - abs(z) / 3.0 for z in OFFSETS_UM])


def test_the_curve_is_read_between_its_heights_and_held_beyond_them() -> None:
    assert OFFSETS_UM[0] == -3.0
    assert OFFSETS_UM[-1] == 3.0
    assert reached(CURVE, 0.0, "x") == 1.0
    assert reached(CURVE, -0.375, "x") == pytest.approx(0.875, abs=1e-3)
    assert reached(CURVE, 9.0, "x") == pytest.approx(0.0)
    assert reached(" ", 0.0, "x") is None


@pytest.mark.parametrize("cell", ["1 2 3", "a " * 25, "1.5 " * 25, "nan " * 25, "-0.1 " * 25])
def test_anything_else_is_one_line(cell: str) -> None:
    with pytest.raises(ConfigError, match=r"m.csv:4: sharpness = .* must be 25 numbers of 0 to 1"):
        reached(cell, 0.0, "m.csv:4")


def test_tables_tell_the_sharpness_reached_and_the_interval_near_focus() -> None:
    rows = [
        FrameResult("c", "g", str(n), true, true + 0.4, half, sharpness=sharp)
        for n, (true, half, sharp) in enumerate([(0.5, 0.3, 0.9), (2.0, 0.5, 1.0), (9.0, 0.5, 0.8)])
    ]
    whole = next(line for line in tables(rows, 0.6) if line.group == "all")
    assert whole.values["sharpness"] == pytest.approx(0.9)
    assert whole.values["sharpness_p10"] == pytest.approx(0.82)
    assert whole.values["coverage_near"] == pytest.approx(0.5)
    assert whole.values["coverage"] == pytest.approx(2 / 3)
