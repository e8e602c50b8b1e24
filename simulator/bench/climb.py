"""Hill climbing, which scanners without a one-shot measurement do, against our loop: the same
fields, starts, optics, motor and play.

Seconds are those of an instrument: frame periods, moves as the motor made them, settling, and
computing. How long the simulator takes to render a picture is left out.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera import Frame
from edge.loop import step
from edge.measure.preprocess import centre_crop
from edge.measure.sharpness import LUMINANCE, gradient_energy
from simulator.closed_loop import Scenario, SimulatedInstrument

U8 = npt.NDArray[np.uint8]
Ended = tuple[int, float, str]  # images, seconds, how

COARSE_UM = 5.0
FINE_UM = 0.3  # a quarter of the depth of field of 20x/0.75
MOST_COARSE = 24  # pictures uphill; then there is no hill
_WEIGHTS = np.array([LUMINANCE], np.float32)
GOLDEN = (math.sqrt(5) - 1) / 2
MOST_FRAMES = 12  # of our loop on one field
REST_S = 5.0


@dataclass(slots=True)
class Climb:
    """How one field ended. `error_um`: objective less the sharpest plane, absolute, at the end;
    `above_um` the same with its sign."""

    field: str
    start_um: float
    images: int
    seconds: float
    error_um: float
    ended: str
    above_um: float = math.nan


def tenengrad(pixels: U8) -> float:
    """Mean squared gradient (Sobel, 3 x 3) of the luminance, the measure that defines focus here;
    greater = sharper. Source: Krotkov, Focusing, IJCV 1 (1987)."""
    luminance = cv2.transform(np.asarray(pixels, np.float32), _WEIGHTS)
    return float(gradient_energy(np.asarray(luminance, np.float32)).mean())


def climb(sharpness: Callable[[float], float], start_um: float) -> float:
    """Uphill in coarse steps until it goes down again, then golden section; the height of the
    sharpest picture seen. One picture per call of `sharpness`."""
    sharpness_at: dict[float, float] = {}

    def at(z_um: float) -> float:
        if z_um not in sharpness_at:
            sharpness_at[z_um] = sharpness(z_um)
        return sharpness_at[z_um]

    stride, behind, here = COARSE_UM, start_um, start_um + COARSE_UM
    if at(here) < at(behind):
        stride, behind, here = -COARSE_UM, here, behind
    for _ in range(MOST_COARSE):
        ahead = here + stride
        if at(ahead) < at(here):
            _narrow(at, min(behind, ahead), max(behind, ahead))
            break
        behind, here = here, ahead
    return max(sharpness_at, key=lambda z_um: sharpness_at[z_um])


def _narrow(at: Callable[[float], float], low: float, high: float) -> None:
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    while high - low > 2 * FINE_UM:
        if at(left) < at(right):
            low, left, right = left, right, left + GOLDEN * (high - left)
        else:
            high, left, right = right, right - GOLDEN * (right - low), left


def compare(
    instrument: SimulatedInstrument, scenarios: Sequence[Scenario], done: Callable[[str], None]
) -> dict[str, Any]:
    """Every field twice from the same start: our loop, then hill climbing."""
    ways: dict[str, list[Climb]] = {"ours": [], "hill climbing": []}
    for scenario in scenarios:
        kind, sparsity, number = scenario.kind, scenario.sparsity, scenario.number
        truth = instrument.microscope.load_field(kind, sparsity, number, slide=number)
        hill = climbed(climb, tenengrad)
        for name, focus in (("ours", focused), ("hill climbing", hill)):
            instrument.turn_knob(truth.z_focus_um + scenario.start_um)
            instrument.at_rest()
            images, seconds, ended = focus(instrument)
            _, height_um = instrument.at_rest()
            above = height_um - truth.z_focus_um
            error, words = abs(above), f"{kind} {sparsity}"
            result = Climb(words, scenario.start_um, images, seconds, error, ended, above)
            ways[name].append(result)
            done(f"{words}, {name}: {images} images, {error:.2f} um")
    return {
        "note": "seconds without the time to render the pictures",
        "coarse_um": COARSE_UM,
        "fine_um": FINE_UM,
        **{name: {**_summary(result), "fields": [_row(f) for f in result]}
           for name, result in ways.items()},
    }  # fmt: skip


def focused(instrument: SimulatedInstrument) -> Ended:
    """Our loop on the loaded field: images, seconds, how it ended."""
    rig = instrument.rig
    rig.controller.new_field()
    images, seconds, ended = 0, 0.0, "frames"
    for _ in range(MOST_FRAMES):
        outcome = step(rig)
        images += 1
        ms = outcome.latency_ms or {}
        seconds += (rig.config.camera.period_ms + ms.get("total", 0.0)) / 1e3
        ended = f"{outcome.decision.value}: {outcome.reason}"
        if outcome.move is None:
            break
        seconds += _travelled(instrument)
    return images, seconds, ended


def climbed(
    search: Callable[[Callable[[float], float], float], float], measure: Callable[[U8], float]
) -> Callable[[SimulatedInstrument], Ended]:
    """A search that moves the stage of an instrument by a focus measure, to its best height."""

    def focus(instrument: SimulatedInstrument) -> Ended:
        climber = _Climber(instrument, measure)
        climber.move(search(climber.sharpness, instrument.rig.stage.status().z_um))
        return climber.images, climber.seconds, "sharpest picture"

    return focus


class _Climber:
    def __init__(self, instrument: SimulatedInstrument, measure: Callable[[U8], float]) -> None:
        self.images, self.seconds = 0, 0.0
        self._instrument, self._measure = instrument, measure
        self._period_s = instrument.rig.config.camera.period_ms / 1e3

    def sharpness(self, z_um: float) -> float:
        """Go there, look, measure."""
        self.move(z_um)
        frame: Frame = self._instrument.camera.next(timeout_s=REST_S)
        begin = time.perf_counter()
        value = self._measure(centre_crop(frame))
        self.images += 1
        self.seconds += self._period_s + time.perf_counter() - begin
        return value

    def move(self, z_um: float) -> None:
        """Go to `z_um`, unless the stage stands there."""
        stage = self._instrument.rig.stage
        now_um = stage.status().z_um
        if abs(z_um - now_um) > stage.resolution_um:
            stage.move_to(z_um, now_um)
            self.seconds += _travelled(self._instrument)


def _travelled(instrument: SimulatedInstrument) -> float:
    """Seconds until the move just begun is done and settled."""
    begin = time.monotonic()
    instrument.rig.stage.wait(REST_S)
    return time.monotonic() - begin + instrument.rig.config.stage.settle_ms / 1e3


def _summary(results: Sequence[Climb]) -> dict[str, float]:
    return {
        "images": statistics.median(f.images for f in results),
        "images_most": max(f.images for f in results),
        "seconds": round(statistics.median(f.seconds for f in results), 3),
        "mean_error_um": round(statistics.fmean(f.error_um for f in results), 3),
        "worst_error_um": round(max(f.error_um for f in results), 3),
    }


def _row(result: Climb) -> dict[str, Any]:
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(result).items()}
