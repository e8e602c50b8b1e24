"""The judge's camera: light of some colour, unevenly spread, on a sensor with noise of its own.

Shot noise is Poisson's, by the electron; each pixel has its own gain and offset, columns differ a
little, a few pixels are hot, and the sensor's window carries dust: all the same on every picture of
a slide. Cheaper cameras (mosaic, gamma, JPEG, grey) are options.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from training.judge.canvas import F32
from training.judge.instrument import RGB, Rng

U8 = npt.NDArray[np.uint8]

#: quality of JPEG's usual 4:2:0 files
_CHROMA = getattr(cv2, "IMWRITE_JPEG_SAMPLING_FACTOR", None)


@dataclass(frozen=True, slots=True)
class CameraModel:
    """What kind of camera. `noise` times the usual noise; `exposure` times the usual light, which
    clips above about 1.15; `gamma` 1 = linear; `jpeg` = quality, None = none."""

    noise: float = 1.0
    exposure: float = 1.0
    gamma: float = 1.0
    jpeg: int | None = None
    bayer: bool = False
    grey: bool = False
    swapped: bool = False  # red for blue
    balance: float = 0.03  # spread of the white balance
    vignetting: float = 0.2  # most of the light's fall towards a corner


class JudgeCamera:
    """One slide's camera and light; the same `rng` gives the same."""

    def __init__(self, model: CameraModel, shape: tuple[int, int], rng: Rng, dirt: float) -> None:
        self._model, self._shape = model, shape
        level = rng.uniform(0.78, 0.93)
        self.light: RGB = tuple(  # type: ignore[assignment]
            float(level * model.exposure * v)
            for v in np.exp(rng.normal(0.0, 1.0, 3) * np.array((1.0, 0.6, 1.0)) * model.balance)
        )
        self._well = rng.uniform(7000.0, 14000.0) / model.noise**2
        self._read = rng.uniform(2.0, 7.0) / model.noise
        self._field = self._illumination(rng, dirt)
        gain_sd, offset_sd = rng.uniform(0.003, 0.009), rng.uniform(0.5, 2.5) / model.noise
        self._gain = 1.0 + np.float32(gain_sd) * rng.standard_normal(shape, dtype=np.float32)
        self._offset = np.float32(offset_sd) * rng.standard_normal(shape, dtype=np.float32)
        self._offset += rng.normal(0.0, 0.4 * offset_sd, shape[1]).astype(np.float32)
        hot = rng.uniform(size=shape) < 5e-6
        self._offset[hot] += np.float32(0.3 * self._well)

    def _illumination(self, rng: Rng, dirt: float) -> F32:
        """Light over the field, 1 at its brightest, with the shadows of dust on the sensor."""
        h, w = self._shape
        y = (np.arange(h, dtype=np.float32) / h - np.float32(0.5 + rng.normal(0, 0.08)))[:, None]
        x = (np.arange(w, dtype=np.float32) / w - np.float32(0.5 + rng.normal(0, 0.08)))[None, :]
        fall = rng.uniform(0.0, self._model.vignetting)
        light = 1.0 - np.float32(2.0 * fall) * (y * y + x * x)
        light += np.float32(rng.normal(0, 0.02)) * y + np.float32(rng.normal(0, 0.02)) * x
        for _ in range(int(rng.poisson(4.0 * dirt))):
            cy, cx, radius = rng.uniform(0, h), rng.uniform(0, w), rng.uniform(4.0, 22.0)
            top, left = max(0, int(cy - 2 * radius)), max(0, int(cx - 2 * radius))
            part = light[top : int(cy + 2 * radius), left : int(cx + 2 * radius)]
            v = np.arange(part.shape[0])[:, None] + top - cy
            u = np.arange(part.shape[1])[None, :] + left - cx
            shadow = np.exp(-(((v * v + u * u) / radius**2) ** 2))
            part *= 1.0 - np.float32(rng.uniform(0.01, 0.06)) * shadow.astype(np.float32)
        return np.asarray(light, np.float32)

    def expose(self, intensity: F32, rng: Rng) -> U8:
        """(h, w, 3) uint8 RGB of intensities (h, w, 3), 1 = clear glass; noise is drawn anew."""
        model = self._model
        out = np.empty(intensity.shape, np.float32)
        for c in range(3):
            out[..., c] = self._electrons(intensity[..., c], self.light[c], rng)
        out /= np.float32(self._well)
        if model.grey:
            out[:] = (out @ np.array((0.3, 0.5, 0.2), np.float32))[..., None]
        if model.bayer:
            out = _through_mosaic(out)
        np.clip(out, 0.0, 1.0, out=out)
        if model.gamma != 1.0:
            out **= np.float32(1.0 / model.gamma)
        frame = np.asarray(np.rint(out * np.float32(255.0)), np.uint8)
        if model.swapped:
            frame = np.ascontiguousarray(frame[..., ::-1])
        return frame if model.jpeg is None else _through_jpeg(frame, model.jpeg)

    def _electrons(self, intensity: F32, light: float, rng: Rng) -> F32:
        mean = intensity * self._field * self._gain * np.float32(light * self._well)
        # Poisson of thousands is normal; of few it is drawn as it is
        got = mean + np.sqrt(mean) * rng.standard_normal(mean.shape, dtype=np.float32)
        dark = mean < 30.0
        if dark.any():
            got[dark] = rng.poisson(np.maximum(mean[dark], 0.0))
        got += self._offset
        got += np.float32(self._read) * rng.standard_normal(mean.shape, dtype=np.float32)
        return np.asarray(got, np.float32)


def _through_mosaic(picture: F32) -> F32:
    """What an RG mosaic of the picture is filled in to."""
    mosaic = picture[..., 1].copy()
    mosaic[::2, ::2] = picture[::2, ::2, 0]
    mosaic[1::2, 1::2] = picture[1::2, 1::2, 2]
    deep = np.asarray(np.clip(np.rint(mosaic * 4095.0), 0, 65535), np.uint16)
    # OpenCV names the second row's second and third letters
    filled = cv2.cvtColor(deep, cv2.COLOR_BayerBG2RGB)
    return np.asarray(filled, np.float32) / np.float32(4095.0)


def _through_jpeg(frame: U8, quality: int) -> U8:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    if _CHROMA is not None:
        options += [_CHROMA, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    _, coded = cv2.imencode(".jpg", frame[..., ::-1], options)
    back = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    assert back is not None
    return np.ascontiguousarray(back[..., ::-1], np.uint8)
