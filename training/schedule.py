"""How long a run lasts, how fast it learns and how large its crops are: what is planned of it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from training.labels import FIELD_PX

#: until this share of the run, this crop: small pictures first are cheap samples
CURRICULUM = ((0.40, 96), (0.80, 128), (1.01, 224))


@dataclass
class Schedule:
    """What a run is; kept in its checkpoint."""

    kind: str
    seed: int = 0
    minutes: float = 0.0
    steps: int = 0  # instead of minutes when above 0
    batch: int = 64
    variant: str = "bins"
    muon_lr: float = 5e-3
    adam_lr: float = 2.5e-3
    warm_up: float = 0.02  # share of the run
    ema: float = 0.998
    earlier_minutes: float = 0.0  # of the run whose weights this one began with
    #: until this share of the run, DPN crops of this many pixels
    crops: tuple[tuple[float, int], ...] = CURRICULUM
    mixed_until: float = 0.0  # share of the run in bfloat16, on a device

    def share(self, step: int, seconds: float) -> float:
        """How much of the run is done, 0..1."""
        done = step / self.steps if self.steps else seconds / (60.0 * self.minutes)
        return min(done, 1.0)

    def rate(self, share: float) -> float:
        """Learning rate relative to its peak: short warm-up, then half a cosine to zero."""
        if share < self.warm_up:
            return (share + 1e-4) / self.warm_up
        return 0.5 * (1.0 + math.cos(math.pi * (share - self.warm_up) / (1.0 - self.warm_up)))


def read_crops(text: str) -> tuple[tuple[float, int], ...]:
    """ "0.5:128,1:224" -> ((0.5, 128), (1.0, 224)); SystemExit where it cannot be that."""
    try:
        crops = tuple((float(s), int(px)) for s, px in (x.split(":") for x in text.split(",")))
    except ValueError as error:
        raise SystemExit(
            f"--crops {text}: expected SHARE:PIXELS,... such as 0.5:128,1:224"
        ) from error
    rising = all(a[0] < b[0] for a, b in itertools.pairwise(crops))
    if not rising or any(px % 32 or not 32 <= px <= FIELD_PX for _, px in crops):
        raise SystemExit(f"--crops {text}: rising shares, sizes of 32..{FIELD_PX} divisible by 32")
    return crops
