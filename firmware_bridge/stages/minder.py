"""Somebody who stops the axis when this process cannot: for controllers without a watchdog.

A controller that is driven by lines of text finishes the move it was sent, whatever becomes of who
sent it. So a second, small process holds the same line (`firmware_bridge.stages.minder_process`)
and hears from us every 25 ms while the axis moves. It is started at the first move.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from firmware_bridge.errors import StageRefused, StageUncertain

BEAT_S = 0.025
PROGRAM = Path(__file__).with_name("minder_process.py")
ENDED = (
    "its minder has ended while the axis moved: killed, or it stopped the axis because this "
    "program stood still"
)
_START_S = 10.0  # a new interpreter on a busy computer
_END_S = _START_S  # if it is killed before it had a turn, nobody stops an axis that still moves


class Minder:
    """One line's. Safe in several threads."""

    def __init__(
        self, line: int, halt: bytes, moving: Callable[[], bool], ended: Callable[[], None]
    ) -> None:
        """`line`: the descriptor; `halt`: bytes that stop the axis wherever they come; `moving` is
        asked before each beat; `ended` is called when the other process is gone while it moved."""
        self._line, self._halt = line, halt
        self._moving, self._ended = moving, ended
        self._one = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._moves = threading.Event()
        self._closing = False

    def begin(self, goes_on: bool = False) -> None:
        """A move is about to be sent. StageRefused("UNMINDED") when nobody would stop it.

        `goes_on`: the next part of one; StageUncertain when who minded the last part has ended.
        """
        with self._one:
            if self._process is None or self._process.poll() is not None:
                if goes_on:
                    raise StageUncertain(ENDED)
                self._start()
            if not self._tell():
                raise StageRefused("UNMINDED", "the process that would stop the axis is gone")
            self._moves.set()

    def close(self) -> None:
        """End it; an axis that still moves is stopped by that. Safe to call twice."""
        with self._one:
            self._closing = True
            process, self._process = self._process, None
            self._moves.set()
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            os.write(process.stdin.fileno(), b"m" if self._moving() else b"r")
        self._end(process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> None:
        old, self._process = self._process, None
        if old is not None:
            self._end(old)
        words = [sys.executable, "-I", "-S", str(PROGRAM), str(self._line), str(os.getpid())]
        try:
            process = subprocess.Popen(
                [*words, self._halt.hex()],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                pass_fds=(self._line,), start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError, MemoryError) as error:
            raise StageRefused("UNMINDED", f"nobody would stop the axis: {error}") from error
        assert process.stdin is not None
        assert process.stdout is not None
        if not (select.select([process.stdout], [], [], _START_S)[0] and process.stdout.read(1)):
            process.kill()
            self._end(process)
            raise StageRefused("UNMINDED", "the process that would stop the axis does not start")
        os.set_blocking(process.stdin.fileno(), False)
        self._process = process
        threading.Thread(target=self._beat, args=(process,), name="z-minder", daemon=True).start()

    def _tell(self) -> bool:
        """One beat, with `_one` held; False when nobody hears it."""
        process = self._process
        if process is None or process.stdin is None:
            return False
        try:
            os.write(process.stdin.fileno(), b"m" if self._moving() else b"r")
        except BlockingIOError:
            pass  # it has not read for long: a busy computer
        except (OSError, ValueError):
            return False
        return True

    def _beat(self, process: subprocess.Popen[bytes]) -> None:
        while True:
            self._moves.wait()
            with self._one:
                if self._closing or self._process is not process:
                    return
                moved = self._moving()
                heard = self._tell()
                if not moved:
                    self._moves.clear()
            if not heard:
                if moved:
                    self._ended()
                return
            time.sleep(BEAT_S)
