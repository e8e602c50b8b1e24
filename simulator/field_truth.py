"""What is true of a field of view: what its patches hold and at which height each is sharpest."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from edge.measure.sharpness import gradient_energy
from edge.optics import Objective
from simulator.render import Renderer
from simulator.sharpness import PLANE_STEP_UM, peak_um, planes_um
from simulator.slide import INFORMATIVE, field_content, grid_corner_px
from simulator.specimen import GRID, Specimen, patch_edges_px

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

REACH_UM = 3.0  # planes looked at lie so far beyond the lowest and the highest layer
FINE_UM = 0.02  # the field's sharpest plane is found to this


@dataclass(frozen=True, slots=True)
class FieldTruth:
    """What is true of the loaded field.

    `z_focus_um` is the objective's best height: where the content of the 9 x 9 grid, its
    informative patches (W* > 0.8), is sharpest together; the slide's surface where there are none.
    `richness` and `focus_um`, the height at which each patch is sharpest, are (9, 9), the latter as
    objective heights. `gradient` (planes, 9, 9) is the gradient energy of each patch with the
    objective at `planes_um` + `lift_um` (9, 9).
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
        curve = _Curve(self.planes_um, self.gradient[:, mask], self.lift_um[mask])
        greatest = max(float(curve(np.array([curve.top_um()]))[0]), 1e-12)
        return np.minimum(curve(np.asarray(z_um, np.float64)) / greatest, 1.0)


class _Curve:
    """Gradient energy of several patches together over the objective's height, by cubic splines."""

    def __init__(self, planes_um: F64, gradient: F32, lift_um: F32) -> None:
        self._planes, self._lift = planes_um, lift_um.astype(np.float64)
        self._spline = CubicSpline(planes_um, gradient, axis=0)

    def __call__(self, z_um: F64) -> F64:
        """(n,) heights to (n,) energies."""
        low, high = float(self._planes[0]), float(self._planes[-1])
        inside = np.clip(z_um[:, None] - self._lift, low, high)
        piece = np.clip(np.searchsorted(self._planes, inside) - 1, 0, len(self._planes) - 2)
        there = inside - self._planes[piece]
        a, b, c, d = self._spline.c[:, piece, np.arange(len(self._lift))]
        value = ((a * there + b) * there + c) * there + d
        return np.asarray(np.maximum(value, 0.0).sum(axis=1))

    def top_um(self) -> float:
        """Height of the greatest energy."""
        low, high = self._lift.min() + self._planes[0], self._lift.max() + self._planes[-1]
        heights = np.arange(low, high, FINE_UM)
        return float(heights[self(heights).argmax()])


def find_truth(
    specimen: Specimen, renderer: Renderer, kind: str, sparsity: str, surface_um: float
) -> FieldTruth:
    """The truth of a field whose height 0 lies at `surface_um` of the objective. ValueError for a
    field that does not hold the 9 x 9 patches."""
    content = field_content(specimen)
    if content is None:
        raise ValueError(f"a field of {specimen.shape} px does not hold the 9 x 9 patches")
    scope = renderer.instrument
    unit = Objective(scope.na, scope.magnification, scope.um_per_px).axial_unit
    layers = (layer.z_um for layer in specimen.layers if layer.content)
    heights = planes_um(layers, REACH_UM * unit, PLANE_STEP_UM * unit)
    rows, columns = patch_edges_px(specimen, grid_corner_px(specimen), (GRID, GRID))
    window = slice(rows[0], rows[-1]), slice(columns[0], columns[-1])
    corners = np.ix_(rows - rows[0], columns - columns[0])
    gradient = np.zeros((len(heights), GRID, GRID), np.float32)
    for index, height in enumerate(heights):
        energy = gradient_energy(renderer.luminance(float(height))[window])
        corner = cv2.integral(energy, sdepth=cv2.CV_64F)[corners]
        gradient[index] = corner[1:, 1:] - corner[:-1, 1:] - corner[1:, :-1] + corner[:-1, :-1]
    lift = content.lift_um + np.float32(surface_um)
    return told_truth(kind, sparsity, surface_um, content.richness, heights, gradient, lift)


def told_truth(
    kind: str, sparsity: str, surface_um: float, richness: F32, heights: F64, gradient: F32,
    lift_um: F32,
) -> FieldTruth:  # fmt: skip
    """The truth of a field whose patches hold what FieldTruth says of them."""
    focus = np.asarray(peak_um(heights, gradient) + lift_um, np.float32)
    mask = richness > INFORMATIVE
    z_focus = surface_um
    if mask.any():
        z_focus = _Curve(heights, gradient[:, mask], lift_um[mask]).top_um()
    return FieldTruth(
        kind, sparsity, round(z_focus, 4), richness, focus, heights, gradient, lift_um
    )
