"""What ends a move, or takes from a command what it may need: done to its process, or beside it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from benchmarks.stop_rigs import Rig

DRIVERS = ("binary", "binary-process", "asi", "pi", "tmcl", "zaber", "prior", "tango", "grbl")
HOME = "stage home"
VERBS = ("stage move", "stage serve-asi", "run", "calibrate", "simulate", "stage conformance", HOME)
LATER_S = 0.1


class Way(Protocol):
    """Does it to the command, or to what belongs to it, while the axis moves."""

    def __call__(self, process: subprocess.Popen[bytes], rig: Rig) -> None: ...


def signalled(name: str) -> Way:
    """A signal to the command alone."""
    return lambda process, rig: process.send_signal(getattr(signal, name))


def then_interrupted(what: Callable[[subprocess.Popen[bytes], Rig], object]) -> Way:
    """What takes nothing from a move ends none: whoever is in charge is asked to, a little later,
    and must still be able to."""

    def way(process: subprocess.Popen[bytes], rig: Rig) -> None:
        what(process, rig)
        time.sleep(LATER_S)
        with suppress(ProcessLookupError):  # it ended by itself, and stopped the axis
            process.send_signal(signal.SIGINT)

    return way


def child_killed(process: subprocess.Popen[bytes], rig: Rig) -> None:
    """The kernel's choice when memory is used up: the process that keeps the line."""
    for child in children(process.pid):
        os.kill(child, signal.SIGKILL)


def child_frozen(process: subprocess.Popen[bytes], rig: Rig) -> None:
    """Likewise, suspended."""
    for child in children(process.pid):
        os.kill(child, signal.SIGSTOP)


def both_gone(process: subprocess.Popen[bytes], rig: Rig) -> None:
    """Who would stop the axis is frozen, and then who moves it is killed."""
    child_frozen(process, rig)
    process.kill()


def hung_up(process: subprocess.Popen[bytes], rig: Rig) -> None:
    """The line is cut: nothing passes either way."""
    rig.hang_up()


def without_memory(process: subprocess.Popen[bytes], rig: Rig) -> None:
    """From now on the system gives it none."""
    _limit(process, resource.RLIMIT_AS)


def without_a_reader(process: subprocess.Popen[bytes], rig: Rig) -> None:
    """No file grows any more, as on a full disk, and nobody reads its standard output."""
    _limit(process, resource.RLIMIT_FSIZE)
    assert process.stdout is not None
    process.stdout.close()


def _limit(process: subprocess.Popen[bytes], kind: int) -> None:
    _, most = resource.prlimit(process.pid, kind)
    resource.prlimit(process.pid, kind, (0, most))


def camera_silent(process: subprocess.Popen[bytes], rig: Rig) -> None:
    """No frame comes any more (benchmarks.silent_camera)."""
    rig.silence.touch()


def client_halts(process: subprocess.Popen[bytes], rig: Rig) -> None:
    """serve-asi: the client that has never read an answer asks for a halt."""
    os.write(rig.client, b"HALT\r")


def client_gone(process: subprocess.Popen[bytes], rig: Rig) -> None:
    """serve-asi: it closes the port."""
    os.close(rig.client)


def children(pid: int) -> list[int]:
    """Of one process; the controllers are ours, not its."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


ENDS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
CUT = "the line is cut"
SILENT = "the camera falls silent; SIGINT 100 ms later"
#: serve-asi alone, and on every driver
CLIENTS: dict[str, Way] = {
    "it has never read an answer, and sends HALT": client_halts,
    "it closes the port; SIGINT 100 ms later": then_interrupted(client_gone),
}
WAYS: dict[str, Way] = {
    **{name: signalled(name) for name in ENDS},
    "SIGKILL, as by the kernel when memory is used up": signalled("SIGKILL"),
    "SIGUSR2, as a crash or any signal that nobody handles": signalled("SIGUSR2"),
    "SIGSTOP, frozen": signalled("SIGSTOP"),
    "SIGTSTP, Ctrl-Z": signalled("SIGTSTP"),
    CUT: hung_up,
    "its helper process is killed": child_killed,
    "its helper process is frozen": child_frozen,
    "its helper process is frozen, and then it is killed": both_gone,
    "the system gives it no memory; SIGINT 100 ms later": then_interrupted(without_memory),
    "its disk is full and its output closed; SIGINT 100 ms later": then_interrupted(
        without_a_reader
    ),
    SILENT: then_interrupted(camera_silent),
}
#: drivers that look for a reference; nothing but a process of ours can stop that
HOMING = ("pi", "zaber")
#: ways in which nobody is left to do so
ALONE = (CUT, "its helper process is frozen, and then it is killed")
#: drivers with a process of their own; a frozen minder ends nothing while its host is alive
HELPED = {
    "its helper process is killed": DRIVERS[1:],
    "its helper process is frozen": ("binary-process",),
    "its helper process is frozen, and then it is killed": DRIVERS[1:],
}


def plan() -> list[tuple[str, str, str]]:
    """Every cell of the tables."""
    moves = [
        ("stage move", driver, way)
        for way in WAYS
        for driver in DRIVERS
        if way != SILENT and driver in HELPED.get(way, DRIVERS)
    ]
    verbs = [(verb, "binary", way) for verb in VERBS[1:] for way in WAYS if fits(verb, way)]
    clients = [("stage serve-asi", driver, way) for way in CLIENTS for driver in DRIVERS]
    homes = [(HOME, *words[1:]) for words in moves if words[1] in HOMING]
    return moves + verbs + clients + homes


def fits(verb: str, way: str) -> bool:
    """Not what cannot be done to a verb: simulate's firmware ends with it."""
    if verb == HOME:
        return False
    if way == SILENT:
        return verb in ("run", "calibrate")
    if way in HELPED or (verb == "simulate" and not way.endswith("later") and way not in ENDS):
        return False
    return way != CUT or verb != "stage conformance"
