"""The networks alone: an array to an estimate. No camera, no stage, nothing that could move."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import monotonic_ns
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.appliance.plain_results import Estimate
from edge.camera import Frame, PixelFormat
from edge.errors import ConfigError
from edge.latency import Lap
from edge.measure.importance import ClassRule
from edge.measure.sensor import Measurer, measure_in_full
from edge.open_sensor import build_sensor
from edge.optics import Objective
from edge.settings import OBJECTIVE_KEYS, ModelSettings


class Networks:
    """Tells the defocus of pictures that you have; a context manager.

    The objective is in numbers: `na`, `magnification`, `um_per_px` (um in the object plane per
    pixel, after binning), `refractive_index` of the immersion, `wavelength_um`. A wrong one makes
    every answer wrong, so none of the first three has a default. `models`: a folder with rin.json
    and dpn.json instead of the shipped ones. ConfigError or EngineRejected for what cannot be
    measured.
    """

    def __init__(
        self,
        *,
        na: float,
        magnification: float,
        um_per_px: float,
        refractive_index: float = 1.0,
        wavelength_um: float | None = None,
        models: str | Path | None = None,
        threads: int = 0,
    ) -> None:
        given: dict[str, Any] = {
            "na": na,
            "magnification": magnification,
            "um_per_px": um_per_px,
            "refractive_index": refractive_index,
        }
        if wavelength_um is not None:
            given["wavelength_um"] = wavelength_um
        for name, value in given.items():
            _check(name, value, refractive_index)
        settings = ModelSettings(threads=threads)
        if models is not None:
            folder = Path(models)
            settings = replace(settings, rin=folder / "rin.json", dpn=folder / "dpn.json")
        objective = Objective(**given)
        self._sensor, self._engines = build_sensor(settings, objective, ClassRule())

    def measure(
        self, pixels: npt.NDArray[np.uint8], pixel_format: str | PixelFormat | None = None
    ) -> Estimate:
        """The defocus of one picture: see `Focus.measure`."""
        return measure_array(self._sensor, pixels, pixel_format)

    def close(self) -> None:
        """Release the networks; safe to call twice."""
        engines, self._engines = self._engines, ()
        for engine in engines:
            engine.close()

    def __enter__(self) -> Networks:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def measure_array(
    sensor: Measurer, pixels: npt.NDArray[np.uint8], pixel_format: str | PixelFormat | None
) -> Estimate:
    """The defocus of one picture; ConfigError for an array that is no picture of that format."""
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        raise ConfigError(
            f"a picture must be an array of uint8, (height, width) or (height, width, 3); this is "
            f"{pixels.dtype} {pixels.shape}"
        )
    usual = PixelFormat.RGB8 if pixels.ndim == 3 else PixelFormat.MONO8
    known = format_of(usual if pixel_format is None else pixel_format)
    if pixels.ndim != (3 if known.channels == 3 else 2) or (
        pixels.ndim == 3 and pixels.shape[2] != 3
    ):
        raise ConfigError(f"an array of shape {pixels.shape} is no {known.value} picture")
    now_ns = monotonic_ns()
    frame = Frame(np.ascontiguousarray(pixels), known, 0, now_ns, now_ns)
    return Estimate.of(measure_in_full(sensor, frame, Lap()))


def format_of(name: str | PixelFormat) -> PixelFormat:
    """By its GenICam name; ConfigError for another."""
    try:
        return PixelFormat(name)
    except ValueError as error:
        known = ", ".join(each.value for each in PixelFormat)
        raise ConfigError(f"pixel_format = {name!r} must be one of {known}") from error


def _check(name: str, value: Any, index: Any) -> None:
    key = OBJECTIVE_KEYS[name]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    high = key.high * index if name == "na" and isinstance(index, (int, float)) else key.high
    if not (number and key.low <= value <= high):  # NaN is neither
        raise ConfigError(f"{name} = {value!r} must be a number {key.low:g} to {high:g}")
