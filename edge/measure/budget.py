"""The latency budget: how many patches still fit, learned from the frames before.

An anytime median (paper, section 4.2, made interruptible): patches come in order of importance, in
groups, and measuring stops when the next group would end too late. The median of the patches
measured so far is the answer; its interval knows that more patches hold content
(edge.measure.interval).
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns

#: cumulative sizes of the groups: the paper's numbers of patches (section 4.4)
GROUPS = (3, 9, 31)
#: what still has to be done after the last patch: aggregate, plan, move
AFTER_MS = 1.5
FOLLOW = 0.1  # how quickly the cost of a patch is learned
FIRST_MS = 2.0  # of a patch, before any was measured: cautious


class PatchBudget:
    """Of one loop. `budget_ms` counts from the frame's arrival to the command; None = no limit.

    The first group is always measured: without it there is no answer at all, and a late one is
    dropped elsewhere.
    """

    def __init__(self, budget_ms: float | None, clock: Callable[[], int] = monotonic_ns) -> None:
        self.budget_ms = budget_ms
        self.patch_ms = FIRST_MS
        self.cut = 0  # frames on which fewer patches were measured than chosen
        self._clock = clock
        self._arrived_ns = self._begun_ns = clock()

    def arrived(self) -> None:
        """A frame came just now."""
        self._arrived_ns = self._clock()

    def groups(self, k: int, stepwise: bool = False) -> tuple[int, ...]:
        """Cumulative sizes in which `k` patches are measured: one group without a limit, unless
        it is to go `stepwise` for another reason."""
        if self.budget_ms is None and not stepwise:
            return (k,)
        return (*(size for size in GROUPS if size < k), k)

    def begin(self) -> None:
        """A group is about to be measured."""
        self._begun_ns = self._clock()

    def learn(self, patches: int) -> None:
        """A group of so many patches was measured since `begin`."""
        each = (self._clock() - self._begun_ns) / 1e6 / patches
        self.patch_ms += FOLLOW * (each - self.patch_ms)

    def fits(self, patches: int) -> bool:
        """Whether so many more patches leave time for the rest; counts the frame as cut if not."""
        if self.budget_ms is None:
            return True
        gone_ms = (self._clock() - self._arrived_ns) / 1e6
        fits = gone_ms + patches * self.patch_ms + AFTER_MS <= self.budget_ms
        self.cut += not fits
        return fits
