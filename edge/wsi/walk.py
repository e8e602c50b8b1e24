"""Walking a plan: which field comes next, what was answered, how the plan has grown.

A field is blank when the networks found not one patch with content in it, and for no other reason;
one such patch in a field at the border makes its neighbours part of the plan. A field that could
not be measured answers nothing. The answers in their order give the same walk again: a scan that
was interrupted is taken up by telling them once more.
"""

from __future__ import annotations

from enum import Enum

from edge.wsi.path import Field, ScanPlan


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

    def visited(self, field_id: int, informative_patches: int | None) -> Answer:
        """A field was visited; the plan grows where there is something at its border.

        ValueError for a field that is not in the plan, or was visited before.
        """
        if field_id not in self.plan.by_id:
            raise ValueError(f"field {field_id} is not in the plan")
        if field_id in self.answers:
            raise ValueError(f"field {field_id} was visited before")
        answer = self.answers[field_id] = answer_of(informative_patches)
        if answer is Answer.CONTENT:
            self.plan = self.plan.grow(field_id, self.answers)
        return answer

    @property
    def done(self) -> int:
        """Fields that were visited."""
        return len(self.answers)

    @property
    def left(self) -> int:
        """Fields still to come, as far as is known."""
        return len(self.plan) - len(self.answers)
