"""The flight recorder: every decision of a running loop, written by a thread of its own.

The loop hands over what it noted and goes on; nothing here makes it wait. What the disk does not
take in time is dropped, pictures long before decisions, counted and said. Three levels: the
decisions, always; what the networks were shown, on demand; frames, kept in a ring in memory and
written around events.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.appliance.record.doors import RecordingDoors
from edge.appliance.record.ring import FrameRing, Picture
from edge.appliance.record.session import FORMAT, session_of
from edge.appliance.record.values import state_of
from edge.appliance.record.writer import FLUSH_S, RecordWriter
from edge.appliance.telling import tell
from edge.camera import Frame
from edge.decide.decision import Decision
from edge.loop import Outcome
from edge.rig import Rig
from edge.settings import RecordSettings

SEGMENT_NS = 60_000_000_000  # a file, at most
MOST_WAITING = 2000  # decisions: about a minute of them
MOST_PICTURE_BYTES = 64 << 20  # that wait, beside as much as the ring holds
END_S = 20.0  # for what waits, at the end; the axis has been let go by then
HOLDS = 5  # in a row are an event


class Recorder:
    """A context manager round a loop: `doors` go into `build_rig`, the rig into `of`; `begin` and
    `add` stand round each step. `hear` gets every frame's table, in the recorder's thread."""

    def __init__(
        self,
        settings: RecordSettings,
        folder: Path,
        hear: Callable[[Mapping[str, Any]], None] | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.level, self.folder = settings.level, folder
        self._clock = clock
        ring_bytes = settings.ring_mib << 20
        self._most_picture_bytes = MOST_PICTURE_BYTES + ring_bytes
        self._ring = FrameRing(ring_bytes, self._picture) if self.level == "frames" else None
        on_input = self._input if self.level == "inputs" else None
        self.doors = RecordingDoors(self._ring.offer if self._ring else None, on_input)
        compressed = self.level == "decisions"  # raw pictures hardly shrink, and take long to
        self._writer = RecordWriter(folder, settings.quota_mib << 20, compressed, hear)
        self._queue: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        # each is written by one thread only: what waits is their difference
        self._put = self._taken = self._put_bytes = self._taken_bytes = 0
        self._rig: Rig | None = None
        self._number, self._since_ns, self._holds = 0, 0, 0
        self._state_due, self._new_field = True, False
        self.lost_decisions = self.lost_pictures = 0
        self._thread = threading.Thread(target=self._write, name="sparsefocus-record", daemon=True)

    def __enter__(self) -> Recorder:
        """Begin the threads: before the loop's one gets SCHED_FIFO, which threads inherit."""
        self._thread.start()
        if self._ring is not None:
            self._ring.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._ring is not None:
            self._ring.close()
        self._queue.put(("end",))
        self._thread.join(END_S)
        if self._thread.is_alive():
            tell("sparsefocus: warning: the flight record's disk does not answer: its end is lost")
        if lost := self.lost_decisions + self.lost_pictures:
            tell(f"sparsefocus: warning: the flight record lacks {self.lost_decisions} decisions "
                 f"and {lost - self.lost_decisions} pictures: the disk was too slow")  # fmt: skip

    def of(self, rig: Rig) -> None:
        """The rig whose loop this is; once, before its first frame."""
        self._rig = rig
        try:
            said = session_of(rig, self.doors.has_path)
        except Exception as error:  # noqa: BLE001 - a record without it is better than no run
            tell(f"sparsefocus: warning: the flight record lacks its config: {error}")
            said = {"format": FORMAT, "error": f"{error}"}
        self._queue.put(("session", said))

    def begin(self, new_field: bool = False, changed: bool = False) -> None:
        """Before a step. `new_field`: the controller is about to be told of one; `changed`:
        somebody has just changed what guard or controller go by."""
        assert self._rig is not None
        now_ns = self._clock()
        rotate = now_ns - self._since_ns >= SEGMENT_NS or self._writer.asks or not self._number
        if rotate or self._state_due or changed:
            self._state_due = False
            self._since_ns = now_ns if rotate else self._since_ns
            self._queue.put(("state", now_ns, self._held(self._rig), rotate))
        self._new_field = new_field
        self.doors.tape.begin()

    def _held(self, rig: Rig) -> dict[str, Any]:
        controller, guard = state_of(rig.controller), state_of(rig.guard)
        return {"n": self._number, "stalls": rig.stalls, "controller": controller, "guard": guard}

    def add(self, outcome: Outcome) -> None:
        """After it."""
        assert self._rig is not None
        notes, number = self.doors.tape.end(), self._number
        self._number += 1
        if self._put - self._taken >= MOST_WAITING:
            self.lost_decisions += 1
            self._state_due = True  # from the next one on it can be replayed again
            return
        self._put += 1
        urgent = outcome.decision is Decision.SHUTDOWN
        state = self._rig.state.value.value
        event = number, self._new_field, notes, outcome, state
        self._queue.put(("frame", self._clock(), urgent, *event))
        if self._ring is not None and self._is_event(outcome):
            self._ring.keep()

    def _is_event(self, outcome: Outcome) -> bool:
        held = outcome.decision is Decision.HOLD
        self._holds = self._holds + 1 if held else 0
        back = outcome.plan is not None and outcome.plan.reason.startswith("roll-back")
        bad = outcome.decision in (Decision.SHUTDOWN, Decision.REFUSE)
        return bad or back or self._holds == HOLDS

    def _input(self, frame: Frame, name: str, pixels: npt.NDArray[np.uint8]) -> None:
        """From the loop's thread, within a step: what a network is shown."""
        if self.doors.tape.mine:
            header = {"id": frame.frame_id, "what": name, "shape": list(pixels.shape),
                    "end_ns": frame.exposure_end_ns}  # fmt: skip
            self._picture(Picture(header, pixels), "/inputs")

    def _picture(self, picture: Picture, topic: str = "/pixels") -> None:
        """A picture to be written, if there is room for it to wait; from one thread only."""
        waiting = self._put_bytes - self._taken_bytes
        if waiting + picture.pixels.nbytes > self._most_picture_bytes:
            self.lost_pictures += 1
            return
        self._put_bytes += picture.pixels.nbytes
        self._queue.put(("picture", topic, picture))

    def record(self) -> dict[str, Any]:
        """For the statistics at the end."""
        missed = self._ring.missed if self._ring else 0
        return {
            "folder": str(self.folder), "level": self.level, "frames": self._number,
            "lost_decisions": self.lost_decisions + self._writer.unwritten,
            "lost_pictures": self.lost_pictures + missed,
            "files": self._writer.files, "bytes": self._writer.bytes,
            "disk_refused": self._writer.refused,
        }  # fmt: skip

    def _write(self) -> None:
        """The recorder's thread."""
        writer = self._writer
        while True:
            try:
                kind, *event = self._queue.get(timeout=FLUSH_S)
            except Empty:
                writer.idle()
                continue
            try:
                getattr(writer, kind)(*event)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the loop goes on
                writer.give_up(error)
            if kind == "end":
                return
            if kind == "frame":
                self._taken += 1
            elif kind == "picture":
                self._taken_bytes += event[1].pixels.nbytes
