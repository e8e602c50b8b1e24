"""From the answers on 81 patches to one number per frame, as each method chooses its patches.

The rivals take the median over the whole grid (paper, section 2.3). The others differ from us in
one thing each: who ranks the patches, how many are taken, whether an empty one may vote.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from edge.appliance.frame_result import FrameResult
from edge.measure.importance import ClassRule
from training.baselines.networks import BASELINES
from training.paper.answers import SAME_TIME, Answers

F64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
THRESHOLD = ClassRule().threshold
COUNTS = (1, 3, 9, 31)

OURS = "SparseFocus, as shipped"
OURS_SAME_TIME = "SparseFocus, DPN trained as long as the others"
NAMES = {
    "dastidar": "Dastidar et al.",
    "liao": "Liao et al.",
    "jiang": "Jiang et al.",
    "li": "Li et al.",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """Who ranks the patches ("rin", "random", "dark", "true": highest first), how many are taken
    (None = as many as hold content, up to 31; with `by_class` the paper's 31, 9 or 3), and whether
    those that the RIN scores at 0.8 or less are left out."""

    rank: str = "rin"
    k: int | None = None
    threshold: bool = True
    by_class: bool = False


#: what the shipped network would say with other patches
CHOICES: Mapping[str, Choice] = {
    "RIN, every patch above 0.8": Choice(),
    "RIN, k by class, importance above 0.8": Choice(by_class=True),
    "RIN, k by class, no threshold": Choice(threshold=False, by_class=True),
    **{f"RIN, k = {k}, importance above 0.8": Choice(k=k) for k in COUNTS},
    **{f"RIN, k = {k}, no threshold": Choice(k=k, threshold=False) for k in COUNTS},
    "random patches, as many as hold content": Choice("random", threshold=False),
    "darkest patches, as many as hold content": Choice("dark", threshold=False),
    "true richness, as many as hold content": Choice("true", threshold=False),
    "all 81 patches": Choice(k=81, threshold=False),
}


def median(values: F64) -> float | None:
    """The median, None of nothing."""
    return float(np.median(values)) if len(values) else None


def pick(answers: Answers, choice: Choice) -> npt.NDArray[np.int64]:
    """Indices of the patches that a choice takes, best first."""
    score = _scores(answers, choice.rank)
    order = np.argsort(-score, kind="stable")
    above = int(np.count_nonzero(answers.importance > THRESHOLD))
    rule = ClassRule(every=not choice.by_class)
    k = rule.classify(above)[1] if choice.k is None else choice.k
    if choice.k is None and not choice.threshold:
        # a chooser that cannot say "empty" takes as many as there truly are
        k = rule.classify(max(1, int((answers.richness > THRESHOLD).sum())))[1]
    order = order[:k]
    return order[answers.importance[order] > THRESHOLD] if choice.threshold else order


def _scores(answers: Answers, rank: str) -> F64:
    if rank == "rin":
        return answers.importance.astype(np.float64)
    if rank == "true":
        return answers.richness.astype(np.float64)
    if rank == "dark":
        return -answers.brightness.astype(np.float64)
    # bound to the frame, not to the order of judging
    words = [
        answers.slide,
        zlib.crc32(answers.group.encode()),
        round(1e4 * answers.true_um) % 2**31,
    ]
    return np.random.default_rng(words).uniform(size=len(answers.importance))


def compared(
    frames: Sequence[Answers], zero_um: Mapping[str, float] = MappingProxyType({})
) -> list[FrameResult]:
    """Ours and the rivals': what the paper's tables compare. `zero_um`: what is taken from the
    answers of networks that learned another zero (training.paper.zero)."""
    rows = [_row(OURS, a, None if np.isnan(a.found_um) else a.found_um, a.interval_um, a.k)
            for a in frames]  # fmt: skip
    for a in frames:
        chosen = pick(a, Choice())
        middle_um = _told(a, SAME_TIME, zero_um, chosen)
        rows.append(_row(OURS_SAME_TIME, a, middle_um, k=len(chosen)))
    for name in BASELINES:
        rows += [_row(NAMES[name], a, _told(a, name, zero_um), k=81) for a in frames]
    return rows


def _told(
    a: Answers, name: str, zero_um: Mapping[str, float], patches: Index | None = None
) -> float | None:
    """The median of a network's answers on these patches, or on all, less its own zero."""
    um = a.grid_um[name].astype(np.float64)
    middle_um = median(um if patches is None else um[patches])
    return None if middle_um is None else middle_um - zero_um.get(name, 0.0)


def ablated(frames: Sequence[Answers]) -> list[FrameResult]:
    """The shipped DPN on patches chosen otherwise."""
    return list(_each(frames, CHOICES, lambda a: a.shipped_um))


def _each(
    frames: Sequence[Answers],
    choices: Mapping[str, Choice],
    values: Callable[[Answers], npt.NDArray[np.float32]],
) -> Iterator[FrameResult]:
    for name, choice in choices.items():
        for a in frames:
            chosen = pick(a, choice)
            yield _row(name, a, median(values(a)[chosen].astype(np.float64)), k=len(chosen))


def _row(
    condition: str, a: Answers, error_um: float | None, interval: float | None = None, k: int = 0
) -> FrameResult:
    half = None if interval is None or np.isnan(interval) else float(interval)
    return FrameResult(condition, a.group, f"{a.group} {a.slide}", a.true_um, error_um, half,
               "" if error_um is not None else "no patch", k,
               stack_id=f"{a.group} {a.slide} at {-a.true_um:+.1f} um")  # fmt: skip
