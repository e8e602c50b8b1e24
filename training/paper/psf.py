"""The point spread function of the simulated microscope and its asymmetry (the paper's Fig. 4).

The picture of a weak absorbing point is the inverse transform of the absorption transfer
function; it is what a dot of stain looks like, darkness positive.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from simulator.optics import NOMINAL, Instrument, SlideOptics, transfer_functions

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

SIDE = 128  # samples; a pixel of the figure is a quarter of the camera's
FINER = 4
GREEN = 1
PITCH_UM = NOMINAL.um_per_px / FINER
DEPTH_UM, DEPTH_STEP_UM = 10.0, 0.25
TYPICAL = SlideOptics()


@dataclass(frozen=True, slots=True)
class Asymmetry:
    """How much the picture of a point differs between equal distances on both sides of focus."""

    delta_um: float
    difference: float  # sum |above - below| over sum (|above| + |below|)
    peak_above: float  # of the peak in focus
    peak_below: float


def point(delta_um: float, channel: int = GREEN, optics: SlideOptics = TYPICAL) -> F32:
    """(128, 128) picture of an absorbing point, centred, `delta_um` = objective minus focus."""
    sharp = Instrument(um_per_px=1e-6)  # no pixel: the figure shows the optics
    axis = np.fft.fftfreq(SIDE, PITCH_UM)
    radius = np.hypot(axis[:, None], axis[None, :])
    grid = np.linspace(0.0, float(radius.max()), 400)
    absorption, _ = transfer_functions(delta_um, grid, channel, optics, sharp)
    spectrum = np.interp(radius, grid, absorption)
    return np.fft.fftshift(np.fft.ifft2(spectrum).real).astype(np.float32)


def through_focus(channel: int = GREEN) -> F32:
    """(heights, 128): the middle line of the point's picture from below focus to above."""
    heights = np.arange(-DEPTH_UM, DEPTH_UM + 1e-9, DEPTH_STEP_UM)
    return np.stack([point(float(z), channel)[SIDE // 2] for z in heights])


def asymmetry(delta_um: float) -> Asymmetry:
    """Compare the green picture of a point at +delta and -delta."""
    above, below, peak = point(delta_um), point(-delta_um), float(point(0.0).max())
    both = float(np.abs(above).sum() + np.abs(below).sum())
    return Asymmetry(
        delta_um, float(np.abs(above - below).sum()) / both,
        float(above.max()) / peak, float(below.max()) / peak,
    )  # fmt: skip


def grey(picture: F32, top: float | None = None) -> U8:
    """Dark on white: 0 = white, `top` (default: the greatest) = black; its root shows
    what is faint."""
    share = np.clip(picture / (float(picture.max()) if top is None else top), 0.0, 1.0)
    return np.asarray(np.round(255.0 * (1.0 - np.sqrt(share))), np.uint8)


def signed(difference: F32, top: float) -> U8:
    """(h, w) -> (h, w, 3) RGB: blue below 0, white at 0, orange above."""
    share = np.clip(difference / top, -1.0, 1.0)[..., None]
    white, up, down = (np.array(c, float) for c in ((255, 255, 255), (213, 94, 0), (0, 114, 178)))
    colour = np.where(share > 0, white + share * (up - white), white - share * (down - white))
    return np.asarray(np.round(colour), np.uint8)


def data_url(picture: U8, scale: float = 1.0) -> str:
    """A grey or RGB picture as a PNG inside a page."""
    if scale != 1.0:
        picture = np.asarray(
            cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST), np.uint8
        )
    if picture.ndim == 3:
        picture = np.ascontiguousarray(picture[..., ::-1])
    ok, data = cv2.imencode(".png", picture)
    if not ok:
        raise ValueError(f"a picture of {picture.shape} could not be written as PNG")
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()
