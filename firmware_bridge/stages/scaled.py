"""A stage in um of focus: what its controller calls a um may not be one.

Calibration found how many um the focus moves for a commanded um. This wrapper turns the runtime's
um into the controller's, about the reference position, both ways. The window is in um of focus: who
opens the driver gives it the same places in its own um (`to_units`). It also found how far the
stage may be from where it says: no position is known better than that.
"""

from __future__ import annotations

import math

from firmware_bridge.stage import Stage, StageStatus, ZAt


def to_units(um: float, um_per_unit: float, reference_um: float) -> float:
    """um of focus -> the controller's um, which are the same at `reference_um`."""
    return reference_um + (um - reference_um) / um_per_unit


class ScaledStage(Stage):
    """`um_per_unit` > 0: um of focus for a commanded um. ValueError for what cannot be a scale."""

    def __init__(
        self,
        inner: Stage,
        um_per_unit: float,
        reference_um: float,
        window_um: tuple[float, float] | None = None,
        off_um: float = 0.0,
    ) -> None:
        """`window_um`: of focus, that `inner` was opened with; None = it was opened with the same
        numbers in its own um, and the narrower of the two holds. `off_um`: how far it may be from
        where it says, in its own um."""
        if not (0.0 < um_per_unit < math.inf and math.isfinite(reference_um)):
            raise ValueError(f"no scale: {um_per_unit} um per unit about {reference_um} um")
        if not 0.0 <= off_um < math.inf:
            raise ValueError(f"off by {off_um} um")
        self._off_um = off_um
        self.inner = inner
        self._scale, self._reference_um = um_per_unit, reference_um
        if window_um is None:
            low_um = max(inner.z_min_um, self._out(inner.z_min_um))
            high_um = min(inner.z_max_um, self._out(inner.z_max_um))
            window_um = low_um, high_um
        self.z_min_um, self.z_max_um = window_um
        self.identity = inner.identity
        self.resolution_um = inner.resolution_um * um_per_unit

    def status(self) -> StageStatus:
        """See Stage."""
        return self._status(self.inner.status())

    def z_at(self, time_ns: int) -> ZAt:
        """See Stage."""
        at = self.inner.z_at(time_ns)
        return ZAt(self._out(at.z_um), max(at.uncertainty_um, self._off_um) * self._scale)

    def move_to(self, target_um: float, assumed_um: float) -> int:
        """See Stage."""
        return self.inner.move_to(self._in(target_um), self._in(assumed_um))

    def wait(self, timeout_s: float) -> StageStatus:
        """See Stage."""
        return self._status(self.inner.wait(timeout_s))

    def stop(self) -> None:
        """See Stage."""
        self.inner.stop()

    def clear(self) -> None:
        """See Stage."""
        self.inner.clear()

    def close(self) -> None:
        """See Stage."""
        self.inner.close()

    def _out(self, unit: float) -> float:
        return self._reference_um + (unit - self._reference_um) * self._scale

    def _in(self, um: float) -> float:
        return to_units(um, self._scale, self._reference_um)

    def _status(self, status: StageStatus) -> StageStatus:
        return StageStatus(
            self._out(status.z_um), status.moving, status.settled_ns, status.latched, status.time_ns
        )
