"""What an evaluation found, and how a script reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edge.appliance.evaluate.metrics import ALL, PAPER_DOF_UM, BlankLine, Line
from edge.appliance.files import json_safe
from edge.appliance.frame_result import FrameResult


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All measured rows, the tables made of them, and the facts a reader needs."""

    rows: Sequence[FrameResult]
    lines: Sequence[Line]
    blanks: Sequence[BlankLine]
    worst: Sequence[FrameResult]
    unscored: Mapping[str, int]  # condition -> frames whose focus nobody knows
    dof_um: float  # |error| below this is within 1 DoF
    facts: Mapping[str, str]

    @property
    def conditions(self) -> list[str]:
        """Conditions with scored frames, in order of appearance."""
        return list(dict.fromkeys(line.condition for line in self.lines))

    def whole(self, condition: str) -> Line:
        """The line of a condition over all groups and distances."""
        return next(
            line
            for line in self.lines
            if (line.condition, line.group, line.distance) == (condition, ALL, ALL)
        )

    def groups(self, condition: str) -> list[Line]:
        """One line per group, over all distances."""
        return [
            line
            for line in self.lines
            if line.condition == condition and line.distance == ALL and line.group != ALL
        ]

    def as_json(self) -> dict[str, Any]:
        """Every line of every table, as strict JSON."""
        plain: dict[str, Any] = json_safe(
            {
                "facts": self.facts,
                "dof_um": self.dof_um,
                "paper_dof_um": PAPER_DOF_UM,
                "tables": [line.as_json() for line in self.lines],
                "blank": [asdict(line) for line in self.blanks],
                "unscored": self.unscored,
                "worst": [asdict(row) for row in self.worst],
            }
        )
        return plain
