"""The conformance suite passes on our firmware and notices each of many mistakes in others."""

from __future__ import annotations

import json
import os
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.appliance import cli
from firmware_bridge.conformance import verb
from firmware_bridge.conformance.suite import (
    ALL_CHECKS,
    FAILED,
    NOT_JUDGED,
    NOT_RUN,
    PASSED,
    XY_CHECKS,
    Outcome,
    run,
)
from firmware_bridge.conformance.test_host import ConformanceHost
from firmware_bridge.conformance.verdicts import Failed
from firmware_bridge.errors import StageError, StageRefused
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.pins import BoardPins
from firmware_bridge.firmware.qemu import QemuFirmware
from firmware_bridge.framing import FrameReader
from firmware_bridge.link import SerialLink
from firmware_bridge.messages import Move, decode
from tests.support.boards import QEMU
from tests.support.broken_firmware import MISTAKES, Mistake, broken_core, build_broken
from tests.support.broken_xy import XY_MISTAKES
from tests.support.virtual_board import XY_LIMITS, VirtualBoard

Board = HostFirmware | QemuFirmware
START = 5_000_000


@contextmanager
def probing(board: Board) -> Iterator[ConformanceHost]:
    link, bench = SerialLink(board.port), BoardPins(board.bench_port)
    try:
        yield ConformanceHost(link, 300_000, bench)
    finally:
        bench.close()
        link.close()


def failures(outcomes: list[Outcome]) -> list[str]:
    return [outcome.name for outcome in outcomes if outcome.result != PASSED]


def a_board(kind: str) -> Board:
    if kind == "qemu":
        return QemuFirmware(start_nm=START, boot_id=11, faults=True)
    return HostFirmware(start_nm=START, bench=True, faults=True, xy=True)


@pytest.mark.parametrize("kind", ["host", QEMU])
def test_our_firmware_conforms(kind: str) -> None:
    with a_board(kind) as board, probing(board) as host:
        outcomes = run(host)
        assert len(outcomes) == len(ALL_CHECKS) > 40
        failed = failures(outcomes)
        if failed:  # a machine that paused for 100 ms moved the simulated board's clock: ask again
            outcomes = run(host, failed)
        assert failures(outcomes) == []


#: the board's clock at its start: new; 3 s before 32 bits of microseconds end (71.6 minutes) and
#: after; 3 s before 2^62
CLOCKS_US = (0, 2**32 - 3_000_000, 2**32 + 50, 2**62 - 3_000_000)


@pytest.mark.parametrize("clock_us", CLOCKS_US)
def test_it_conforms_however_long_it_has_run(clock_us: int) -> None:
    outcomes = run(VirtualBoard(clock_us=clock_us, xy_limits=XY_LIMITS).host())
    assert [(one.name, one.detail) for one in outcomes if one.result != PASSED] == []


def test_x_and_y_are_not_asked_of_a_board_with_z_alone() -> None:
    outcomes = run(VirtualBoard().host(), [check.__name__ for check in XY_CHECKS])
    assert [one.result for one in outcomes] == [NOT_RUN] * len(XY_CHECKS)


@pytest.mark.parametrize(
    "mistake", [*MISTAKES, *XY_MISTAKES], ids=lambda mistake: mistake.name.replace(" ", "-")
)
def test_a_broken_firmware_is_noticed(mistake: Mistake) -> None:
    try:
        clock_us = 2**32 - 300_000  # it ends in mid-check
        board = VirtualBoard(broken_core(mistake), clock_us=clock_us, xy_limits=XY_LIMITS)
        (outcome,) = run(board.host(), [mistake.caught_by])
    except (Failed, StageError) as error:  # it may not even get as far as a check
        outcome = Outcome("at the start", "", FAILED, repr(error), 0.0)
    assert outcome.result == FAILED, f"{mistake.caught_by} does not notice"


class Suspended(VirtualBoard):
    """Its host stands still after each of the next `times` MOVEs that it sends."""

    times = 0

    def write(self, data: bytes) -> None:
        super().write(data)
        moves = [f for f in FrameReader().feed(data) if isinstance(decode(f.kind, f.payload), Move)]
        if moves and self.times:
            self.times -= 1
            self.wait_us(600_000)  # longer than the watchdog's silence


@pytest.mark.parametrize("check", ["stop", "watchdog", "anyone_may_stop", "settings_hold", "move"])
def test_a_host_that_stood_still_is_not_the_firmwares_fault(check: str) -> None:
    board = Suspended()
    host = board.host()
    board.times = 1
    (outcome,) = run(host, [check])
    assert outcome.result == PASSED  # asked again
    board.times = 1000
    (outcome,) = run(host, [check])
    assert outcome.result == NOT_JUDGED
    assert "this computer stood still for " in outcome.detail


def test_a_stall_excuses_no_check_that_it_was_not_in() -> None:
    mistake = next(m for m in MISTAKES if m.caught_by == "stop")
    board = VirtualBoard(broken_core(mistake))
    host = board.host()
    board.wait_us(2_000_000)  # between two checks
    (outcome,) = run(host, ["stop"])
    assert outcome.result == FAILED


def test_nothing_to_say_is_4(monkeypatch: pytest.MonkeyPatch) -> None:
    def judged(*_: object) -> list[Outcome]:
        return [Outcome("stop", "", NOT_JUDGED, "this computer stood still for 600 ms", 1.0)]

    monkeypatch.setattr(verb, "run", judged)
    with HostFirmware(start_nm=START) as board:
        assert cli.main(["stage", "conformance", board.port]) == 4


def test_every_check_is_needed() -> None:
    """Each check is the one that notices some mistake, or is a rule that others imply."""
    used = {mistake.caught_by for mistake in (*MISTAKES, *XY_MISTAKES)}
    names = {check.__name__ for check in ALL_CHECKS}
    assert used <= names
    assert names - used == {"unknown_and_malformed", "newest_wins", "take_over"}
    assert len(MISTAKES) >= 10


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "conformance.json"
    with HostFirmware(start_nm=START) as board:
        words = ["stage", "conformance", board.port, "--only", "handshake", "--only", "exposure"]
        assert cli.main([*words, "--json", str(report)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("passed   handshake")
        assert lines[-1] == "1 passed, 0 failed, 1 not run"
        record = json.loads(report.read_text())
        assert record["firmware"]["nm_per_step"] == 50
        assert [row["result"] for row in record["checks"]] == [PASSED, NOT_RUN]


def test_command_line_fails_with_3(tmp_path: Path) -> None:
    mistake = next(m for m in MISTAKES if m.caught_by == "hash_mismatch")
    with HostFirmware(start_nm=START, program=build_broken(mistake, tmp_path)) as board:
        words = ["stage", "conformance", board.port, "--only", "hash_mismatch", "--quiet"]
        assert cli.main(words) == 3


def test_nobody_there_is_4_and_wrong_use_2(capsys: pytest.CaptureFixture[str]) -> None:
    near, far = os.openpty()
    tty.setraw(far)
    assert cli.main(["stage", "conformance", os.ttyname(far)]) == 4
    assert "no firmware answers" in capsys.readouterr().err
    assert cli.main(["stage", "conformance", "/dev/nothing-here"]) == 4
    assert cli.main(["stage", "conformance", os.ttyname(far), "--travel-um", "nan"]) == 2
    os.close(near)
    os.close(far)


def test_an_axis_without_room_is_not_moved() -> None:
    with HostFirmware(start_nm=100_000, bench=True) as board:
        with pytest.raises(StageRefused, match="ROOM"), probing(board):
            pass
        bench = BoardPins(board.bench_port)
        assert bench.report().moves_started == 0
        bench.close()
