"""`sparsefocus focus IMAGE...`: one shot on image files. Nothing moves here.

The decision and its reason are what the loop's controller says of such a frame: MOVE, VERIFY (a
move that the next frame must confirm), IN_FOCUS, or HOLD where nothing would be moved.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from time import monotonic_ns
from typing import Any

from edge.appliance.config.config_file import read_config
from edge.appliance.files import add_json, is_standard, write_json
from edge.appliance.frame_result import FrameResult
from edge.appliance.objective import add_objective, objective_of
from edge.camera import Frame
from edge.decide.controllers import SingleFrame
from edge.decide.reading_scale import Scale
from edge.errors import ConfigError
from edge.images.image_file import as_frame, printable, read_picture
from edge.latency import Lap
from edge.measure.focus_offset import with_offset
from edge.measure.sensor import Measurer, measure_in_full
from edge.open_sensor import build_sensor, exchanged_colours_hold
from edge.settings import LoopSettings, ModelSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE",
                        help="PNG, TIFF or JPEG, of an objective the models are for")  # fmt: skip
    parser.add_argument("--config", type=Path, help="objective and models from this file")
    add_objective(parser)
    add_json(parser, "the result")
    parser.add_argument("--bits", type=int, choices=range(8, 17), metavar="N",
                        help="of the camera, 8 to 16, where its files do not say it")  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="no table")


def run(options: argparse.Namespace) -> int:
    """Measure each file; 0, or 2 when a file could not be used (one line each)."""
    models, loop, config = ModelSettings(), LoopSettings(), None
    if options.config is not None:
        config = read_config(options.config)
        models, loop = config.models, config.loop
    asked = objective_of(options, models.dpn, config)
    objective = asked.objective
    plain, nets = build_sensor(models, objective, loop.classes)
    exchanged_colours_hold(plain, loop.hold_outside_training)
    sensor = with_offset(plain, loop.focus_offset_um)  # as the rig has it
    alone = SingleFrame(loop, objective)
    scale = alone.scale
    rows: list[dict[str, Any]] = []
    status = 0
    for path in options.images:
        try:
            measured = _measure(path, sensor, alone, options.bits)
            rows.append({**measured, "um_per_px": objective.um_per_px, "scale": asdict(scale)})
        except ConfigError as error:  # the other files are still worth measuring
            print(f"sparsefocus: {' '.join(str(error).split())}", file=sys.stderr)
            status = 2
    for net in nets:
        net.close()
    write_json(rows, options.json)
    if not options.quiet and not is_standard(options.json):
        _print(rows)
        if rows:
            print(asked.sentence)
    return status


def _measure(path: Path, sensor: Measurer, alone: SingleFrame, bits: int | None) -> dict[str, Any]:
    picture = read_picture(path)
    pixels, pixel_format = as_frame(path, picture, bits)
    now = monotonic_ns()
    lap = Lap()
    try:
        measurement = measure_in_full(sensor, Frame(pixels, pixel_format, 1, now, now), lap)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    file = {"file": str(path), "picture": 1, "pictures": picture.pictures}
    result = FrameResult.of(measurement, alone.plan(measurement.estimate))
    return {**file, **_as_json(result, alone.scale), "latency_ms": lap.ms}


def _as_json(result: FrameResult, scale: Scale) -> dict[str, Any]:
    """What the result says, by the names of the command line's documentation. Lengths of the frame
    in um that the glass must move, those of the patches as the network read them."""
    found_um, interval_um = result.found_um, result.interval_um
    whole_um = None
    if found_um is not None and interval_um is not None:
        whole_um = scale.interval_um(found_um, interval_um)
        found_um, interval_um = found_um / scale.value, interval_um / scale.value
    patches = zip(
        result.cells, result.patch_importance or (), result.patch_defocus_um or (), strict=True
    )
    return {
        "decision": result.decision,
        "reason": result.decision_reason,
        "defocus_um": found_um,
        "interval_um": interval_um,
        "interval_with_scale_um": whole_um,
        "sparsity": result.sparsity,
        "k": result.k,
        "shift": result.shift_json,
        "patches": [
            {"row": row, "col": column, "importance": importance, "defocus_um": defocus_um}
            for (row, column), importance, defocus_um in patches
        ],
    }


def _print(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        where = "no focus found"
        if row["defocus_um"] is not None:
            where = f"{row['defocus_um']:+7.2f} um +- {row['interval_um']:.2f}"
            if not row["scale"]["known"]:
                where += f" ({row['interval_with_scale_um']:.1f} with an iris that nobody told)"
        ms = row["latency_ms"]["total"]
        why = f"{row['decision']} ({row['reason']})"
        summary = f"{row['sparsity']}, k = {row['k']}, {_shift(row['shift'])}{ms:.0f} ms"
        count = row.get("pictures", 1)
        of = f" (picture 1 of {count} in the file)" if count > 1 else ""
        print(f"{printable(row['file'])}{of}: {where}  {why}  {summary}")


def _shift(shift: dict[str, Any] | None) -> str:
    """How far outside the training, as the line says it."""
    if shift is None:
        return ""
    if not shift["alarm"]:
        return f"shift {shift['score']:.2f}, "
    return f"OUTSIDE THE TRAINING ({shift['feature']}, shift {shift['score']:.2f}), "
