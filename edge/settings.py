"""The settings of a rig, one frozen dataclass per section of the config file.

Plain values: who reads them from a file checks them (`edge.appliance.config.config_file`), and the
frame's way depends on nothing that surrounds it. What is dangerous to guess has no default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.measure.importance import ClassRule
from edge.optics import Objective
from engines.engine import MODELS


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """`driver` is a name in edge.camera.CAMERAS; `options` go to it as keyword arguments."""

    driver: str
    period_ms: float  # between frames
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageSettings:
    """`driver` is a name in firmware_bridge.stage.STAGES.

    The window is the guard's; `focus_direction` is +1 when a rising z raises the objective, -1
    when it lowers it, 0 when it is not known yet: then everything is measured, nothing moved.

    `calibration`: where the direction comes from: a signed result file, "by-hand" when a person
    vouches for it, "" when nobody does. The rest is the file's: um of focus for a commanded um,
    about `reference_um`.
    """

    driver: str
    z_min_um: float
    z_max_um: float
    focus_direction: int
    max_step_um: float = 25.0
    settle_ms: float = 5.0
    max_moves_per_s: int = 20
    options: Mapping[str, Any] = field(default_factory=dict)
    calibration: str = ""
    um_per_unit: float = 1.0
    reference_um: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Paths of the manifests; `threads` = 0 lets the engine choose.

    `backend`: "cpu", "gpu", or "auto": the GPU where there are TensorRT, a driver and plans, which
    must then be usable. `runtime`: on the CPU, "openvino" (an extra) for a faster RIN on x86.
    `frame_memory`: "copy" or "mapped", see engines.gpu.frame.
    `interval_factor`: what a calibration found that intervals must be multiplied by.
    """

    rin: Path = MODELS / "rin.json"
    dpn: Path = MODELS / "dpn.json"
    threads: int = 0
    backend: str = "auto"
    runtime: str = "onnxruntime"
    frame_memory: str = "copy"
    interval_factor: float = 1.0


BACKENDS = ("auto", "cpu", "gpu")
RUNTIMES = ("onnxruntime", "openvino")


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """`deadband_um` and `max_age_ms` = None follow the objective and the frame period.

    `budget_ms`: from a frame's arrival to the command; fewer patches are measured where all would
    take longer, and none after the interval is as narrow as `enough_um` (both on the CPU only, see
    edge.measure.budget). None = all that the class asks for.
    """

    deadband_um: float | None = None
    verify_above_um: float = 5.0
    max_interval_um: float = 4.0
    max_age_ms: float | None = None
    max_shots: int = 4
    budget_ms: float | None = None
    enough_um: float | None = None
    classes: ClassRule = field(default_factory=ClassRule)


@dataclass(frozen=True, slots=True)
class RealtimeSettings:
    """`priority` 1..99 of SCHED_FIFO, 0 = the usual scheduler; `cores` to run on, none = any;
    `lock_memory`: no page is ever swapped out."""

    priority: int = 0
    cores: tuple[int, ...] = ()
    lock_memory: bool = False


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """Focus is followed while the slide moves (edge.decide.tracking); what is not asked for is
    refused.

    `scan_speed_um_s`: of the slide along a line, unless the program that builds the rig gives the
    stage's own positions. The other limits are those of edge.guard.TrackingLimits and
    edge.decide.tracking.TrackingSettings.
    """

    scan_speed_um_s: float
    max_step_um: float
    max_blur_um: float = 0.5
    max_uncertainty_um: float = 0.3
    max_interval_um: float = 1.5
    lead_ms: float = 16.0
    predict_um: float = 0.6
    feed_forward: bool = True


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a rig is built from."""

    camera: CameraSettings
    stage: StageSettings
    objective: Objective
    models: ModelSettings = ModelSettings()
    loop: LoopSettings = LoopSettings()
    realtime: RealtimeSettings = field(default_factory=RealtimeSettings)
    scan: ScanSettings | None = None
