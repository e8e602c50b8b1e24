"""One line of a continuous scan through the whole loop, and what share of it was in focus."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge.appliance.config.config_file import read_config
from edge.appliance.run.realtime import without_collector
from edge.loop import step
from edge.rig import Rig, build_rig
from edge.settings import Config, ScanSettings
from edge.state import State
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.stage import open_stage
from firmware_bridge.stop_signals import BY, StopSignals
from simulator.mechanics import Mechanics, MechanicsParameters
from simulator.scan import Line, MakeSensor, ScanCamera, Seen, Stand, Strip
from simulator.simulate_verb import NOMINAL

SPEED_UM_S = 11_000.0
PERIOD_MS = 28.6
MAX_STEP_UM = 5.0
LEAD_MS = 10.0
#: a drive that a tracking scanner has: preloaded, no play worth naming
PRELOADED = MechanicsParameters(backlash_um=0.05, repeatability_um=0.1, ringing_um=0.1)
#: fast enough for the steepest tilt and slow enough that z is known between two reports of it
GLIDE_UM_S = 150.0
RUN_IN = 6  # frames until the slope is known; counted apart
_LEAD_NS = 100_000_000  # until then the parts are put together


@dataclass(frozen=True, slots=True)
class Scanned:
    """One line. `share`: of frames with content, run-in left out, whose objective was within half
    the depth of field at mid-exposure."""

    share: float
    run_in_share: float
    p50_um: float
    p95_um: float
    frames: int
    missed: int
    moves: int
    decisions: dict[str, int]
    refused: dict[str, int]
    latency_p50_ms: float
    ended: str
    exposures: list[Seen]

    def as_json(self) -> dict[str, Any]:
        """Everything but the frames."""
        names = [name for name in self.__dataclass_fields__ if name != "exposures"]
        return {name: getattr(self, name) for name in names}


def config_of(feed_forward: bool, speed_um_s: float, sign: int = 1) -> Config:
    """The nominal instrument, scanning."""
    config = read_config(NOMINAL)
    scan = ScanSettings(
        speed_um_s, MAX_STEP_UM, lead_ms=LEAD_MS, max_uncertainty_um=0.6, feed_forward=feed_forward
    )
    stage = replace(config.stage, max_moves_per_s=200, focus_direction=sign)
    return replace(
        config, stage=stage, scan=scan, loop=replace(config.loop, max_age_ms=100.0),
        models=replace(config.models, backend="cpu"),
    )  # fmt: skip


def scan(
    strip: Strip,
    make_sensor: MakeSensor,
    feed_forward: bool = True,
    length_mm: float = 30.0,
    speed_um_s: float = SPEED_UM_S,
    period_ms: float = PERIOD_MS,
    start_error_um: float = 0.0,
    sign: int = 1,
    z_speed_um_s: float = GLIDE_UM_S,
    mechanics: MechanicsParameters = PRELOADED,
    seed: int = 0,
) -> Scanned:
    """Scan one line; a shutdown ends it."""
    config = config_of(feed_forward, speed_um_s, sign)
    start_um = strip.focus_um(0.0) + start_error_um
    window = {"z_min_um": config.stage.z_min_um, "z_max_um": config.stage.z_max_um}
    with HostFirmware(z_min_nm=0, z_max_nm=400_000, start_nm=round(start_um * 1000)) as firmware:
        glass = Mechanics(MotorTrace(firmware.trace_path), seed, mechanics)
        stage = open_stage("binary", {
            "port": firmware.port, "backlash_um": 0.0, "settle_ms": 0, "speed_um_s": z_speed_um_s,
            "assumed_tolerance_um": MAX_STEP_UM, **window,
        })  # fmt: skip
        line = Line(speed_um_s, 0)
        stand = Stand(strip, glass, line)
        camera = ScanCamera(0, period_ms)
        sensor = make_sensor(stand)  # may load networks: before the line begins
        line.start_ns = camera.start_ns = time.monotonic_ns() + _LEAD_NS
        rig = build_rig(config, camera=camera, stage=stage, path=line, sensor=sensor)
        try:
            stopping = StopSignals(lambda name: rig.halt(BY + name))
            with stopping, without_collector():
                return follow(rig, camera, stand, length_mm)
        finally:
            rig.close()


def follow(rig: Rig, camera: ScanCamera, stand: Stand, length_mm: float) -> Scanned:
    """Step frame by frame to the line's end, by the rig's own clock; a shutdown ends it."""
    half_um = rig.config.objective.half_depth_um
    decisions: Counter[str] = Counter()
    totals: list[float] = []
    moves = 0
    while stand.line.x_um(rig.clock()) < 1e3 * length_mm:
        outcome = step(rig)
        decisions[outcome.decision.value] += 1
        moves += outcome.sent_ns is not None
        if outcome.latency_ms:
            totals.append(outcome.latency_ms["total"])
        if rig.state.value is State.SHUTDOWN:
            break
    exposures = stand.exposures
    error = np.abs([s.error_um for s in exposures])
    counted = np.array([not s.blank for s in exposures], bool)  # of none, too
    later = counted & (np.arange(len(exposures)) >= RUN_IN)
    return Scanned(
        share=_share(error[later], half_um),
        run_in_share=_share(error[counted][:RUN_IN], half_um),
        p50_um=_quantile(error[later], 0.5),
        p95_um=_quantile(error[later], 0.95),
        frames=len(exposures),
        missed=camera.dropped,
        moves=moves,
        decisions=dict(decisions),
        refused=dict(rig.guard.refused),
        latency_p50_ms=_quantile(np.array(totals), 0.5),
        ended=rig.state.name,
        exposures=exposures,
    )


def _share(error: Any, half_um: float) -> float:
    return round(float((error <= half_um).mean()), 4) if len(error) else 0.0


def _quantile(values: Any, q: float) -> float:
    return round(float(np.quantile(values, q)), 3) if len(values) else 0.0
