"""GRBL 1.1 and its kin (grblHAL, FluidNC): absolute jogs of Z in machine coordinates.

`?`, `!` and 0x85 act at once, wherever the controller is in its queue; a status report may
overtake an `ok`. So what arrives is told apart by its shape, never paired by order. Steps per mm,
travel and units are read from `$$`; reports have three decimals of a mm, so the resolution is 1 um
at best. All but `?` is answered at rest only, so an axis that moves when we come (whoever sent it
is gone) is stopped before anything is asked. A greeting in between means that the board restarted,
an alarm that it does not know where it is: its position is worth nothing then.
"""

from __future__ import annotations

import re
import time
from typing import Any

from firmware_bridge.errors import StageRefused
from firmware_bridge.stages.conversation import SENDS, line
from firmware_bridge.stages.grbl_report import AXES, Report, Reports
from firmware_bridge.stages.line_stage import LineStage
from firmware_bridge.stages.polled import Identity
from firmware_bridge.stages.rest_detector import Reading
from firmware_bridge.stages.step_rounding import nearest_step
from firmware_bridge.stages.watched import UNREFERENCED

END = b"\n"
ASK, HOLD, CANCEL_JOG = b"?", b"!", b"\x85"
REPORT_UM = 1.0
_STARTING_S = 8  # tries: opening the port resets most boards, which takes 2 s
_STOPPING_S, _LOOK_S = 2.0, 0.01  # until an axis that was stopped is seen at rest
_REPORTS = 12  # a board whose reports count from the work's zero says where that is in every tenth
_GREETING = re.compile(rb"(?:^|[\r\n])grbl\w* ", re.IGNORECASE)
_MOVING = ("Run", "Jog", "Home")
_LATCHES = {"Alarm": "ALARM", "Door": "DOOR", "Sleep": "SLEEP", "Check": "CHECK", "Hold": "HOLD"}
#: $ -> what it is; all are needed, and for each axis what follows in the order of XYZ
SETTINGS = {13: "report in inches", 20: "soft limits", 22: "homing"}
STEPS_PER_MM, TRAVEL = 100, 130
ERRORS = {
    8: ("BUSY", "GRBL is not idle"),
    9: ("LATCHED", "GRBL is locked by an alarm"),
    15: ("WINDOW", "the jog leaves the machine's travel"),
}


class GrblStage(LineStage):
    """The Z axis of a GRBL 1.1 board."""

    axis = "Z"

    def __init__(
        self, *, port: str, speed_um_s: float, baudrate: int = 115_200, **motion: Any
    ) -> None:
        """`speed_um_s`: of every move; GRBL has no speed of its own for a jog."""
        self._steps_key = STEPS_PER_MM + AXES.index(self.axis)
        self._travel_key = TRAVEL + AXES.index(self.axis)
        if not 1 <= speed_um_s <= 100_000:
            raise StageRefused("CONFIG", f"speed_um_s = {speed_um_s} must be 1 to 100000")
        super().__init__("GRBL", port, baudrate, **{"arrival_um": 2 * REPORT_UM, **motion})
        self._speed_um_s = speed_um_s
        self._um_per_step = REPORT_UM
        self._reports, self._heard = Reports(self.axis), b""
        self._begin()

    def _identify(self) -> Identity:
        self._come_to_rest()
        version = self._ask("$I", r"\[VER:(.*?):?\]", _STARTING_S)
        settings = self._settings()
        if settings[13]:
            raise StageRefused("CONFIG", "reports are in inches: set $13=0")
        steps_per_mm = settings[self._steps_key]
        if not steps_per_mm > 0:
            raise StageRefused("CONFIG", f"${self._steps_key} = {steps_per_mm} steps per mm")
        self._um_per_step = 1000 / steps_per_mm
        # homed with soft limits, machine coordinates run from -$132 (of Z) to 0
        limited = settings[20] and settings[22]
        travel = (-1000 * settings[self._travel_key], 0.0) if limited else None
        report = self._find_origin()
        return Identity(
            f"GRBL {version}",
            max(self._um_per_step, REPORT_UM),
            travel,
            referenced=self._is_referenced(report, bool(settings[22])),
        )

    @staticmethod
    def _is_referenced(report: Report, homing: bool) -> bool | None:
        """Where homing is set up, a board wakes up in alarm until it was homed."""
        if report.homed is not None or not homing:
            return report.homed
        return report.state != "Alarm"

    def _come_to_rest(self) -> None:
        """What is asked next is answered at rest only."""
        report = self._line.ask(ASK, line(END, self._reports.read), _STARTING_S)
        deadline = time.monotonic() + _STOPPING_S
        while report.state in _MOVING and time.monotonic() < deadline:
            self._line.tell(CANCEL_JOG if report.state == "Jog" else HOLD)
            time.sleep(_LOOK_S)
            report = self._line.ask(ASK, line(END, self._reports.read))
        if report.state in ("Hold", *_MOVING):
            raise StageRefused("LATCHED", f"GRBL answers no question in {report.state}: reset it")

    def _settings(self) -> dict[int, float]:
        settings: dict[int, float] = {}

        def judge(text: str) -> bool | None:
            match = re.fullmatch(r"\$(\d+)=(-?\d+(?:\.\d*)?)(?:\s.*)?", text)
            if match:
                settings[int(match[1])] = float(match[2])
            if text != "ok":
                return None
            needed = {
                **SETTINGS,
                self._steps_key: f"steps per mm of {self.axis}",
                self._travel_key: f"travel of {self.axis}",
            }
            lacking = [f"${n} ({what})" for n, what in needed.items() if n not in settings]
            if lacking:
                raise StageRefused("CONFIG", f"$$ does not tell {', '.join(lacking)}")
            return True

        self._line.ask(b"$$\n", line(END, judge))
        return settings

    def _find_origin(self) -> Report:
        """The first report with a position of the machine; most say it in each."""
        for _ in range(_REPORTS):
            report = self._line.ask(ASK, line(END, self._reports.read))
            if report.machine_mm is not None:
                return report
        raise StageRefused(
            "CONFIG", f"reports as {report.text} lack the machine's {self.axis}: set $10=1"
        )

    def _read(self) -> Reading:
        report = self._line.ask(ASK, line(END, self._reports.with_position))
        assert report.machine_mm is not None
        z_um = report.machine_mm * 1000
        return Reading(z_um, report.state in _MOVING, _LATCHES.get(report.state))

    def _go(self, target_um: float) -> None:
        self._jog(self.word(target_um))

    def word(self, target_um: float) -> str:
        """The axis and its place, as a jog names them; a whole step inside the window."""
        steps = nearest_step(target_um, self._um_per_step, self.z_min_um, self.z_max_um)
        return f"{self.axis}{steps * self._um_per_step / 1000:.4f}"

    def _jog(self, words: str) -> None:
        feed = self._speed_um_s * 0.06  # mm/min
        self._ask(f"$J=G53G21G90{words}F{feed:.3f}", "(ok)")

    def _halt_at_once(self) -> None:
        self._line.tell(CANCEL_JOG)

    def _halt_wire(self) -> bytes:
        return CANCEL_JOG

    def _halt(self) -> None:
        self._line.tell(CANCEL_JOG)  # again: a move may have been sent once more in between

    def _clear(self) -> None:
        """Unlock after an alarm, if a person vouches for the position: the alarm does not."""
        if self._look().latched != "ALARM":
            return super()._clear()
        if not self._vouched:
            raise StageRefused(
                UNREFERENCED,
                "GRBL is in alarm: its position may be worth nothing. Home it ($H), or say "
                "`referenced: true` under stage.options where a person knows the position",
            )
        self._ask("$X", "(ok)")

    def _overhear(self, data: bytes) -> None:
        """A greeting may come in the middle of anything."""
        self._heard = self._heard[-40:] + data
        if _GREETING.search(self._heard):
            self._heard = b""
            if self._opened:
                self._restarted = "GRBL restarted: its position is unknown"

    def _ask(self, command: str, shape: str, sends: int = SENDS) -> str:
        def judge(text: str) -> str | None:
            error = re.fullmatch(r"error:(\d+)", text)
            if error:
                reason, sentence = ERRORS.get(int(error[1]), ("FAILED", "see GRBL's list"))
                raise StageRefused(reason, f"{command}: {sentence} ({text})")
            match = re.fullmatch(shape, text)
            return match[1] if match else None

        return self._line.ask(f"{command}\n".encode("ascii"), line(END, judge), sends)
