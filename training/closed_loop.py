"""Where the glass ends: fresh slides, a random start, the real loop with at most two moves.

    python -m training.closed_loop --slides 30 --json runs/closed_loop.json [--case clean]

Nothing is shortened: rendered frames, the shipped runtime, the reference firmware over a serial
port, a drive with play and position errors. Every field counts with the error it ends with, also
those that the loop held; they are told apart as well. The pictures cost nearly all the time.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.appliance.config.config_file import read_config
from edge.appliance.files import write_json
from edge.appliance.progress import Progress
from edge.appliance.report.focus_record import FieldRecord
from edge.errors import EngineRejected, SparseFocusError
from edge.settings import Config, ModelSettings
from edge.state import State
from engines.engine import MODELS
from firmware_bridge.errors import StageError
from simulator.closed_loop import RANGE_UM, Scenario, SimulatedInstrument
from simulator.field_truth import FieldTruth
from simulator.microscope import Microscope
from simulator.photograph import Photographs
from simulator.simulate_verb import NOMINAL
from training.cases import CASES, SLIDE_Z_UM, Case, Field, load
from training.closed_loop_looks import looks_of
from training.closed_loop_table import MAX_MOVES, Ended, summarise, text
from training.stack_render import slides

#: just the crop: everything as on the sensor, in four fifths of the time
CROP = (2016, 2016)
#: rendering shares its core with the loop: a picture's age says nothing about the runtime here
MAX_AGE_MS = 60_000.0


class CaseMicroscope(Microscope):
    """The slides of a case under the simulated objective; see `training.cases`."""

    def __init__(self, case: Case, seed: int, photographs: Photographs | None) -> None:
        super().__init__(seed, CROP, slide_z_um=SLIDE_Z_UM, workers=1)
        self._case, self._photographs = case, photographs
        self._field: Field | None = None

    def load_field(self, kind: str, sparsity: str, number: int, slide: int = 0) -> FieldTruth:
        """Slide `slide` of the case, which has one field."""
        group = "blank" if sparsity == "blank" else f"{kind} {sparsity}"
        self._field = load(
            self._case, self.seed, slide, group, photographs=self._photographs, shape=CROP
        )
        self.truth = self._field.truth
        return self.truth

    def picture(self, z_um: float) -> npt.NDArray[np.uint8]:
        """What the camera sees with the objective at `z_um`: (2016, 2016, 3) uint8 RGB."""
        if self._field is None:
            raise RuntimeError("load a field first")
        return self._field.picture(z_um)


def starts_um(case: Case, seed: int, slide: int) -> float:
    """Objective less best focus before the first frame, even in +-25 um."""
    rng = np.random.default_rng([seed, zlib.crc32(case.name.encode()), slide, 25])
    return float(rng.uniform(-RANGE_UM, RANGE_UM))


def focus_fields(
    case: Case,
    config: Config,
    seed: int,
    count: int | None,
    photographs: Photographs | None = None,
    quiet: bool = False,
) -> list[Ended]:
    """Focus `count` fields of each group, one per slide; a shutdown is noted and left behind."""
    chosen = list(slides(case, count))
    progress = Progress(len(chosen), quiet)
    rows: list[Ended] = []
    with ExitStack() as opened:
        instrument: SimulatedInstrument | None = None
        for slide, group in chosen:
            if instrument is None or instrument.rig.state.value is State.SHUTDOWN:
                opened.close()
                instrument = SimulatedInstrument(config, seed + slide, shape=CROP)
                instrument.microscope = CaseMicroscope(case, seed, photographs)
                opened.enter_context(instrument)
            kind, _, sparsity = group.rpartition(" ")
            scenario = Scenario(slide, kind or "cell", sparsity, starts_um(case, seed, slide))
            rows.append(ended(case.name, group, slide, instrument.focus(scenario)))
            progress.done(_sentence(rows[-1]))
    return rows


def ended(case: str, group: str, slide: int, record: FieldRecord) -> Ended:
    """How a focused field ended, in a row of the table."""
    heights = (record.z_start_um, record.z_after_first_um, record.z_final_um)
    start, first, final = (record.error_um(z) for z in heights)
    moves = sum(outcome.move is not None for outcome in record.outcomes)
    last = record.last
    return Ended(case, group, slide, start, first, final, last.decision.value, last.reason, moves,
                 record.shots, record.sharpness_final, looks_of(record))  # fmt: skip


def _sentence(row: Ended) -> str:
    way = f"{row.moves} moves"
    if row.start_um is not None and row.final_um is not None:
        way = f"{row.start_um:.2f} -> {row.final_um:.2f} um, {way}"
    return f"{row.case} {row.slide} {row.group}: {way}, {row.decision} ({row.reason})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 = done, 2 = wrong use, 4 = the simulated stage was lost, as happens on a
    machine with too much else to do."""
    options = _options(arguments)
    cv2.setNumThreads(1)
    try:
        config = loop_config(options.models, options.deadband)
        photographs = None
        if options.textures is not None:
            photographs = Photographs.open(options.textures, "test", options.hold_out)
        rows: list[Ended] = []
        for name in options.case or ["everyday"]:
            rows += focus_fields(
                CASES[name], config, options.seed, options.slides, photographs, options.quiet
            )
            _write(rows, config.objective.half_depth_um, options)
    except (SparseFocusError, EngineRejected, ValueError) as error:
        print(f"training.closed_loop: {error}", file=sys.stderr)
        return 2
    except StageError as error:
        print(f"training.closed_loop: the stage was lost: {error}", file=sys.stderr)
        return 4
    print(text(summarise(rows, config.objective.half_depth_um)))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.closed_loop", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--case", action="append", choices=list(CASES), help="default: everyday")
    add("--slides", type=int, metavar="N", help="per group (default: as the case has it)")
    add("--seed", type=int, default=0)
    add("--models", type=Path, default=MODELS, metavar="DIR", help="rin.json and dpn.json")
    add("--deadband", type=positive, metavar="UM", help="default: the objective's")
    add("--textures", type=Path, metavar="DIR", help="sharp photographs, for the case texture")
    add("--hold-out", nargs="+", default=[], metavar="NAME", help="sub-folders not trained on")
    add("--json", type=Path, metavar="FILE", help="write table and fields, after every case")
    add("--quiet", action="store_true", help="no progress")
    return parser.parse_args(arguments)


def positive(text: str) -> float:
    """A deadband from the command line."""
    value = float(text)
    if not 0.01 <= value <= 100.0:  # as in the config
        raise argparse.ArgumentTypeError(f"{text} is not a distance of 0.01 to 100 um")
    return value


def loop_config(models: Path, deadband_um: float | None) -> Config:
    """The nominal simulated instrument with at most two moves."""
    config = read_config(NOMINAL)
    return replace(
        config,
        models=ModelSettings(models / "rin.json", models / "dpn.json", threads=1),
        loop=replace(
            config.loop, max_shots=MAX_MOVES, max_age_ms=MAX_AGE_MS, deadband_um=deadband_um
        ),
    )


def _write(rows: Sequence[Ended], dof_um: float, options: argparse.Namespace) -> None:
    if options.json is None:
        return
    document = {
        "seed": options.seed,
        "models": str(options.models),
        "deadband_um": options.deadband,
        "dof_um": dof_um,
        "groups": summarise(rows, dof_um),
        "fields": [asdict(row) for row in rows],
    }
    write_json(document, options.json)


if __name__ == "__main__":
    sys.exit(main())
