"""`sparsefocus calibrate`: learn an instrument.

--config F: by moving and looking, sign, um per unit, play, linear range, best focus and interval of
the drive that the config names, into the signed file that `stage.calibration` names.
--sharp-here F: what a person calls sharp, from a picture focused by eye.
--known-steps MANIFEST: what a reading is worth and what is called sharp, from pictures at known
heights.
--zstacks MANIFEST --out MODELS: adapt the networks to an instrument from its through-focus stacks
(training.adapt, with the extra `train`).
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

from edge.appliance.calibrate.drive_calibration import DriveCalibration, DriveCalibrator
from edge.appliance.calibrate.fit import Look
from edge.appliance.calibrate.known_steps import known_steps
from edge.appliance.calibrate.offset import offset_here
from edge.appliance.calibrate.page import write_page
from edge.appliance.config.calibration_file import MadeWith
from edge.appliance.config.config_file import BY_HAND, calibration_file, read_config
from edge.appliance.files import add_json, is_standard, write_json
from edge.appliance.objective import objective_of
from edge.appliance.report.report import check_folder
from edge.camera import Frame, PixelFormat
from edge.errors import ConfigError
from edge.images.image_file import printable
from edge.images.zstack import Exposure, read_manifest, read_pixels, stacks
from edge.instrument import camera_says, stage_says
from edge.latency import Lap
from edge.measure.aggregate import FocusEstimate
from edge.measure.importance import ClassRule
from edge.measure.sensor import Measurer
from edge.measure.sharpness import sharpness
from edge.open_sensor import build_sensor
from edge.rig import Rig, build_rig
from edge.settings import APPROACHING, Config, ModelSettings
from firmware_bridge.stop_signals import BY, StopSignals

ADAPT = "training.adapt.verb"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--config", type=Path, metavar="F", help="the instrument, by moving")
    what.add_argument("--sharp-here", type=Path, metavar="F",
                      help="nothing moves: the picture that a person brought into focus by eye "
                      "tells loop.focus_offset_um")  # fmt: skip
    what.add_argument("--known-steps", type=Path, metavar="MANIFEST",
                      help="nothing moves: pictures at known heights tell loop.reading_scale and "
                      "loop.focus_offset_um")  # fmt: skip
    what.add_argument("--zstacks", type=Path, metavar="MANIFEST", help="the networks, from stacks")
    add("--hold-out", nargs="+", default=[], metavar="STACK", help="of --zstacks: to judge by")
    add("--out", type=Path, metavar="MODELS", help="of --zstacks: folder for the adapted models")
    add("--minutes", type=float, default=12.0, help="of --zstacks: core minutes to train")
    add("--steps", type=int, default=0, help="instead of --minutes: the same on every machine")
    add("--um-per-px", type=float, metavar="X", help="of stacks, where the manifest is silent")
    add("--na", type=float, metavar="X", help="of stacks: the objective's (default: shipped)")
    add("--magnification", type=float, metavar="X", help="of stacks: likewise")
    add_json(parser, "what was found")
    add("--report", type=Path, metavar="DIR", help="write a page with a picture")
    add("--quiet", action="store_true", help="say nothing but the result")


def run(options: argparse.Namespace) -> int:
    """0 = done; what stands in the way is an error with its reason."""
    if options.report is not None:
        check_folder(options.report)
    if options.zstacks is not None:
        return _adapt(options)
    if options.sharp_here is not None:
        return _sharp_here(options)
    if options.known_steps is not None:
        return _known_steps(options)
    if options.out is not None or options.hold_out:
        raise ConfigError("--out and --hold-out belong to --zstacks")
    return _instrument(options)


def _adapt(options: argparse.Namespace) -> int:
    if options.out is None:
        raise ConfigError("--zstacks needs --out MODELS, a folder for the adapted models")
    try:
        adapt = importlib.import_module(ADAPT)
    except ImportError as error:
        raise ConfigError(
            f"--zstacks needs the extra `train`: pip install 'sparsefocus-edge[train]' ({error})"
        ) from error
    return int(adapt.run(options))


def _instrument(options: argparse.Namespace) -> int:
    config = read_config(options.config, calibrating=True)
    named = config.stage.calibration
    if named in ("", BY_HAND):
        raise ConfigError(
            f"{options.config}: stage.calibration must name the file to be written, "
            f"such as calibration.json"
        )
    calibration_file.ready(Path(named))  # before anything moves
    rig = build_rig(open_play(config))
    try:
        with StopSignals(lambda name: rig.halt(BY + name)):
            calibration = calibrate(rig, config, options.quiet)
        made_with = MadeWith(stage_says(rig.stage), camera_says(rig.camera))
    finally:
        rig.close()
    out = sys.stderr if is_standard(options.json) else sys.stdout
    print(sentence(calibration), file=out, flush=True)  # whatever becomes of the files
    try:
        calibration_file.write(Path(named), result_of(calibration), config, made_with=made_with)
    finally:
        _keep(calibration, named, options, out)
    print(f"written and signed: {printable(named)}", file=out)
    return 0


def _sharp_here(options: argparse.Namespace) -> int:
    """Frames of the field as it stands; the offset that would rest there, for the config."""
    config = read_config(options.sharp_here, calibrating=True)
    rig = build_rig(open_play(config))
    try:
        offset = offset_here(rig.sensor, rig.camera.next)
    finally:
        rig.close()
    write_json({"file": str(options.sharp_here), **asdict(offset)}, options.json)
    out = sys.stderr if is_standard(options.json) else sys.stdout
    print(f"loop: {{focus_offset_um: {offset.focus_offset_um:.2f}}}  # +- "
          f"{offset.focus_offset_95_um:.2f} um, {offset.frames} frames", file=out)  # fmt: skip
    return 0


def _known_steps(options: argparse.Namespace) -> int:
    """Pictures of fields at known heights; scale and offset for the config."""
    exposures = read_manifest(options.known_steps)
    um_per_px = exposures[0].um_per_px
    if options.um_per_px is None and um_per_px is not None:
        options.um_per_px = um_per_px
    models = ModelSettings()
    asked = objective_of(options, models.dpn)
    sensor, nets = build_sensor(models, asked.objective, ClassRule())
    try:
        fields = [looks_of(sensor, field) for field in stacks(exposures).values()]
    finally:
        for net in nets:
            net.close()
    fit = known_steps(fields, asked.objective.axial_unit)
    write_json({"file": str(options.known_steps), **asdict(fit)}, options.json)
    out = sys.stderr if is_standard(options.json) else sys.stdout
    offset = (
        "" if fit.focus_offset_um is None else (f", focus_offset_um: {fit.focus_offset_um:.2f}")
    )
    print(f"loop: {{reading_scale: {fit.reading_scale:.3f}, "
          f"reading_scale_95: {fit.reading_scale_95:.3f}{offset}}}", file=out)  # fmt: skip
    print(f"# {fit.looks} pictures, scatter {fit.scatter_um:.2f} um; {asked.sentence}", file=out)
    return 0


def looks_of(sensor: Measurer, field: Sequence[Exposure]) -> list[Look]:
    """What is read on each picture of a field; those without an answer are left out."""
    looks = []
    for exposure in field:
        frame = Frame(read_pixels(exposure), PixelFormat.RGB8, 1, 0, 0)
        estimate = sensor.measure(frame, Lap()).estimate
        if isinstance(estimate, FocusEstimate):
            looks.append(Look(exposure.z_um, estimate.defocus_um, estimate.interval_um,
                              sharpness(frame), "known"))  # fmt: skip
    return looks


def open_play(config: Config) -> Config:
    """The instrument as it is: sign unknown, no approach from one side that would hide the play."""
    stage = config.stage
    extra = {"backlash_um": 0.0} if stage.driver in APPROACHING else {}
    bare = replace(
        stage, focus_direction=0, options={**stage.options, **extra}, max_moves_per_s=200
    )
    # what the networks read is calibrated, not what a user makes of it
    return replace(config, stage=bare, loop=replace(config.loop, focus_offset_um=0.0))


def calibrate(rig: Rig, config: Config, quiet: bool = True) -> DriveCalibration:
    """Move and look on an opened rig; CalibrationRefused with a reason."""

    def say(line: str) -> None:
        if not quiet:
            print(line, file=sys.stderr, flush=True)

    calibrator = DriveCalibrator(
        rig.stage, rig.guard, rig.sensor, rig.camera.next, config.stage.settle_ms, say
    )
    return calibrator.run()


def result_of(calibration: DriveCalibration) -> dict[str, Any]:
    """Plain numbers for the file."""
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"date": when, **asdict(calibration)}


def _keep(
    calibration: DriveCalibration, named: str, options: argparse.Namespace, out: TextIO
) -> None:
    """Numbers and page, where they were asked for."""
    write_json({"file": named, **result_of(calibration)}, options.json)
    if options.report is not None:
        print(f"report: {printable(write_page(calibration, options.report))}", file=out)


def sentence(result: DriveCalibration) -> str:
    """The result for a person."""
    does = "raises" if result.focus_direction > 0 else "lowers"
    return (
        f"a rising z {does} the objective; "
        f"{result.um_per_unit:.3f} +- {result.um_per_unit_95:.3f} um of focus "
        f"per commanded um; play {result.play_um:.2f} +- {result.play_95_um:.2f} um; linear "
        f"to +-{result.linear_range_um:.0f} um; sharpest where the networks read "
        f"{result.zero_um:+.2f} um (loop.focus_offset_um: {result.focus_offset_um:.2f} +- "
        f"{result.focus_offset_95_um:.2f} would rest there); looks scatter by "
        f"{result.scatter_um:.2f} um, intervals times "
        f"{result.interval_factor:.2f}; the stage is within {result.off_um:.2g} um of where it says"
    )
