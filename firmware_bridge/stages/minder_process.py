"""A small process that stops the axis when its owner dies or is frozen; `Minder` starts it.

It needs nothing but Python itself, so that it is up in milliseconds: the owner runs this file with
the descriptor of the line, its own process id, and the bytes that stop the axis wherever they come.
On its standard input come beats: `m` while the axis moves, `r` once it rests. Silence while it
moves, or the end of the input, is answered with these bytes; then it ends, and its end tells an
owner that wakes up again.
"""

import os
import select
import signal
import sys
import time

SILENT_S = 0.15  # six beats
STARVED_S = 1.0  # for an owner that would run, but is given no turn by a busy computer
SENDS, APART_S = 3, 0.02  # a stop may be damaged on the line, or swallowed by half a command


def runnable(owner: int) -> bool:
    """Whether a thread of the owner would run if it were let: starved then, and not frozen."""
    try:
        for task in os.listdir(f"/proc/{owner}/task"):
            with open(f"/proc/{owner}/task/{task}/stat", "rb") as stat:
                if stat.read().rpartition(b")")[2].split()[0] == b"R":
                    return True
    except (OSError, IndexError):
        pass
    return False


def silent_too_long(owner: int, since_s: float) -> bool:
    """Whether a silence of `since_s` says that the owner is frozen, or dead."""
    return since_s >= STARVED_S or (since_s >= SILENT_S and not runnable(owner))


def mind(beats: int, owner: int, halt: bytes, line: int) -> None:
    """Until the owner is gone, or the axis was stopped in its place."""
    moving, heard = False, time.monotonic()
    while True:
        wait_s = SILENT_S / 5 if moving else None
        if select.select([beats], [], [], wait_s)[0]:
            beat = os.read(beats, 4096)
            if not beat:
                break
            moving, heard = beat.endswith(b"m"), time.monotonic()
        elif silent_too_long(owner, time.monotonic() - heard):
            break
    if moving:
        stop(line, halt)


def stop(line: int, halt: bytes) -> None:
    """Write it, and again; a line that takes nothing is given up."""
    for _ in range(SENDS):
        try:
            select.select([], [line], [], APART_S)
            os.write(line, halt)
        except OSError:
            pass
        time.sleep(APART_S)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # for the owner: it ends in order, and we with it
    os.write(1, b"k")
    mind(0, int(sys.argv[2]), bytes.fromhex(sys.argv[3]), int(sys.argv[1]))
