"""Zaber devices that speak the ASCII protocol (Zaber ASCII protocol manual, firmware 7).

Requests carry a message id and a checksum (LRC), so an answer is known by its number. Microsteps
per full step and travel are read (`resolution`, `limit.min`, `limit.max`); what a full step is in
um depends on the stage and is demanded. A stage with a linear motor has no `resolution`: this
driver does not drive it. Set `comm.checksum 1` at the device, or its answers are unprotected.
"""

from __future__ import annotations

import re
from typing import Any

from firmware_bridge.errors import StageRefused
from firmware_bridge.stages.conversation import line
from firmware_bridge.stages.homing import HomingStage
from firmware_bridge.stages.polled import Identity
from firmware_bridge.stages.rest_detector import Reading
from firmware_bridge.stages.step_rounding import nearest_step

END = b"\n"
_REPLY = re.compile(
    r"@(?P<device>\d\d) (?P<axis>\d) (?P<id>\d\d) (?P<flag>OK|RJ) (?P<state>BUSY|IDLE) "
    r"(?P<warning>--|[A-Z]{2}) (?P<data>[^:]*?)(:(?P<lrc>[0-9A-F]{2}))?"
)
_WHOLE = r"-?\d+"
REASONS = {"BADDATA": "WINDOW", "STATUSBUSY": "BUSY", "DRIVERDISABLED": "LATCHED"}
NO_REFERENCE = "WR"  # the position counts from nowhere until the stage was homed


def lrc(text: str) -> str:
    """Two hexadecimal digits that bring the sum of `text` to 0 (mod 256)."""
    return f"{-sum(text.encode('ascii')) & 0xFF:02X}"


class ZaberStage(HomingStage):
    """One axis of one device."""

    def __init__(
        self,
        *,
        port: str,
        full_step_um: float,
        device: int = 1,
        axis: int = 1,
        baudrate: int = 115_200,
        **motion: Any,
    ) -> None:
        """`full_step_um`: travel of one full step of the motor, from the stage's data sheet."""
        if not 0 < full_step_um <= 1000:
            raise StageRefused("CONFIG", f"full_step_um = {full_step_um} must be above 0")
        super().__init__("Zaber", port, baudrate, **motion)
        self._device, self._axis, self._full_step_um = device, axis, full_step_um
        self._um_per_step = full_step_um
        self._id, self._warning = 0, "--"
        self._begin()

    def _identify(self) -> Identity:
        name = f"Zaber {self._get('deviceid')} firmware {self._get('version')}"
        serial = self._get("system.serial")
        microsteps = self._get_number("resolution")
        if not 1 <= microsteps <= 1024:
            raise StageRefused("CONFIG", f"{microsteps} microsteps per full step are not 1..1024")
        self._um_per_step = self._full_step_um / microsteps
        low, high = (self._get_number(f"limit.{end}") * self._um_per_step for end in ("min", "max"))
        referenced = self._warning != NO_REFERENCE
        return Identity(name, self._um_per_step, (low, high), serial, referenced)

    def _read(self) -> Reading:
        reply = self._ask("get pos", _WHOLE)
        warning = reply["warning"]
        if warning == NO_REFERENCE and self._opened and self.identity.referenced:
            self._restarted = "the device lost its reference: it restarted"
        position = int(reply["data"]) * self._um_per_step
        stopped = warning if warning.startswith("F") else None
        return Reading(position, reply["state"] == "BUSY", stopped)

    def _go(self, target_um: float) -> None:
        steps = nearest_step(target_um, self._um_per_step, self.z_min_um, self.z_max_um)
        self._ask(f"move abs {steps}")

    def _begin_homing(self) -> None:
        self._ask("home")

    def _has_reference(self) -> bool:
        return self._warning != NO_REFERENCE

    def _halt(self) -> None:
        self._ask("stop")

    def _halt_wire(self) -> bytes:
        body = f"{self._device} {self._axis} 00 stop"
        return f"\n/{body}:{lrc(body)}\n".encode("ascii")

    def _clear(self) -> None:
        """Faults; a reference that is missing is found by homing, never by clearing."""
        self._ask("warnings clear")
        super()._clear()

    def _get(self, setting: str) -> str:
        return self._ask(f"get {setting}", r"\S+")["data"].strip()

    def _get_number(self, setting: str) -> int:
        return int(self._ask(f"get {setting}", _WHOLE)["data"])

    def _ask(self, command: str, shape: str = ".*") -> re.Match[str]:
        """The reply whose data have this shape: what damage makes of a number is none."""
        self._id = self._id % 99 + 1
        number = f"{self._id:02d}"
        body = f"{self._device} {self._axis} {number} {command}"

        def judge(text: str) -> re.Match[str] | None:
            reply = _REPLY.fullmatch(text[max(text.rfind("@"), 0) :])
            if reply is None or reply["id"] != number or int(reply["device"]) != self._device:
                return None
            if reply["lrc"] and lrc(reply[0][1:].rpartition(":")[0]) != reply["lrc"]:
                return None
            if reply["flag"] == "RJ":
                reason = REASONS.get(reply["data"].strip(), "FAILED")
                raise StageRefused(reason, f"{command}: the device said {reply['data'].strip()}")
            if not re.fullmatch(shape, reply["data"].strip()):
                return None
            self._warning = reply["warning"]
            return reply

        return self._line.ask(f"/{body}:{lrc(body)}\n".encode("ascii"), line(END, judge))
