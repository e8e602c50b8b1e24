"""The settings of what surrounds the loop: what the system does for it, its record, its clients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.settings.config_key import key

RECORD_LEVELS = ("none", "decisions", "inputs", "frames")


@dataclass(frozen=True, slots=True)
class RealtimeSettings:
    """`priority` 1..99 of SCHED_FIFO, 0 = the usual scheduler; `cores` to run on, none = any;
    `lock_memory`: no page is ever swapped out."""

    priority: int = key("integer", "of SCHED_FIFO, 0 = the usual scheduler", 0, 99, default=0)
    cores: tuple[int, ...] = key("integers", "to run on, none = any", 0, 1023, default=())
    lock_memory: bool = key("truth", "no page is ever swapped out", default=False)


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """The flight record (edge.appliance.record). `folder` None = among the user's state."""

    level: str = key("choice", "what is kept of each frame: its decision, or also what the "
                     "networks were shown, or the frame itself around events (docs/record.md)",
                     choices=RECORD_LEVELS, default="decisions")  # fmt: skip
    folder: Path | None = key("path", "where its files are. Default: records, among this user's "
                              "state", default=None)  # fmt: skip
    quota_mib: int = key("integer", "MiB of all its files; the oldest go", 64, 1 << 24,
                         default=4096)  # fmt: skip
    ring_mib: int = key("integer", "MiB of memory for the frames before an event", 16, 65536,
                        default=256)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """A socket on this machine by which other programs talk to `run` (edge.appliance.control)."""

    socket: Path = key("path", "of the socket that `run` makes; its folder must be there")
    uids: tuple[int, ...] = key("integers", "who may use it beside root and the user who runs it",
                                0, 2**32 - 2, default=())  # fmt: skip
    mode: str = key("choice", "of the socket's file: its user, and its group, may connect",
                    choices=("0600", "0660"), default="0660")  # fmt: skip
