"""The settings of a rig, one frozen dataclass per section of the config file.

Every default and every bound of a key stands here and nowhere else (an objective's defaults and
those of the classes of fields in their own dataclasses, which know nothing of files): the file's
reader (edge.appliance.config) and the reference of all keys (docs/config_reference.md) take them
from the fields. The frame's way depends on nothing that surrounds it. What is dangerous to guess
has no default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.camera import CAMERAS
from edge.measure.importance import ClassRule
from edge.measure.preprocess import MAX_PATCHES
from edge.optics import Objective
from edge.settings.config_key import Key, key, options
from edge.settings.surroundings import ControlSettings as ControlSettings
from edge.settings.surroundings import RealtimeSettings as RealtimeSettings
from edge.settings.surroundings import RecordSettings as RecordSettings
from engines.engine import MODELS
from engines.gpu.frame import MEMORY
from firmware_bridge import plug_ins
from firmware_bridge.stage import STAGES
from firmware_bridge.xy_stage import XY_STAGES

BACKENDS = ("auto", "cpu", "gpu")
RUNTIMES = ("onnxruntime", "openvino")
#: drivers whose controller ends every move from one side, past the play, and how far by default
APPROACHING = {"binary": 2.0, "binary-process": 2.0}
BY_HAND = "by-hand"  # a person vouches for focus_direction and for the stage's um
TRAVEL_UM = 100_000  # no microscope's focus drive travels 10 cm

# Defaults that the guard and the controllers share with the file.
SETTLE_MS = 5.0
MAX_MOVES_PER_S = 20
VERIFY_ABOVE_UM = 5.0
MAX_INTERVAL_UM = 4.0
MAX_SHOTS = 4
MAX_BLUR_UM = 0.5
MAX_UNCERTAINTY_UM = 0.3
SCAN_INTERVAL_UM = 1.5
LEAD_MS = 16.0
PREDICT_UM = 0.6
SCAN_DEADBAND_UM = 0.1
#: along a line, smaller ways between two readings prove nothing; no key: a larger one would let a
#: wrong sign pass
JUDGE_UM = 0.5
LEAST_READING_SCALE, MOST_READING_SCALE = 0.4, 1.6  # what is farther off is a fault, not an iris


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """`driver` is a name in edge.camera.CAMERAS; `options` go to it as keyword arguments."""

    driver: str = key("choice", "the driver (docs/cameras.md), or one that an installed package "
                      "brings; given: the program's own (docs/python.md)",
                      choices=(*sorted(CAMERAS), plug_ins.GIVEN),
                      more=lambda: plug_ins.names(plug_ins.CAMERAS))  # fmt: skip
    period_ms: float = key("number", "ms between frames", 1, 10_000)
    options: Mapping[str, Any] = options("of the driver (docs/cameras.md)")
    made_with: Mapping[str, Any] = field(default_factory=dict)  # what the calibration says of it


@dataclass(frozen=True, slots=True)
class StageSettings:
    """`driver` is a name in firmware_bridge.stage.STAGES.

    The window is the guard's; `focus_direction` is +1 when a rising z raises the objective, -1
    when it lowers it, 0 when it is not known yet: then everything is measured, nothing moved.

    `calibration`: where the direction comes from: a signed result file, "by-hand" when a person
    vouches for it, "" when nobody does. The rest is the file's: um of focus for a commanded um,
    about `reference_um`, how far the stage was from where it said (`off_um`, its own um), and what
    it said of itself then. The window is in um of focus, `options` are in the controller's own um.
    """

    driver: str = key("choice", "the driver (docs/stages.md), or one that an installed package "
                      "brings; given: the program's own (docs/python.md)",
                      choices=(*sorted(STAGES), plug_ins.GIVEN),
                      more=lambda: plug_ins.names(plug_ins.STAGES))  # fmt: skip
    z_min_um: float = key("number", "um; no move ends below it", -TRAVEL_UM, TRAVEL_UM)
    z_max_um: float = key("number", "um, above z_min_um; no move ends above it",
                          -TRAVEL_UM, TRAVEL_UM)  # fmt: skip
    focus_direction: int = key("integer", "+1: a rising z raises the objective; -1: it lowers it; "
                               "0: not known, nothing is moved. Not needed with `calibration`",
                               -1, 1)  # fmt: skip
    max_step_um: float = key("number", "um, the longest single move; at most the models' range",
                             0.01, 1000, default=25.0)  # fmt: skip
    settle_ms: float = key("number", "ms after the stage settled before an exposure counts",
                           0, 1000, default=SETTLE_MS)  # fmt: skip
    max_moves_per_s: int = key("integer", "more moves in a second are refused",
                               1, 200, default=MAX_MOVES_PER_S)  # fmt: skip
    options: Mapping[str, Any] = options("of the driver (docs/stages.md)")
    calibration: str = key("word_or_path", f"the file that `sparsefocus calibrate` wrote, or "
                           f"{BY_HAND}", choices=(BY_HAND,), default="")  # fmt: skip
    um_per_unit: float = 1.0
    reference_um: float = 0.0
    off_um: float = 0.0
    made_with: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ends_from_one_side(self) -> bool:
        """Whether the play is taken up after every move, so that none of it can be lost in it."""
        usual_um = APPROACHING.get(self.driver, 0.0)
        return bool(usual_um and self.options.get("backlash_um", usual_um))


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Paths of the manifests; `threads` = 0 lets the engine choose.

    `backend`: "cpu", "gpu", or "auto": the GPU where there are TensorRT, a driver and plans, which
    must then be usable. `runtime`: on the CPU, "openvino" (an extra) for a faster RIN on x86.
    `frame_memory`: "copy" or "mapped", see engines.gpu.frame.
    `interval_factor`: what a calibration found that intervals must be multiplied by.
    """

    rin: Path = key("path", "manifest of the RIN", default=MODELS / "rin.json")
    dpn: Path = key("path", "manifest of the DPN", default=MODELS / "dpn.json")
    threads: int = key("integer", "threads of a network, 0 = the engine chooses", 0, 64, default=0)
    backend: str = key("choice", "where the networks run; auto: the GPU where plans are (docs/"
                       "jetson.md)", choices=BACKENDS, default="auto")  # fmt: skip
    runtime: str = key("choice", "of the networks on the CPU (docs/speed.md)",
                       choices=RUNTIMES, default="onnxruntime")  # fmt: skip
    frame_memory: str = key("choice", "how a frame gets to the GPU (docs/jetson.md)",
                            choices=tuple(MEMORY), default="copy")  # fmt: skip
    interval_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """`deadband_um` and `max_age_ms` = None follow the objective and the frame period.

    `focus_offset_um`: what a user calls sharp, above the plane where the specimen is sharpest;
    positive = the objective ends higher (edge.measure.focus_offset).
    `budget_ms`: from a frame's arrival to the command; fewer patches are measured where all would
    take longer, and none after the interval is as narrow as `enough_um` (both on the CPU only, see
    edge.measure.budget). None = all that the class asks for.
    """

    deadband_um: float | None = key("number", "um; closer to focus than this nothing is moved. "
                                    "Default: a quarter of the depth of field",
                                    0.01, 100, default=None)  # fmt: skip
    verify_above_um: float | None = key("number", "um; after a longer move the next frame must "
                                        f"confirm it. Default: {VERIFY_ABOVE_UM:g} at 20x/0.75, in "
                                        "proportion for others",
                                        0.1, 1000, default=None)  # fmt: skip
    max_interval_um: float | None = key("number", "um; estimates with a wider interval move "
                                        f"nothing. Default: {MAX_INTERVAL_UM:g} at 20x/0.75, in "
                                        "proportion for others",
                                        0.1, 1000, default=None)  # fmt: skip
    max_age_ms: float | None = key("number", "ms from the exposure's end to the move; older frames "
                                   "move nothing. Default: two frame periods",
                                   1, 10_000, default=None)  # fmt: skip
    max_shots: int = key("integer", "moves at one field", 1, 100, default=MAX_SHOTS)
    focus_offset_um: float = key("number", "um, what you call sharp above the plane where the "
                                 "specimen is sharpest; positive = the objective ends higher (docs/"
                                 "calibration.md)", -10, 10, default=0.0)  # fmt: skip
    reading_scale: float = key("number", "um that the networks read for each um of defocus, where "
                               "it is calibrated (docs/any_objective.md); else the moves find it",
                               LEAST_READING_SCALE, MOST_READING_SCALE, default=1.0)  # fmt: skip
    reading_scale_95: float | None = key("number", "its 95 % half-width. Default: not calibrated",
                                         0.001, 0.5, default=None)  # fmt: skip
    hold_outside_training: bool = key("truth", "a field whose first frame lies outside the "
                                      "training is held, unless reading_scale is calibrated; "
                                      "frames whose red and blue look exchanged are, too",
                                      default=True)  # fmt: skip
    budget_ms: float | None = key("number", "ms from a frame's arrival to the command; fewer "
                                  "patches are measured where all take longer. Default: no budget",
                                  1, 10_000, default=None)  # fmt: skip
    enough_um: float | None = key("number", "um; an interval this narrow needs no more patches. "
                                  "Default: all are measured", 0.01, 100, default=None)  # fmt: skip
    classes: ClassRule = field(default_factory=ClassRule)

    def deadband_for(self, objective: Objective) -> float:
        """Closer to focus than this nothing is moved, in um: as given, or the objective's."""
        return objective.deadband_um if self.deadband_um is None else self.deadband_um

    def verify_above_for(self, objective: Objective) -> float:
        """A longer move must be confirmed, um: as given, or so much of the objective's axis as
        looks like the nominal one's."""
        given = self.verify_above_um
        return VERIFY_ABOVE_UM * objective.axial_unit if given is None else given

    def max_interval_for(self, objective: Objective) -> float:
        """Estimates with a wider interval move nothing, um: likewise."""
        given = self.max_interval_um
        return MAX_INTERVAL_UM * objective.axial_unit if given is None else given


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """Focus is followed while the slide moves (edge.decide.tracking); what is not asked for is
    refused.

    `scan_speed_um_s`: of the slide along a line, unless the program that builds the rig gives the
    stage's own positions. The other limits are those of edge.guard.TrackingLimits and
    edge.decide.tracking.TrackingSettings.
    """

    scan_speed_um_s: float = key("number", "um/s of the slide along a line", 0, 1_000_000)
    max_step_um: float = key("number", "um, the longest single move while scanning", 0.01, 50)
    deadband_um: float = key("number", "um; closer to focus than this nothing is moved",
                             0.01, 5, default=SCAN_DEADBAND_UM)  # fmt: skip
    max_blur_um: float = key("number", "um that the objective may move within an exposure",
                             0.01, 5, default=MAX_BLUR_UM)  # fmt: skip
    max_uncertainty_um: float = key("number", "um that z may be uncertain at an exposure",
                                    0.01, 5, default=MAX_UNCERTAINTY_UM)  # fmt: skip
    max_interval_um: float = key("number", "um; estimates with a wider interval are not used",
                                 0.1, 100, default=SCAN_INTERVAL_UM)  # fmt: skip
    lead_ms: float = key("number", "ms from a plan until its small move is made",
                         0, 1000, default=LEAD_MS)  # fmt: skip
    predict_um: float = key("number", "um; over blank fields the surface is followed while it is "
                            "known this well", 0.01, 100, default=PREDICT_UM)  # fmt: skip
    feed_forward: bool = key("truth", "aim at where the surface will be, not where it was",
                             default=True)  # fmt: skip


@dataclass(frozen=True, slots=True)
class XYStageSettings:
    """The stage under the slide; its window is that of edge.wsi.xy_guard and of the driver."""

    driver: str = key("choice", "the driver (docs/stages.md)", choices=tuple(sorted(XY_STAGES)))
    x_min_um: float = key("number", "um; the slide never goes below it", -1e6, 1e6)
    x_max_um: float = key("number", "um, above x_min_um", -1e6, 1e6)
    y_min_um: float = key("number", "um; the slide never goes below it", -1e6, 1e6)
    y_max_um: float = key("number", "um, above y_min_um", -1e6, 1e6)
    travel_z_um: float = key("number", "um; Z for long ways: above every specimen",
                             -TRAVEL_UM, TRAVEL_UM)  # fmt: skip
    near_um: float = key("number", "um; ways up to it are gone with Z down", 0, 10_000,
                         default=2000.0)  # fmt: skip
    overlap: float = key("number", "share of a field that the next one shows, too", 0, 0.5,
                         default=0.1)  # fmt: skip
    options: Mapping[str, Any] = options("of the driver (docs/stages.md)")


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
    record: RecordSettings = field(default_factory=RecordSettings)
    xy_stage: XYStageSettings | None = None
    control: ControlSettings | None = None

    @property
    def max_age_ms(self) -> float:
        """From an exposure's end to the move: above it the guard refuses, and the loop drops."""
        given = self.loop.max_age_ms
        return 2 * self.camera.period_ms if given is None else given


#: keys whose dataclass knows nothing of files: section -> {key -> how it is read}
OBJECTIVE_KEYS = {
    "refractive_index": Key("number", "of the immersion", 1, 1.6),
    "na": Key("number", "numerical aperture; below the refractive index", 0.02, 0.99),
    "magnification": Key("number", "of the objective", 1, 200),
    "um_per_px": Key("number", "um in the object plane per pixel of a frame", 0.01, 20),
    "wavelength_um": Key("number", "um, the middle of the light", 0.3, 1.2),
    "detector_um": Key("number", "um, pixel pitch of the sensor before binning", 0.5, 50),
}
CLASS_KEYS = {
    "k_dense": Key("integer", "patches measured in a dense field, and the most", 1, MAX_PATCHES),
    "k_sparse": Key("integer", "a field with as many is sparse; at most k_dense", 1, MAX_PATCHES),
    "importance_threshold": Key("number", "a patch above it holds content", 0.01, 0.99),
    "k_ex_sparse": Key("integer", "of an ex-sparse field; at most k_sparse", 1, MAX_PATCHES),
    "every_patch": Key("truth", "measure every patch with content, not the best few"),
}
