"""10^5 commands to X, Y and Z through a bad line: none lost, none made twice, none outside.

The drivers of all three axes speak with the firmware's own C on a clock that passes only when they
wait, so days of a scanner take minutes, and the same seed gives the same run. A twentieth of all
frames, both ways, is dropped, spoilt, doubled, delayed, overtaken or cut, and now and then the line
stands still. What the motors were told and the pulses that the camera got are counted by the board,
not taken from what the drivers say.

python -m benchmarks.slide_soak [--commands 100000] [--seed 7] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firmware_bridge.errors import LinkLost, StageRefused, StageUncertain
from firmware_bridge.stages.binary import BinaryStage
from firmware_bridge.stages.binary_xy import BinaryXYStage
from firmware_bridge.xy_stage import Trigger
from tests.support.board_time import BoardTime, board_time
from tests.support.virtual_board import XY_LIMITS, VirtualBoard

WINDOW = (9_000.0, 9_900.0, 11_000.0, 10_100.0)
Z_WINDOW = (4_900.0, 5_100.0)
OVER_UM = 5.0  # so far beyond a window some targets lie: they must be refused
FAULT_RATE = 0.05
STALL_RATE, STALL_US = 5e-5, 300_000
LINE_US, LATE_US = 1_000, 30_000
PITCH_UM, SWEEP_UM_S, RUN_UP_UM = 45.0, 2_000.0, 20.0


class BadLine:
    """Treats frames both ways while `spoils`."""

    def __init__(self, dice: random.Random) -> None:
        self.spoils = False
        self.done: Counter[str] = Counter()
        self._dice = dice
        self._stalled = 0  # frames that still wait

    def __call__(self, data: bytes, to_board: bool) -> list[tuple[int, bytes]]:
        """(us later, what arrives) for each frame."""
        arrivals: list[tuple[int, bytes]] = []
        for piece in data.split(b"\0")[:-1]:
            arrivals += self._treat(piece + b"\0") if self.spoils else [(LINE_US, piece + b"\0")]
        return arrivals

    def _treat(self, wire: bytes) -> list[tuple[int, bytes]]:
        roll = self._dice.random()
        if roll < STALL_RATE:
            self.done["stall"] += 1
            self._stalled = 40
        if self._stalled:
            self._stalled -= 1
            return [(STALL_US, wire)]
        if roll > FAULT_RATE:
            return [(LINE_US, wire)]
        fault = self._dice.choice(("drop", "flip", "duplicate", "delay", "reorder", "truncate"))
        self.done[fault] += 1
        spoilt = bytearray(wire)
        spoilt[len(wire) // 2] ^= 0x10
        return {
            "drop": [], "flip": [(LINE_US, bytes(spoilt))],
            "duplicate": [(LINE_US, wire), (LINE_US + 500, wire)], "delay": [(LATE_US, wire)],
            "reorder": [(3 * LINE_US, wire)], "truncate": [(LINE_US, wire[: len(wire) // 2])],
        }[fault]  # fmt: skip


class SlideSoak:
    """Sends commands; after each it asks the board what became of it."""

    def __init__(self, time: BoardTime, bad: BadLine, seed: int) -> None:
        self.time, self.bad, self.dice = time, bad, random.Random(seed)
        self.outcomes: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()  # lost, twice, outside, pulses
        self.z = BinaryStage(
            port="virtual", z_min_um=Z_WINDOW[0], z_max_um=Z_WINDOW[1], settle_ms=0,
            assumed_tolerance_um=300.0, open_link=lambda *_: time,
        )  # fmt: skip
        self.xy = BinaryXYStage(self.z, window_um=WINDOW, settle_ms=0, assumed_tolerance_um=3_000.0)
        bad.spoils = True

    def command(self) -> None:
        """One, whatever comes of it."""
        roll = self.dice.random()
        what = (
            self._xy_move if roll < 0.55 else self._z_move if roll < 0.80
            else self._sweep if roll < 0.93 else self._stop if roll < 0.96 else self._clear
        )  # fmt: skip
        begun = self._begun()
        try:
            what()
        except StageRefused as refused:
            self.outcomes[f"refused {refused.reason}"] += 1
            self._judge(begun, 0, 0)
            if refused.reason in ("LATCHED", "Z_LATCHED"):
                self._clear()
        except StageUncertain:
            self.outcomes["uncertain"] += 1
            self._judge(begun, 0, 1)
            self._recover()
        else:
            self.outcomes[what.__name__[1:]] += 1
            self._judge(begun, int(what not in (self._stop, self._clear)), 0)

    def _begun(self) -> int:
        return self.time.board.bench.report_xy().moves_started + self._z_begun()

    def _z_begun(self) -> int:
        return self.time.board.bench.report().moves_started

    def _judge(self, before: int, confirmed: int, doubtful: int) -> None:
        begun = self._begun() - before
        self.faults["lost"] += max(0, confirmed - begun)
        self.faults["made twice"] += max(0, begun - confirmed - doubtful)

    def _xy_move(self) -> None:
        x, y = (
            self.dice.uniform(low - OVER_UM, high + OVER_UM)
            for low, high in ((WINDOW[0], WINDOW[2]), (WINDOW[1], WINDOW[3]))
        )
        at = self.xy.status()
        near = min(max(x, at.x_um - 100.0), at.x_um + 100.0)
        self.xy.move_to(near, y, (at.x_um, at.y_um))
        self._maybe_wait(self.xy.wait)

    def _z_move(self) -> None:
        target = self.dice.uniform(Z_WINDOW[0] - OVER_UM, Z_WINDOW[1] + OVER_UM)
        self.z.move_to(target, self.z.status().z_um)
        self._maybe_wait(self.z.wait)

    def _maybe_wait(self, wait: Callable[[float], object]) -> None:
        if self.dice.random() < 0.7:
            wait(5.0)

    def _sweep(self) -> None:
        """A line of pulses; the camera must get each of them, or those before a stop."""
        at = self.xy.wait(5.0)
        sign = 1 if at.x_um < (WINDOW[0] + WINDOW[2]) / 2 else -1
        count = self.dice.randrange(1, 9)
        line = Trigger(at.x_um + sign * RUN_UP_UM, sign * PITCH_UM, count)
        self.time.board.pulses()
        target = line.end_um + sign * RUN_UP_UM
        self.xy.sweep(target, SWEEP_UM_S, (at.x_um, at.y_um), line)
        self.xy.wait(5.0)
        given = [place for place, *_ in self.time.board.pulses()]
        wanted = [round((line.start_um + n * line.pitch_um) * 1e3) for n in range(count)]
        exact = all(0 <= sign * (g - w) < 100 for g, w in zip(given, wanted, strict=False))
        self.faults["pulses lost or moved"] += int(len(given) != count or not exact)
        pulses = self.xy.triggered()
        self.outcomes["pulses"] += len(given)
        self.outcomes["pulses not told"] += len(given) - len({one.count for one in pulses})
        self.faults["pulses told twice"] += len(pulses) - len({one.count for one in pulses})

    def _stop(self) -> None:
        self.xy.stop()

    def _clear(self) -> None:
        try:
            self.xy.wait(5.0)
            self.z.wait(5.0)
            self.xy.clear()
            self.z.clear()
        except StageRefused as refused:
            self.outcomes[f"refused {refused.reason}"] += 1
        except StageUncertain:
            self._recover()

    def _recover(self) -> None:
        """As a person would: mend the line, a new handshake, clear the latches."""
        self.bad.spoils = False
        self.time.pass_s(0.4)  # what was delayed or stood still has arrived, and all is at rest
        for _ in range(2):
            try:
                self.z.reconnect()
                self.xy.reconnect()
                break
            except LinkLost:
                self.outcomes["port opened anew"] += 1
        self.time.pass_s(0.4)
        if self.xy.status().latched:
            self.xy.clear()
        if self.z.status().latched:
            self.z.clear()
        self.bad.spoils = True

    def outside(self) -> int:
        """Ends of ways beyond a window, seen by the motors."""
        slide, z = self.time.board.bench.report_xy(), self.time.board.bench.report()
        low_high = (
            (slide.x_lowest_nm, slide.x_highest_nm, WINDOW[0], WINDOW[2]),
            (slide.y_lowest_nm, slide.y_highest_nm, WINDOW[1], WINDOW[3]),
            (z.lowest_nm, z.highest_nm, *Z_WINDOW),
        )
        return sum(
            int(low < least * 1e3) + int(high > most * 1e3) for low, high, least, most in low_high
        )


def soak(count: int, seed: int) -> dict[str, Any]:
    """What became of `count` commands."""
    board = VirtualBoard(xy_limits=XY_LIMITS)
    bad = BadLine(random.Random(seed + 1))
    with board_time(board, bad) as time:
        run = SlideSoak(time, bad, seed)
        for number in range(count):
            run.command()
            if number % 5_000 == 4_999:
                print(number + 1, dict(run.outcomes), file=sys.stderr, flush=True)
        begun = run._begun()
        return {
            "command": f"python -m benchmarks.slide_soak --commands {count} --seed {seed}",
            "commands": count,
            "seed": seed,
            "hours_of_the_board": round(board.now_us / 3.6e9, 2),
            "faults_made": dict(bad.done),
            "outcomes": dict(run.outcomes),
            "moves_begun": begun,
            "confirmed_moves_lost": run.faults["lost"],
            "moves_made_twice": run.faults["made twice"],
            "outside_window": run.outside(),
            "sweeps_with_pulses_lost_or_moved": run.faults["pulses lost or moved"],
            "pulses_told_twice": run.faults["pulses told twice"],
        }


def broken(result: dict[str, Any]) -> list[str]:
    """What must be 0 and is not."""
    zero = ("confirmed_moves_lost", "moves_made_twice", "outside_window",
            "sweeps_with_pulses_lost_or_moved", "pulses_told_twice")  # fmt: skip
    return [f"{name} = {result[name]}" for name in zero if result[name]]


def main() -> int:
    """0 when nothing was lost, made twice or outside."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--commands", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = soak(options.commands, options.seed)
    text = json.dumps(result, indent=1)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")
    faults = broken(result)
    print("\n".join(faults) or "nothing lost, nothing twice, nothing outside")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
