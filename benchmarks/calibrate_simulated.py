"""Calibrate simulated instruments by moving and looking, then focus with what was found.

Rendered frames, the shipped networks, the reference firmware on a serial port, and a drive with the
wrong sign, a wrong scale and play. After the calibration the loop focuses fields with it; their
final error is the simulator's truth. Rendering takes nearly all the time.

python -m benchmarks.calibrate_simulated [--case inverted --case short ...] [--json FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import machine
from edge.appliance.calibrate.page import write_page
from edge.appliance.calibrate.verb import calibrate, open_play, result_of, sentence
from edge.appliance.config import calibration_file
from edge.appliance.config.config_file import read_config
from edge.instrument import calibrated
from edge.loop import focus_field
from edge.rig import build_rig
from edge.settings import Config
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.stage import open_stage
from simulator.camera import SimulatedCamera
from simulator.mechanics import Mechanics, MechanicsParameters
from simulator.microscope import Microscope
from simulator.simulate_verb import NOMINAL

#: direction and gain of the drive, play in um
CASES = {
    "nominal": (1, 1.0, 0.8),
    "inverted": (-1, 1.0, 2.0),
    "short": (1, 0.7, 2.0),
    "inverted and long": (-1, 1.3, 2.0),
}
SHAPE = (2016, 2016)  # just the crop
START_UM = 6.0
FIELDS = (("tissue", "dense"), ("cell", "sparse"), ("tissue", "sparse"))


def config_of(folder: Path, port: str) -> Config:
    """The nominal instrument with a calibration file to be made."""
    text = NOMINAL.read_text(encoding="utf-8")
    text = text.replace("focus_direction: 1 ", "calibration: calibration.json #")
    text = text.replace("max_age_ms: 1000", "max_age_ms: 10000")
    text = text.replace("settle_ms: 5", f"settle_ms: 5\n  options: {{port: {port}}}")
    path = folder / "scanner.yaml"
    path.write_text(text, encoding="utf-8")
    return read_config(path, calibrating=True)


def case(name: str, seed: int, report: Path | None) -> dict[str, Any]:
    """Calibrate one instrument and focus with it."""
    direction, gain, play = CASES[name]
    parameters = MechanicsParameters(backlash_um=play, direction=direction, gain=gain)
    microscope = Microscope(seed, SHAPE, dirt=0.0, tilt_um_per_mm=1.0)
    with (
        tempfile.TemporaryDirectory() as place,
        HostFirmware(z_min_nm=0, z_max_nm=400_000, start_nm=200_000) as firmware,
    ):
        folder, key = Path(place), Path(place) / "key"
        glass = Mechanics(MotorTrace(firmware.trace_path), seed, parameters)
        camera = SimulatedCamera(microscope, glass)
        config = config_of(folder, firmware.port)
        truth = microscope.load_field("tissue", "dense", 0)
        _knob(config, glass, truth.z_focus_um + START_UM)
        rig = build_rig(open_play(config), camera=camera)
        try:
            result = calibrate(rig, config, quiet=False)
        finally:
            rig.close()
        left_um = glass.height_um(glass._trajectory.now()[0]) - truth.z_focus_um
        if report is not None:
            write_page(result, report)
        path = folder / "calibration.json"
        calibration_file.write(path, result_of(result), config, key)
        read = calibration_file.read(path, config, key)
        camera = SimulatedCamera(microscope, glass)
        fields = _focus(_with(config, read), camera, microscope, glass)
    print(f"{name}: {sentence(result)}", file=sys.stderr)
    return {
        # the play lies behind the gain: the stage counts it in its own um
        "true": {"direction": direction, "um_per_unit": gain, "play_um": round(play / gain, 2)},
        "found": {
            "direction": result.focus_direction, "um_per_unit": round(result.um_per_unit, 4),
            "um_per_unit_95": round(result.um_per_unit_95, 4), "play_um": round(result.play_um, 2),
            "play_95_um": round(result.play_95_um, 2), "zero_um": round(result.zero_um, 3),
            "linear_range_um": round(result.linear_range_um, 1),
            "scatter_um": round(result.scatter_um, 3),
            "interval_factor": round(result.interval_factor, 2), "looks": len(result.looks),
            "left_at_um": round(left_um, 2),
        },
        "focused_with_it": fields,
    }  # fmt: skip


def _with(config: Config, result: calibration_file.StageCalibration) -> Config:
    """As read_config takes it from the file."""
    options = {**config.stage.options, "backlash_um": max(2.0, result.play_um + 1.0)}
    stage = replace(
        config.stage, focus_direction=result.focus_direction, um_per_unit=result.um_per_unit,
        reference_um=result.reference_um, options=options,
    )  # fmt: skip
    return replace(
        config,
        stage=stage,
        models=replace(config.models, interval_factor=result.interval_factor),
    )


def _knob(config: Config, glass: Mechanics, height_um: float) -> None:
    """A person brings the objective near focus."""
    stage = open_stage("binary", {
        **config.stage.options, "z_min_um": 0.0, "z_max_um": 400.0, "backlash_um": 4.0,
    })  # fmt: skip
    try:
        stage.move_to(glass.motor_for_um(height_um), stage.status().z_um)
        stage.wait(10.0)
    finally:
        stage.close()


def _focus(
    config: Config, camera: SimulatedCamera, microscope: Microscope, glass: Mechanics
) -> list[dict[str, Any]]:
    window = {"z_min_um": config.stage.z_min_um, "z_max_um": config.stage.z_max_um}
    axis = open_stage("binary", {**config.stage.options, **window})
    rig = build_rig(config, camera=camera, stage=calibrated(axis, config.stage))
    errors = []
    try:
        for number, (kind, sparsity) in enumerate(FIELDS, 1):
            truth = microscope.load_field(kind, sparsity, number)
            outcomes = focus_field(rig)
            stage_ns = glass._trajectory.now()[0]
            errors.append({
                "field": f"{kind} {sparsity}", "moves": sum(o.move is not None for o in outcomes),
                "error_um": round(glass.height_um(stage_ns) - truth.z_focus_um, 3),
                "ended": f"{outcomes[-1].decision.value}: {outcomes[-1].reason}",
            })  # fmt: skip
    finally:
        rig.close()
    return errors


def main() -> int:
    """0 = sign exact, scale within 2 %, play within 0.3 um in every case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--report", type=Path, metavar="DIR", help="page of the last case")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    record = {name: case(name, options.seed, options.report)
              for name in options.case or list(CASES)}  # fmt: skip
    machine.write(options.json, record)
    wrong = [
        name for name, row in record.items()
        if row["found"]["direction"] != row["true"]["direction"]
        or abs(row["found"]["um_per_unit"] / row["true"]["um_per_unit"] - 1) > 0.02
        or abs(row["found"]["play_um"] - row["true"]["play_um"]) > 0.3
    ]  # fmt: skip
    print("wrong:", ", ".join(wrong) or "none", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
