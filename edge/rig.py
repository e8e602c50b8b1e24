"""Builds the parts named in the config and puts them together: the only place where they meet."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic_ns
from typing import Any, Protocol

from edge.camera import Camera, open_camera
from edge.decide.controller import Controller
from edge.decide.controllers import controller_of
from edge.decide.tracking import ScanPath, TrackingController
from edge.errors import ConfigError
from edge.guard import Guard, limits_of
from edge.instrument import calibrated, camera_says, check_same, open_stage_of
from edge.measure.focus_offset import offset_in, with_offset
from edge.measure.interval import interval_coefficients
from edge.measure.sensor import Measurer
from edge.measure.warm_up import warm_up
from edge.open_sensor import build_sensor, exchanged_colours_hold
from edge.settings import Config
from edge.state import RunState, halt
from engines import engine as engines
from firmware_bridge.errors import StageError
from firmware_bridge.stage import Stage

#: of a model's calibration.interval; what is not there would never hold
HOLD_RULES = ("single_patch_um", "single_patch_relative", "disagree_um", "disagree_relative")


@dataclass(slots=True)
class Rig:
    """A microscope that focuses. `step(rig)` runs it frame by frame; close it when done."""

    config: Config
    camera: Camera
    stage: Stage
    sensor: Measurer
    controller: Controller | TrackingController
    guard: Guard
    state: RunState
    engines: tuple[engines.Engine, ...]
    stall_s: float  # three frame periods
    clock: Callable[[], int] = monotonic_ns
    stalls: int = 0  # in a row
    late_ms: float = math.inf  # after the exposure: later results are dropped

    def restart(self) -> None:
        """Leave a shutdown because a person asked for it: clears the stage's latched stop and
        forgets strikes; the sign must prove itself again. StageError: it is still shut down."""
        self.stage.clear()
        self.controller.restart()
        self.stalls = 0
        self.state.restart_by_person()

    def offset_by(self, offset_um: float) -> None:
        """Another plane is called sharp from the next frame on (edge.measure.focus_offset); what
        was read of this field counts no more: tell the controller of a new one."""
        offset = offset_in(self.sensor)
        if offset is None:
            self.sensor = with_offset(self.sensor, offset_um)
        else:  # inside what records it
            offset.offset_um = offset_um
        if isinstance(self.controller, Controller):
            self.controller.offset_um = offset_um

    def latched(self) -> str | None:
        """Why the axis refuses every move, None = it does not, or does not answer."""
        try:
            return self.stage.status().latched
        except (StageError, OSError):
            return None

    def halt(self, reason: str) -> None:
        """Shut down at once, from any thread: `halt`."""
        halt(self.state, self.stage, reason)

    def close(self) -> None:
        """Shut down, release camera, stage and engines; safe to call twice.

        An axis at rest is left as it is: nothing can move it once this session is over. One that
        moves, or does not answer, is stopped, which latches it (`sparsefocus stage clear`).
        """
        with contextlib.ExitStack() as closing:  # each, whatever another one says
            for engine in self.engines:
                closing.callback(engine.close)
            closing.push(contextlib.suppress(StageError, OSError))
            closing.callback(self.stage.close)
            closing.callback(self.camera.close)
            self.halt("closed")


class Doors(Protocol):
    """Stands in every door by which the world enters a rig: each takes what is there and gives what
    the rig gets instead. Who writes down what passes can play it back (edge.appliance.record)."""

    def clock(self, clock: Callable[[], int]) -> Callable[[], int]:
        """Monotonic ns."""

    def camera(self, camera: Camera) -> Camera:
        """Of the frames."""

    def stage(self, stage: Stage) -> Stage:
        """In um of focus."""

    def path(self, path: ScanPath) -> ScanPath:
        """Of a scan, where a program gave one."""

    def sensor(self, sensor: Measurer) -> Measurer:
        """A frame's way to its estimate."""


def build_rig(
    config: Config,
    camera: Camera | None = None,
    stage: Stage | None = None,
    clock: Callable[[], int] = monotonic_ns,
    path: ScanPath | None = None,
    sensor: Measurer | None = None,
    doors: Doors | None = None,
) -> Rig:
    """Open what the config names; a camera, stage or sensor given here is used instead of its
    driver or the models, a `path` instead of the steady speed of the config's scan section.

    The world enters by three doors only: the camera, the stage and `clock` (monotonic ns); who
    records them can replay them (`doors`). A given sensor answers for its own range.

    Raises ConfigError, EngineRejected (before anything is opened that can move), StageError or
    OSError from a driver. What was opened is closed again when a later part fails.
    """
    if doors is not None:
        clock, path = doors.clock(clock), None if path is None else doors.path(path)
    with contextlib.ExitStack() as opened:
        nets: tuple[engines.Engine, ...] = ()
        if sensor is None:
            sensor, nets = sensor_of(config, clock)
        for net in nets:
            opened.callback(net.close)
        if nets:
            warm_up(sensor)
        if camera is None:
            camera = open_camera(config.camera.driver, config.camera.options)
        opened.callback(camera.close)
        check_same(config.camera.made_with, camera_says(camera), "camera")
        if stage is None:
            stage = open_stage_of(config.stage)
        opened.callback(stage.close)
        stage = calibrated(stage, config.stage)
        if doors is not None:
            camera, stage, sensor = doors.camera(camera), doors.stage(stage), doors.sensor(sensor)
        rig = _assemble(config, camera, stage, sensor, nets, clock, path)
        opened.pop_all()
    rig.state.ready()
    return rig


def uncalibrated(calibration: Mapping[str, Any]) -> str:
    """What a DPN's calibration lacks of the rules that hold the glass; "" when nothing.

    Off the instrument a model may be measured before it is calibrated; it moves nothing then.
    """
    interval = interval_coefficients(calibration)
    for name in HOLD_RULES:
        if not isinstance(interval, dict) or name not in interval:
            return f"interval.{name}"
    return "" if calibration.get("envelope") else "envelope"


def sensor_of(
    config: Config, clock: Callable[[], int] = monotonic_ns
) -> tuple[Measurer, tuple[engines.Engine, ...]]:
    """The frame's way as far as the estimate, and its engines to be closed. ConfigError for steps
    beyond what the models were calibrated for, ConfigError and EngineRejected for the models."""
    loop = config.loop
    sensor, nets = build_sensor(
        config.models, config.objective, loop.classes, loop.budget_ms, loop.enough_um, clock
    )
    exchanged_colours_hold(sensor, loop.hold_outside_training)
    lacking = uncalibrated(nets[1].manifest.calibration)
    if lacking:
        for net in nets:
            net.close()
        raise ConfigError(
            f"{config.models.dpn}: calibration.{lacking} is missing: without it a rule that holds "
            "the glass would be off; calibrate the model (training.calibrate), or take another"
        )
    optics = nets[1].manifest.optics
    calibrated_um = optics.range_um * config.objective.normalised(optics).axial_unit
    if config.stage.max_step_um > calibrated_um:
        for net in nets:
            net.close()
        raise ConfigError(
            f"stage.max_step_um = {config.stage.max_step_um:g} must be at most "
            f"{calibrated_um:g}, the range the model is calibrated for"
        )
    settable = config.control is not None
    return with_offset(sensor, loop.focus_offset_um, settable), nets


def _assemble(
    config: Config,
    camera: Camera,
    stage: Stage,
    sensor: Measurer,
    nets: tuple[engines.Engine, ...],
    clock: Callable[[], int],
    path: ScanPath | None = None,
) -> Rig:
    def stop() -> None:
        with contextlib.suppress(StageError, OSError):  # a dead link stops by its watchdog
            stage.stop()

    state = RunState(stop)
    return Rig(
        config=config,
        camera=camera,
        stage=stage,
        sensor=sensor,
        controller=controller_of(config, clock, path),
        guard=Guard(limits_of(config), stage, state, clock),
        state=state,
        engines=nets,
        stall_s=3 * config.camera.period_ms / 1e3,
        clock=clock,
        late_ms=config.max_age_ms,
    )
