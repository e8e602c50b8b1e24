"""k patches to one number that knows how far it can be trusted, or to a reason why there is none.

The median is the paper's (section 4.2), of patches brought to one level where the slide is tilted
(edge.measure.tilt). The interval is ours (edge.measure.interval): it gates every move.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from edge.camera import Frame
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Sparsity
from edge.measure.interval import IntervalModel
from edge.measure.photometry import LEAST_BACKGROUND
from edge.measure.tilt import levelled
from edge.measure.training_range import DomainShift

MAD_TO_SIGMA = 1.4826  # of a normal distribution


class Reason(str, Enum):
    """Why a frame has no focus estimate."""

    TOO_DARK = "too-dark"  # no light: what a network says of the noise is nothing
    BLANK = "blank"
    NOT_FINITE = "not-finite"
    PATCHES_DISAGREE = "patches-disagree"
    AMBIGUOUS = "ambiguous"  # the network itself sees two distances that fit
    OUTSIDE_RANGE = "outside-range"
    OUTSIDE_TRAINING = "outside-training"


@dataclass(frozen=True, slots=True)
class FocusEstimate:
    """The defocus of one frame; it belongs to `exposure_mid_ns` and to the z of that moment."""

    defocus_um: float  # + means: raise the objective to reach focus
    interval_um: float  # half-width of the calibrated 95 % interval
    patches: int
    sparsity: Sparsity
    exposure_start_ns: int  # monotonic; the earliest that it can have been
    exposure_mid_ns: int
    spread_um: float  # standard deviation between the patches, from their MAD
    outside: str = ""  # what lies outside the training (edge.measure.training_range)


@dataclass(frozen=True, slots=True)
class NoFocus:
    """No usable estimate. `rejected_um` is the median that was not believed, NaN without one (too
    dark, blank, not finite): evidence against a move at most, never a reason for one."""

    reason: Reason
    sparsity: Sparsity
    exposure_start_ns: int
    exposure_mid_ns: int
    rejected_um: float = math.nan
    interval_um: float = math.nan


def aggregate(
    measured: PatchDefocus,
    frame: Frame,
    interval_model: IntervalModel,
    shift: DomainShift | None = None,
    photometry: Mapping[str, float] = MappingProxyType({}),
) -> FocusEstimate | NoFocus:
    """Median, spread and interval of the patches, all in um (paper section 4.2).

    `shift`: how far the frame lies outside the training; None when that was not measured.
    `photometry`: the frame's photometry.
    """
    start_ns, mid_ns, sparsity = frame.earliest_start_ns, frame.exposure_mid_ns, measured.sparsity
    if photometry.get("background", 255.0) < LEAST_BACKGROUND:
        return NoFocus(Reason.TOO_DARK, sparsity, start_ns, mid_ns)
    if not measured.finite:
        return NoFocus(Reason.NOT_FINITE, sparsity, start_ns, mid_ns)
    k = len(measured.cells)
    if k == 0:
        return NoFocus(Reason.BLANK, sparsity, start_ns, mid_ns)
    median_um, spread = median_and_spread(measured)
    network = median(measured.spread_um.tolist())
    importance = math.fsum(measured.importance.tolist()) / k
    interval = interval_model.interval_um(
        median_um, network, spread, k, importance, photometry, measured.left_out
    )
    if not math.isfinite(interval):  # finite inputs can still overflow
        return NoFocus(Reason.NOT_FINITE, sparsity, start_ns, mid_ns)
    reason = _doubt(interval_model, median_um, spread, network, k, importance, shift)
    if reason is not None:
        return NoFocus(reason, sparsity, start_ns, mid_ns, median_um, interval)
    outside = shift.feature if shift is not None and shift.alarm else ""
    return FocusEstimate(median_um, interval, k, sparsity, start_ns, mid_ns, spread, outside)


def median_and_spread(measured: PatchDefocus) -> tuple[float, float]:
    """The patches' median and the standard deviation between them from their MAD, both in um, as
    on a level slide (edge.measure.tilt)."""
    defocus = levelled(measured.defocus_um.tolist(), measured.cells, measured.centroid)
    median_um = median(defocus)  # NumPy's calls cost more than k numbers
    return median_um, MAD_TO_SIGMA * median([abs(each - median_um) for each in defocus])


def median(values: list[float]) -> float:
    """The median of at least one number, as numpy.median; none may be NaN."""
    ordered, half = sorted(values), len(values) // 2
    if len(values) % 2:
        return ordered[half]
    return (ordered[half - 1] + ordered[half]) / 2


def _doubt(
    interval_model: IntervalModel,
    median_um: float,
    spread_um: float,
    network_um: float,
    k: int,
    importance: float,
    shift: DomainShift | None,
) -> Reason | None:
    """Why a finite median is not believed. Outside the training comes first: there, not even
    the distance of an estimate beyond the range is evidence."""
    if shift is not None and shift.hold:
        return Reason.OUTSIDE_TRAINING
    if not abs(median_um) <= interval_model.range_um:
        # a distance beyond the range is evidence against a move: of a picture like those trained on
        strange = shift is not None and shift.alarm
        return Reason.OUTSIDE_TRAINING if strange else Reason.OUTSIDE_RANGE
    if interval_model.disagree(median_um, spread_um):
        return Reason.PATCHES_DISAGREE
    unsure = k == 1 and not interval_model.believes_alone(median_um, network_um)
    unsure |= not interval_model.believes_few(k, importance, network_um)
    if unsure or interval_model.disagree(median_um, network_um):
        return Reason.AMBIGUOUS
    return None
