"""The closed loop on the simulated microscope: glass, motor, wire, loop, and the truth beside it.

Pictures come from the simulated camera, moves go through the serial port to the reference
firmware, and the firmware's motor drives the simulated mechanics. The runtime reaches the
glass only through the wire; this module also knows where it really is.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edge.appliance.report.focus_record import FieldRecord, View
from edge.appliance.report.pictures import best_window, thumbnail
from edge.camera import Camera, Frame, PixelFormat
from edge.loop import Outcome, focus_field
from edge.measure.preprocess import measured_crop
from edge.optics import normalised
from edge.rig import Doors, Rig, build_rig
from edge.settings import Config
from engines.manifest import NOMINAL_OPTICS
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.stage import open_stage
from firmware_bridge.stop_signals import BY, StopSignals
from simulator.camera import SimulatedCamera
from simulator.mechanics import Mechanics, MechanicsParameters
from simulator.microscope import SENSOR, Microscope
from simulator.optics import NOMINAL, Instrument

RANGE_UM = 25.0
_REST_S = 5.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One field to focus. `start_um` = objective minus best focus before the first frame."""

    number: int
    kind: str
    sparsity: str
    start_um: float


class SimulatedInstrument:
    """A rig on a simulated microscope; a context manager.

    `inverted` wires the motor the wrong way round, as a mistaken cable or setting would;
    `pictures` keeps what shows how sharp each field ended.
    """

    def __init__(
        self,
        config: Config,
        seed: int,
        inverted: bool = False,
        dirt: float = 1.0,
        shape: tuple[int, int] = SENSOR,
        pictures: bool = False,
        instrument: Instrument = NOMINAL,
        doors: Doors | None = None,
    ) -> None:
        self._doors = doors
        self._pixels = normalised(config.objective, NOMINAL_OPTICS).pixels
        self._pictures = pictures
        self._config, self._seed, self._inverted = config, seed, inverted
        middle = (config.stage.z_min_um + config.stage.z_max_um) / 2
        self.microscope = Microscope(seed, shape, instrument, slide_z_um=middle, dirt=dirt)
        self._opened = contextlib.ExitStack()

    def __enter__(self) -> SimulatedInstrument:
        stage = self._config.stage
        with self._opened:
            middle = (stage.z_min_um + stage.z_max_um) / 2
            firmware = self._opened.enter_context(
                HostFirmware(
                    z_min_nm=round((stage.z_min_um - 50.0) * 1000),
                    z_max_nm=round((stage.z_max_um + 50.0) * 1000),
                    start_nm=round(middle * 1000),
                )
            )
            direction = -1 if self._inverted else 1
            parameters = replace(MechanicsParameters(), direction=direction)
            self.mechanics = Mechanics(MotorTrace(firmware.trace_path), self._seed, parameters)
            self.camera = _Watched(
                SimulatedCamera(self.microscope, self.mechanics), self.mechanics, self._pixels
            )
            window = {"z_min_um": stage.z_min_um, "z_max_um": stage.z_max_um}
            options = {**window, **stage.options, "port": firmware.port}
            self.rig: Rig = build_rig(
                self._config,
                camera=self.camera,
                stage=open_stage(stage.driver, options),
                doors=self._doors,
            )
            self._opened.callback(self.rig.close)
            stop = lambda name: self.rig.halt(BY + name)  # noqa: E731
            self._opened.enter_context(StopSignals(stop))
            self._opened = self._opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def focus(self, scenario: Scenario) -> FieldRecord:
        """Load the field, turn the knob to its start, let the loop focus, write down what was."""
        truth = self.microscope.load_field(
            scenario.kind, scenario.sparsity, scenario.number, slide=scenario.number
        )
        self.turn_knob(truth.z_focus_um + scenario.start_um)
        self.camera.views.clear()
        start_ns, z_start = self.at_rest()
        outcomes = focus_field(self.rig)
        end_ns, z_final = self.at_rest()
        blank = scenario.sparsity == "blank"
        after_first = self._after_first(outcomes, z_final)
        record = FieldRecord(
            number=scenario.number,
            kind=scenario.kind,
            sparsity=scenario.sparsity,
            z_start_um=z_start,
            z_focus_um=None if blank else truth.z_focus_um,
            z_after_first_um=after_first,
            z_final_um=z_final,
            outcomes=outcomes,
            views=self._views(outcomes),
            trace=self.mechanics.history(start_ns, end_ns),
            start_ns=start_ns,
            heights_um=[self._height(outcome) for outcome in outcomes],
            sharpness_first=truth.sharpness_reached(after_first),
            sharpness_final=truth.sharpness_reached(z_final),
        )
        if self._pictures and not blank and record.views:
            self._beside_the_sharpest(record)
        return record

    def _beside_the_sharpest(self, record: FieldRecord) -> None:
        """A part of the picture where the objective ended, and of the sharpest plane."""
        assert record.z_focus_um is not None
        for name, z_um in (("end_detail", record.z_final_um),
                           ("sharpest_detail", record.z_focus_um)):  # fmt: skip
            frame = Frame(self.microscope.picture(z_um), PixelFormat.RGB8, 0, 0, 0)
            crop, _ = measured_crop(frame, pixels=self._pixels)
            setattr(record, name, crop[best_window(record.views[-1], crop.shape)].copy())

    def turn_knob(self, height_um: float) -> None:
        """Bring the objective to `height_um`, as a person would: not the runtime's decision."""
        stage = self.rig.stage
        stage.move_to(self.mechanics.motor_for_um(height_um), stage.status().z_um)
        stage.wait(_REST_S)

    def at_rest(self) -> tuple[int, float]:
        """Wait until nothing moves: the time (monotonic ns) and the objective's true height."""
        deadline = time.monotonic() + _REST_S
        while not self.mechanics.at_rest(time.monotonic_ns()) and time.monotonic() < deadline:
            time.sleep(0.005)
        now = time.monotonic_ns()
        return now, self.mechanics.height_um(now)

    def _after_first(self, outcomes: list[Outcome], z_final: float) -> float:
        """Where the glass stood when the second frame was exposed."""
        if len(outcomes) < 2 or outcomes[1].frame_id is None:
            return z_final
        return self.camera.views[outcomes[1].frame_id][1]

    def _height(self, outcome: Outcome) -> float | None:
        """Where the glass was when the frame was exposed; None when none came."""
        view = None if outcome.frame_id is None else self.camera.views.get(outcome.frame_id)
        return None if view is None else view[1]

    def _views(self, outcomes: list[Outcome]) -> list[View]:
        measured = [o for o in outcomes if o.frame_id in self.camera.views]
        shown = measured[:1] + measured[1:][-1:]
        titles = ("before", "after")
        return [
            View(self.camera.views[o.frame_id][0], o, title)
            for o, title in zip(shown, titles, strict=False)
            if o.frame_id is not None
        ]


class _Watched(Camera):
    """Passes frames on and keeps a small picture of each, with the true height it was taken at."""

    def __init__(self, camera: Camera, mechanics: Mechanics, pixels: float) -> None:
        self._camera, self._mechanics, self._pixels = camera, mechanics, pixels
        self.views: dict[int, tuple[npt.NDArray[np.uint8], float]] = {}

    def next(self, timeout_s: float) -> Frame:
        frame = self._camera.next(timeout_s)
        small = thumbnail(measured_crop(frame, pixels=self._pixels)[0])
        height = self._mechanics.height_um(frame.exposure_mid_ns)
        self.views[frame.frame_id] = (small, height)
        return frame

    def close(self) -> None:
        self._camera.close()
