"""The product on a grid of instruments: `make family`.

    python -m training.family --out runs/family --slides 4 --planes 6 [--row nominal]

A row is an instrument. Its frames are rendered once by the second judge and kept, each pair of
models is measured on them once, and the page is made of all that there is: stop it at any time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2

from edge.appliance.files import write_json
from edge.errors import ConfigError, SparseFocusError
from engines.engine import MODELS
from training.family.frames import Plan, measured
from training.family.instruments import rows
from training.family.page import write
from training.family.table import cells
from training.malloc_tuning import keep_memory


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 = done, 2 = wrong use."""
    parser = argparse.ArgumentParser(
        prog="python -m training.family", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder of frames, measurements and the page")
    add("--slides", type=int, default=4, metavar="N", help="of each group: six groups a row")
    add("--planes", type=int, default=6, metavar="N", help="heights of each slide")
    add("--seed", type=int, default=21)
    add("--models", type=Path, default=MODELS, metavar="DIR", help="rin.json and dpn.json")
    names = [row.name for row in rows()]
    add("--row", action="append", choices=names, help="default: all of them")
    add("--workers", type=int, metavar="N", help="processes that render (default: this one)")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    if options.slides < 1 or options.planes < 1:
        print("training.family: --slides and --planes must be at least 1", file=sys.stderr)
        return 2
    plan = Plan(options.slides, options.planes, options.seed)
    wanted = [row for row in rows() if options.row is None or row.name in options.row]
    done = []
    try:
        for row in wanted:
            done.append(measured(row, plan, options.models, options.out, options.workers))
            lines = [(each, cells(each)) for each in done]
            write_json({"seed": plan.seed, "cells": [c.as_json() for _, some in lines
                                                     for c in some]},
                       options.out / "family.json")  # fmt: skip
            page = write(lines, options.models, plan, options.out)
    except (ConfigError, SparseFocusError, ValueError) as error:
        print(f"training.family: {error}", file=sys.stderr)
        return 2
    print(f"page: {page}")
    return 0


if __name__ == "__main__":
    keep_memory()
    sys.exit(main())
