"""What the loop makes of a bad moment after a move: docs/fault_matrix.md, made again."""

import re
from pathlib import Path

import pytest

from edge.decide.controller import ControllerSettings
from edge.decide.decision import Decision
from edge.loop import step
from edge.state import State
from tests.support.rough_microscope import Day, rough

TABLE = Path(__file__).parents[3] / "docs/fault_matrix.md"
SETTINGS = ControllerSettings(focus_direction=1, deadband_um=0.30, sharp_um=0.60)
LARGE_UM, SMALL_UM = 12.0, 2.0
#: column -> (whether a move confirmed the sign before, how far focus is then)
MOVES = {
    "first move, large": (False, LARGE_UM),
    "first move, small": (False, SMALL_UM),
    "later, large": (True, LARGE_UM),
    "later, small": (True, SMALL_UM),
}


def matrix():
    rows = re.findall(r"^\| _([^|]+)_ \|(.+)\|$", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    return [
        (shown, move, outcome.strip())
        for shown, cells in rows
        for move, outcome in zip(MOVES, cells.split("|"), strict=True)
    ]


def test_the_table_is_whole():
    text = TABLE.read_text(encoding="utf-8")
    assert "| after the move | " + " | ".join(MOVES) + " |" in text
    assert len(matrix()) == 9 * len(MOVES)


def disturb(shown, day, stage, first):
    """Let `shown` happen, from frame `first` on: the first one after the move."""
    count = re.match(r"(\d+) (dark|dim) frame", shown)
    if count:
        getattr(day, count[2]).update(range(first, first + int(count[1])))
    elif shown == "a hand turns the knob by 9 um":
        day.knobs[first] = -9.0
    elif shown == "the glass slips by 1 um":
        day.slips[first] = 1.0
    elif shown == "3 um of play":
        stage.play_um = stage.nut_um = 3.0
    elif shown == "wired the wrong way round":
        stage.sign = -1
    else:
        raise AssertionError(shown)


def outcome_of(shown, known, far_um):
    """The words of one cell."""
    day = Day()
    rig, eye, stage = rough(day, SETTINGS, 3.0 if known else -far_um)
    for _ in range(3 * known):
        step(rig)
    if known:
        eye.focus_um -= far_um
    before = len(stage.moves)
    disturb(shown, day, stage, eye.frames + 1)
    outcomes = []
    while len(outcomes) < 160 and rig.state.value is not State.SHUTDOWN:
        outcomes.append(step(rig))
    if rig.state.value is State.SHUTDOWN:
        assert len(stage.moves) - before <= 2
        return "shutdown"
    if outcomes[-1].decision is Decision.HOLD:
        assert (outcomes[-1].reason, rig.controller.strikes) == ("rolled-back", 1)
        assert len(stage.moves) - before == 2
        return "held"
    assert outcomes[-1].decision is Decision.IN_FOCUS
    assert eye.error_um < 1.0
    assert rig.controller.strikes == 0
    back = any("roll-back" in outcome.reason for outcome in outcomes)
    return "back, then in focus" if back else "in focus"


@pytest.mark.parametrize(("shown", "move", "outcome"), matrix())
def test_outcome(shown, move, outcome):
    assert outcome_of(shown, *MOVES[move]) == outcome
