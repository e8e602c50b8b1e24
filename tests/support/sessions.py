"""Hand-made sessions: real records with every way a field can end, on small pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edge.appliance.report.focus_record import FieldRecord, SessionRecord, View
from edge.decide.decision import Decision, Hold, Move, Plan
from edge.loop import Outcome
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import ClassRule, Ranked
from edge.measure.sensor import Measurement

SIDE = 252  # 28 px per patch
MS = 1_000_000
LATENCY = {"preprocess": 2.0, "rin": 9.0, "select": 0.1, "dpn": 20.0, "plain_look": 0.2,
           "aggregate": 0.1, "plan": 0.1, "move": 3.0, "total": 34.5}  # fmt: skip


@dataclass(slots=True)
class TimedField(FieldRecord):
    """A record that also knows when it began."""

    start_ns: int | None = None


def ranked(importance: dict[tuple[int, int], float]) -> Ranked:
    """The given cells chosen, in order of importance."""
    scores = np.zeros((9, 9), np.float32)
    for cell, score in importance.items():
        scores[cell] = score
    cells = tuple(sorted(importance, key=lambda cell: -importance[cell]))
    sparsity, _ = ClassRule().classify(len(cells))
    chosen = np.array([importance[cell] for cell in cells], np.float32)
    return Ranked(scores, sparsity, len(cells), cells, chosen)


def outcome(
    decision: Decision,
    reason: str,
    choice: Ranked | None,
    defocus_um: float = 5.0,
    plan: Plan | None = None,
    frame_id: int = 1,
    at_ms: int = 0,
    sent: bool = True,
    why_not: Reason | None = None,
) -> Outcome:
    """One frame; `choice` None: no frame came."""
    if choice is None:
        return Outcome(decision, reason)
    start = at_ms * MS
    known = choice.k > 0 and why_not is None
    estimate = (
        FocusEstimate(defocus_um, 0.6, choice.k, choice.sparsity, start, start + MS, 0.4)
        if known
        else NoFocus(why_not or Reason.BLANK, choice.sparsity, start, start + MS)
    )
    values = np.full(choice.k, defocus_um if known else math.nan, np.float32)
    patches = PatchDefocus(
        values, values, choice.importance, choice.cells, choice.sparsity, choice.finite
    )
    sent_ns = start + 40 * MS if isinstance(plan, Move) and sent else None
    return Outcome(
        decision,
        reason,
        plan,
        sent_ns,
        Measurement(choice, patches, estimate),
        frame_id,
        start,
        start + 2 * MS,
        LATENCY,
        36.0,
    )


def picture(seed: int = 0) -> np.ndarray:
    """Smooth grey noise: compresses well and has no saturated colour."""
    rng = np.random.default_rng(seed)
    return np.repeat(rng.integers(120, 136, (SIDE, SIDE, 1)).astype(np.uint8), 3, axis=2)


def field(
    number: int,
    outcomes: list[Outcome],
    heights: tuple[float, float, float],
    z_focus_um: float | None = 200.0,
    kind: str = "cell",
    sparsity: str = "sparse",
) -> TimedField:
    """A field with one or two views and a short trace."""
    shown = [o for o in outcomes if o.measurement]
    shown = shown[:1] + shown[1:][-1:]
    views = [View(picture(i), o, ("before", "after")[i]) for i, o in enumerate(shown)]
    trace = [(i / 100, heights[0] + (heights[2] - heights[0]) * i / 30) for i in range(31)]
    return TimedField(
        number, kind, sparsity, heights[0], z_focus_um, heights[1], heights[2], outcomes, views,
        trace, 0,
    )  # fmt: skip


def session(shutdown: str | None = None) -> SessionRecord:
    """Focused, held, refused, blank, not finite, and a camera that gave nothing."""
    few = ranked({(1, 6): 0.99, (4, 2): 0.85})
    none = ranked({})
    lost = Ranked(np.full((9, 9), np.nan, np.float32), none.sparsity, 0, (), none.importance)
    move = Move(200.2, 195.0, "outside-deadband")
    fields = [
        field(0, [outcome(Decision.MOVE, "outside-deadband", few, plan=move),
                  outcome(Decision.IN_FOCUS, "in-deadband", few, -0.2, frame_id=2, at_ms=200)],
              (195.0, 200.2, 200.2)),
        field(1, [outcome(Decision.HOLD, "patches-disagree", few, plan=Hold("x"),
                          why_not=Reason.PATCHES_DISAGREE)], (190.0, 190.0, 190.0)),
        field(2, [outcome(Decision.REFUSE, "target 400.00 um is outside 0..300 um", few, plan=move,
                          sent=False)], (196.0, 196.0, 196.0), kind="<b>", sparsity="a&b"),
        field(3, [outcome(Decision.HOLD, "blank", none)], (201.0, 201.0, 201.0), None,
              "blank", "blank"),
        field(4, [outcome(Decision.HOLD, "not-finite", lost, why_not=Reason.NOT_FINITE)],
              (math.nan, math.nan, math.nan)),
        field(5, [outcome(Decision.HOLD, "camera-stalled: <none>", None)], (202.0, 202.0, 202.0)),
    ]  # fmt: skip
    return SessionRecord(list(fields), 0.604, 0.302, 100.0, "A <i>title</i>",
                         {"seed": "1", "models": "<script>"}, shutdown)  # fmt: skip
