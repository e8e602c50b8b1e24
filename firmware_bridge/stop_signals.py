"""Whoever ends the program wants the glass to stop: SIGINT, SIGTERM, SIGHUP and SIGQUIT alike.

Python runs a handler between two instructions of the main thread, and a camera's driver or a
network may keep that thread from its next one for seconds. So the number of the signal goes down a
pipe (signal.set_wakeup_fd) to a thread of its own, which stops the stage at once; what the main
thread does about it comes after.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
BY = "stopped by "  # and the signal's name: how a shutdown's reason begins that one of them caused
_STOP_S = 2.0  # a stop on a line that has gone silent: three sends, or one write that is not taken
_END = 0  # no signal has this number

_log = logging.getLogger(__name__)


class Interrupted(KeyboardInterrupt):
    """Raised in the main thread by one of SIGNALS; `number` is which."""

    def __init__(self, number: int) -> None:
        self.name = signal.Signals(number).name
        super().__init__(f"interrupted by {self.name}")
        self.number = number


class StopSignals:
    """A context manager around all that may move glass.

    `stop(name)` is called once, at the first of SIGNALS, from a thread of its own; it must bear
    being called at any moment. Then the main thread gets Interrupted, at once with `raises`, else
    at a second signal only: a loop looks at `asked`. Leaving waits until `stop` has returned, so
    that nothing is closed under it. In another thread than the main one it does nothing: Python
    allows handlers there only. A SIGHUP that was ignored before (nohup) stays ignored.
    """

    def __init__(self, stop: Callable[[str], None], raises: bool = True) -> None:
        self.asked = threading.Event()
        self.name = ""  # of the first signal, once `asked` is set
        self._stop, self._raises = stop, raises
        self._before: dict[int, object] = {}
        self._came: list[int] = []
        self._thread: threading.Thread | None = None

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is not threading.main_thread():
            return self
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._thread = threading.Thread(target=self._listen, name="stop-signals", daemon=True)
        self._thread.start()
        self._wakeup_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._wakeup_before, warn_on_full_buffer=False)
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, bytes([_END]))
        thread.join(_STOP_S)
        if not thread.is_alive():
            os.close(self._read)
        os.close(self._write)

    def _handle(self, number: int, _: FrameType | None) -> None:
        """In the main thread, when it gets round to it."""
        self._came.append(number)
        if self._raises or len(self._came) > 1:
            raise Interrupted(number)

    def _listen(self) -> None:
        while True:
            for number in os.read(self._read, 64):
                if number == _END:
                    return
                if number in SIGNALS and not self.asked.is_set():
                    self._first(signal.Signals(number).name)

    def _first(self, name: str) -> None:
        self.name = name
        self.asked.set()
        try:
            self._stop(name)
        except Exception as error:  # noqa: BLE001 - a dead line cannot be told; the program ends
            _log.warning("the stage could not be told to stop at %s: %s", name, error)
