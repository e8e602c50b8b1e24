"""Builds the parts named in the config and puts them together: the only place where they meet."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic_ns

from edge.camera import Camera, open_camera
from edge.decide.controller import Controller, ControllerSettings
from edge.decide.tracking import ScanPath, SteadyScan, TrackingController, TrackingSettings
from edge.errors import ConfigError
from edge.guard import Guard, GuardLimits, TrackingLimits
from edge.measure.sensor import Sensor
from edge.open_sensor import build_sensor
from edge.optics import Objective
from edge.settings import Config, LoopSettings, ScanSettings, StageSettings
from edge.state import RunState
from engines import engine as engines
from firmware_bridge.errors import StageError
from firmware_bridge.stage import STAGES, Stage, open_stage
from firmware_bridge.stages.scaled import CalibratedStage


@dataclass(slots=True)
class Rig:
    """A microscope that focuses. `step(rig)` runs it frame by frame; close it when done."""

    config: Config
    camera: Camera
    stage: Stage
    sensor: Sensor
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


def halt(state: RunState, stage: Stage, reason: str) -> None:
    """Shut down for `reason`; stop the axis unless it is known to rest (a stop latches it).

    Once only: whatever shut down before has told the axis. The state changes first: a move that
    another thread is sending meanwhile is either seen here or stopped by the guard. A dead line
    cannot be told to stop, and raises nothing.
    """
    if state.shutdown(reason, stop=False) and not _at_rest(stage):
        with contextlib.suppress(StageError, OSError):
            stage.stop()


def _at_rest(stage: Stage) -> bool:
    try:
        return not stage.status().moving
    except (StageError, OSError):
        return False


def build_rig(
    config: Config,
    camera: Camera | None = None,
    stage: Stage | None = None,
    clock: Callable[[], int] = monotonic_ns,
    path: ScanPath | None = None,
) -> Rig:
    """Open what the config names; a camera or stage given here is used instead of its driver, a
    `path` instead of the steady speed that the config's scan section names.

    Raises ConfigError, EngineRejected (before anything is opened that can move), StageError or
    OSError from a driver. What was opened is closed again when a later part fails.
    """
    with contextlib.ExitStack() as opened:
        loop = config.loop
        sensor, nets = build_sensor(
            config.models, config.objective, loop.classes, loop.budget_ms, loop.enough_um
        )
        for net in nets:
            opened.callback(net.close)
        calibrated_um = nets[1].manifest.optics.range_um
        if config.stage.max_step_um > calibrated_um:
            raise ConfigError(
                f"stage.max_step_um = {config.stage.max_step_um:g} must be at most "
                f"{calibrated_um:g}, the range the model is calibrated for"
            )
        if camera is None:
            with _options_of("camera"):
                camera = open_camera(config.camera.driver, config.camera.options)
        opened.callback(camera.close)
        if stage is None:
            stage = open_stage_of(config.stage)
        opened.callback(stage.close)
        stage = calibrated(stage, config.stage)
        rig = _assemble(config, camera, stage, sensor, nets, clock, path)
        opened.pop_all()
    rig.state.ready()
    return rig


def calibrated(stage: Stage, settings: StageSettings) -> Stage:
    """The stage in um of focus, where the calibration found that its own um is another."""
    if settings.um_per_unit == 1.0:
        return stage
    return CalibratedStage(stage, settings.um_per_unit, settings.reference_um)


def open_stage_of(settings: StageSettings) -> Stage:
    """Open the stage that the config names; ConfigError for its options, StageError otherwise."""
    if settings.driver not in STAGES:
        raise ConfigError(
            f"stage.driver = {settings.driver!r} must be one of {', '.join(sorted(STAGES))}"
        )
    window = {"z_min_um": settings.z_min_um, "z_max_um": settings.z_max_um}
    for key in window.keys() & settings.options.keys():
        raise ConfigError(f"stage.options.{key} belongs into the section itself")
    with _options_of("stage"):
        return open_stage(settings.driver, {**window, **settings.options})


@contextlib.contextmanager
def _options_of(section: str) -> Iterator[None]:
    """A driver that was called with an option it does not have, or without one it needs."""
    try:
        yield
    except TypeError as error:
        raise ConfigError(f"{section}.options: {error}") from error


def _assemble(
    config: Config,
    camera: Camera,
    stage: Stage,
    sensor: Sensor,
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
        controller=_controller_of(config, clock, path),
        guard=Guard(guard_limits(config), stage, state, clock),
        state=state,
        engines=nets,
        stall_s=3 * config.camera.period_ms / 1e3,
        clock=clock,
        late_ms=_max_age_ms(config),
    )


def _controller_of(
    config: Config, clock: Callable[[], int], path: ScanPath | None
) -> Controller | TrackingController:
    scan = config.scan
    if scan is None:
        return Controller(_controller(config.stage, config.loop, config.objective))
    settings = TrackingSettings(
        focus_direction=config.stage.focus_direction,
        period_ms=config.camera.period_ms,
        max_step_um=scan.max_step_um,
        lead_ms=scan.lead_ms,
        max_interval_um=scan.max_interval_um,
        predict_um=scan.predict_um,
        feed_forward=scan.feed_forward,
    )
    return TrackingController(settings, path or SteadyScan(scan.scan_speed_um_s), clock)


def _controller(
    stage: StageSettings, loop: LoopSettings, objective: Objective
) -> ControllerSettings:
    deadband = objective.deadband_um if loop.deadband_um is None else loop.deadband_um
    return ControllerSettings(
        focus_direction=stage.focus_direction,
        deadband_um=deadband,
        sharp_um=objective.half_depth_um,
        verify_above_um=loop.verify_above_um,
        max_interval_um=loop.max_interval_um,
        settle_ns=round(stage.settle_ms * 1e6),
        max_shots=loop.max_shots,
    )


def guard_limits(config: Config) -> GuardLimits:
    """What no move of this instrument may exceed."""
    stage = config.stage
    return GuardLimits(
        z_min_um=stage.z_min_um,
        z_max_um=stage.z_max_um,
        focus_direction=stage.focus_direction,
        max_step_um=stage.max_step_um,
        max_age_ms=_max_age_ms(config),
        settle_ms=stage.settle_ms,
        max_moves_per_s=stage.max_moves_per_s,
        tracking=None if config.scan is None else _tracking_limits(config.scan),
    )


def _tracking_limits(scan: ScanSettings) -> TrackingLimits:
    return TrackingLimits(scan.max_step_um, scan.max_blur_um, scan.max_uncertainty_um)


def _max_age_ms(config: Config) -> float:
    """From an exposure's end to the move: above it the guard refuses, and the loop drops."""
    given = config.loop.max_age_ms
    return 2 * config.camera.period_ms if given is None else given
