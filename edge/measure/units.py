"""From the models' um to those of the instrument at hand (edge.optics.Normalised).

Interval, limits and range of a model are in its own um, so a frame is judged in these, and what
comes of it is brought to the instrument's once, at the end.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge.measure.aggregate import FocusEstimate, NoFocus
from edge.measure.defocus import PatchDefocus


def patches_in_um(patches: PatchDefocus, axial_unit: float) -> PatchDefocus:
    """The patches' answers; as they are where both um are the same."""
    if axial_unit == 1.0:
        return patches
    unit = np.float32(axial_unit)
    return replace(
        patches, defocus_um=patches.defocus_um * unit, spread_um=patches.spread_um * unit
    )


def estimate_in_um(estimate: FocusEstimate | NoFocus, axial_unit: float) -> FocusEstimate | NoFocus:
    """The frame's; likewise."""
    if axial_unit == 1.0:
        return estimate
    interval_um = estimate.interval_um * axial_unit
    if isinstance(estimate, NoFocus):
        rejected_um = estimate.rejected_um * axial_unit
        return replace(estimate, rejected_um=rejected_um, interval_um=interval_um)
    return replace(
        estimate,
        defocus_um=estimate.defocus_um * axial_unit,
        interval_um=interval_um,
        spread_um=estimate.spread_um * axial_unit,
    )
