"""A simulated scanner: the runtime's own rig, guards and loop on a slide of the world.

Everything lives in virtual time: the twins of XY and Z with their ramps, exposures, transfers and
what a measurement takes, so that a scan of minutes is over as soon as its pictures are made. The
networks see pixels and nothing else; what is true of a field is told to reports and tests alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge.appliance.scan.scanner import Scanner
from edge.camera import Camera, Frame, PixelFormat
from edge.errors import CameraLost, CameraStalled
from edge.latency import Lap
from edge.measure.sensor import Measurement, Measurer
from edge.rig import build_rig
from edge.settings import Config
from edge.wsi.grid import Grid
from edge.wsi.path import Field
from edge.wsi.regions import Box, Region
from edge.wsi.scan_time import AxisMotion, StopAndGo
from simulator.virtual_time import VirtualTime
from simulator.xy_stage import SimulatedXYStage
from simulator.z_stage import SimulatedZStage

U8 = npt.NDArray[np.uint8]
EXPOSURE_S, PERIOD_S = 0.004, 0.0286
MEASURE_S = 0.015  # 31 patches on a CPU (docs/speed.md)
TRAVEL_UM = 80.0  # above the middle of the slide: where Z goes for long ways
NEAR_UM = 2000.0
AXIS = AxisMotion(20_000.0, 200_000.0)
#: per field: settling, and of each four looks about one more
PACE = StopAndGo(AXIS, AXIS, 0.03, 1.4 * (PERIOD_S + MEASURE_S), EXPOSURE_S)


class Slide(Protocol):
    """What lies under the objective."""

    @property
    def um_per_px(self) -> float:
        """Of a picture."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a picture."""
        ...

    def picture(self, x_um: float, y_um: float, z_um: float, seconds: float) -> U8:
        """(h, w, 3) uint8 RGB with the slide at (x, y) and the objective at `z_um`."""
        ...

    def focus_um(self, x_um: float, y_um: float, seconds: float) -> float | None:
        """The objective's best height there; None where nothing lies."""
        ...

    def regions(self) -> Sequence[Region]:
        """Where specimen lies, as a macro picture would tell."""
        ...


@dataclass(slots=True)
class Harm:
    """What goes wrong, by the number of the frame: `lost` frames never come, from `gone` on the
    camera is gone."""

    lost: frozenset[int] = frozenset()
    gone: int | None = None


class SlideCamera(Camera):
    """Exposes when it is asked; `exposures` is where it was when it did: (x, y, true z)."""

    identity = "simulated"

    def __init__(
        self, slide: Slide, xy: SimulatedXYStage, z: SimulatedZStage, time: VirtualTime
    ) -> None:
        self.harm = Harm()
        self.exposures: list[tuple[float, float, float]] = []
        self._slide, self._xy, self._z, self._time = slide, xy, z, time
        self._id = 0

    def next(self, timeout_s: float) -> Frame:
        """See Camera.next."""
        self._id += 1
        if self.harm.gone is not None and self._id >= self.harm.gone:
            raise CameraLost("simulated camera: it was unplugged")
        start = self._time()
        self._time.sleep(EXPOSURE_S)
        end, middle = self._time(), start + round(EXPOSURE_S * 0.5e9)
        if self._id in self.harm.lost:
            self._time.sleep(timeout_s)
            raise CameraStalled("simulated camera: the frame never came")
        at, z_um = self._xy.xy_at(middle), self._z.glass_um(middle)
        self._time.sleep(PERIOD_S)
        self.exposures.append((at.x_um, at.y_um, z_um))
        pixels = self._slide.picture(at.x_um, at.y_um, z_um, middle / 1e9)
        return Frame(pixels, PixelFormat.RGB8, self._id, start, end)

    def close(self) -> None:
        """Nothing to release."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A Measurer that takes MEASURE_S, whatever this computer takes."""

    inner: Measurer
    time: VirtualTime

    def measure(self, frame: Frame, lap: Lap) -> Measurement:
        """See edge.measure.sensor.Measurer."""
        measurement = self.inner.measure(frame, lap)
        self.time.sleep(MEASURE_S)
        return measurement


class SimulatedScanner:
    """A context manager; `scanner` is what a scan needs of it, the rest is what it never sees.

    `sensor` instead of the config's networks; `start_um`: how far above focus of the first region's
    middle the objective begins.
    """

    def __init__(
        self,
        config: Config,
        slide: Slide,
        sensor: Measurer | None = None,
        inverted: bool = False,
        start_um: float = 6.0,
        half_mm: float = 12.0,
        regions: Sequence[Region] = (),
    ) -> None:
        self.config = replace(config, camera=replace(config.camera, driver="simulated"))
        self.slide, self.time = slide, VirtualTime()
        now, sleep = self.time, self.time.sleep
        half_um = 1e3 * half_mm
        self.window = Box(-half_um, -half_um, half_um, half_um)
        chosen = tuple(regions) or tuple(slide.regions())
        place = _middle(chosen[0])
        self.xy = SimulatedXYStage((-half_um, -half_um, half_um, half_um), place, clock=now,
                                   sleep=sleep)  # fmt: skip
        focus_um = slide.focus_um(*place, now.seconds)
        middle_um = (config.stage.z_min_um + config.stage.z_max_um) / 2
        self.z = SimulatedZStage(
            config.stage.z_min_um - 50.0, config.stage.z_max_um + 50.0,
            (middle_um if focus_um is None else focus_um) + start_um, now, sleep,
        )  # fmt: skip
        self.z.direction = -1 if inverted else 1
        self.camera = SlideCamera(slide, self.xy, self.z, self.time)
        self.rig = build_rig(self.config, self.camera, self.z, now, sensor=sensor)
        self.rig.sensor = Timed(self.rig.sensor, self.time)
        stage = self.config.stage
        up_um = middle_um + TRAVEL_UM * stage.focus_direction
        self.scanner = Scanner(
            rig=self.rig,
            xy=self.xy,
            window=self.window,
            travel_z_um=min(max(up_um, stage.z_min_um), stage.z_max_um),
            near_um=NEAR_UM,
            grid=grid_of(slide),
            regions=chosen,
            pace=PACE,
            upright=True,
            sleep=sleep,
        )

    def __enter__(self) -> SimulatedScanner:
        return self

    def __exit__(self, *_: object) -> None:
        self.rig.close()

    def truth(self, field: Field, z_um: float) -> float | None:
        """How far above its focus a field was taken; None where there is nothing."""
        focus_um = self.slide.focus_um(field.x_um, field.y_um, self.time.seconds)
        return None if focus_um is None else z_um - focus_um


def grid_of(slide: Slide, overlap: float = 0.1) -> Grid:
    """The lattice of this slide's fields."""
    height, width = slide.shape
    return Grid(width * slide.um_per_px, height * slide.um_per_px, overlap)


def _middle(region: Region) -> tuple[float, float]:
    box = region.box
    return (box.x0_um + box.x1_um) / 2, (box.y0_um + box.y1_um) / 2
