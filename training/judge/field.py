"""One field of one slide: drawn from its seed, seen at any height, its truth beside it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from training.judge.camera import CameraModel, JudgeCamera
from training.judge.canvas import F32
from training.judge.dirt import add_debris, cast, draw_shadows
from training.judge.exact import OVERSAMPLING, ExactImager
from training.judge.instrument import (
    PATCH_UM,
    RGB,
    SENSOR,
    Range,
    Rng,
    Scope,
    Spread,
    draw_slide,
)
from training.judge.optics import F64, absorption_focus_um
from training.judge.picture import (
    LUMINANCE,
    Imager,
    LinearImager,
    TiledImager,
    UnevenImager,
    surface,
)
from training.judge.sharpness import (
    MARGIN_UM,
    Sharpest,
    Stack,
    content_of,
    tenengrad,
)
from training.judge.specimens import (
    ATTEMPTS,
    CLASSES,
    INFORMATIVE,
    USUAL_PHASE,
    PatchGrid,
    Specimen,
    draw_specimen,
    richness,
)

U8 = npt.NDArray[np.uint8]

#: first word of every seed: no other domain of this project has it
DOMAIN = 77
#: where slides lie on the stage; each field within 5 um of it
SLIDE_Z_UM = 200.0
#: side of the camera's field that is rendered exactly, and repeated
TILE_PX = 336


@dataclass(frozen=True, slots=True)
class JudgeInstrument:
    """What is looked through and what is looked at; the same for all slides of a run. `exact` is
    the share of slides rendered by the sum over the condenser's points. `iris`: of each slide the
    condenser's aperture is drawn anew from this, as somebody left it."""

    scope: Scope = field(default_factory=Scope)
    camera: CameraModel = field(default_factory=CameraModel)
    spread: Spread = field(default_factory=Spread)
    shape: tuple[int, int] = SENSOR
    patch_um: float = PATCH_UM
    exact: float = 0.1
    tile_px: int = TILE_PX
    iris: Range | None = None


class JudgeField:
    """Field of slide `number`, of a group; ValueError as from `draw_specimen`.

    Heights are the stage's, um, positive = objective up. `surface_um` is where green absorption is
    in focus at the field's middle (what labels without phase call 0).
    """

    def __init__(self, instrument: JudgeInstrument, seed: int, number: int, group: str) -> None:
        words = [DOMAIN, seed, zlib.crc32(group.encode()), number]
        if instrument.iris is not None:  # of its own generator: nothing else changes with it
            condenser = float(np.random.default_rng([*words, 3]).uniform(*instrument.iris))
            instrument = replace(instrument, scope=replace(instrument.scope, condenser=condenser))
        self.instrument, self.group = instrument, group
        rng = np.random.default_rng(words)
        self.slide = draw_slide(rng, instrument.spread)
        self.exact = bool(rng.uniform() < instrument.exact) and group != "blank"
        self.surface_um = round(SLIDE_Z_UM + float(rng.uniform(-5.0, 5.0)), 2)
        self._camera = JudgeCamera(instrument.camera, instrument.shape, rng, self.slide.dirt)
        self._shadows = draw_shadows(
            instrument.shape, instrument.scope.um_per_px, rng, self.slide.dirt
        )
        self._noise = np.random.default_rng([*words, 1])
        self._reach = (0.0, 0.0)
        self._zero_um = absorption_focus_um(instrument.scope, self.slide)
        if self.exact:
            self.slide = replace(self.slide, tilt_um_per_mm=(0.0, 0.0))
            self._paint_exactly(rng)
        else:
            self._paint(rng)

    def picture(self, z_um: float) -> U8:
        """What the camera sees with the objective at `z_um`: (h, w, 3) uint8 RGB, fresh noise."""
        intensity = self._dirty.colours(self._below(z_um))
        shadow = cast(
            self._shadows, z_um - self.surface_um, self.instrument.shape, self.instrument.scope
        )
        if shadow is not None:
            intensity = intensity * shadow[..., None]
        return self._camera.expose(intensity, self._noise)

    def luminance(self, z_um: float) -> F32:
        """Linear brightness (h, w) without noise and dirt, 1 = clear glass."""
        return self._clean.luminance(self._below(z_um))

    @cached_property
    def sharpest(self) -> Sharpest:
        """Where it is sharpest, as heights of the stage; the surface where there is nothing."""
        if self.group == "blank":
            flat = np.full((self.grid.rows, self.grid.columns), self.surface_um)
            return Sharpest(self.surface_um, flat, 0.0)
        peak = self.stack().sharpest(*self._reach, turns_over=not self._stained)
        return Sharpest(
            peak.field_um + self.surface_um, peak.patch_um + self.surface_um, peak.energy
        )

    def stack(self, measure: Callable[[F32], F32] = tenengrad, weights: RGB = LUMINANCE) -> Stack:
        """Of the clean picture, heights less `surface_um`; see training.judge.sharpness."""
        return Stack(
            lambda z_um: self._clean.luminance(z_um + self._zero_um, weights),
            self.grid,
            content_of(self.richness),
            measure,
            self.instrument.scope.axial_unit,
        )

    def best_by(self, measure: Callable[[F32], F32], weights: RGB = LUMINANCE) -> float:
        """Where the field is best by another measure, of another sum of the colours."""
        stack = self.stack(measure, weights)
        return stack.sharpest(*self._reach, turns_over=not self._stained).field_um + self.surface_um

    @property
    def content(self) -> int:
        """How many patches hold content, 0 on a blank field."""
        return int((self.richness > INFORMATIVE).sum())

    def reached(self, z_um: float) -> float:
        """Sharpness at a height: gradient energy of the content over that at the sharpest plane."""
        stack = self.stack()
        energy = stack.field(stack.patches_at(z_um - self.surface_um))
        return energy / self.sharpest.energy if self.sharpest.energy > 0 else 1.0

    @property
    def grid(self) -> PatchGrid:
        """The patches of the field."""
        return PatchGrid.of(
            self.instrument.shape, self.instrument.scope.um_per_px, self.instrument.patch_um
        )

    def _below(self, z_um: float) -> float:
        """The objective above the pupil's own zero."""
        return z_um - self.surface_um + self._zero_um

    def _paint(self, rng: Rng) -> None:
        instrument, px = self.instrument, self.instrument.scope.um_per_px
        specimen = draw_specimen(self.group, self.slide, instrument.shape, px, rng)
        self._know(specimen, richness(specimen, self.grid))
        clean: Imager = LinearImager(specimen, instrument.scope, self.slide, dirt=False)
        dirty: Imager = clean
        phase = USUAL_PHASE * max(abs(self.slide.phase), 0.3)
        add_debris(specimen, rng, self.slide.dirt, self.slide.softness, phase)
        if not specimen.layers[-1].content:
            dirty = LinearImager(specimen, instrument.scope, self.slide)
        uneven = surface(instrument.shape, instrument.scope, self.slide)
        if uneven is not None:
            self._reach = (
                self._reach[0] + float(uneven.min()), self._reach[1] + float(uneven.max()),
            )  # fmt: skip
            same = dirty is clean
            clean = UnevenImager(clean, uneven)
            dirty = clean if same else UnevenImager(dirty, uneven)
        self._clean, self._dirty = clean, dirty

    def _paint_exactly(self, rng: Rng) -> None:
        """One tile as dense as its class or with one lone thing in its middle, repeated."""
        instrument, px = self.instrument, self.instrument.scope.um_per_px
        kind, sparsity = self.group.split(" ")
        side = instrument.tile_px * OVERSAMPLING
        like = f"{kind} {'dense' if sparsity == 'dense' else 'ex-sparse'}"
        rows, columns = (-(-length // instrument.tile_px) for length in instrument.shape)
        low, high = CLASSES[sparsity]
        for _ in range(ATTEMPTS):
            tile = draw_specimen(like, self.slide, (side, side), px / OVERSAMPLING, rng, False)
            imager = ExactImager(tile, instrument.scope, self.slide)
            places = np.zeros((rows, columns), bool)
            if sparsity == "dense":
                places[:] = True
            else:
                wanted = 1 if sparsity == "ex-sparse" else int(rng.integers(5, 10))
                inner = [(r, c) for r in range(1, rows - 1) for c in range(1, columns - 1)]
                for pick in rng.permutation(len(inner))[:wanted]:
                    places[inner[pick]] = True
            tiled = TiledImager(imager, places, instrument.shape)
            rich = richness(self._whole(tile, tiled), self.grid)
            if self.grid.rows * self.grid.columns < 81 or (
                low <= int((rich > INFORMATIVE).sum()) <= high
            ):
                break
        else:
            raise ValueError(f"no exact field of {self.group} in {ATTEMPTS} attempts")
        self._know(tile, rich)
        self._clean = self._dirty = tiled

    def _whole(self, tile: Specimen, tiled: TiledImager) -> Specimen:
        """What the tiles hold, at the camera's pixel, for the patches' richness."""
        layers = []
        for layer in tile.layers:
            planes = [
                tiled.repeated(np.ascontiguousarray(p[::OVERSAMPLING, ::OVERSAMPLING]), 0.0)
                for p in (*layer.absorbance, layer.phase)
            ]
            layers.append(replace(layer, absorbance=np.stack(planes[:3]), phase=planes[3]))
        return Specimen(self.instrument.scope.um_per_px, layers, tile.stained)

    def _know(self, specimen: Specimen, rich: F64) -> None:
        heights = [layer.z_um for layer in specimen.layers if layer.content]
        margin_um = MARGIN_UM * self.instrument.scope.axial_unit
        self._reach = (min(heights) - margin_um, max(heights) + margin_um)
        self.richness, self._stained = rich, specimen.stained
