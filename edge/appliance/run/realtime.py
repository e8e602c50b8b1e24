"""What the operating system can do for a loop that must not be late, and whether it did.

Each measure is asked for in the config and none is needed: a laptop without the rights runs on,
and says what it could not have. Sources: sched(7), mlockall(2), Python's gc module.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge.settings import RealtimeSettings

MCL_CURRENT, MCL_FUTURE = 1, 2  # sys/mman.h


@dataclass(frozen=True, slots=True)
class Measure:
    """One of them: `why` says what stood in the way, empty when it was done."""

    name: str
    done: bool
    why: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {'done' if self.done else 'not done, ' + self.why}"


def apply(settings: RealtimeSettings) -> list[Measure]:
    """Do what is asked for, to this process; what cannot be done is said and left."""
    wanted: list[tuple[str, bool, Callable[[], None]]] = [
        ("memory locked", settings.lock_memory, _lock_memory),
        (f"cores {_list(settings.cores)}", bool(settings.cores), lambda: _pin(settings.cores)),
        (f"SCHED_FIFO {settings.priority}", settings.priority > 0,
         lambda: _first_in_first_out(settings.priority)),
    ]  # fmt: skip
    return [_tried(name, action) for name, asked, action in wanted if asked]


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """No garbage collection inside: what was made before is never looked at again, what is made in
    the loop goes by its reference counts (tests/edge/appliance/run/test_realtime.py: a step leaves
    no cycles)."""
    was_on = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()


def _tried(name: str, action: Callable[[], None]) -> Measure:
    try:
        action()
    except PermissionError:
        return Measure(name, False, "the system does not allow it (docs/run.md says how it would)")
    except (OSError, ValueError, AttributeError) as error:
        return Measure(name, False, f"{getattr(error, 'strerror', None) or error}")
    return Measure(name, True)


def _lock_memory() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(MCL_CURRENT | MCL_FUTURE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _pin(cores: tuple[int, ...]) -> None:
    have = os.sched_getaffinity(0)
    missing = sorted(set(cores) - have)
    if missing:
        raise ValueError(f"there is no core {_list(missing)}; there are {_list(sorted(have))}")
    os.sched_setaffinity(0, cores)


def _first_in_first_out(priority: int) -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))


def _list(numbers: tuple[int, ...] | list[int]) -> str:
    return ", ".join(map(str, numbers))
