"""`sparsefocus capture`: labelled z-stacks of an instrument, for training and adaptation.

Fields of the plan are visited far apart first, and each is taken through focus; where it is
sharpest is told by the measure that adaptation has (training.adapt.label). What comes out is what
`calibrate --zstacks`, `evaluate` and training read; the same command goes on where it ended.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.appliance.capture.run_capture import Capture, Label, Wish
from edge.appliance.capture.stacks import MANIFEST, Stack, StackFolder, open_folder
from edge.appliance.files import add_json, is_standard, write_json
from edge.appliance.scan.scanner import Scanner
from edge.appliance.scan.verb import add_simulated, opened
from edge.appliance.telling import tell, written_last
from edge.errors import ConfigError
from edge.measure.preprocess import PatchGrid
from firmware_bridge.stop_signals import BY, StopSignals

#: reached by name: it comes with the extra `train`, as adaptation does
LABEL = "training.adapt.label"
U8 = npt.NDArray[np.uint8]
MOST_FIELDS, PLANES, STEP_UM = 10_000, (7, 1001), (0.05, 10.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add = parser.add_argument
    on = parser.add_mutually_exclusive_group(required=True)
    on.add_argument("--config", type=Path, metavar="F", help="the instrument, a field in focus")
    on.add_argument("--simulate", action="store_true", help="a simulated slide and scanner")
    add("--out", type=Path, metavar="DIR", required=True, help="the stacks' folder")
    add("--fields", type=int, default=24, metavar="N", help="stacks (default: 24)")
    add("--planes", type=int, default=41, metavar="M", help="of each (default: 41)")
    add("--step", type=float, default=1.0, metavar="UM", help="between planes (default: 1)")
    add("--region", action="append", default=[], metavar="X,Y,W,H", help="um of the stage")
    add("--polygon", action="append", default=[], metavar="X,Y,X,Y,X,Y,...", help="likewise")
    add_json(parser, "what was taken")
    add("--quiet", action="store_true", help="say nothing but the result")
    add_simulated(parser.add_argument_group("of --simulate"))


def run(options: argparse.Namespace) -> int:
    """0 = there are stacks with labels. What ends it early is an error; it can be gone on with."""
    wish = _wish(options)
    label = labeller()
    with opened(options) as (scanner, _):
        limits = scanner.rig.guard.limits
        if wish.planes * wish.step_um > limits.z_max_um - limits.z_min_um:
            raise ConfigError(f"--planes {wish.planes} at --step {wish.step_um:g} leave the window")
        if (wish.planes - 1) / 2 * wish.step_um > scanner.rig.config.stage.max_step_um:
            most = scanner.rig.config.stage.max_step_um
            raise ConfigError(
                f"--planes {wish.planes} at --step {wish.step_um:g} reach farther below focus than "
                f"stage.max_step_um = {most:g}"
            )
        folder = open_folder(options.out, _about(options))
        _capture(options, scanner, folder, wish, label)
    record = _record(folder)
    show = not options.quiet and not is_standard(options.json)
    if not record["labelled"]:
        raise ConfigError(f"{options.out}: no field could be labelled")
    return written_last(
        0,
        lambda: write_json(record, options.json),
        lambda: print(_sentence(record, options.out)) if show else None,
    )


def labeller() -> Label:
    """The measure that adaptation has. ConfigError without the extra."""
    try:
        module: Any = importlib.import_module(LABEL)
    except ImportError as error:
        raise ConfigError(
            f"capture needs the extra `train`: pip install 'sparsefocus-edge[train]' ({error})"
        ) from error

    def label(heights: Sequence[float], read: Callable[[int], U8]) -> tuple[float | None, str]:
        shape = read(0).shape
        labels = module.label(list(heights), read, PatchGrid.of_frame(*shape[:2]), None)
        if not math.isfinite(labels.measured_um):
            return None, "nothing stands out of the noise"
        if labels.edge:
            return None, "the sharpest plane is an outermost one"
        return float(labels.measured_um), ""

    return label


def _wish(options: argparse.Namespace) -> Wish:
    for name, value, (low, high) in (
        ("--fields", options.fields, (1, MOST_FIELDS)),
        ("--planes", options.planes, PLANES),
        ("--step", options.step, STEP_UM),
    ):
        if not low <= value <= high:
            raise ConfigError(f"{name} {value:g} must be {low:g} to {high:g}")
    return Wish(options.fields, options.planes, options.step)


def _about(options: argparse.Namespace) -> dict[str, Any]:
    names = ["planes", "step", "region", "polygon"]
    names += ["kind", "seed", "roughness", "size_mm"] if options.simulate else []
    about = {name: getattr(options, name) for name in names}
    return about if options.simulate else {**about, "config": options.config.name}


def _capture(
    options: argparse.Namespace, scanner: Scanner, folder: StackFolder, wish: Wish, label: Label
) -> None:
    rig, plan = scanner.rig, scanner.plan()
    eye = scanner.eye(lambda: plan, by_hand=True)
    limits = rig.guard.limits

    def told(stack: Stack) -> None:
        if not options.quiet:
            sharp = "" if stack.focus_um is None else f"sharpest at {stack.focus_um:.2f} um"
            done = f"[{len(folder.taken)}/{wish.fields}]"
            tell(f"{done} field {stack.id}: {stack.group} {sharp}{stack.why}", wait_s=0.0)

    def stop(name: str) -> None:
        rig.halt(BY + name)
        with contextlib.suppress(Exception):  # whatever its line says: Z is what matters
            scanner.xy.stop()

    window = limits.z_min_um, limits.z_max_um
    um_per_px = rig.config.objective.um_per_px
    capture = Capture(folder, eye, rig.sensor, label, wish, window, um_per_px, told)
    with StopSignals(stop):
        capture.run(plan.fields, rig.stage.status().z_um)


def _record(folder: StackFolder) -> dict[str, Any]:
    taken = folder.taken
    return {
        "manifest": str(folder.path / MANIFEST),
        "stacks": len(taken),
        "labelled": sum(stack.focus_um is not None for stack in taken),
        "planes": sum(len(stack.heights_um) for stack in taken),
        "classes": dict(Counter(stack.group for stack in taken)),
        "left_out": dict(Counter(s.why for s in folder.done.values() if s.why)),
    }


def _sentence(record: dict[str, Any], out: Path) -> str:
    classes = ", ".join(f"{count} {name}" for name, count in sorted(record["classes"].items()))
    return (
        f"{record['stacks']} stacks ({classes}), {record['planes']} planes, {record['labelled']} "
        f"labelled: sparsefocus calibrate --zstacks {out / MANIFEST} --out MODELS"
    )
