"""What the loop would do with one frame is asked of its controller: no verb says otherwise."""

from __future__ import annotations

import pytest

from edge.decide.controllers import SingleFrame
from edge.optics import Objective
from edge.settings import LoopSettings
from tests.support.fake_microscope import estimate, no_focus

OBJECTIVE = Objective(na=0.75, magnification=20, um_per_px=0.34)


@pytest.mark.parametrize(
    ("defocus_um", "interval_um", "decision"),
    [
        (20.0, 6.0, "HOLD"),  # too little is known of it
        (12.0, 1.0, "VERIFY"),  # far: the next frame must confirm it
        (0.45, 0.6, "IN_FOCUS"),  # within the depth of field, and hardly known better
        (3.0, 0.2, "MOVE"),
        (0.1, 0.05, "IN_FOCUS"),
    ],
)
def test_a_frame_alone_is_decided_as_in_the_loop(defocus_um, interval_um, decision):
    alone = SingleFrame(LoopSettings(), OBJECTIVE)
    for sign in (1, -1):
        plan = alone.plan(estimate(sign * defocus_um, interval_um, 1, 1))
        assert plan.decision.value == decision, plan.reason


def test_nothing_is_remembered_of_the_frame_before():
    alone = SingleFrame(LoopSettings(), OBJECTIVE)
    plans = [alone.plan(estimate(3.0, 0.2, 1, 1)) for _ in range(20)]
    assert {(plan.decision.value, plan.reason) for plan in plans} == {("MOVE", "defocus")}
    assert alone.plan(no_focus()).reason == "blank"


def test_the_deadband_is_the_objectives_unless_it_is_given():
    assert LoopSettings().deadband_for(OBJECTIVE) == OBJECTIVE.deadband_um
    assert LoopSettings(deadband_um=2.0).deadband_for(OBJECTIVE) == 2.0
    wide = SingleFrame(LoopSettings(deadband_um=2.0), OBJECTIVE)
    assert wide.plan(estimate(1.9, 0.1, 1, 1)).decision.value == "IN_FOCUS"
