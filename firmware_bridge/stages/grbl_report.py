"""A status report of GRBL and its kin, read by its fields: `<Idle|MPos:0.000,0.000,-5.000|FS:0,0>`.

Fields come in any order and number, positions have as many axes as the machine. A board that is
set to report the work's coordinates (`WPos`) tells its offset (`WCO`) in some reports only; the
last one holds. What damage makes of a report has no position and is no report.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from firmware_bridge.stages.conversation import NUMBER

AXES = "XYZ"  # in this order
_REPORT = re.compile(r"<([A-Z][A-Za-z]+)(?::\d+)?((?:\|[^|<>]*)*)>")
_POSITION = re.compile(rf"{NUMBER}(?:,{NUMBER})+")


@dataclass(frozen=True, slots=True)
class Report:
    """`machine_mm`: the axis in the machine's coordinates, None = not told; `homed` likewise."""

    state: str
    machine_mm: float | None
    homed: bool | None
    text: str


class Reports:
    """Remembers where the work's coordinates begin, along one axis."""

    def __init__(self, axis: str = "Z") -> None:
        self._offset_mm: float | None = None
        self._index = AXES.index(axis)

    def read(self, text: str) -> Report | None:
        """The report in a line; None for what is none."""
        match = _REPORT.fullmatch(text)
        if match is None:
            return None
        fields = dict(part.split(":", 1) for part in match[2].split("|") if ":" in part)
        positions = {
            name: self._place(fields[name]) for name in ("MPos", "WPos", "WCO") if name in fields
        }
        if not positions or None in positions.values():
            return None
        self._offset_mm = positions.get("WCO", self._offset_mm)
        machine_mm, work_mm = positions.get("MPos"), positions.get("WPos")
        if machine_mm is None and work_mm is not None and self._offset_mm is not None:
            machine_mm = work_mm + self._offset_mm
        homed = None if "H" not in fields else fields["H"].startswith("1")
        return Report(match[1], machine_mm, homed, text)

    def with_position(self, text: str) -> Report | None:
        """As `read`; None too when it does not say where the machine is."""
        report = self.read(text)
        return None if report is None or report.machine_mm is None else report

    def _place(self, position: str) -> float | None:
        if not _POSITION.fullmatch(position):
            return None
        numbers = position.split(",")
        return float(numbers[self._index]) if len(numbers) > self._index else None
