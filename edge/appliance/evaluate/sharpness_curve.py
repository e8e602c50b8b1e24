"""How sharp a stack's field would be where the objective ends: the manifest's `sharpness` column.

Whoever knows the field, as a simulator does, writes its gradient energy as a share of the sharpest
plane's at every 0.25 um from 3 um below focus to 3 um above it: 25 numbers between blanks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.errors import ConfigError

COLUMN = "sharpness"
REACH_UM, STEP_UM = 3.0, 0.25
OFFSETS_UM = tuple(float(z) for z in np.arange(-REACH_UM, REACH_UM + STEP_UM / 2, STEP_UM))


def curve_text(shares: Sequence[float]) -> str:
    """The column's cell: shares at `OFFSETS_UM`, three digits each."""
    return " ".join(f"{share:.3f}" for share in shares)


def reached(cell: str, error_um: float, where: str) -> float | None:
    """Share of the sharpest plane's gradient energy `error_um` above focus, 0..1; None for an empty
    cell. Beyond the curve its last value: the truth is less. ConfigError, beginning with `where`,
    for anything but 25 numbers of 0 to 1."""
    if not cell.strip():
        return None
    try:
        shares = np.array([float(word) for word in cell.split()])
    except ValueError:
        shares = np.empty(0)
    if len(shares) != len(OFFSETS_UM) or not ((shares >= 0.0) & (shares <= 1.0)).all():
        raise ConfigError(
            f"{where}: {COLUMN} = {cell[:40]!r} must be {len(OFFSETS_UM)} numbers of 0 to 1, "
            f"from {-REACH_UM:g} to {REACH_UM:g} um about focus"
        )
    return float(np.interp(error_um, OFFSETS_UM, shares))
