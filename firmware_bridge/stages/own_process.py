"""The binary stage in a process of its own, so that busy Python beside it costs it nothing.

The client's threads keep the heartbeat, the clock and the time-outs. In a process whose other
threads compute in Python they wait for the interpreter: the slowest hundredth of the requests then
takes tens of milliseconds instead of a few (docs/decisions/0005). Here they have an interpreter to
themselves. A call from a busy process still waits for its own interpreter, the axis does not.

The firmware's watchdog would then guard the bridge instead of us. So we beat to the bridge as it
beats to the firmware: when the beats end, by our death or because we are frozen, it stops the axis
(`firmware_bridge.stages.bridge_process`).
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import threading
from multiprocessing.connection import Connection
from typing import Any

from firmware_bridge.errors import (
    LinkLost,
    NotConnected,
    ProtocolError,
    StageError,
    StageRefused,
    StageSilent,
    StageUncertain,
)
from firmware_bridge.stage import Exposure, Stage, StageStatus, ZAt
from firmware_bridge.stages.bridge_process import Facts, serve

BEAT_S = 0.025  # six of them may be lost before the bridge stops the axis

_KINDS = {
    kind.__name__: kind
    for kind in (StageUncertain, LinkLost, NotConnected, StageSilent, ProtocolError)
}
_START_S = 30.0  # a new interpreter on a busy computer, then the handshake
_ANSWER_S = 5.0  # longer than the client's own time-outs: then the bridge itself is frozen
_CLOSE_S = 5.0


class OwnProcessStage(Stage):
    """As BinaryStage, with the same settings. Safe in several threads; `stop` overtakes, and so do
    the calls that only read."""

    def __init__(self, **settings: Any) -> None:
        """Start the process and open the stage in it; raises what BinaryStage raises."""
        context = multiprocessing.get_context("spawn")  # no threads, no locks come along
        ours, theirs = zip(*(context.Pipe() for _ in range(3)), strict=True)
        self._moves, self._reads, self._stops = (_Line(end) for end in ours)
        beats, self._beats = context.Pipe(duplex=False)
        self._ends = threading.Event()
        self._process = context.Process(
            target=serve, args=(theirs, beats, settings), name="z-bridge", daemon=True
        )
        self._process.start()
        for end in (*theirs, beats):
            end.close()
        self._beating = threading.Thread(target=self._beat, name="z-bridge-beat", daemon=True)
        self._beating.start()
        try:
            self._take_facts(self._moves.ask("facts", limit_s=_START_S))
        except BaseException:
            self.close()
            raise

    def _take_facts(self, facts: Facts) -> None:
        self.z_min_um, self.z_max_um, self.resolution_um, self.boot_id, self.identity = facts

    def _beat(self) -> None:
        """For as long as we live, and are not frozen."""
        descriptor = self._beats.fileno()
        os.set_blocking(descriptor, False)
        with contextlib.suppress(OSError):  # the bridge is gone: the next call says so
            while not self._ends.wait(BEAT_S):
                with contextlib.suppress(BlockingIOError):  # it does not read: it is frozen itself
                    os.write(descriptor, b".")

    def status(self) -> StageStatus:
        status: StageStatus = self._reads.ask("status")
        return status

    def z_at(self, time_ns: int) -> ZAt:
        """As BinaryStage.z_at; CLOCK_MONOTONIC is the same in every process."""
        where: ZAt = self._reads.ask("z_at", time_ns)
        return where

    def exposures(self) -> list[Exposure]:
        """As BinaryStage.exposures."""
        exposures: list[Exposure] = self._reads.ask("exposures")
        return exposures

    def move_to(self, target_um: float, assumed_um: float) -> int:
        return int(self._moves.ask("move_to", target_um, assumed_um))

    def wait(self, timeout_s: float) -> StageStatus:
        limit_s = timeout_s + _ANSWER_S
        status: StageStatus = self._moves.ask("wait", timeout_s, limit_s=limit_s)
        return status

    def stop(self) -> None:
        """On a line of its own: a waiting `wait` or `move_to` does not hold it up."""
        self._stops.ask("stop")

    def clear(self) -> None:
        self._moves.ask("clear")

    def reconnect(self) -> None:
        """As BinaryStage.reconnect."""
        self._take_facts(self._moves.ask("reconnect", limit_s=_START_S))

    def close(self) -> None:
        """As our death: the bridge stops an axis that moves, ends its session, and itself."""
        self._ends.set()
        if self._beating is not threading.current_thread():
            self._beating.join(_CLOSE_S)
        self._beats.close()
        self._process.join(_CLOSE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        for line in (self._moves, self._reads, self._stops):
            line.close()


class _Line:
    """One call at a time to the bridge; calls carry numbers, so that a late answer to one
    that was interrupted is not taken for the next one's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._one = threading.Lock()
        self._numbers = itertools.count(1)

    def ask(self, name: str, *arguments: Any, limit_s: float = _ANSWER_S) -> Any:
        """The answer; LinkLost when the bridge is gone, or does not answer within `limit_s`."""
        with self._one:
            number = next(self._numbers)
            try:
                self._connection.send((number, name, arguments))
            except (OSError, ValueError) as error:
                raise LinkLost(f"the bridge's process is gone: {error}") from error
            while True:
                answered, failed, value = self._receive(limit_s)
                if answered == number:
                    break
        if failed:
            raise _rebuilt(*value)
        return value

    def _receive(self, limit_s: float) -> Any:
        try:
            if not self._connection.poll(limit_s):
                raise LinkLost(f"the bridge's process did not answer within {limit_s:g} s")
        except (OSError, EOFError) as error:
            raise LinkLost("the bridge's process is gone") from error
        try:
            return self._connection.recv()
        except (OSError, EOFError) as error:
            raise LinkLost("the bridge's process is gone") from error
        except BaseException:  # within an answer: nobody could tell where the next one begins
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()


def _rebuilt(kind: str, reason: str, text: str) -> StageError:
    """The error of the other process."""
    if kind != "StageRefused":
        return _KINDS.get(kind, StageUncertain)(text)
    refused = StageRefused(reason)
    refused.args = (text,)
    return refused
