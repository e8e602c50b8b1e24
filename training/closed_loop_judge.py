"""Where the glass ends on the second judge: its fields, a random start, the real loop.

    python -m training.closed_loop_judge --slides 30 --seed 1 --json runs/judge_loop.json

As `training.closed_loop`, on frames of `training.judge`: errors are distances from the sharpest
plane, and beside them stands the sharpness reached: gradient energy of the clean picture where the
loop ended over that of the sharpest plane.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.appliance.files import write_json
from edge.appliance.progress import Progress
from edge.decide.decision import Decision
from edge.errors import ConfigError, SparseFocusError
from edge.settings import Config
from edge.state import State
from engines.engine import MODELS
from firmware_bridge.errors import StageError
from simulator.closed_loop import RANGE_UM, Scenario, SimulatedInstrument
from simulator.microscope import FieldTruth, Microscope
from training.closed_loop import CROP, ended, loop_config, positive
from training.closed_loop_table import Ended, looks_text, summarise
from training.cluster import add_arguments, in_order
from training.judge.__main__ import add_bench_arguments, instrument_of
from training.judge.field import DOMAIN, SLIDE_Z_UM, JudgeField, JudgeInstrument
from training.judge.specimens import GROUPS
from training.judge.stacks import some_groups

CONDITION = "judge"


@dataclass(frozen=True)
class JudgeTruth(FieldTruth):
    """As the simulator's, but for sharpness, which is of the picture at the very height."""

    field: JudgeField

    def sharpness_reached(self, z_um: float) -> float | None:
        """See FieldTruth; None on a blank field."""
        return None if self.sparsity == "blank" else self.field.reached(z_um)

    def sharpness_at(self, z_um: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
        """See FieldTruth."""
        if self.sparsity == "blank":
            return None
        return np.array([self.field.reached(float(z)) for z in z_um])


class JudgeMicroscope(Microscope):
    """Fields of the second judge under the simulated stage. `start_um` is what `Scenario` starts
    from: the objective above the sharpest plane."""

    def __init__(self, instrument: JudgeInstrument, seed: int) -> None:
        super().__init__(seed, instrument.shape, slide_z_um=SLIDE_Z_UM, workers=1)
        self._instrument = instrument
        self.field: JudgeField | None = None

    def load_field(self, kind: str, sparsity: str, number: int, slide: int = 0) -> FieldTruth:
        """Field `number` of a group; its focus is the sharpest plane."""
        group = "blank" if sparsity == "blank" else f"{kind} {sparsity}"
        self.field = JudgeField(self._instrument, self.seed, number, group)
        sharpest = self.field.sharpest
        grid, nothing = self.field.richness.shape, np.zeros(1)
        self.truth = JudgeTruth(
            kind, sparsity, sharpest.field_um, self.field.richness.astype(np.float32),
            sharpest.patch_um.astype(np.float32), nothing, np.zeros((1, *grid), np.float32),
            np.zeros(grid, np.float32), self.field,
        )  # fmt: skip
        return self.truth

    def picture(self, z_um: float) -> npt.NDArray[np.uint8]:
        """What the camera sees with the objective at `z_um`: (h, w, 3) uint8 RGB."""
        if self.field is None:
            raise RuntimeError("load a field first")
        return self.field.picture(z_um)


@dataclass(frozen=True, slots=True)
class Judged:
    """How one field ended. `reached_*`: sharpness, 1 = the sharpest plane, None on a blank field.
    Distances from where absorption alone would be in focus stand in `*_absorption_um`."""

    ended: Ended
    reached_first: float | None
    reached_final: float | None
    first_absorption_um: float | None
    final_absorption_um: float | None
    phase: float
    exact: bool


def judge_slide(
    instrument: JudgeInstrument, config: Config, seed: int, groups: tuple[str, ...], number: int,
    start_um: float | None,
) -> list[Judged]:  # fmt: skip
    """One field of each group; after a shutdown the next has a new rig."""
    judged: list[Judged] = []
    rig: SimulatedInstrument | None = None
    try:
        for group in groups:
            if rig is None or rig.rig.state.value is State.SHUTDOWN:
                if rig is not None:
                    rig.__exit__(None, None, None)
                    rig = None
                fresh = SimulatedInstrument(config, seed + number, shape=instrument.shape)
                microscope = JudgeMicroscope(instrument, seed)
                fresh.microscope = microscope
                rig = fresh.__enter__()
            judged.append(_judged(rig, microscope, seed, group, number, start_um))
    finally:
        if rig is not None:
            rig.__exit__(None, None, None)
    return judged


def _judged(
    instrument: SimulatedInstrument, microscope: JudgeMicroscope, seed: int, group: str,
    number: int, start_um: float | None,
) -> Judged:  # fmt: skip
    if start_um is None:
        rng = np.random.default_rng([DOMAIN, seed, GROUPS.index(group), number, 25])
        start_um = float(rng.uniform(-RANGE_UM, RANGE_UM))
    kind, _, sparsity = group.rpartition(" ")
    record = instrument.focus(Scenario(number, kind or "cell", sparsity, start_um))
    field = microscope.field
    assert field is not None
    row = ended(CONDITION, group, number, record)
    if group == "blank":
        return Judged(row, None, None, None, None, field.slide.phase, field.exact)
    first, final = (abs(z - field.surface_um) for z in (record.z_after_first_um, record.z_final_um))
    return Judged(
        row, record.sharpness_first, record.sharpness_final, first, final, field.slide.phase,
        field.exact,
    )  # fmt: skip


def judge(
    instrument: JudgeInstrument, config: Config, seed: int, groups: tuple[str, ...], count: int,
    start_um: float | None = None, workers: int | None = None, scheduler: str | None = None,
    first: int = 0,
) -> Iterator[list[Judged]]:  # fmt: skip
    """Slide by slide, in order."""
    numbers = range(first, first + count)
    jobs = [(instrument, config, seed, groups, number, start_um) for number in numbers]
    yield from in_order(judge_slide, jobs, workers, scheduler)


def table(rows: Sequence[Judged], dof_um: float) -> list[dict[str, Any]]:
    """Per group, and for all: as of `closed_loop_table`, with the sharpness reached."""
    lines = summarise([row.ended for row in rows], dof_um)
    for line in lines:
        some = [row for row in rows if line["group"] in (row.ended.group, "all")]
        reached = [row.reached_final for row in some if row.reached_final is not None]
        line["shutdown"] = sum(row.ended.decision == Decision.SHUTDOWN.value for row in some)
        line["pictures"] = float(np.mean([row.ended.shots for row in some]))
        if not reached:
            continue
        line["reached"] = {
            "median": float(np.median(reached)),
            "p10": float(np.quantile(reached, 0.1)),
            "first_median": _median([row.reached_first for row in some]),
        }
        line["absorption_um"] = {
            "first": _mean([row.first_absorption_um for row in some]),
            "final": _mean([row.final_absorption_um for row in some]),
        }
    return lines


def text(lines: Sequence[dict[str, Any]]) -> str:
    """The table for a terminal; errors in um from the sharpest plane, sharpness 1 = all."""
    head = (
        f"{'group':<18}{'fields':>7}{'held':>6}{'shut':>6}{'pictures':>10}{'1 shot':>8}"
        f"{'final':>7}{'p95':>7}{'1 DoF %':>9}{'reached':>9}{'p10':>7}{'from absorption':>17}"
    )
    out = [head, "-" * len(head)]
    for line in lines:
        start = f"{line['group']:<18}{line['fields']:>7}{line['held']:>6}{line['shutdown']:>6}"
        if "reached" not in line:
            out.append(f"{start}  nothing to focus on: {line['moved']} fields moved")
            continue
        final, reached = line["final_um"], line["reached"]
        out.append(
            f"{start}{line['pictures']:>10.1f}{line['first_um']['mean']:>8.2f}"
            f"{final['mean']:>7.2f}{final['p95']:>7.2f}{100 * final['within_dof']:>9.1f}"
            f"{reached['median']:>9.3f}{reached['p10']:>7.3f}{line['absorption_um']['final']:>17.2f}"
        )
    return "\n".join([*out, "", *looks_text(lines)])


def _median(values: Sequence[float | None]) -> float:
    return float(np.median([v for v in values if v is not None]))


def _mean(values: Sequence[float | None]) -> float:
    return float(np.mean([v for v in values if v is not None]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 = done, 2 = wrong use, 4 = the simulated stage was lost."""
    parser = argparse.ArgumentParser(
        prog="python -m training.closed_loop_judge", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--slides", type=int, default=30, metavar="N", help="per group")
    add("--first", type=int, default=0, metavar="N", help="slide to begin with")
    add("--group", action="append", default=[], help='as "cell dense"; cell = all of cells')
    add("--seed", type=int, default=0)
    add("--start-um", type=float, metavar="Z", help="objective above the sharpest plane at first")
    add("--models", type=Path, default=MODELS, metavar="DIR", help="rin.json and dpn.json")
    add("--deadband", type=positive, metavar="UM", help="default: the objective's")
    add("--json", type=Path, metavar="FILE", help="write table and fields, after every slide")
    add("--quiet", action="store_true", help="no progress")
    add_bench_arguments(parser)
    add_arguments(parser)
    parser.set_defaults(shape=CROP)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    try:
        config, groups = loop_config(options.models, options.deadband), some_groups(options.group)
        progress, rows = Progress(options.slides, options.quiet), list[Judged]()
        for result in judge(
            instrument_of(options), config, options.seed, groups, options.slides, options.start_um,
            options.workers, options.scheduler, options.first,
        ):  # fmt: skip
            rows += result
            lines = table(rows, config.objective.half_depth_um)
            if options.json is not None:
                document = {"seed": options.seed, "groups": lines,
                            "fields": [asdict(row) for row in rows]}  # fmt: skip
                write_json(document, options.json)
            progress.done(", ".join(f"{r.ended.group} {r.ended.decision}" for r in result))
    except (ConfigError, SparseFocusError, ValueError) as error:
        print(f"training.closed_loop_judge: {error}", file=sys.stderr)
        return 2
    except StageError as error:
        print(f"training.closed_loop_judge: the stage was lost: {error}", file=sys.stderr)
        return 4
    print(text(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
