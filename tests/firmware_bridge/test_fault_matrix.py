"""Every fault of the line in every state: the outcome that docs/fault_matrix.md promises."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware_bridge import messages as m
from firmware_bridge.errors import LinkLost, StageUncertain
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.stages.binary import BinaryStage
from tests.support.boards import moves_made
from tests.support.faulty_line import FaultyLine, Nth, Reorder, cut, drop, flip, twice, unchanged

TABLE = Path(__file__).parents[2] / "docs/fault_matrix.md"
TREATMENTS = {"drop": drop, "flip": flip, "duplicate": twice, "truncate": cut}
#: what was going on -> the request and the reply that are hit
STATES: dict[str, tuple[type, type]] = {
    "HELLO": (m.Hello, m.HelloAck),
    "MOVE": (m.Move, m.Accepted),
    "moving": (m.Sync, m.Status),
    "STOP": (m.Stop, m.Stopping),
    "CLEAR": (m.Clear, m.Cleared),
}
LATE_S, STALL_S = 0.06, 1.2
NEAR_UM, FAR_UM = 5001.0, 7000.0


def matrix() -> list[tuple[str, str, str]]:
    rows = re.findall(r"^\| ([a-z ]+): [^|]+\|(.+)\|$", TABLE.read_text(), re.MULTILINE)
    return [
        (fault, state, outcome.strip())
        for fault, cells in rows
        for state, outcome in zip(STATES, cells.split("|"), strict=True)
    ]


def test_the_table_is_whole() -> None:
    header = re.search(r"^\| fault \| (.*) \|$", TABLE.read_text(), re.MULTILINE)
    assert header is not None
    assert header[1].split(" | ") == list(STATES)
    assert len(matrix()) == 8 * len(STATES)


def strike(line: FaultyLine, fault: str, state: str) -> None:
    if fault == "stall":
        line.stall(STALL_S)
    elif fault == "hang up":
        line.hang_up()
    else:
        for to_host, message in enumerate(STATES[state]):
            kind = m.CODES[message]
            rule = (
                Reorder(kind)
                if fault == "reorder"
                else Nth(kind, treatment(line, fault, to_host), 1)
            )
            setattr(line, "to_host" if to_host else "to_firmware", rule)


def treatment(line: FaultyLine, fault: str, to_host: int) -> Callable[[bytes], list[bytes]]:
    return line.delay(LATE_S, bool(to_host)) if fault == "delay" else TREATMENTS[fault]


class Case:
    """One cell: prepares the state, strikes, does what it is about, says what came of it."""

    def __init__(self, firmware: HostFirmware, line: FaultyLine) -> None:
        self.firmware, self.line = firmware, line
        self.stage: BinaryStage | None = None
        self.asked_moves = 0

    def open(self, port: str) -> BinaryStage:
        self.stage = BinaryStage(port=port, z_min_um=1000, z_max_um=9000, settle_ms=5)
        return self.stage

    def run(self, fault: str, state: str) -> str:
        if state != "HELLO":
            stage = self.open(self.line.port)
            if state == "moving":
                self.asked_moves = 1
                stage.move_to(FAR_UM, 5000)
            if state == "CLEAR":
                stage.stop()
        strike(self.line, fault, state)
        try:
            self.act(state)
        except LinkLost:
            return self.after_loss(state)
        except StageUncertain:
            return "uncertain"
        return "as asked" if self.effect(state) else "without effect"

    def act(self, state: str) -> None:
        if state == "HELLO":
            self.open(self.line.port)
            return
        assert self.stage is not None
        if state == "MOVE":
            self.asked_moves = 1
            self.stage.move_to(NEAR_UM, 5000)
            self.stage.wait(30.0)
        elif state == "moving":
            self.stage.wait(30.0)
        elif state == "STOP":
            self.stage.stop()
        else:
            self.stage.clear()

    def effect(self, state: str) -> bool:
        assert self.stage is not None
        status = self.stage.status()
        wanted = {
            "HELLO": 5000.0,
            "MOVE": NEAR_UM,
            "moving": FAR_UM,
            "STOP": 5000.0,
            "CLEAR": 5000.0,
        }
        latched = "STOPPED" if state == "STOP" else None
        return (status.z_um, status.latched) == (wanted[state], latched)

    def after_loss(self, state: str) -> str:
        if state != "moving":
            return "lost"
        self.reconnect()
        assert self.stage is not None
        status = self.stage.wait(30.0)
        return "safe stop" if status.latched == "SAFE_STOP" and status.z_um < FAR_UM else "lost"

    def reconnect(self) -> None:
        """On a whole line: the same one when it still stands."""
        self.line.to_firmware = self.line.to_host = unchanged
        if self.line._host_fd < 0:
            if self.stage is not None:
                self.stage.close()
            self.open(self.firmware.port)
            return
        time.sleep(STALL_S if not self.line._flows.is_set() else 2 * LATE_S)
        if self.stage is None or self.stage._client.exchange.closing.is_set():
            self.open(self.line.port)
        else:
            self.stage.reconnect()


def outcome_of(fault: str, state: str) -> str:
    """What came of it; what holds in every cell is asserted here."""
    with (
        HostFirmware(start_nm=5_000_000, boot_id=11) as firmware,
        MotorTrace(firmware.trace_path) as trace,
        FaultyLine(firmware.port) as line,
    ):
        case = Case(firmware, line)
        try:
            outcome = case.run(fault, state)
            assert moves_made(trace) <= case.asked_moves  # never twice
            case.reconnect()
            stage = case.stage
            assert stage is not None
            if stage.status().latched:
                stage.clear()
            here = stage.wait(30.0).z_um
            stage.move_to(here - 10, here)  # as good as new
            assert stage.wait(30.0).z_um == here - 10
            assert moves_made(trace) <= case.asked_moves + 1
            _, motor = trace.read_new()
            assert motor.min() >= 1_000_000
            assert motor.max() <= 9_000_000
            return outcome
        finally:
            if case.stage is not None:
                case.stage.close()


@pytest.mark.parametrize(("fault", "state", "outcome"), matrix())
def test_outcome(fault: str, state: str, outcome: str) -> None:
    assert outcome_of(fault, state) == outcome
