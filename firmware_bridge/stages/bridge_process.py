"""The other process of `own_process`: it drives the axis while its owner lives.

The owner beats every 25 ms. Silence for 150 ms while the axis moves, or while a move is being sent,
ends in STOP (100 ms more to brake from top speed), and the firmware gets no heartbeat until the
axis rests: if STOP is lost, its watchdog acts. The end of the pipe means that the owner is gone:
stop, end the session, end. At rest a silent owner costs nothing, as a silent host costs the
firmware nothing.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from firmware_bridge.errors import StageError
from firmware_bridge.stage import Identity
from firmware_bridge.stages.minder_process import SILENT_S, silent_too_long
from firmware_bridge.stop_signals import SIGNALS, StopSignals

if TYPE_CHECKING:
    from firmware_bridge.stages.binary import BinaryStage

#: z_min_um, z_max_um, resolution_um, boot_id, identity
Facts = tuple[float, float, float, int, Identity]
_BRAKING_S = 1.0  # how long the way to rest is awaited before the session is ended


class Owner:
    """Whether the process for which we drive the axis is still there, and what to do when not."""

    def __init__(self, beats: Connection) -> None:
        self.silent = self.gone = False
        self.stage: BinaryStage | None = None
        self._beats = beats
        self._parent = os.getppid()
        self._sending = threading.Lock()  # held while a move is being sent

    def may_beat(self) -> bool:
        """Whether the firmware may hear from us that all is well."""
        return not (self.silent and self._moves())

    def watch(self) -> None:
        """Until the owner is gone; then this process ends. Runs in a thread of its own."""
        heard = time.monotonic()
        while True:
            readable, _, _ = select.select([self._beats], [], [], SILENT_S / 5)
            if readable:
                self.silent, heard = False, time.monotonic()
                if not self._read():
                    break
                continue
            if os.getppid() != self._parent:  # a child of its own may hold the pipe open
                break
            if silent_too_long(self._parent, time.monotonic() - heard):
                self.silent = True
                self._stop_if_moving()
        self.end()

    def _read(self) -> bool:
        try:
            return bool(os.read(self._beats.fileno(), 4096))
        except OSError:
            return False

    def move(self, name: str, arguments: Sequence[Any]) -> Any:
        """Call the stage for the owner; what moves is not begun for one that is gone."""
        assert self.stage is not None
        if name != "move_to":
            return getattr(self.stage, name)(*arguments)
        with self._sending:
            if self.gone:
                raise StageError("the owner is gone")
            return self.stage.move_to(*arguments)

    def _moves(self) -> bool:
        """True also when nobody can tell."""
        if self.stage is None:
            return False
        try:
            return self._sending.locked() or self.stage.status().moving
        except StageError:
            return True

    def _stop_if_moving(self) -> None:
        """A move that is being sent right now is refused by the latch, or braked."""
        if self.stage is not None and self._moves():
            with contextlib.suppress(StageError):
                self.stage.stop()

    def end(self) -> None:
        """Stop an axis that moves and end the session once it rests, so that the next host need not
        wait; then end, whatever the other threads wait for."""
        self.silent = self.gone = True
        self._stop_if_moving()
        if self.stage is not None:
            with contextlib.suppress(StageError):
                self.stage.wait(_BRAKING_S)
            with contextlib.suppress(Exception):
                self.stage.close()
        os._exit(0)


def serve(lines: Sequence[Connection], beats: Connection, settings: dict[str, Any]) -> None:
    """Open the stage and answer until the owner is gone. `lines`: moves, reads, stops."""
    from firmware_bridge.stages.binary import BinaryStage

    owner = Owner(beats)
    with StopSignals(lambda _: owner.end(), raises=False):
        for number in SIGNALS:
            if number != signal.SIGTERM:  # it is for us when a service ends; Ctrl-C is the owner's
                signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=owner.watch, name="owner", daemon=True).start()
        moves, *others = lines
        asked, _, _ = moves.recv()  # "facts"
        try:
            owner.stage = stage = BinaryStage(**settings, may_beat=owner.may_beat)
        except Exception as error:  # noqa: BLE001 - whatever it is, the owner must raise it
            moves.send((asked, True, _as_reply(error)))
            return
        moves.send((asked, False, _facts(stage)))
        for line in others:
            threading.Thread(target=_answer_calls, args=(line, owner), daemon=True).start()
        _answer_calls(moves, owner)
        threading.Event().wait()  # the owner is gone; `watch` ends the process


def _answer_calls(line: Connection, owner: Owner) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            number, name, arguments = line.recv()
            try:
                value = owner.move(name, arguments)
                answer = number, False, _facts(owner.stage) if name == "reconnect" else value
            except Exception as error:  # noqa: BLE001
                answer = number, True, _as_reply(error)
            line.send(answer)


def _facts(stage: Any) -> Facts:
    um = stage.z_min_um, stage.z_max_um, stage.resolution_um
    return *um, stage.boot_id, stage.identity


def _as_reply(error: Exception) -> tuple[str, str, str]:
    return type(error).__name__, getattr(error, "reason", ""), str(error)
