"""What is true of a field of view: what its patches hold and at which height each is sharpest."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from edge.measure.sharpness import gradient_energy
from simulator.render import Renderer
from simulator.sharpness import peak_um, planes_um
from simulator.slide import INFORMATIVE, field_content, grid_corner_px
from simulator.specimen import GRID, Specimen, patch_edges_px

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

REACH_UM = 3.0  # planes looked at lie so far beyond the lowest and the highest layer
FINE_UM = 0.02  # the field's sharpest plane is found to this


@dataclass(frozen=True, slots=True)
class FieldTruth:
    """What is true of the loaded field.

    `z_focus_um` is the objective's best height: the median of the heights at which the informative
    patches (W* > 0.8) of the 9 x 9 grid are sharpest, or the slide's surface where there are none.
    `richness` and `focus_um` are (9, 9), the latter as objective heights. `gradient` (planes, 9, 9)
    is the gradient energy of each patch with the objective at `planes_um` + `lift_um` (9, 9).
    """

    kind: str
    sparsity: str
    z_focus_um: float
    richness: F32
    focus_um: F32
    planes_um: F64
    gradient: F32
    lift_um: F32

    def sharpness_reached(self, z_um: float) -> float | None:
        """Gradient energy of the field's content at the objective height `z_um` over that of its
        sharpest plane, 0..1; beyond the planes that of the outermost, which is a little more than
        the truth. None where there is no content."""
        shares = self.sharpness_at(np.array([z_um]))
        return None if shares is None else float(shares[0])

    def sharpness_at(self, z_um: F64) -> F64 | None:
        """As `sharpness_reached`, for every height of (n,)."""
        mask = self.richness > INFORMATIVE
        if not mask.any():
            return None
        curve = CubicSpline(self.planes_um, self.gradient[:, mask], axis=0)
        lift = self.lift_um[mask].astype(np.float64)
        low, high = float(self.planes_um[0]), float(self.planes_um[-1])

        def energy(heights: F64) -> F64:
            inside = np.clip(heights[:, None] - lift, low, high)
            piece = np.clip(np.searchsorted(self.planes_um, inside) - 1, 0, len(curve.x) - 2)
            there = inside - self.planes_um[piece]
            a, b, c, d = curve.c[:, piece, np.arange(len(lift))]
            value = ((a * there + b) * there + c) * there + d
            return np.asarray(np.maximum(value, 0.0).sum(axis=1))

        heights = np.arange(lift.min() + low, lift.max() + high, FINE_UM)
        greatest = max(float(energy(heights).max()), 1e-12)
        return np.minimum(energy(np.asarray(z_um, np.float64)) / greatest, 1.0)


def find_truth(
    specimen: Specimen, renderer: Renderer, kind: str, sparsity: str, surface_um: float
) -> FieldTruth:
    """The truth of a field whose height 0 lies at `surface_um` of the objective. ValueError for a
    field that does not hold the 9 x 9 patches."""
    content = field_content(specimen)
    if content is None:
        raise ValueError(f"a field of {specimen.shape} px does not hold the 9 x 9 patches")
    heights = planes_um((layer.z_um for layer in specimen.layers if layer.content), REACH_UM)
    rows, columns = patch_edges_px(specimen, grid_corner_px(specimen), (GRID, GRID))
    window = slice(rows[0], rows[-1]), slice(columns[0], columns[-1])
    corners = np.ix_(rows - rows[0], columns - columns[0])
    gradient = np.zeros((len(heights), GRID, GRID), np.float32)
    for index, height in enumerate(heights):
        energy = gradient_energy(renderer.luminance(float(height))[window])
        corner = cv2.integral(energy, sdepth=cv2.CV_64F)[corners]
        gradient[index] = corner[1:, 1:] - corner[:-1, 1:] - corner[1:, :-1] + corner[:-1, :-1]
    lift = content.lift_um + np.float32(surface_um)
    focus = np.asarray(peak_um(heights, gradient) + lift, np.float32)
    chosen = content.richness > INFORMATIVE
    z_focus = float(np.median(focus[chosen])) if chosen.any() else surface_um
    return FieldTruth(
        kind, sparsity, round(z_focus, 4), content.richness, focus, heights, gradient, lift
    )
