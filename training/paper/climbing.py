"""What users run today, beside us on the same fields: hill climbing that moves the stage.

Coarse steps uphill and then either golden section or ever finer steps, by Tenengrad or by the
variance of the Laplacian. Each from the same start, on the simulated stage with its play and
errors, the reference firmware on the other end of a serial port.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.appliance.progress import Progress
from simulator.bench.climb import Climb, climbed, focused, tenengrad
from simulator.bench.climb import climb as golden_section
from simulator.closed_loop import Scenario, SimulatedInstrument

U8 = npt.NDArray[np.uint8]
Sharpness = Callable[[float], float]

#: coarse to fine: each time a quarter, down to a quarter of the depth of field
STRIDES_UM = (5.0, 1.25, 0.3)
LOST_UM = 3.0  # a field that ends farther away climbed another hill
MOST = 24  # pictures per stride; then there is no hill


def laplacian_variance(pixels: U8) -> float:
    """Variance of the Laplacian (3 x 3) of the green channel; greater = sharper.

    Source: Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000.
    """
    green = np.ascontiguousarray(pixels[..., 1])
    _, sd = cv2.meanStdDev(cv2.Laplacian(green, cv2.CV_32F))
    return float(sd[0, 0]) ** 2


def coarse_to_fine(sharpness: Sharpness, start_um: float) -> float:
    """Uphill with each stride until it goes down again, then with the next from the best height
    seen; that height at last."""
    sharpness_at: dict[float, float] = {}

    def at(z_um: float) -> float:
        if z_um not in sharpness_at:
            sharpness_at[z_um] = sharpness(z_um)
        return sharpness_at[z_um]

    best = start_um
    for stride in STRIDES_UM:
        for direction in (stride, -stride):
            here = best
            for _ in range(MOST):
                if not at(here + direction) > at(here):
                    break
                here += direction
            if here != best:
                best = here
                break
    return max(sharpness_at, key=lambda z_um: sharpness_at[z_um])


@dataclass(frozen=True, slots=True)
class Way:
    """How to climb: a search and a focus measure."""

    name: str
    search: Callable[[Sharpness, float], float]
    measure: Callable[[U8], float]


WAYS = (
    Way("golden section, Tenengrad", golden_section, tenengrad),
    Way("golden section, variance of Laplacian", golden_section, laplacian_variance),
    Way("coarse to fine, Tenengrad", coarse_to_fine, tenengrad),
    Way("coarse to fine, variance of Laplacian", coarse_to_fine, laplacian_variance),
)
OURS = "SparseFocus"


def compare(
    instrument: SimulatedInstrument, scenarios: Sequence[Scenario], quiet: bool = False
) -> dict[str, list[Climb]]:
    """Every field from the same start by each way; name -> how its fields ended."""
    progress = Progress(len(scenarios) * (1 + len(WAYS)), quiet)
    results: dict[str, list[Climb]] = {OURS: [], **{way.name: [] for way in WAYS}}
    for scenario in scenarios:
        for name in results:
            way = next((w for w in WAYS if w.name == name), None)
            focus = focused if way is None else climbed(way.search, way.measure)
            results[name].append(run(instrument, scenario, focus))
            progress.done(f"{results[name][-1].field}, {name}")
    return results


def run(
    instrument: SimulatedInstrument,
    scenario: Scenario,
    focus: Callable[[SimulatedInstrument], tuple[int, float, str]],
) -> Climb:
    """One field, one way."""
    kind, sparsity, number = scenario.kind, scenario.sparsity, scenario.number
    truth = instrument.microscope.load_field(kind, sparsity, number, slide=number)
    instrument.turn_knob(truth.z_focus_um + scenario.start_um)
    instrument.at_rest()
    images, seconds, ended = focus(instrument)
    _, height_um = instrument.at_rest()
    above = height_um - truth.z_focus_um
    words = f"{kind} {sparsity}"
    return Climb(words, scenario.start_um, images, seconds, abs(above), ended, above)


def constant_um(fields: Sequence[Climb]) -> float:
    """Median height above the sharpest plane at the end, of the fields that were not lost: where a
    focus measure is greatest elsewhere than the one that defines focus, this is how far."""
    near = [f.above_um for f in fields if abs(f.above_um) <= LOST_UM]
    return statistics.median(near) if near else 0.0


def as_json(results: Mapping[str, Sequence[Climb]]) -> dict[str, object]:
    """Medians and every field."""
    return {
        name: {
            "images": statistics.median(f.images for f in fields),
            "seconds": round(statistics.median(f.seconds for f in fields), 3),
            "median_error_um": round(statistics.median(f.error_um for f in fields), 3),
            "mean_error_um": round(statistics.fmean(f.error_um for f in fields), 3),
            "constant_um": round(constant_um(fields), 3),
            "lost": sum(not abs(f.above_um) <= LOST_UM for f in fields),
            "fields": [asdict(f) for f in fields],
        }
        for name, fields in results.items()
        if fields
    }
