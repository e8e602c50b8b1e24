"""Walking a plan: which field comes next, what was answered, how the plan has grown.

A field is blank when the networks found not one patch with content in it, and for no other reason;
one such patch in a field at the border makes its neighbours part of the plan. A field that could
not be measured answers nothing. The answers in their order give the same walk again: a scan that
was interrupted is taken up by telling them once more.
"""

from __future__ import annotations

from enum import Enum

from edge.wsi.path import Field, ScanPlan
from edge.wsi.route import Cell, neighbours


class Answer(str, Enum):
    """What a visit showed."""

    CONTENT = "content"
    BLANK = "blank"
    UNKNOWN = "unknown"  # no frame, or one that could not be judged


def answer_of(informative_patches: int | None) -> Answer:
    """RIN's answer: how many patches of the field hold content, None = it was not asked."""
    if informative_patches is None:
        return Answer.UNKNOWN
    if informative_patches < 0:
        raise ValueError(f"{informative_patches} informative patches")
    return Answer.CONTENT if informative_patches else Answer.BLANK


SIDES = tuple(neighbours((0, 0)))


def sides_of(text: str) -> frozenset[Cell] | None:
    """The sides that a record names, see `text_of`; None for "". ValueError for anything else."""
    if not text:
        return None
    if len(text) != len(SIDES) or set(text) - {"0", "1"}:
        raise ValueError(f"{text[:20]!r} names no sides of a field")
    return frozenset(side for side, there in zip(SIDES, text, strict=True) if there == "1")


def text_of(sides: frozenset[Cell] | None) -> str:
    """A 1 or 0 for each of the eight sides, "" where they are not known."""
    return "" if sides is None else "".join(str(int(side in sides)) for side in SIDES)


class Walk:
    """One scan along a plan. Not thread-safe."""

    def __init__(self, plan: ScanPlan) -> None:
        self.plan = plan
        self.answers: dict[int, Answer] = {}
        self._first = 0  # before it all were visited: a plan grows only behind those

    def next(self) -> Field | None:
        """The field to visit now; None when all were visited."""
        fields = self.plan.fields
        while self._first < len(fields) and fields[self._first].id in self.answers:
            self._first += 1
        return fields[self._first] if self._first < len(fields) else None

    def after(self, field_id: int) -> Field | None:
        """The field that comes after this one, as far as is known; None when it is the last."""
        fields = self.plan.fields
        behind = (f for f in fields[self._first :] if f.id not in self.answers and f.id != field_id)
        return next(behind, None)

    def visited(
        self,
        field_id: int,
        informative_patches: int | None,
        toward: frozenset[Cell] | None = None,
    ) -> Answer:
        """A field was visited; the plan grows where there is something at its border. `toward`: on
        which of the eight sides something reaches the edge, None = that is not known: all.

        ValueError for a field that is not in the plan, or was visited before.
        """
        if field_id not in self.plan.by_id:
            raise ValueError(f"field {field_id} is not in the plan")
        if field_id in self.answers:
            raise ValueError(f"field {field_id} was visited before")
        answer = self.answers[field_id] = answer_of(informative_patches)
        if answer is Answer.CONTENT:
            self.plan = self.plan.grow(field_id, self.answers, toward)
        return answer

    @property
    def done(self) -> int:
        """Fields that were visited."""
        return len(self.answers)

    @property
    def left(self) -> int:
        """Fields still to come, as far as is known."""
        return len(self.plan) - len(self.answers)
