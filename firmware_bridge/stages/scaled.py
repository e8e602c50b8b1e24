"""A stage in um of focus: what its controller calls a um may not be one.

Calibration found how many um the focus moves for a commanded um. This wrapper turns the runtime's
um into the controller's, about the reference position, both ways. The window is not widened by it:
the guard keeps it in um of focus, and the driver and its firmware keep the same numbers in theirs,
so the narrower of the two holds.
"""

from __future__ import annotations

import math

from firmware_bridge.stage import Stage, StageStatus, ZAt


class CalibratedStage(Stage):
    """`um_per_unit` > 0: um of focus for a commanded um. ValueError for what cannot be a scale."""

    def __init__(self, inner: Stage, um_per_unit: float, reference_um: float) -> None:
        if not (0.0 < um_per_unit < math.inf and math.isfinite(reference_um)):
            raise ValueError(f"no scale: {um_per_unit} um per unit about {reference_um} um")
        self.inner = inner
        self._scale, self._reference_um = um_per_unit, reference_um
        self.z_min_um = max(inner.z_min_um, self._out(inner.z_min_um))
        self.z_max_um = min(inner.z_max_um, self._out(inner.z_max_um))
        self.resolution_um = inner.resolution_um * um_per_unit

    def status(self) -> StageStatus:
        """See Stage."""
        return self._status(self.inner.status())

    def z_at(self, time_ns: int) -> ZAt:
        """See Stage."""
        at = self.inner.z_at(time_ns)
        return ZAt(self._out(at.z_um), at.uncertainty_um * self._scale)

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
        return self._reference_um + (um - self._reference_um) / self._scale

    def _status(self, status: StageStatus) -> StageStatus:
        return StageStatus(
            self._out(status.z_um), status.moving, status.settled_ns, status.latched, status.time_ns
        )
