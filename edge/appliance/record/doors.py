"""Wrappers in the doors of a rig: what comes in by camera, stage, clock and path is written down.

Only while a frame is under way, and only what the loop's own thread asks: a signal's thread that
stops the axis is none of the loop's decisions. Noting costs an append to a list; whatever takes
longer is done by the recorder's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any

from edge.appliance.record.inputs import Hear, heard
from edge.appliance.record.values import error_of
from edge.appliance.telling import tell
from edge.camera import Camera, Frame
from edge.decide.tracking import ScanPath
from edge.latency import Lap
from edge.measure.sensor import LooksAgain, Measurement, Measurer
from firmware_bridge.stage import Identity, Stage, StageStatus, ZAt

#: kinds of notes; each note is a tuple that begins with one
CLOCK, FRAME, STAGE, PATH, MEASURED, SECOND = (
    "clock",
    "frame",
    "stage",
    "path",
    "measured",
    "second",
)


@dataclass(slots=True)
class Tape:
    """The notes of the frame under way, in order. `on_frame` hears of every frame that came."""

    notes: list[tuple[Any, ...]] = field(default_factory=list)
    on_frame: Callable[[Frame], None] | None = None
    thread: int = 0  # whose notes these are; 0 = no frame is under way
    clocks: list[int] | None = None  # readings while a frame is measured

    def begin(self) -> None:
        """A frame begins, in this thread."""
        self.notes, self.clocks, self.thread = [], None, get_ident()

    def end(self) -> list[tuple[Any, ...]]:
        """The frame's notes; what comes now belongs to none."""
        self.thread = 0
        return self.notes

    @property
    def mine(self) -> bool:
        """Whether this thread's doings belong to the frame."""
        return self.thread == get_ident()


class RecordingDoors:
    """What `edge.rig.build_rig` takes as `doors`."""

    def __init__(
        self, on_frame: Callable[[Frame], None] | None = None, on_input: Hear | None = None
    ) -> None:
        self.tape = Tape(on_frame=on_frame)
        self._on_input = on_input
        self.has_path = False

    def clock(self, clock: Callable[[], int]) -> Callable[[], int]:
        """The same clock, its readings noted."""
        tape = self.tape

        def reading() -> int:
            now_ns = clock()
            if tape.thread == get_ident():
                if tape.clocks is not None:
                    tape.clocks.append(now_ns)
                else:
                    tape.notes.append((CLOCK, now_ns))
            return now_ns

        return reading

    def camera(self, camera: Camera) -> Camera:
        """The same camera, its frames noted (not their pixels)."""
        return _Camera(camera, self.tape)

    def stage(self, stage: Stage) -> Stage:
        """The same stage, what it was asked and what it said noted."""
        return _Stage(stage, self.tape)

    def path(self, path: ScanPath) -> ScanPath:
        """The same path, its places noted."""
        self.has_path = True
        return _Path(path, self.tape)

    def sensor(self, sensor: Measurer) -> Measurer:
        """The same estimator, its answers noted, and what its networks are shown."""
        if self._on_input is not None:
            listened = heard(sensor, self._on_input)
            if listened is None:
                tell("sparsefocus: warning: a GPU's inputs cannot be recorded, only decisions are")
            sensor = listened or sensor
        kind = _SensorThatLooksAgain if isinstance(sensor, LooksAgain) else _Sensor
        return kind(sensor, self.tape)


class _Camera(Camera):
    def __init__(self, camera: Camera, tape: Tape) -> None:
        self.inner, self._tape = camera, tape

    @property
    def dropped(self) -> int:  # type: ignore[override]
        return self.inner.dropped

    @property
    def identity(self) -> str:  # type: ignore[override]
        return self.inner.identity

    @property
    def incomplete(self) -> int:
        return self.inner.incomplete

    @property
    def tries_again(self) -> bool:
        return self.inner.tries_again

    def trigger(self) -> None:
        self.inner.trigger()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def next(self, timeout_s: float) -> Frame:
        tape = self._tape
        try:
            frame = self.inner.next(timeout_s)
        except Exception as error:
            if tape.mine:
                tape.notes.append((FRAME, None, error_of(error)))
            raise
        if tape.mine:
            tape.notes.append((FRAME, said_of(frame), None))
            if tape.on_frame is not None:
                tape.on_frame(frame)
        return frame

    def close(self) -> None:
        self.inner.close()


def said_of(frame: Frame) -> dict[str, Any]:
    """A frame without its pixels."""
    return {
        "format": frame.pixel_format.value, "shape": list(frame.pixels.shape),
        "id": frame.frame_id, "start_ns": frame.exposure_start_ns,
        "end_ns": frame.exposure_end_ns, "uncertainty_ns": frame.time_uncertainty_ns,
    }  # fmt: skip


class _Stage(Stage):
    def __init__(self, stage: Stage, tape: Tape) -> None:
        self.inner, self._tape = stage, tape

    @property
    def z_min_um(self) -> float:  # type: ignore[override]
        return self.inner.z_min_um

    @property
    def z_max_um(self) -> float:  # type: ignore[override]
        return self.inner.z_max_um

    @property
    def resolution_um(self) -> float:  # type: ignore[override]
        return self.inner.resolution_um

    @property
    def identity(self) -> Identity | None:  # type: ignore[override]
        return getattr(self.inner, "identity", None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _asked(self, name: str, *words: float) -> Any:
        tape = self._tape
        if tape.thread != get_ident():
            return getattr(self.inner, name)(*words)
        try:
            answer = getattr(self.inner, name)(*words)
        except Exception as error:
            tape.notes.append((STAGE, name, words, None, error_of(error)))
            raise
        tape.notes.append((STAGE, name, words, answer, None))
        return answer

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
        self.inner.close()


@dataclass(frozen=True, slots=True)
class _Path:
    inner: ScanPath
    tape: Tape

    def x_um(self, time_ns: int) -> float:
        x_um = self.inner.x_um(time_ns)
        if self.tape.mine:
            self.tape.notes.append((PATH, time_ns, x_um))
        return x_um


class _Sensor:
    def __init__(self, sensor: Measurer, tape: Tape) -> None:
        self.inner, self._tape = sensor, tape

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def measure(self, frame: Frame, lap: Lap) -> Measurement:
        tape = self._tape
        if not tape.mine:
            return self.inner.measure(frame, lap)
        clocks: list[int] = []
        tape.clocks = clocks
        noted = NotedLap(lap, clocks)
        try:
            measurement = self.inner.measure(frame, noted)
        except Exception as error:
            tape.notes.append((MEASURED, clocks, noted.at, None, error_of(error)))
            raise
        finally:
            tape.clocks = None
        tape.notes.append((MEASURED, clocks, noted.at, measurement, None))
        return measurement


class _SensorThatLooksAgain(_Sensor):
    def second_look(self, frame: Frame, measured: Measurement) -> Measurement:
        tape, inner = self._tape, self.inner
        assert isinstance(inner, LooksAgain)
        again = inner.second_look(frame, measured)
        if tape.mine:
            tape.notes.append((SECOND, again.shift))
        return again


class NotedLap(Lap):
    """A lap that is the loop's own, and notes which clock reading ended which stage."""

    def __init__(self, lap: Lap, clocks: list[int]) -> None:
        self._lap, self._clocks = lap, clocks
        self.at: list[tuple[str, int]] = []  # stage, and how many readings there were after it

    def __call__(self, stage: str, value: Any) -> Any:
        value = self._lap(stage, value)
        self.at.append((stage, len(self._clocks)))
        return value

    def after(self, stage: str, value: Any) -> Any:
        value = self._lap.after(stage, value)
        self.at.append((stage, len(self._clocks)))
        return value

    def restart(self) -> None:
        self._lap.restart()

    @property
    def ms(self) -> dict[str, float]:
        return self._lap.ms
