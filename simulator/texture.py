"""Random fields and drawing on a torus.

Every specimen is periodic, so Fourier optics needs no margins: light that leaves the frame on
one side enters on the other, and blur of any width is exact.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from scipy import fft

F32 = npt.NDArray[np.float32]


def noise_field(
    shape: tuple[int, int],
    um_per_px: float,
    rng: np.random.Generator,
    scale_um: float,
    anisotropy: float = 1.0,
    angle_rad: float = 0.0,
) -> F32:
    """Gaussian random field (h, w) with zero mean, unit sd and features of about `scale_um`.

    `anisotropy` > 1 stretches the features along `angle_rad` (fibres). Drawn on a coarser grid
    where the features allow it, which makes wide fields nearly free.
    """
    # the narrow side must stay resolved: at least 3 samples per feature
    step = max(1, int(scale_um / max(anisotropy, 1.0) ** 0.5 / um_per_px / 4.0))
    small = (max(shape[0] // step, 8), max(shape[1] // step, 8))
    pitch_y, pitch_x = shape[0] * um_per_px / small[0], shape[1] * um_per_px / small[1]
    fy = fft.fftfreq(small[0], pitch_y).astype(np.float32)[:, None]
    fx = fft.rfftfreq(small[1], pitch_x).astype(np.float32)[None, :]
    along = fx * np.float32(np.cos(angle_rad)) + fy * np.float32(np.sin(angle_rad))
    across = fy * np.float32(np.cos(angle_rad)) - fx * np.float32(np.sin(angle_rad))
    stretch = np.float32(max(anisotropy, 1.0) ** 0.5)
    radius2 = (along * stretch) ** 2 + (across / stretch) ** 2
    # a band around 1 / (2 scale) with a soft tail: features of one size, with finer detail
    q2 = radius2 * np.float32((2.0 * scale_um) ** 2)
    gain = np.sqrt(q2) / (1.0 + q2) ** 1.25
    white = rng.standard_normal(small, dtype=np.float32)
    field = fft.irfft2(fft.rfft2(white) * gain, s=small)
    field /= field.std() + 1e-12
    if small == shape:
        return np.asarray(field, np.float32)
    return wrap_resize(np.asarray(field, np.float32), shape)


def wrap_resize(field: F32, shape: tuple[int, int]) -> F32:
    """Enlarge a periodic field smoothly, without a seam."""
    pad = 4
    padded = cv2.copyMakeBorder(field, pad, pad, pad, pad, cv2.BORDER_WRAP)
    fy, fx = shape[0] / field.shape[0], shape[1] / field.shape[1]
    map_y = (np.arange(shape[0], dtype=np.float32) + 0.5) / fy - 0.5 + pad
    map_x = (np.arange(shape[1], dtype=np.float32) + 0.5) / fx - 0.5 + pad
    grid_x = np.ascontiguousarray(np.broadcast_to(map_x[None, :], shape))
    grid_y = np.ascontiguousarray(np.broadcast_to(map_y[:, None], shape))
    return np.asarray(cv2.remap(padded, grid_x, grid_y, cv2.INTER_CUBIC), np.float32)


def smoothstep(value: F32) -> F32:
    """0 below 0, 1 above 1, smooth between."""
    t = np.clip(value, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


def wrap_window(
    shape: tuple[int, int], top: int, left: int, height: int, width: int
) -> list[tuple[slice, slice, slice, slice]]:
    """Cut a window that may cross the torus' seam into plain slices.

    Each item is (canvas rows, canvas columns, window rows, window columns).
    """
    pieces = []
    for y0, y1, wy in _runs(shape[0], top, height):
        for x0, x1, wx in _runs(shape[1], left, width):
            rows, columns = slice(wy, wy + y1 - y0), slice(wx, wx + x1 - x0)
            pieces.append((slice(y0, y1), slice(x0, x1), rows, columns))
    return pieces


def _runs(size: int, start: int, length: int) -> list[tuple[int, int, int]]:
    runs, offset, position = [], 0, start % size
    while offset < length:
        take = min(length - offset, size - position)
        runs.append((position, position + take, offset))
        offset += take
        position = 0
    return runs


def add_stamp(canvas: F32, stamp: F32, top: int, left: int) -> None:
    """Add a small picture to the periodic canvas, in place."""
    for rows, columns, wy, wx in wrap_window(canvas.shape, top, left, *stamp.shape):
        canvas[rows, columns] += stamp[wy, wx]


def max_stamp(canvas: F32, stamp: F32, top: int, left: int) -> None:
    """Keep the larger of canvas and stamp, in place."""
    for rows, columns, wy, wx in wrap_window(canvas.shape, top, left, *stamp.shape):
        np.maximum(canvas[rows, columns], stamp[wy, wx], out=canvas[rows, columns])


def take_window(field: F32, top: int, left: int, height: int, width: int) -> F32:
    """Copy a window of the periodic field."""
    window = np.empty((height, width), np.float32)
    for rows, columns, wy, wx in wrap_window(field.shape, top, left, height, width):
        window[wy, wx] = field[rows, columns]
    return window
