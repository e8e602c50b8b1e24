"""How often exchanged colours are found, and how often right ones ring: docs/spoilt_frames.md.

    python -m benchmarks.colour_order FOLDER/manifest.csv ... [--most 60] [--json FILE]

Each picture is shown to the shipped networks as it is and with red and blue exchanged, each time as
the first frame of a session. What longer sessions come to is drawn from these looks: frames of
different pictures in random order, a thousand times. A picture points the wrong way where it is
read, not held, and not within SEEN_UM of focus.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, quantiles

import numpy as np

from edge.appliance.files import write_json
from edge.camera import Frame, PixelFormat
from edge.images.zstack import Exposure, read_manifest, read_pixels
from edge.latency import Lap
from edge.measure.aggregate import FocusEstimate
from edge.measure.colour_order import BEYOND_DOUBT, LIMIT
from edge.measure.importance import ClassRule
from edge.measure.sensor import CpuMeasurer, measure_in_full
from edge.open_sensor import build_sensor
from edge.optics import NOMINAL
from edge.settings import ModelSettings

SEEN_UM = 0.6  # the depth of field: nearer to focus no direction is wrong
SESSIONS = 1000
FRAMES = 30  # of a session


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture, one order. `evidence`: log of the odds that the order is right; 0 also where it
    was not asked."""

    exchanged: bool
    true_um: float
    read_um: float | None  # None: held
    evidence: float

    @property
    def wrong_way(self) -> bool:
        """Whether the loop would be sent away from focus."""
        far = abs(self.true_um) > SEEN_UM
        return far and self.read_um is not None and self.read_um * self.true_um < 0


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of the pictures of one order; shares of `pictures`."""

    exchanged: bool
    pictures: int
    asked: int  # where anything was to be asked: content, and colour
    alarmed_at_once: float
    wrong_way: int
    wrong_way_unsaid: int  # of these, not alarmed by the very frame
    sessions_that_rang: float
    settled_wrongly: float
    looks_until_settled: float
    looks_90: float


def show(sensor: CpuMeasurer, exposure: Exposure) -> list[Shown]:
    """A picture both ways."""
    picture, fresh = read_pixels(exposure), copy(sensor.order)
    true_um = exposure.defocus_um or 0.0
    rows = []
    for exchanged in (False, True):
        pixels = np.ascontiguousarray(picture[..., ::-1] if exchanged else picture)
        alone = replace(sensor, order=copy(fresh))
        measured = measure_in_full(alone, Frame(pixels, PixelFormat.RGB8, 1, 0, 1), Lap())
        estimate = measured.estimate
        read_um = estimate.defocus_um if isinstance(estimate, FocusEstimate) else None
        assert alone.order is not None
        rows.append(Shown(exchanged, true_um, read_um, alone.order.evidence))
    return rows


def summary_of(rows: Sequence[Shown], seed: int = 0) -> Summary:
    """Of the pictures of one order."""
    asked = [row.evidence for row in rows if row.evidence]
    sign = -1 if rows[0].exchanged else 1
    sessions = list(_sessions(asked, seed))
    settled = [looks for looks, _, _ in sessions if looks is not None]
    wrong = [row for row in rows if row.wrong_way]
    return Summary(
        rows[0].exchanged,
        len(rows),
        len(asked),
        fmean(row.evidence <= -LIMIT for row in rows),
        len(wrong),
        sum(row.evidence > -LIMIT for row in wrong),
        fmean(rang for _, _, rang in sessions),
        fmean(ended * sign < 0 for _, ended, _ in sessions),
        fmean(settled),
        quantiles(settled, n=10)[-1],
    )


def _sessions(evidence: Sequence[float], seed: int) -> Iterable[tuple[int | None, float, bool]]:
    """(looks until it is settled, None = never; the sum then; whether it ever rang)."""
    draw = random.Random(seed)
    for _ in range(SESSIONS):
        total, rang = 0.0, False
        for n, one in enumerate(draw.choices(evidence, k=FRAMES), 1):
            total += one
            rang |= total <= -LIMIT
            if abs(total) >= BEYOND_DOUBT:
                yield n, total, rang
                break
        else:
            yield None, 0.0, rang


def main() -> None:
    """Show, count, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("manifests", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=60, help="pictures of each manifest")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sensor, nets = build_sensor(ModelSettings(threads=1), NOMINAL, ClassRule())
    assert isinstance(sensor, CpuMeasurer)
    results = {}
    for manifest in options.manifests:
        exposures = read_manifest(manifest)
        chosen = exposures[:: max(1, -(-len(exposures) // options.most))]
        rows = [row for exposure in chosen for row in show(sensor, exposure)]
        for exchanged in (False, True):
            summary = summary_of([row for row in rows if row.exchanged is exchanged])
            results[f"{manifest.parent.name}, {'exchanged' if exchanged else 'right'}"] = summary
            print(manifest.parent.name, summary, flush=True)
    for net in nets:
        net.close()
    if options.json is not None:
        write_json({name: asdict(summary) for name, summary in results.items()}, options.json)


if __name__ == "__main__":
    main()
