"""Rendered z-stacks on disk, in the project's own format: what the networks are judged on.

    python -m training.stacks --out sets/clean --case clean --slides 30 --planes 4 --seed 1

Frames go into the manifest (`edge.images.zstack`) once their stack is complete, so a run that was
stopped goes on where it was when it is started again. `patches.csv` beside the manifest holds W*
and the focus height of every patch. A stack of all planes is one multi-page TIFF, else each frame
is a file. One process per folder; several may fill different folders.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2

from edge.appliance.progress import Progress
from edge.errors import ConfigError
from simulator.microscope import SENSOR
from simulator.optics import NOMINAL, Instrument
from simulator.photograph import Photographs
from simulator.slide import TEXTURE
from training.cases import ALL_PLANES, CASES
from training.cluster import add_arguments, in_order
from training.malloc_tuning import keep_memory
from training.stack_folder import StackFolder, fill_and_say
from training.stack_render import DOMAINS, Job, render, slides

MAX_PLANES = 1000
UM_PER_PX = (0.1, 2.0)
BYTES_PER_FRAME = 9.5e6  # measured, see `training.tiff_pages`


def fill(
    out: Path,
    job: Job,
    names: Sequence[str],
    count: int | None,
    quiet: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
) -> int:
    """Render what is still missing of `count` slides per group of each case; returns the frames.

    With `workers` or a `scheduler` on several processes (training.cluster): the same files, byte
    for byte.

    ConfigError for textures without photographs and for a folder that cannot take the stacks:
    made with other settings, in use, or on a disk too full.
    """
    if job.photographs is None and any(TEXTURE in CASES[name].kinds for name in names):
        raise ConfigError("--case texture: --textures FOLDER must name sharp photographs")
    wanted = [(CASES[name], *slide) for name in names for slide in slides(CASES[name], count)]
    with StackFolder(out, _settings(job)) as folder:
        left = [w for w in wanted if f"{w[0].name}-{w[1]:04d}" not in folder.done]
        planes = [job.planes_of(case) for case, _, _ in left]
        frames = sum(job.near + (ALL_PLANES if p == "all" else int(p)) for p in planes)
        _room(out, frames * BYTES_PER_FRAME * math.prod(job.shape) / math.prod(SENSOR))
        progress, start, written = Progress(len(left), quiet), time.monotonic(), 0
        jobs = [(out.resolve(), job, *each) for each in left]
        rendered = in_order(render, jobs, workers, scheduler)
        for (case, slide, group), (rows, patches) in zip(left, rendered, strict=True):
            folder.add(rows, patches)
            written += len(rows)
            pace = (time.monotonic() - start) / written
            progress.done(f"{case.name} {slide} {group}, {pace:.2f} s per frame")
    return written


def _settings(job: Job) -> dict[str, object]:
    return {
        "domain": job.domain,
        "seed": job.seed,
        "planes": job.planes,
        "split": job.split,
        "shape_px": list(job.shape),
        "um_per_px": job.instrument.um_per_px,
        **({"near": job.near} if job.near else {}),  # older folders do not say
        **({"reversed_z": True} if job.reversed_z else {}),
    }


def _room(out: Path, needed: float) -> None:
    free = shutil.disk_usage(out).free
    if needed > free:
        raise ConfigError(
            f"{out}: {needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free: "
            "take fewer slides, fewer planes, or another disk"
        )


def _planes(text: str) -> int | str:
    if text == "all":
        return text
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_PLANES):
        raise argparse.ArgumentTypeError(f"{text!r} must be all or 1 to {MAX_PLANES}")
    return int(text)


def _at_least(low: int, text: str) -> int:
    if not (text.isascii() and text.isdigit() and low <= int(text) < 1 << 32):
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from {low}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 = done, 2 = wrong use, 4 = the disk failed, 130 = stopped by hand."""
    parser = argparse.ArgumentParser(
        prog="python -m training.stacks", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to fill, or to go on with")
    parser.add_argument("--case", action="append", required=True, choices=list(CASES))
    parser.add_argument("--slides", type=partial(_at_least, 1), help="per group of the case")
    parser.add_argument("--planes", type=_planes, help="heights per field, or all (101)")
    parser.add_argument("--near", type=partial(_at_least, 0), default=0, metavar="N",
                        help="pictures more of each field, within 3 um of focus")  # fmt: skip
    parser.add_argument("--seed", type=partial(_at_least, 0), default=0)
    parser.add_argument("--domain", choices=list(DOMAINS), default="test")
    parser.add_argument("--split", action="store_true", help="share the slides out 8:1:1")
    parser.add_argument("--textures", type=Path, help="folder of sharp photographs")
    parser.add_argument("--hold-out", nargs="+", default=[], metavar="NAME",
                        help="its sub-folders that only calibration and test see")  # fmt: skip
    parser.add_argument("--um-per-px", type=float, default=NOMINAL.um_per_px, metavar="X",
                        help="of another instrument, 0.1 to 2")  # fmt: skip
    parser.add_argument("--reversed-z", action="store_true",
                        help="of another instrument, whose z rises downwards")  # fmt: skip
    parser.add_argument("--threads", type=partial(_at_least, 1), default=1)
    add_arguments(parser)
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)

    def frames() -> int:
        job = Job(
            options.domain, options.seed, options.planes, options.split,
            _photographs(options), instrument=_instrument(options.um_per_px),
            workers=options.threads, reversed_z=options.reversed_z, near=options.near,
        )  # fmt: skip
        return fill(
            options.out, job, options.case, options.slides, options.quiet, options.workers,
            options.scheduler,
        )  # fmt: skip

    return fill_and_say("training.stacks", options.out, frames)


def _instrument(um_per_px: float) -> Instrument:
    low, high = UM_PER_PX
    if not low <= um_per_px <= high:
        raise ConfigError(f"--um-per-px {um_per_px:g} must be {low:g} to {high:g}")
    return replace(NOMINAL, um_per_px=um_per_px)


def _photographs(options: argparse.Namespace) -> Photographs | None:
    if options.textures is None:
        if options.hold_out:
            raise ConfigError("--hold-out: --textures must name the folder it is part of")
        return None
    part = "train" if options.domain in ("training", "validation") else "test"
    return Photographs.open(options.textures, part, options.hold_out)


if __name__ == "__main__":
    keep_memory()
    sys.exit(main())
