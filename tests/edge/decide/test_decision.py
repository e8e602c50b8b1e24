"""The names under which a frame's end is recorded, and what each plan says of itself."""

import pytest

from edge.decide.decision import Decision, Hold, InFocus, LookAgain, Move, Predict, Shutdown


def test_the_names_on_a_record():
    assert [decision.value for decision in Decision] == [
        "MOVE", "VERIFY", "IN_FOCUS", "PREDICT", "HOLD", "REFUSE", "SHUTDOWN",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("plan", "decision"),
    [
        (Move(1.0, 0.0, "near"), Decision.MOVE),
        (Move(9.0, 0.0, "far", verify=True), Decision.VERIFY),
        (Predict(1.0, 0.0, "blank"), Decision.PREDICT),
        (Predict(9.0, 0.0, "blank", verify=True), Decision.PREDICT),
        (InFocus(), Decision.IN_FOCUS),
        (Hold("blank"), Decision.HOLD),
        (LookAgain("blank"), Decision.HOLD),
        (Shutdown("why"), Decision.SHUTDOWN),
    ],
)
def test_how_each_plan_ends_a_frame(plan, decision):
    assert plan.decision is decision


def test_what_is_not_said():
    assert InFocus().reason == "in-deadband"
    assert Move(1.0, 0.0, "near").verify is False
    assert Hold("blank").enough is False
    assert Hold("blank", enough=True) == Hold("blank")  # why it stays is what counts
    assert Hold("blank") != Hold("dark")
