"""The recorded world in the doors of a rig: it answers what it answered then, in that order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edge.appliance.record.again import Again
from edge.appliance.record.compare import call_of, first_difference, same, shown
from edge.appliance.record.doors import CLOCK, FRAME, MEASURED, PATH, SECOND, STAGE
from edge.appliance.record.messages import frame_of
from edge.appliance.record.values import error_again, plain, value_of
from edge.camera import Camera, Frame
from edge.decide.tracking import ScanPath
from edge.latency import Lap
from edge.measure.sensor import Measurement, Measurer
from firmware_bridge.stage import Stage, StageStatus, ZAt

NO_PIXELS = np.zeros((1, 1, 3), np.uint8)


class Differs(Exception):
    """The loop asks for what it did not ask for then."""

    def __init__(self, field: str, recorded: str, now: str) -> None:
        super().__init__(field)
        self.field, self.recorded, self.now = field, recorded, now


class ReplayDoors:
    """The recorded world in every door of a rig (edge.rig.Doors)."""

    def __init__(
        self, session: Mapping[str, Any], again: Again | None = None, tolerance: float = 0.0
    ) -> None:
        self._session, self._again, self.tolerance = session, again, tolerance
        self.notes: Sequence[list[Any]] = ()
        self._at = 0
        self.clocks: Iterator[int] | None = None
        self.measured = 0

    def parts(self) -> dict[str, Any]:
        """What `edge.rig.build_rig` is given, beside the doors, so that it opens nothing."""
        path = _Path(self) if self._session["path"] else None
        camera, stage = _Camera(self), _Stage(self, self._session["stage"])
        return {"camera": camera, "stage": stage, "path": path, "sensor": _Sensor(self, None)}

    def begin(self, notes: Sequence[list[Any]]) -> None:
        """A frame's notes."""
        self.notes, self._at, self.clocks = notes, 0, None

    def end(self) -> None:
        """Differs where the loop left something unasked."""
        if self._at < len(self.notes):
            raise Differs("what the loop asks", shown(self.notes[self._at]), "nothing more")

    def take(self, kind: str, *asked: Any) -> list[Any]:
        """The next note, which must be of this kind."""
        note = self.notes[self._at] if self._at < len(self.notes) else None
        if note is None or note[0] != kind:
            raise Differs("what the loop asks", shown(note), shown([kind, *asked]))
        self._at += 1
        return note

    def clock(self, clock: Callable[[], int]) -> Callable[[], int]:
        """The recorded readings."""

        def reading() -> int:
            if self.clocks is None:
                return int(self.take(CLOCK)[1]) if self.notes else 0
            now_ns = next(self.clocks, None)
            if now_ns is None:
                raise Differs("clock", "no more readings while measuring", "another one")
            return now_ns

        return reading

    def camera(self, camera: Camera) -> Camera:
        """The recorded frames."""
        return _Camera(self)

    def stage(self, stage: Stage) -> Stage:
        """The recorded answers."""
        return _Stage(self, self._session["stage"])

    def path(self, path: ScanPath) -> ScanPath:
        """The recorded places."""
        return _Path(self)

    def sensor(self, sensor: Measurer) -> Measurer:
        """The recorded measurements."""
        kind = _SensorThatLooksAgain if self._session["looks_again"] else _Sensor
        return kind(self, self._again)


class _Camera(Camera):
    def __init__(self, doors: ReplayDoors) -> None:
        self._doors = doors

    def next(self, timeout_s: float) -> Frame:
        _, header, error = self._doors.take(FRAME)
        if error is not None:
            raise error_again(error)
        return frame_of(header, NO_PIXELS)

    def close(self) -> None:
        """There is none."""


class _Stage(Stage):
    identity = None

    def __init__(self, doors: ReplayDoors, limits: Mapping[str, float]) -> None:
        self._doors = doors
        self.z_min_um, self.z_max_um = limits["z_min_um"], limits["z_max_um"]
        self.resolution_um = limits["resolution_um"]

    def _asked(self, name: str, *words: float) -> Any:
        _, then, recorded, answer, error = self._doors.take(STAGE, name, *words)
        now = [plain(each) for each in words]
        alike = len(recorded) == len(now) and all(
            same(*pair, self._doors.tolerance) for pair in zip(recorded, now, strict=True)
        )
        if then != name or not alike:
            raise Differs("stage", call_of(then, recorded), call_of(name, now))
        if error is not None:
            raise error_again(error)
        return value_of(answer)

    def status(self) -> StageStatus:
        answer: StageStatus = self._asked("status")
        return answer

    def z_at(self, time_ns: int) -> ZAt:
        answer: ZAt = self._asked("z_at", time_ns)
        return answer

    def move_to(self, target_um: float, assumed_um: float) -> int:
        answer: int = self._asked("move_to", target_um, assumed_um)
        return answer

    def wait(self, timeout_s: float) -> StageStatus:
        answer: StageStatus = self._asked("wait", timeout_s)
        return answer

    def stop(self) -> None:
        self._asked("stop")

    def clear(self) -> None:
        self._asked("clear")

    def close(self) -> None:
        """There is none."""


class _Path:
    def __init__(self, doors: ReplayDoors) -> None:
        self._doors = doors

    def x_um(self, time_ns: int) -> float:
        _, then_ns, x_um = self._doors.take(PATH, time_ns)
        if then_ns != time_ns:
            raise Differs("path.x_um", str(then_ns), str(time_ns))
        value: float = value_of(x_um)
        return value


class _Sensor:
    """Measures as it was; by `again` too, where that can be: both must agree."""

    def __init__(self, doors: ReplayDoors, again: Again | None) -> None:
        self._doors, self._again = doors, again

    def measure(self, frame: Frame, lap: Lap) -> Measurement:
        doors = self._doors
        _, clocks, laps, recorded, error = doors.take(MEASURED)
        now = None if self._again is None or error else self._again.measure(frame)
        if now is not None and self._again is not None:
            for name in self._again.fields:
                new = plain(getattr(now, name))
                difference = first_difference(recorded[name], new, name, doors.tolerance)
                if difference is not None:
                    raise Differs(*difference)
            doors.measured += 1
        doors.clocks = iter(clocks)
        done = 0
        for stage, readings in laps:
            for _ in range(readings - done - 1):  # of the budget: nobody asks for these again
                next(doors.clocks, None)
            lap(stage, None)
            done = readings
        doors.clocks = None
        if error is not None:
            raise error_again(error)
        measurement: Measurement = value_of(recorded)
        return measurement


class _SensorThatLooksAgain(_Sensor):
    def second_look(self, frame: Frame, measured: Measurement) -> Measurement:
        _, shift = self._doors.take(SECOND)
        return replace(measured, shift=value_of(shift))
