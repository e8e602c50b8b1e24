"""What a full simulated frame costs, by specimen: painting, spectra, one height, exposure.

python -m benchmarks.render_cost [--repeat 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from simulator.microscope import SENSOR
from simulator.render import Renderer, expose
from simulator.slide import KINDS, SPARSITIES, draw_variation, make_specimen


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Result and seconds."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def measure(kind: str, sparsity: str, seed: int) -> dict[str, float]:
    """One field: seconds for each part, and how many layers and um of tilt it had."""
    rng = np.random.default_rng(seed)
    slide = draw_variation(rng)
    field, paint = timed(lambda: make_specimen(kind, sparsity, SENSOR, 0.34, rng, slide))
    renderer, spectra = timed(lambda: Renderer(field, slide.optics, workers=2))
    light, render = timed(lambda: renderer.intensity(3.0))
    _, exposure = timed(lambda: expose(light, slide, rng))
    return {"paint_s": paint, "spectra_s": spectra, "height_s": render, "expose_s": exposure,
            "layers": len(field.layers)}  # fmt: skip


def main() -> None:
    """Print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for kind in KINDS:
        for sparsity in SPARSITIES:
            runs = [measure(kind, sparsity, seed) for seed in range(options.repeat)]
            median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            rows.append({"kind": kind, "sparsity": sparsity, **median})
            numbers = "  ".join(f"{key} {value:5.2f}" for key, value in median.items())
            print(f"{kind:<7}{sparsity:<10} {numbers}", flush=True)
    if options.json:
        machine = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
        options.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
