"""Are red and blue the right way round? A Bayer phase or a driver may have exchanged them.

The colour of a specimen alone does not tell: many a stain looks like another one exchanged. Its
optics do, too. The objective brings red and blue to focus at different heights, in an order that
the DPN was trained on. A head of the DPN has learnt to tell the two orders apart by its features:
it is asked for the same patches as they are and with red and blue exchanged, and what counts is
the difference, in which all that both share cancels.

A DPN without that head (an older file) is asked for the patches exchanged and in green alone, which
no exchange changes, and three weaker witnesses say which order it finds likelier: how sure it is,
how familiar its features are, and which answer the green one is nearer to.

The order of a camera does not change from frame to frame, so evidence is summed until it is beyond
doubt (Wald's sequential test), and then asked for again only now and then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import Enum

import numpy as np
import numpy.typing as npt

from edge.measure.defocus import PatchDefocus
from edge.measure.training_range import DomainShift

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
#: (n, 224, 224, 3) uint8 RGB to what the DPN says, by the names of its outputs
Network = Callable[[U8], Mapping[str, F32]]

FEATURE = "colour order"
#: the DPN's output that tells the order: log of the odds of each patch, positive = right
LEARNT = "colour_order"
PATCHES = 6
#: log of the odds per unit of each witness; fitted on simulated slides of thirteen stains
SPREAD, NOVELTY, GREEN = 3.1, 2.4, 1.5
#: what the mean over patches of the learnt odds is worth, and the most that one patch may say
HEAD, MOST_ODDS = 2.5, 6.0
BEYOND_DOUBT = 4.0  # log of the odds
LIMIT = 2.0  # from here on it rings
ASK_AGAIN = 50  # frames between two looks once the order is known
_NEW_UM = 0.5  # an answer that differs by less, from the same patches, is the same look


class Order(Enum):
    """What is known of the camera's colours."""

    UNKNOWN = "cannot tell"
    RIGHT = "right"
    SWAPPED = "looks swapped"


class ColourOrder:
    """Collects the evidence of a camera's frames."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._sum = 0.0
        self._last: tuple[object, float] | None = None
        self._passed = 0
        #: whether the network itself tells the order
        self.learnt = False
        #: whether exchanged colours hold; a person who knows the camera may say no
        self.holds = True

    @property
    def order(self) -> Order:
        """So far."""
        if abs(self._sum) < BEYOND_DOUBT:
            return Order.UNKNOWN
        return Order.RIGHT if self._sum > 0 else Order.SWAPPED

    @property
    def evidence(self) -> float:
        """Log of the odds that the order is right; negative: swapped."""
        return self._sum

    def due(self, measured: PatchDefocus) -> bool:
        """Whether this frame is worth a second look: it shows something new, and the order is not
        known to be right since lately."""
        if not len(measured.cells) or not measured.finite:
            return False
        median_um = float(np.median(measured.defocus_um))
        same = self._last is not None and self._last[0] == measured.cells[0]
        if same and self._last is not None and abs(self._last[1] - median_um) < _NEW_UM:
            return False
        self._passed += 1
        return self.order is not Order.RIGHT or self._passed >= ASK_AGAIN

    def suspects(self, measured: PatchDefocus) -> bool:
        """Whether this frame must be looked at before anything moves by it: its own answers speak
        against an order that is not known to be right. Costs nothing."""
        odds = measured.colour_order
        if odds is None or not len(odds) or self.order is Order.RIGHT:
            return False
        return float(np.clip(odds[:PATCHES], -MOST_ODDS, MOST_ODDS).mean()) < 0.0

    def look(self, patches: U8, measured: PatchDefocus) -> float:
        """The evidence of one frame: its best patches (n, 224, 224, 3) uint8 RGB, n <= PATCHES,
        and what was measured there. 0 where red and blue are alike."""
        self._passed = 0
        self._last = (measured.cells[0], float(np.median(measured.defocus_um)))
        if np.array_equal(patches[..., 0], patches[..., 2]):
            return 0.0
        exchanged = self._network(np.ascontiguousarray(patches[..., ::-1]))
        self.learnt = LEARNT in exchanged
        if self.learnt:
            evidence = learnt_evidence(self._network(patches)[LEARNT], exchanged[LEARNT])
        else:
            green = self._network(np.ascontiguousarray(np.repeat(patches[..., 1:2], 3, axis=3)))
            evidence = evidence_of(measured, len(patches), exchanged, green)
        evidence *= len(patches) / PATCHES  # a lone patch says less
        if evidence <= -LIMIT:
            self._passed = ASK_AGAIN  # a contradiction: the next new picture is asked at once
        limit = 2 * BEYOND_DOUBT  # so that a camera that was mended is believed again
        self._sum = min(limit, max(-limit, self._sum + evidence))
        return evidence


def swapped(order: ColourOrder) -> DomainShift | None:
    """The alarm of a camera whose colours look exchanged; None: too little speaks for it. One frame
    is enough where nothing is known yet, and not where many spoke for the contrary: a camera's
    order does not change from frame to frame.

    Beyond doubt it holds where the DPN has learnt the order: every direction would be wrong. The
    weaker witnesses only ring: they once took a session of four right frames for exchanged ones.
    """
    if order.order is Order.SWAPPED:
        score = -order.evidence / BEYOND_DOUBT
        return DomainShift(score, FEATURE, alarm=True, hold=order.learnt and order.holds)
    if order.evidence <= -LIMIT:
        return DomainShift(-order.evidence / LIMIT, FEATURE, alarm=True, hold=False)
    return None


def learnt_evidence(given: F32, exchanged: F32) -> float:
    """Log of the odds that red and blue are right, from the head's answers (k,) on the same patches
    as they are and exchanged; 0 when one is not finite."""
    odds = np.clip((given - exchanged) / 2.0, -MOST_ODDS, MOST_ODDS)
    evidence = HEAD * float(odds.mean())
    return evidence if math.isfinite(evidence) else 0.0


def evidence_of(
    given: PatchDefocus, n: int, exchanged: Mapping[str, F32], green: Mapping[str, F32]
) -> float:
    """Log of the odds that red and blue are right, from the first `n` patches; 0 when a network's
    answer is not finite."""
    own, sure = _median(given.defocus_um[:n]), _median(given.spread_um[:n])
    other, other_sure = _median(exchanged["defocus_um"]), _median(exchanged["spread_um"])
    plain, plain_sure = _median(green["defocus_um"]), _median(green["spread_um"])
    nearer = math.tanh((abs(other - plain) - abs(own - plain)) / (0.6 + plain_sure))
    evidence = SPREAD * _log_ratio(other_sure, sure) + GREEN * nearer
    if given.novelty is not None and "novelty" in exchanged:
        familiar = _log_ratio(_median(exchanged["novelty"]), _median(given.novelty[:n]))
        evidence += NOVELTY * familiar
    return evidence if math.isfinite(evidence) else 0.0


def _median(values: F32) -> float:
    return float(np.median(values))


def _log_ratio(value: float, over: float) -> float:
    """Within +-1: more is no more convincing."""
    if not (math.isfinite(value) and math.isfinite(over)):
        return math.nan
    return max(-1.0, min(1.0, math.log(max(value, 1e-6) / max(over, 1e-6))))
