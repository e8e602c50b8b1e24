"""How much of the specimen a macro picture finds, and how much else: docs/whole_slide.md.

    python -m benchmarks.macro_regions [--um-per-px 20] [--seeds 1] [--json FILE]

One thing changed at a time. Recall: share of the specimen's area (2 % of the light of one channel
and more, at full stain) that is found; "field": the same when all within a field (750 um) of what
was found is scanned. False: area found that holds no specimen, as a share of the specimen's area.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.appliance.files import write_json
from edge.wsi.macro import find_specimen
from edge.wsi.macro_light import MacroPictures
from simulator.macro_camera import MacroCamera, MacroParameters
from simulator.world import World, WorldParameters
from simulator.world_layout import Specimen, pap

FIELD_UM = 750.0


def conditions(um_per_px: float) -> dict[str, MacroParameters]:
    """By name."""
    usual = MacroParameters(um_per_px=um_per_px)
    return {
        "as usual": usual,
        "stain at 30 %": replace(usual, stain=0.3),
        "stain at 10 %": replace(usual, stain=0.1),
        "unstained": replace(usual, stain=0.0),
        "lamp +15 % and warmer": replace(usual, lamp=(1.15, 1.1, 1.02)),
        "lamp -25 %": replace(usual, lamp=(0.75, 0.75, 0.75)),
        "noise x 3": replace(usual, full_well_e=1000.0),
        "turned by 2 degrees": replace(usual, turned_deg=2.0, moved_um=(700.0, -400.0)),
    }


def judge(camera: MacroCamera, through: bool = True, side: bool = True) -> dict[str, Any]:
    """One picture, with either light or both."""
    light = (camera.through(), camera.empty_through()) if through else (None, None)
    dark = (camera.side(), camera.empty_side()) if side else (None, None)
    um = camera.parameters.um_per_px
    found = find_specimen(MacroPictures(um, *light, *dark))
    truth, specimen = camera.specimen(), found.specimen
    size = 2 * round(FIELD_UM / um) + 1
    wide = cv2.dilate(specimen.astype(np.uint8), np.ones((size, size), np.uint8)) > 0
    area = max(int(truth.sum()), 1)
    return {
        "recall": float((specimen & truth).sum() / area),
        "field": float((wide & truth).sum() / area),
        "false": float((specimen & ~truth).sum() / area),
        "parts": sorted({part.kind for part in found.parts}),
    }


def main() -> None:
    """Print a row per slide and condition."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--um-per-px", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for seed in range(3, 3 + options.seeds):
        for specimen in (Specimen(), pap()):
            world = World(seed, WorldParameters(specimen, tile_px=512))
            for name, parameters in conditions(options.um_per_px).items():
                camera = MacroCamera(world, parameters)
                lights = [("both", True, True)]
                if name == "as usual":
                    lights += [("through", True, False), ("side", False, True)]
                for light, through, side in lights:
                    row = {"specimen": specimen.kind, "seed": seed, "condition": name,
                           "light": light, **judge(camera, through, side)}  # fmt: skip
                    rows.append(row)
                    print(row, flush=True)
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
