"""A continuous scan: the slide moves under the objective at full speed while frames are taken.

The strip has a tilt, relief, steps in thickness and blank stretches. Time is real unless a clock is
given: frames come at the camera's rate, the reference firmware's motor turns on the other end of a
serial port, and what a frame would show is decided by where slide and glass were at its
mid-exposure. Rendering a frame takes seconds, so what the networks say of one comes either from a
model of their measured errors (`ModelSensor`), or from the networks themselves on pictures rendered
before (`PictureSensor`).
Nothing is modelled of the smear in x: scanners freeze it with a flash or a line sensor.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edge.camera import Camera, Frame, PixelFormat
from edge.errors import CameraStalled
from edge.latency import Lap
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Ranked, Sparsity
from edge.measure.sensor import Measurement, Measurer
from simulator.mechanics import Mechanics

U8 = npt.NDArray[np.uint8]
EXPOSURE_NS = 1_000_000
_NO_PIXELS = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Strip:
    """Focus height along x (um): a tilt, relief of a period, steps at places, blank stretches."""

    z_um: float = 200.0
    tilt_um_per_mm: float = 3.0
    relief_um: float = 0.3  # amplitude
    relief_mm: float = 7.0  # period
    steps: tuple[tuple[float, float], ...] = ()  # (from x mm, um)
    blank: tuple[tuple[float, float], ...] = ()  # (from mm, to mm)

    def focus_um(self, x_um: float) -> float:
        """Best focus at a place, as an objective's height."""
        mm = x_um / 1e3
        relief = self.relief_um * math.sin(2.0 * math.pi * mm / self.relief_mm)
        steps = sum(height for at, height in self.steps if mm >= at)
        return self.z_um + self.tilt_um_per_mm * mm + relief + steps

    def is_blank(self, x_um: float) -> bool:
        """Whether nothing lies there."""
        return any(low <= x_um / 1e3 < high for low, high in self.blank)


class Line:
    """One line of a scan from x = 0 at `start_ns`, at a steady speed: an
    edge.decide.tracking.ScanPath."""

    def __init__(self, speed_um_s: float, start_ns: int) -> None:
        self.speed_um_s, self.start_ns = speed_um_s, start_ns

    def x_um(self, time_ns: int) -> float:
        """Where the slide is."""
        return self.speed_um_s * (time_ns - self.start_ns) / 1e9


class ScanCamera(Camera):
    """Exposes every period whether anybody looks or not; the newest frame is handed over once its
    exposure and transfer are over, older ones count as dropped. Its pixels are a placeholder.

    `clock` (monotonic ns) and `sleep` (s) are the world's, or a test's.
    """

    def __init__(
        self,
        start_ns: int,
        period_ms: float,
        transfer_ms: float = 2.0,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.start_ns, self._period_ns = start_ns, round(period_ms * 1e6)
        self._transfer_ns = round(transfer_ms * 1e6)
        self._clock, self._sleep = clock, sleep
        self._newest = -1

    def next(self, timeout_s: float) -> Frame:
        """See Camera.next."""
        over_ns = self._clock() - self._transfer_ns - EXPOSURE_NS - self.start_ns
        ready = over_ns // self._period_ns
        number = max(int(ready), self._newest + 1, 0)
        self.dropped += max(0, number - self._newest - 1)
        start = self.start_ns + number * self._period_ns
        wait_s = (start + EXPOSURE_NS + self._transfer_ns - self._clock()) / 1e9
        if wait_s > max(timeout_s, 1.0):
            raise CameraStalled(f"no frame within {timeout_s:g} s")
        self._sleep(max(0.0, wait_s))
        self._newest = number
        return Frame(_NO_PIXELS, PixelFormat.RGB8, number, start, start + EXPOSURE_NS)

    def close(self) -> None:
        """Nothing to release."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame's truth: x and, above focus, the glass at mid-exposure."""

    x_um: float
    focus_um: float
    glass_um: float
    blank: bool

    @property
    def error_um(self) -> float:
        """Objective above best focus."""
        return self.glass_um - self.focus_um


@dataclass(slots=True)
class Stand:
    """What a sensor of the simulation asks: slide, mechanics, path; and what it noted."""

    strip: Strip
    mechanics: Mechanics
    line: Line
    exposures: list[Seen] = field(default_factory=list)

    def look(self, frame: Frame) -> Seen:
        """The truth of a frame; CameraStalled when the firmware's trace stands still."""
        mid = frame.exposure_mid_ns
        if not self.mechanics.known_until(mid):
            raise CameraStalled("the firmware's motor trace stands still")
        x_um = self.line.x_um(mid)
        focus_um, blank = self.strip.focus_um(x_um), self.strip.is_blank(x_um)
        self.exposures.append(Seen(x_um, focus_um, self.mechanics.height_um(mid), blank))
        return self.exposures[-1]


class ModelSensor:
    """A MODEL of the networks, not the networks: the true defocus with an error of `sd_um`, an
    interval of 1.96 of it, none outside +-25 um, after `latency_ms`. Its clock: as ScanCamera."""

    def __init__(
        self,
        stand: Stand,
        latency_ms: float,
        sd_um: float = 0.15,
        seed: int = 0,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._stand, self._latency_s, self._sd_um = stand, latency_ms / 1e3, sd_um
        self._clock, self._sleep = clock, sleep
        self._rng = np.random.default_rng(seed)

    def measure(self, frame: Frame, lap: Lap) -> Measurement:
        """See edge.measure.sensor.Measurer."""
        begin_ns = self._clock()
        exposure = self._stand.look(frame)
        d_um = -exposure.error_um + float(self._rng.normal(0.0, self._sd_um))
        self._sleep(max(0.0, self._latency_s - (self._clock() - begin_ns) / 1e9))
        if exposure.blank or not abs(d_um) <= 25.0:
            reason = Reason.BLANK if exposure.blank else Reason.OUTSIDE_RANGE
            return _nothing(frame, reason)
        return _said(frame, d_um, 1.96 * self._sd_um)


@dataclass(frozen=True, slots=True)
class Stack:
    """Pictures of one field, (2048, 2448, 3) uint8 RGB each, by objective less focus, rising."""

    offsets_um: tuple[float, ...]
    pictures: tuple[U8, ...]

    def nearest(self, error_um: float) -> tuple[float, U8]:
        """The picture taken closest to `error_um` above focus, and where it was taken."""
        at = int(np.argmin(np.abs(np.array(self.offsets_um) - error_um)))
        return self.offsets_um[at], self.pictures[at]


class PictureSensor:
    """The networks on pictures rendered before: of the field under the objective, the one taken
    nearest to where the glass is; what is left, at most half a step, is added to their answer.
    Beyond the last picture there is no estimate. A blank stretch shows `blank`."""

    def __init__(self, stand: Stand, inner: Measurer, stacks: Sequence[Stack], blank: U8) -> None:
        self._stand, self._inner, self._stacks, self._blank = stand, inner, stacks, blank

    def measure(self, frame: Frame, lap: Lap) -> Measurement:
        """See edge.measure.sensor.Measurer."""
        exposure = self._stand.look(frame)
        if exposure.blank:
            return self._inner.measure(_with(frame, self._blank), lap)
        stack = self._stacks[frame.frame_id % len(self._stacks)]
        if not stack.offsets_um[0] <= exposure.error_um <= stack.offsets_um[-1]:
            return _nothing(frame, Reason.OUTSIDE_RANGE)
        taken_um, pixels = stack.nearest(exposure.error_um)
        measurement = self._inner.measure(_with(frame, pixels), lap)
        if isinstance(measurement.estimate, NoFocus):
            return measurement
        d_um = measurement.estimate.defocus_um + taken_um - exposure.error_um
        shown = _said(frame, d_um, measurement.estimate.interval_um)
        return Measurement(
            measurement.ranked, measurement.patches, shown.estimate, measurement.shift
        )


def _with(frame: Frame, pixels: U8) -> Frame:
    return Frame(pixels, PixelFormat.RGB8, frame.frame_id, frame.exposure_start_ns,
                 frame.exposure_end_ns)  # fmt: skip


def _said(frame: Frame, d_um: float, interval_um: float) -> Measurement:
    estimate = FocusEstimate(d_um, interval_um, 9, Sparsity.SPARSE, frame.exposure_start_ns,
                             frame.exposure_mid_ns, 0.1)  # fmt: skip
    return _measurement(estimate)


def _nothing(frame: Frame, reason: Reason) -> Measurement:
    return _measurement(
        NoFocus(reason, Sparsity.BLANK, frame.exposure_start_ns, frame.exposure_mid_ns)
    )


def _measurement(estimate: FocusEstimate | NoFocus) -> Measurement:
    none = np.empty(0, np.float32)
    scores = np.zeros((9, 9), np.float32)
    ranked = Ranked(scores, estimate.sparsity, 0, (), none)
    patches = PatchDefocus(none, none, none, (), estimate.sparsity, True)
    return Measurement(ranked, patches, estimate)


MakeSensor = Callable[[Stand], Measurer]
