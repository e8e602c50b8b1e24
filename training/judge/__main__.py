"""Z-stacks of the second judge, for `sparsefocus evaluate`.

    python -m training.judge --out sets/judge --slides 20 --planes 4 --seed 1 [--group cell]

Ranges are LOW:HIGH or one number. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from edge.errors import ConfigError
from training.cluster import add_arguments
from training.judge.camera import CameraModel
from training.judge.dyes import STAINS
from training.judge.field import JudgeInstrument
from training.judge.instrument import PATCH_UM, SENSOR, Scope, Spread
from training.judge.stacks import Job, fill, some_groups
from training.malloc_tuning import keep_memory
from training.stack_folder import fill_and_say

CASES = {
    "everyday": Spread(),
    "clean": Spread(dirt=0.0, thick=0.0, tilted=0.0),
    "thick": Spread(dirt=0.0, thick=1.0, tilted=0.0),
    "tilted": Spread(dirt=0.0, thick=0.0, tilted=1.0),
    "dirty": Spread(dirt=2.5),
}


def add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    """What `instrument_of` reads."""
    add = parser.add_argument
    add("--case", choices=list(CASES), default="everyday")
    add("--shape", type=_shape, default=SENSOR, metavar="HxW", help="of frames, px")
    slide = parser.add_argument_group("slides")
    for name in ("phase", "softness", "strength", "w040", "thickness-um", "tilt-um-per-mm"):
        slide.add_argument(f"--{name}", type=_range, metavar="RANGE")
    slide.add_argument("--axial-um", type=_range, metavar="RANGE", help="-1 = reversed order")
    slide.add_argument("--negative", type=float, metavar="SHARE", help="with negative phase")
    slide.add_argument("--stain", action="append", choices=list(STAINS))
    slide.add_argument("--dirt", type=float, metavar="X", help="0 = clean, 1 = everyday")
    slide.add_argument("--exact", type=float, default=0.1, metavar="SHARE",
                       help="of slides summed over the condenser's points")  # fmt: skip
    scope = parser.add_argument_group("instrument")
    for name in ("na", "um-per-px", "condenser", "curvature-um", "light-tilt-na", "patch-um"):
        scope.add_argument(f"--{name}", type=float, metavar="X")
    scope.add_argument("--iris", type=_range, metavar="RANGE", help="condenser of each slide")
    scope.add_argument("--wavelength-um", type=float, nargs=3, metavar=("R", "G", "B"))
    camera = parser.add_argument_group("camera")
    for name in ("noise", "exposure", "gamma", "balance", "vignetting"):
        camera.add_argument(f"--{name}", type=float, metavar="X")
    camera.add_argument("--jpeg", type=int, metavar="QUALITY")
    for name in ("bayer", "grey", "swapped"):
        camera.add_argument(f"--{name}", action="store_true")


def instrument_of(options: argparse.Namespace) -> JudgeInstrument:
    """The instrument that the options ask for."""
    spread = CASES[options.case]
    given = {
        "phase": options.phase, "softness": options.softness, "strength": options.strength,
        "w040_waves": options.w040, "thickness_um": options.thickness_um,
        "tilt_um_per_mm": options.tilt_um_per_mm, "axial_um": options.axial_um,
        "phase_negative": options.negative, "dirt": options.dirt,
        "stains": tuple(options.stain) if options.stain else None,
        "thick": None if options.thickness_um is None else 1.0,
        "tilted": None if options.tilt_um_per_mm is None else 1.0,
    }  # fmt: skip
    spread = replace(spread, **_as_options(given))
    scope = replace(Scope(), **_as_options({
        "na": options.na, "um_per_px": options.um_per_px, "condenser": options.condenser,
        "curvature_um": options.curvature_um, "light_tilt_na": options.light_tilt_na,
        "wavelength_um": options.wavelength_um and tuple(options.wavelength_um),
    }))  # fmt: skip
    camera = replace(CameraModel(), **_as_options({
        "noise": options.noise, "exposure": options.exposure, "gamma": options.gamma,
        "balance": options.balance, "vignetting": options.vignetting, "jpeg": options.jpeg,
        "bayer": options.bayer, "grey": options.grey, "swapped": options.swapped,
    }))  # fmt: skip
    if not 0.0 < scope.na < scope.index or not 0.0 < scope.condenser <= 1.0:
        raise ConfigError("--na must be above 0 and below 1, --condenser above 0 and at most 1")
    if options.iris is not None and not 0.0 < options.iris[0] <= options.iris[1] <= 1.0:
        raise ConfigError("--iris LOW:HIGH must lie above 0 and reach 1 at most")
    return JudgeInstrument(
        scope, camera, spread, options.shape, options.patch_um or PATCH_UM, options.exact,
        iris=options.iris,
    )  # fmt: skip


def _as_options(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 = done, 2 = wrong use, 4 = the disk failed, 130 = stopped by hand."""
    parser = argparse.ArgumentParser(
        prog="python -m training.judge", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder to fill, or to go on with")
    add("--slides", type=partial(_whole, 1), required=True, metavar="N", help="per group")
    add("--group", action="append", default=[], help='as "cell dense"; cell = all of cells')
    add("--seed", type=partial(_whole, 0), default=0)
    add("--planes", type=_planes, default=4, help="heights per field, or all: each 0.5 um")
    add("--range-um", type=float, default=25.0, metavar="X", help="the planes lie within +-X")
    add("--near", type=partial(_whole, 0), default=0, metavar="N", help="more within 3 um")
    add("--at-um", type=float, nargs="+", default=[], metavar="Z",
        help="instead: heights above the sharpest plane")  # fmt: skip
    add("--condition", metavar="NAME", help="in the manifest (default: judge-CASE)")
    add("--others", action="store_true", help="write other measures' best planes, too")
    add_bench_arguments(parser)
    add_arguments(parser)
    add("--quiet", action="store_true")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)

    def frames() -> int:
        job = Job(
            instrument_of(options), options.seed, some_groups(options.group), options.planes,
            options.range_um, tuple(options.at_um), options.condition or f"judge-{options.case}",
            options.others, options.near,
        )  # fmt: skip
        return fill(
            options.out, job, options.slides, options.quiet, options.workers, options.scheduler
        )

    return fill_and_say("training.judge", options.out, frames)


def _argument(read: Callable[[str], object], text: str, what: str) -> object:
    try:
        return read(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be {what}") from None


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    first = _argument(float, low, "a number or LOW:HIGH")
    last = _argument(float, high or low, "a number or LOW:HIGH")
    assert isinstance(first, float)
    assert isinstance(last, float)
    return first, last


def _shape(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(
        p.isascii() and p.isdigit() and 224 <= int(p) < 8192 for p in parts
    ):
        raise argparse.ArgumentTypeError(f"{text!r} must be HxW in px, each 224 to 8191")
    return int(parts[0]), int(parts[1])


def _planes(text: str) -> int | str:
    return text if text == "all" else _whole(1, text)


def _whole(low: int, text: str) -> int:
    if not (text.isascii() and text.isdigit() and low <= int(text) < 1 << 32):
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from {low}")
    return int(text)


if __name__ == "__main__":
    keep_memory()
    sys.exit(main())
