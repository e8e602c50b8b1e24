"""GRBL 1.1 (its interface and jogging pages): absolute jogs of Z in machine coordinates.

`?`, `!` and 0x85 act at once, wherever the controller is in its queue; a status report may
overtake an `ok`. So what arrives is told apart by its shape, never paired by order. Steps per mm,
travel and units are read from `$$`; reports have three decimals of a mm, so the resolution is 1 um
at best. A banner in between means that the board restarted and its position is worth nothing.
"""

from __future__ import annotations

import re
from typing import Any

from firmware_bridge.errors import LinkLost, StageRefused
from firmware_bridge.stages.conversation import line
from firmware_bridge.stages.line_stage import LineStage
from firmware_bridge.stages.polled import Identity
from firmware_bridge.stages.rest import Reading
from firmware_bridge.stages.steps import nearest_step

END = b"\n"
ASK, HOLD, CANCEL_JOG = b"?", b"!", b"\x85"
REPORT_UM = 1.0
_STARTING_S = 8  # tries: opening the port resets most boards, which takes 2 s
_REPORT = re.compile(r"<([A-Z][A-Za-z]+)(?::\d)?\|MPos:(-?[\d.]+),(-?[\d.]+),(-?[\d.]+)[|>].*")
_LATCHES = {"Alarm": "ALARM", "Door": "DOOR", "Sleep": "SLEEP", "Check": "CHECK", "Hold": "HOLD"}
ERRORS = {
    8: ("BUSY", "GRBL is not idle"),
    9: ("LATCHED", "GRBL is locked by an alarm"),
    15: ("WINDOW", "the jog leaves the machine's travel"),
}


class GrblStage(LineStage):
    """The Z axis of a GRBL 1.1 board."""

    def __init__(
        self, *, port: str, speed_um_s: float, baudrate: int = 115_200, **motion: Any
    ) -> None:
        """`speed_um_s`: of every move; GRBL has no speed of its own for a jog."""
        if not 1 <= speed_um_s <= 100_000:
            raise StageRefused("CONFIG", f"speed_um_s = {speed_um_s} must be 1 to 100000")
        super().__init__("GRBL", port, baudrate, **{"arrival_um": 2 * REPORT_UM, **motion})
        self._speed_um_s, self._known = speed_um_s, False
        self._um_per_step = REPORT_UM
        self._begin()

    def _identify(self) -> Identity:
        version = self._ask("$I", r"\[VER:(.*?):?\]", _STARTING_S)
        settings: dict[int, float] = {}

        def judge(text: str) -> bool | None:
            found = re.fullmatch(r"\$(\d+)=(-?[\d.]+)", text)
            if found:
                settings[int(found[1])] = float(found[2])
            return True if text == "ok" and settings.keys() >= {13, 20, 22, 102, 132} else None

        self._line.ask(b"$$\n", line(END, judge))
        if settings[13]:
            raise StageRefused("CONFIG", "reports are in inches: set $13=0")
        if not settings[102] > 0:
            raise StageRefused("CONFIG", f"$102 = {settings[102]} steps per mm")
        self._known = True
        self._um_per_step = 1000 / settings[102]
        # homed with soft limits, machine coordinates run from -$132 to 0
        limited = settings[20] and settings[22]
        travel = (-1000 * settings[132], 0.0) if limited else None
        return Identity(f"GRBL {version}", max(self._um_per_step, REPORT_UM), travel)

    def _read(self) -> Reading:
        report = self._line.ask(ASK, line(END, self._report))
        state, z_um = report[1], float(report[4]) * 1000
        return Reading(z_um, state in ("Run", "Jog", "Home"), _LATCHES.get(state))

    def _go(self, target_um: float) -> None:
        feed = self._speed_um_s * 0.06  # mm/min
        steps = nearest_step(target_um, self._um_per_step, self.z_min_um, self.z_max_um)
        z_mm = steps * self._um_per_step / 1000
        self._ask(f"$J=G53G21G90Z{z_mm:.4f}F{feed:.3f}", "(ok)")

    def _halt_at_once(self) -> None:
        self._line.tell(CANCEL_JOG)

    def _halt(self) -> None:
        self._line.tell(CANCEL_JOG)  # again: a move may have been sent once more in between

    def _clear(self) -> None:
        """Unlock after an alarm. The position may be worth nothing then: home first."""
        self._ask("$X", "(ok)")

    def _report(self, text: str) -> re.Match[str] | None:
        self._check_banner(text)
        return _REPORT.fullmatch(text)

    def _check_banner(self, text: str) -> None:
        if self._known and text.startswith("Grbl "):
            raise LinkLost("GRBL restarted: its position is unknown")

    def _ask(self, command: str, shape: str, sends: int = 3) -> str:
        def judge(text: str) -> str | None:
            self._check_banner(text)
            error = re.fullmatch(r"error:(\d+)", text)
            if error:
                reason, sentence = ERRORS.get(int(error[1]), ("FAILED", "see GRBL's list"))
                raise StageRefused(reason, f"{command}: {sentence} ({text})")
            found = re.fullmatch(shape, text)
            return found[1] if found else None

        return self._line.ask(f"{command}\n".encode("ascii"), line(END, judge), sends)
