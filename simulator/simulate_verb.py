"""`sparsefocus simulate`: focus fields of the simulated microscope and show how it went."""

from __future__ import annotations

import argparse
import platform
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from edge.appliance.config.config_file import read_config
from edge.appliance.files import add_json, is_standard, write_json
from edge.appliance.progress import Progress
from edge.appliance.report.focus_record import FieldRecord, SessionRecord
from edge.appliance.report.report import check_folder, write_report
from edge.appliance.telling import tell, written_last
from edge.errors import ConfigError
from edge.images.image_file import printable
from edge.settings import Config
from edge.state import State
from simulator.closed_loop import RANGE_UM, Scenario, SimulatedInstrument
from simulator.optics import NOMINAL as INSTRUMENT
from simulator.other_instrument import config_for, instrument_of
from simulator.slide import KINDS, SPARSITIES

NOMINAL = Path(__file__).with_name("nominal.yaml")
REFUSED_FOR_SAFETY = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add = parser.add_argument
    add("--config", type=Path, default=NOMINAL, help="instrument (default: the nominal one)")
    add("--kind", choices=KINDS, help="only cells or only tissue")
    add("--sparsity", choices=(*SPARSITIES, "blank"), help="only this coverage")
    default = "(default: two of each of the six, one blank)"
    add("--fields", type=int, metavar="N", help=f"how many, from the groups in turn {default}")
    where = "objective minus best focus at the start (default: random in +-25 um)"
    add("--start-um", type=float, metavar="Z", help=where)
    add("--seed", type=int, default=5, help="of slides, starts and noise (default: 5)")
    add("--report", type=Path, metavar="DIR", help="write pictures, numbers and a page there")
    add_json(parser, "the numbers")
    add("--quiet", action="store_true", help="no progress, no table")
    add("--dirt", type=float, default=1.0, help="how much dust, bubbles, pen (0 = clean)")
    scope = parser.add_argument_group("another instrument, its objective told to the runtime")
    scope.add_argument("--na", type=float, metavar="X", help="of the objective (default: 0.75)")
    scope.add_argument("--um-per-px", type=float, metavar="X", help="(default: 0.34)")
    scope.add_argument("--condenser", type=float, metavar="X",
                       help="its aperture over the objective's (default: 0.7)")  # fmt: skip
    add("--invert-sign", action="store_true", help="wire the motor backwards: must shut down")


def run(options: argparse.Namespace) -> int:
    """0 = every field was handled, 3 = the runtime shut down for safety."""
    config, instrument, unit = _config(options.config), INSTRUMENT, 1.0
    given = (options.na, options.um_per_px, options.condenser)
    if any(value is not None for value in given):
        instrument, unit = instrument_of(*given)
        config = config_for(config, instrument, unit)
    scenarios = _scenarios(options, unit)
    if options.report is not None:
        check_folder(options.report)
    progress = Progress(len(scenarios), options.quiet)
    session = SessionRecord(
        fields=[],
        half_depth_um=config.objective.half_depth_um,
        deadband_um=config.loop.deadband_for(config.objective),
        period_ms=config.camera.period_ms,
        title="Simulated microscope",
        facts=_facts(options, config),
    )
    shown = options.report is not None
    with SimulatedInstrument(
        config, options.seed, options.invert_sign, options.dirt, pictures=shown,
        instrument=instrument,
    ) as bench:  # fmt: skip
        for scenario in scenarios:
            record = bench.focus(scenario)
            session.fields.append(record)
            progress.done(_line(record))
            if bench.rig.state.value is State.SHUTDOWN:
                session.shutdown_reason = bench.rig.state.reason
                break
    status = 0
    if session.shutdown_reason:
        status = REFUSED_FOR_SAFETY
        tell(f"sparsefocus: shut down: {session.shutdown_reason}")
    return written_last(status, lambda: _publish(session, options, config.objective.um_per_px))


def _config(path: Path) -> Config:
    config = read_config(path)
    for key, value, wanted in (
        ("camera.driver", config.camera.driver, "simulated"),
        ("stage.driver", config.stage.driver, "binary"),
    ):
        if value != wanted:
            raise ConfigError(f"{path}: {key} = {value} must be {wanted} to simulate")
    return config


def _scenarios(options: argparse.Namespace, unit: float = 1.0) -> list[Scenario]:
    """The groups in turn; by default two fields of each of the six and one blank."""
    if options.fields is not None and not 1 <= options.fields <= 10_000:
        raise ConfigError(f"--fields {options.fields} must be within 1..10000")
    most_um = 60.0 * unit
    if options.start_um is not None and not abs(options.start_um) <= most_um:
        raise ConfigError(f"--start-um {options.start_um} must be within +-{most_um:g}")
    if not 0.0 <= options.dirt <= 3.0:
        raise ConfigError(f"--dirt {options.dirt} must be within 0..3")
    kinds = (options.kind,) if options.kind else KINDS
    sparsities = (options.sparsity,) if options.sparsity else SPARSITIES
    groups = [(kind, sparsity) for sparsity in sparsities for kind in kinds]
    if options.fields is None:
        chosen = groups * 2
        if not options.kind and not options.sparsity:
            chosen = [*chosen, ("cell", "blank")]
    else:
        chosen = list(islice(cycle(groups), options.fields))
    rng = np.random.default_rng([options.seed, 25])
    starts = rng.uniform(-RANGE_UM, RANGE_UM, len(chosen)) * unit
    if options.start_um is not None:
        starts[:] = options.start_um
    return [Scenario(n, *group, float(starts[n])) for n, group in enumerate(chosen)]


def _facts(options: argparse.Namespace, config: Config) -> dict[str, str]:
    return {
        "seed": str(options.seed),
        "instrument": str(options.config.name),
        "window": f"{config.stage.z_min_um:g} to {config.stage.z_max_um:g} um",
        "focus offset": f"{config.loop.focus_offset_um:g} um above the sharpest plane",
        "models": f"{config.models.rin.name}, {config.models.dpn.name}",
        "motor": "wired backwards on purpose" if options.invert_sign else "wired as configured",
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


def _line(record: FieldRecord) -> str:
    start, final = record.error_um(record.z_start_um), record.error_um(record.z_final_um)
    change = "" if start is None or final is None else f": {start:.2f} -> {final:.2f} um"
    return f"{record.kind} {record.sparsity}{change}, {record.last.decision.value}"


def _publish(session: SessionRecord, options: argparse.Namespace, um_per_px: float) -> None:
    write_json(session.as_json(), options.json)
    if options.report is not None:
        page = write_report(session, options.report, um_per_px)
        if not is_standard(options.json):
            print(f"report: {printable(page)}")
    if not options.quiet and not is_standard(options.json):
        print(_table(session))


def _table(session: SessionRecord) -> str:
    """Fixed-width table for a terminal."""
    head = (
        f"{'field':<20}{'start':>8}{'1st shot':>10}{'final':>8}  {'um':<3}{'sharp':>6}{'k':>4}"
        "  decision"
    )
    lines = [head, "-" * len(head)]
    for record in session.fields:
        row = record.as_json()
        numbers = [row[key] for key in ("start_error_um", "first_error_um", "final_error_um")]
        start, first, final = ("-" if v is None else f"{v:.2f}" for v in numbers)
        name = f"{record.kind} {record.sparsity}"
        why = f"{row['decision']} ({row['reason']}), {row['shots']} shots, {row['moves']} moves"
        sharp = "-" if record.sharpness_final is None else f"{record.sharpness_final:.2f}"
        lines.append(
            f"{name:<20}{start:>8}{first:>10}{final:>8}  {'':<3}{sharp:>6}{row['k']:>4}  {why}"
        )
    return "\n".join([*lines, _summary_line(session)])


def _summary_line(session: SessionRecord) -> str:
    s = session.summary()
    if session.shutdown_reason:
        return f"SHUTDOWN: {session.shutdown_reason}"
    if s["mae_final_um"] is None:
        return f"no field with content; {s['moves_refused']} moves refused"
    ms = s["latency_ms"]
    return (
        f"mean error {s['mae_first_um']:.2f} um after one shot, {s['mae_final_um']:.2f} um at the "
        f"end; {100 * s['within_dof']:.0f} % within {s['dof_um']:.2f} um; direction "
        f"{100 * (s['dss'] or 0):.0f} %; sharpness reached {s['sharpness_median']:.2f} of the "
        f"sharpest plane's in the median; capture to command p50 {ms['p50']:.0f} ms, "
        f"p99 {ms['p99']:.0f} ms; {s['moves_refused']} moves refused"
    )
