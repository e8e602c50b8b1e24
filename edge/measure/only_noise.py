"""A camera's noise and nothing else, seen without a network.

White noise is alike at every scale; whatever a lens draws is stronger in the coarse. The networks
take strong noise for content in every patch and say that it is in focus, since it is sharp.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

COARSER = 4
#: what white noise of variance 1 leaves at a quarter of the pixels between blurs of 1 and 2 pixels
_WHITE = (1 / 4 + 1 / 16 - 1 / 5) / np.pi / COARSER**2
#: grey levels squared: less is rounding, and no network takes it for content
_LEAST_VARIANCE = 4.0


def whiteness_of(patches: U8) -> float:
    """1 = noise alone, 0 = structure alone, of (n * 224, 224, 3) uint8; 0 of hardly any noise.

    The noise is told by the finest checks (as edge.measure.sharpness.noise_energy, but by their
    mean square: a picture has more in them, and so is less white); how much of what the coarse
    shows it explains is the answer.
    """
    green = patches[..., 1].astype(np.float32)
    side = green.shape[1]
    tops = range(0, len(green), side)
    variance = float(np.mean([_check_variance(green[top : top + side]) for top in tops]))
    if variance < _LEAST_VARIANCE:
        return 0.0
    coarse = float(np.mean([_coarse_energy(green[top : top + side]) for top in tops]))
    return min(1.0, variance * _WHITE / coarse) if coarse > 0.0 else 0.0


def _check_variance(patch: F32) -> float:
    """Mean square of the finest checks, as the variance of white noise."""
    across = patch[:, 1:] - patch[:, :-1]
    checks = across[1:] - across[:-1]
    return float(np.vdot(checks, checks)) / checks.size / 4.0


def _coarse_energy(patch: F32) -> float:
    size = patch.shape[1] // COARSER, patch.shape[0] // COARSER
    quarter = cv2.resize(patch, size, interpolation=cv2.INTER_AREA)
    band = cv2.GaussianBlur(quarter, (7, 7), 1) - cv2.GaussianBlur(quarter, (13, 13), 2)
    return float(np.vdot(band, band)) / band.size
