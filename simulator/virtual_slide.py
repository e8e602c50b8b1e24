"""A whole slide without pictures: topography, content, and an eye with published errors.

The eye is a MODEL of the networks: the true focus with an error of `sd_um`, none beyond 25 um, a
share of fields unanswered and a share far off. Time is arithmetic: the way of the stage, settling,
and what a frame, its transfer, its measurement, a step of Z and a search take. A slide that goes on
while a frame is transferred and measured loses no time by that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge.wsi.path import Field
from edge.wsi.pipelines import Seen
from edge.wsi.route import Cell
from edge.wsi.scan_time import AxisMotion
from simulator.topography import Topography

RANGE_UM = 25.0
AXIS = AxisMotion(20_000.0, 200_000.0)


@dataclass(frozen=True, slots=True)
class EyeParameters:
    """Seconds and um; `search_offset_um`: of hill climbing, whose sharpest plane lies lower.

    Transfer: a frame period at 35 a second. Measuring 31 patches, hill climbing: docs/speed.md.
    """

    sd_um: float = 0.15
    answered: float = 0.9
    wild: float = 0.01
    exposure_s: float = 0.004
    transfer_s: float = 0.0286
    measure_s: float = 0.015
    z_step_s: float = 0.02  # and settling; most steps are below 1 um
    search_s: float = 1.3
    search_offset_um: float = 0.0
    settle_s: float = 0.03
    axis: AxisMotion = AXIS


class VirtualEye:
    """An edge.wsi.pipelines.Eye. `taken`: where each frame was taken; `now_s`: its clock;
    `toward`: on which sides of a field something reaches its edge."""

    def __init__(
        self,
        slide: Topography,
        has_content: Callable[[Field], bool],
        seed: int = 0,
        parameters: EyeParameters = EyeParameters(),
        z0_um: float = 40.0,
        toward: Callable[[Field], frozenset[Cell] | None] = lambda field: None,
    ) -> None:
        self._slide, self._has_content, self._p, self._z0_um = slide, has_content, parameters, z0_um
        self._rng, self._toward = np.random.default_rng(seed), toward
        self._at: Field | None = None
        self._z_um = math.nan
        self._there_s = 0.0  # when the slide will be where it was sent
        self.now_s = 0.0
        self.focus_s = 0.0  # of it: standing still to look and to search
        self.taken: dict[int, float] = {}

    def focus_um(self, field: Field) -> float:
        """The truth, now."""
        height = self._slide.height_um(
            np.array(field.x_um), np.array(field.y_um), self.now_s / 60.0
        )
        return self._z0_um + float(height)

    def one_shot(self, field: Field, z_um: float, then: Field | None = None) -> Seen:
        """See Eye. The frame it looked at counts as taken."""
        self.take(field, z_um, then)
        self.now_s += self._p.transfer_s + self._p.measure_s
        self.focus_s += 0.0 if then else self._p.transfer_s + self._p.measure_s
        patches = 9 if self._has_content(field) else 0
        far = not abs(z_um - self.focus_um(field)) <= RANGE_UM
        toward = self._toward(field)
        if not patches or far or self._rng.random() > self._p.answered:
            return Seen(patches, None, np.inf, self._now_ns(), z_um, toward)
        interval_um = 1.96 * self._p.sd_um
        return Seen(patches, self._reading(field), interval_um, self._now_ns(), z_um, toward)

    def search(self, field: Field, z_um: float) -> Seen:
        """See Eye."""
        self._go(field, z_um)
        self.now_s += self._p.search_s
        self.focus_s += self._p.search_s
        if not self._has_content(field):
            return Seen(0, None, np.inf, self._now_ns(), z_um)
        self._z_um = self._reading(field) + self._p.search_offset_um
        return Seen(None, self._z_um, 1.96 * self._p.sd_um, self._now_ns(), self._z_um)

    def take(self, field: Field, z_um: float, then: Field | None = None) -> float:
        """See Eye."""
        self._go(field, z_um)
        self.now_s += self._p.exposure_s
        self.taken[field.id] = z_um
        if then is not None:
            self._send(then)
        return z_um

    def _reading(self, field: Field) -> float:
        wild = self._rng.uniform(-10, 10) if self._rng.random() < self._p.wild else 0.0
        return self.focus_um(field) + float(self._rng.normal(0.0, self._p.sd_um)) + wild

    def _go(self, field: Field, z_um: float) -> None:
        """The slide, and Z while it is under way."""
        self._send(field)
        z_s = 0.0 if z_um == self._z_um else self._p.z_step_s
        self.now_s = max(self.now_s + z_s, self._there_s)
        self._z_um = z_um

    def _send(self, field: Field) -> None:
        at, self._at = self._at, field
        if at is None or (at.x_um, at.y_um) == (field.x_um, field.y_um):
            return
        axis = self._p.axis
        x_s, y_s = axis.seconds(field.x_um - at.x_um), axis.seconds(field.y_um - at.y_um)
        self._there_s = max(self.now_s, self._there_s) + max(x_s, y_s) + self._p.settle_s

    def _now_ns(self) -> int:
        return round(self.now_s * 1e9)
