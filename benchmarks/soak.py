"""10^5 commands through a bad line: none lost, none made twice, none outside the window.

Two parts, both against the reference firmware built for this computer.

1. Commands: MOVE (most), STOP and CLEAR through the client, while a man in the middle treats
   a twentieth of all frames, both ways: drops, flips, copies, delays, swaps or cuts them; now
   and then the line stands still. The firmware's own trace counts the moves that began.
2. Resynchronisation: a damaged piece, then sound SYNC frames without pause: how many sound frames
   are gone before one is answered?

python -m benchmarks.soak [--commands 100000] [--pieces 10000] [--seed 7] [--json FILE]
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import machine
from firmware_bridge import messages as m
from firmware_bridge.errors import LinkLost, StageRefused, StageUncertain
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.framing import Frame, encode_frame
from firmware_bridge.stages.binary import BinaryStage
from tests.support.faulty_line import FaultyLine, Rule, cut, drop, flip, twice, unchanged
from tests.support.raw_host import HELLO, RawHost

LOW_UM, HIGH_UM = 4900.0, 5100.0
FAULT_RATE = 0.05
BATCH = 100  # moves are counted each time


class BadLine:
    """The rule of both directions; counts what it did."""

    def __init__(self, line: FaultyLine, dice: random.Random) -> None:
        self._dice = dice
        self.done: Counter[str] = Counter()
        self._line = line

    def direction(self, to_host: bool) -> Rule:
        """A rule for one direction."""
        late = self._line.delay(0.03, to_host)
        kept: list[bytes] = []

        def rule(wire: bytes, frame: Frame | None) -> list[bytes]:
            if kept:
                return [wire, kept.pop()]
            if self._dice.random() > FAULT_RATE:
                return [wire]
            fault = self._dice.choice(("drop", "flip", "duplicate", "delay", "reorder", "truncate"))
            self.done[fault] += 1
            if fault == "reorder":
                kept.append(wire)
                return []
            treat = {"drop": drop, "flip": flip, "duplicate": twice, "truncate": cut, "delay": late}
            return treat[fault](wire)

        return rule

    def spoil(self) -> None:
        """From now on."""
        self._line.to_firmware, self._line.to_host = self.direction(False), self.direction(True)

    def mend(self) -> None:
        """Until `spoil`."""
        self._line.to_firmware = self._line.to_host = unchanged


class Soak:
    """Sends commands and keeps count."""

    def __init__(
        self, open_stage: Callable[[], BinaryStage], trace: MotorTrace, bad: BadLine, seed: int
    ) -> None:
        self.open, self.trace, self.bad = open_stage, trace, bad
        self.stage = open_stage()
        self.dice = random.Random(seed)
        self.outcomes: Counter[str] = Counter()
        self.lost = self.twice = 0
        self.confirmed = self.uncertain = self.known = 0

    def command(self, line: FaultyLine) -> None:
        """One command, whatever comes of it."""
        roll = self.dice.random()
        if roll < 0.0002:
            line.stall(0.3)
            self.bad.done["stall"] += 1
        try:
            if roll < 0.96:
                self._move()
            elif roll < 0.98:
                self.stage.stop()
                self.outcomes["stop"] += 1
            else:
                self._clear()
        except StageRefused as refused:
            self.outcomes[f"refused {refused.reason}"] += 1
            if refused.reason == "LATCHED":
                self._clear()
        except StageUncertain:
            self.outcomes["uncertain"] += 1
            self._recover()

    def _move(self) -> None:
        target = self.dice.uniform(LOW_UM - 5, HIGH_UM + 5)  # a few outside: must be refused
        try:
            self.stage.move_to(round(target * 20) / 20, self.stage.status().z_um)
            self.outcomes["move"] += 1
            self.confirmed += 1
        except StageUncertain:
            self.uncertain += 1
            raise

    def _clear(self) -> None:
        try:
            self.stage.wait(1.0)
            self.stage.clear()
            self.outcomes["clear"] += 1
        except StageRefused as refused:
            self.outcomes[f"refused {refused.reason}"] += 1
        except StageUncertain:
            self.outcomes["uncertain"] += 1
            self._recover()

    def _recover(self) -> None:
        """As a person would: mend the line, a new handshake, clear a latch."""
        self.bad.mend()
        time.sleep(0.35)  # what was delayed or stood still has arrived
        try:
            self.stage.reconnect()
        except LinkLost:  # the line stood still for longer than a write may take
            self.outcomes["port opened anew"] += 1
            self.stage.close()
            self.stage = self.open()
        if self.stage.wait(2.0).latched:
            self.stage.clear()
        self.bad.spoil()

    def count(self) -> None:
        """Compare the moves confirmed with the moves begun since the last count."""
        self.trace.wait_until(time.monotonic_ns())
        begun = self.trace.moves_started - self.known
        self.known += begun
        self.lost += max(0, self.confirmed - begun)
        self.twice += max(0, begun - self.confirmed - self.uncertain)
        self.confirmed = self.uncertain = 0


def commands(count: int, seed: int) -> dict[str, Any]:
    """Part 1."""
    began = time.monotonic()
    with HostFirmware(start_nm=5_000_000) as firmware, MotorTrace(firmware.trace_path) as trace:
        with FaultyLine(firmware.port) as line:
            bad = BadLine(line, random.Random(seed + 1))
            soak = Soak(
                lambda: BinaryStage(
                    port=line.port,
                    z_min_um=LOW_UM,
                    z_max_um=HIGH_UM,
                    settle_ms=0,
                    assumed_tolerance_um=300.0,
                ),
                trace,
                bad,
                seed,
            )
            bad.spoil()
            lowest, highest = 10**9, 0
            for number in range(count):
                soak.command(line)
                if number % BATCH == BATCH - 1:
                    soak.count()
                    _, motor = trace.read_new()
                    if len(motor):
                        lowest = min(lowest, int(motor.min()))
                        highest = max(highest, int(motor.max()))
                if number % 5000 == 4999:
                    print(number + 1, dict(soak.outcomes), file=sys.stderr, flush=True)
            soak.count()
            bad.mend()
            soak.stage.close()
        return {
            "commands": count,
            "faults_made": dict(bad.done),
            "outcomes": dict(soak.outcomes),
            "moves_begun": trace.moves_started,
            "confirmed_moves_lost": soak.lost,
            "moves_made_twice": soak.twice,
            "motor_nm": [lowest, highest],
            "window_nm": [round(LOW_UM * 1e3), round(HIGH_UM * 1e3)],
            "motor_entries_missed": trace.lost,
            "outside_window": int(lowest < LOW_UM * 1e3) + int(highest > HIGH_UM * 1e3),
            "seconds": round(time.monotonic() - began, 1),
        }


def resynchronisation(count: int, seed: int) -> dict[str, Any]:
    """Part 2."""
    dice = random.Random(seed)
    sacrificed: Counter[int] = Counter()
    with HostFirmware(start_nm=5_000_000) as firmware:
        raw = RawHost(firmware.port)
        raw.hello()
        for piece in range(count):
            wire = encode_damaged(dice)
            first = piece * 4 + 1
            sync = [m.Sync(HELLO.session, first + n) for n in range(3)]
            raw.link.write(wire)
            for message in sync:
                raw.send(message)
            token = raw.wait(m.SyncAck).token
            while not first <= token < first + 3:
                token = raw.wait(m.SyncAck).token
            sacrificed[token - first] += 1
            if piece % 50 == 49:
                raw.hello()
        raw.close()
    return {
        "damaged_pieces": count,
        "sound_frames_lost_after_it": {str(n): sacrificed[n] for n in sorted(sacrificed)},
    }


def encode_damaged(dice: random.Random) -> bytes:
    """A frame with a wrong bit, cut short, or junk up to 200 bytes with or without zeros."""
    code, payload = m.encode(m.Stop(HELLO.session + 1))
    wire = encode_frame(Frame(m.PROTOCOL_VERSION, code, 7, payload))
    kind = dice.randrange(4)
    if kind == 0:
        return flip(wire)[0]
    if kind == 1:
        return cut(wire)[0]
    if kind == 2:
        return dice.randbytes(dice.randrange(1, 200))
    return bytes(dice.randrange(1, 256) for _ in range(dice.randrange(1, 200)))


def main() -> None:
    """Run both parts; exit 1 when a promise is broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--commands", type=int, default=100_000)
    parser.add_argument("--pieces", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    numbers = {
        "line": commands(options.commands, options.seed),
        "resync": resynchronisation(options.pieces, options.seed),
    }
    machine.write(options.json, numbers)
    line, frames = numbers["line"], numbers["resync"]["sound_frames_lost_after_it"]
    broken = line["confirmed_moves_lost"] or line["moves_made_twice"] or line["outside_window"]
    sys.exit(1 if broken or max(int(n) for n in frames) > 1 else 0)


if __name__ == "__main__":
    main()
