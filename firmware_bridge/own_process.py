"""The binary stage in a process of its own, so that busy Python beside it costs it nothing.

The client's threads keep the heartbeat, the clock and the time-outs. In a process whose other
threads compute in Python they wait for the interpreter: the slowest hundredth of the requests then
takes tens of milliseconds instead of a few (docs/decisions/0005). Here they have an interpreter to
themselves. A call from a busy process still waits for its own interpreter, the axis does not.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
from multiprocessing.connection import Connection
from typing import Any

from firmware_bridge.errors import LinkLost, ProtocolError, StageError, StageRefused, StageUncertain
from firmware_bridge.stage import Exposure, Stage, StageStatus, ZAt

_KINDS = {kind.__name__: kind for kind in (StageUncertain, LinkLost, ProtocolError)}
_START_S = 30.0  # a new interpreter on a busy computer, then the handshake
_CLOSE_S = 5.0


class OwnProcessStage(Stage):
    """As BinaryStage, with the same settings. Safe in several threads; `stop` overtakes."""

    def __init__(self, **settings: Any) -> None:
        """Start the process and open the stage in it; raises what BinaryStage raises."""
        context = multiprocessing.get_context("spawn")  # no threads, no locks come along
        self._calls, calls = context.Pipe()
        self._stops, stops = context.Pipe()
        self._one_call, self._one_stop = threading.Lock(), threading.Lock()
        self._process = context.Process(
            target=_serve, args=(calls, stops, settings), name="z-bridge", daemon=True
        )
        self._process.start()
        calls.close()
        stops.close()
        try:
            self._take_facts(_answer(self._calls, _START_S))
        except StageError:
            self.close()
            raise

    def _take_facts(self, facts: tuple[float, float, float, int]) -> None:
        self.z_min_um, self.z_max_um, self.resolution_um, self.boot_id = facts

    def status(self) -> StageStatus:
        status: StageStatus = self._call("status")
        return status

    def z_at(self, time_ns: int) -> ZAt:
        """As BinaryStage.z_at; CLOCK_MONOTONIC is the same in every process."""
        where: ZAt = self._call("z_at", time_ns)
        return where

    def exposures(self) -> list[Exposure]:
        """As BinaryStage.exposures."""
        told: list[Exposure] = self._call("exposures")
        return told

    def move_to(self, target_um: float, assumed_um: float) -> int:
        return int(self._call("move_to", target_um, assumed_um))

    def wait(self, timeout_s: float) -> StageStatus:
        status: StageStatus = self._call("wait", timeout_s)
        return status

    def stop(self) -> None:
        """On a line of its own: a waiting `wait` or `move_to` does not hold it up."""
        with self._one_stop:
            _ask(self._stops, "stop", ())

    def clear(self) -> None:
        self._call("clear")

    def reconnect(self) -> None:
        """As BinaryStage.reconnect."""
        self._take_facts(self._call("reconnect"))

    def close(self) -> None:
        if self._one_call.acquire(timeout=_CLOSE_S):  # a call may still be waiting for the axis
            with contextlib.suppress(StageError, OSError):
                _ask(self._calls, "close", ())
            self._one_call.release()
            self._process.join(_CLOSE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._calls.close()
        self._stops.close()

    def _call(self, name: str, *arguments: Any) -> Any:
        with self._one_call:
            return _ask(self._calls, name, arguments)


def _ask(line: Connection, name: str, arguments: tuple[Any, ...]) -> Any:
    try:
        line.send((name, arguments))
    except (OSError, ValueError) as error:
        raise LinkLost(f"the bridge's process is gone: {error}") from error
    return _answer(line, None)


def _answer(line: Connection, timeout_s: float | None) -> Any:
    try:
        if not line.poll(timeout_s):
            raise LinkLost(f"the bridge's process did not start within {timeout_s} s")
        failed, value = line.recv()
    except (OSError, EOFError) as error:
        raise LinkLost("the bridge's process is gone") from error
    if failed:
        raise _rebuilt(*value)
    return value


def _rebuilt(kind: str, reason: str, text: str) -> StageError:
    """The error of the other process."""
    if kind != "StageRefused":
        return _KINDS.get(kind, StageUncertain)(text)
    refused = StageRefused(reason)
    refused.args = (text,)
    return refused


# ---- the other process ------------------------------------------------------------------------


def _serve(calls: Connection, stops: Connection, settings: dict[str, Any]) -> None:
    """Open the stage and answer until the owner closes it or is gone."""
    from firmware_bridge.stages.binary import BinaryStage

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the owner, who closes in order
    stage: BinaryStage | None = None
    try:
        stage = BinaryStage(**settings)
    except Exception as error:  # noqa: BLE001 - whatever it is, the owner must raise it
        calls.send((True, _told(error)))
        return
    calls.send((False, _facts(stage)))
    threading.Thread(target=_answer_calls, args=(stops, stage), daemon=True).start()
    _answer_calls(calls, stage)
    stage.close()


def _answer_calls(line: Connection, stage: Any) -> None:
    with contextlib.suppress(
        EOFError, OSError
    ):  # the owner is gone: end, the watchdog does its part
        while True:
            name, arguments = line.recv()
            try:
                value = getattr(stage, name)(*arguments)
                line.send((False, _facts(stage) if name == "reconnect" else value))
            except Exception as error:  # noqa: BLE001
                line.send((True, _told(error)))
            if name == "close":
                return


def _facts(stage: Any) -> tuple[float, float, float, int]:
    return stage.z_min_um, stage.z_max_um, stage.resolution_um, stage.boot_id


def _told(error: Exception) -> tuple[str, str, str]:
    return type(error).__name__, getattr(error, "reason", ""), str(error)
