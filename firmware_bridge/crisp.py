"""The commands of ASI's CRISP focus lock, for whatever holds focus behind an ASI line.

What Micro-Manager's CRISP device asks: lock, unlock, state, error and offset are real; the
settings of an infrared diode that is not there are answered as the manual formats them, and cannot
be changed. States by their letters: I idle, R ready, K trying to lock, F in focus, E error.
"""

from __future__ import annotations

import re
from typing import Protocol

UNITS_PER_UM = 100  # of LK Z, the offset
WORDS = ("LK", "LR", "RT", "UL", "AL", "EXTRA", "CD", "LOCK", "LOCKRG", "RTIME", "ULED", "AALIGN")
_SHORT = {"LOCK": "LK", "LOCKRG": "LR", "RTIME": "RT", "ULED": "UL", "AALIGN": "AL"}
#: of a diode: NA, range in mm, gain, averages, and so on
_SETTINGS = {
    "LR X?": "1", "LR Y?": "0.75", "LR Z?": "0.050", "LR T?": "10", "LR F?": "0",
    "RT F?": "1", "UL X?": "0", "UL Y?": "0", "AL X?": "0", "AL Z?": "0.00063",
}  # fmt: skip
_COMPILED = "Jan 01 2016:12:00:00"  # an age from which the newer questions are asked


class FocusLock(Protocol):
    """Whoever holds focus. What raises has changed nothing."""

    def state(self) -> str:
        """One of I, R, K, F, E."""
        ...

    def lock(self) -> None:
        """Focus, and follow."""
        ...

    def unlock(self, idle: bool = False) -> None:
        """Move nothing any more."""
        ...

    def error_um(self) -> float | None:
        """How far from focus the last picture was; None where nobody knows."""
        ...

    def offset_um(self) -> float:
        """What is called sharp, above the sharpest plane."""
        ...

    def set_offset_um(self, offset_um: float) -> None: ...


def answer(lock: FocusLock, word: str, rest: str) -> str | None:
    """The answer to a command, None where there is none."""
    command = f"{_SHORT.get(word, word)} {' '.join(rest.split())}".strip()
    if command in _SETTINGS:
        return f":A {_SETTINGS[command]}"
    if command == "CD":
        return _COMPILED
    if command == "LK X?":
        return f":A {lock.state()}"
    if command in ("LK Y?", "LK T?", "EXTRA Y?"):
        return f":A {_error(lock) if command == 'LK Y?' else _sum(lock)}"
    if command == "EXTRA X?":  # sum and error, as the display has them
        return f"I {_sum(lock)} {_error(lock)}"
    if command == "LK Z?":
        return f":A {round(lock.offset_um() * UNITS_PER_UM)}"
    if match := re.fullmatch(r"LK Z=(-?\d{1,5})", command):
        lock.set_offset_um(int(match[1]) / UNITS_PER_UM)
        return ":A"
    if match := re.fullmatch(r"LK F=(79|83|85)", command):
        if match[1] == "83":
            lock.lock()
        else:
            lock.unlock(idle=match[1] == "79")
        return ":A"
    return None


def _error(lock: FocusLock) -> int:
    """In nm; 1 where it is nothing: programs take 0 for no answer."""
    error_um = lock.error_um()
    return 9999 if error_um is None else round(1000 * error_um) or 1


def _sum(lock: FocusLock) -> int:
    """Of the light, as far as there is any: whether the picture could be read."""
    return 0 if lock.error_um() is None else 100
