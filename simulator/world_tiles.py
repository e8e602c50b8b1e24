"""The palette of a simulated slide: periodic tiles of specimen, each with pictures through focus.

A tile is a torus, painted once and rendered by the product's optics at a ladder of heights, each
height when it is first asked for. A whole slide shows pieces of few tiles, turned and mirrored,
between which it blends; that is what makes a frame cheap. Between two heights of the ladder a
picture is their linear blend: `benchmarks/world_cost.py` measures what this costs.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.measure.sharpness import gradient_energy
from simulator.optics import NOMINAL, Instrument
from simulator.render import Renderer
from simulator.sharpness import planes_um
from simulator.slide import SlideVariation, make_specimen
from simulator.specimen import Specimen, detail_energy

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]
Render = Callable[[int], U8]

#: truth is kept per square of this side: seven of them are a patch of the networks
CELL_PX = 32
#: stored pictures: grey levels of the clear background; Becke lines reach 1.6 of it
WHITE = 160.0
#: heights of the ladder: dense where pictures change fast
_NEAR_UM, _FINE_UM, _MIDDLE_UM, _COARSE_UM = 8.0, 0.5, 16.0, 1.0
FARTHEST_UM = 40.0
#: tried planes of sharpness lie so far beyond the lowest and the highest layer
_REACH_UM = 3.0


def _ladder() -> F64:
    fine = np.arange(0.0, _NEAR_UM, _FINE_UM)
    middle = np.arange(_NEAR_UM, _MIDDLE_UM, _COARSE_UM)
    half = np.concatenate([fine, middle, np.arange(_MIDDLE_UM, FARTHEST_UM + 1, 2.0)])
    return np.concatenate([-half[:0:-1], half])


LADDER_UM = _ladder()


def rungs(delta_um: F64) -> tuple[npt.NDArray[np.intp], F64]:
    """Of each height above focus: the rung below it and the share of the rung above; what lies
    beyond the ladder is shown as its end."""
    inside = np.clip(delta_um, LADDER_UM[0], LADDER_UM[-1])
    below = np.clip(np.searchsorted(LADDER_UM, inside, side="right") - 1, 0, len(LADDER_UM) - 2)
    share = (inside - LADDER_UM[below]) / (LADDER_UM[below + 1] - LADDER_UM[below])
    return below, share


@dataclass(frozen=True, slots=True)
class TileRecipe:
    """What to paint: `kind` and `sparsity` as simulator.slide.make_specimen has them, a torus of
    `size_px` squared, `dirt` the chance of each distractor."""

    kind: str
    sparsity: str
    seed: tuple[int, ...]
    size_px: int
    dirt: tuple[tuple[str, float], ...] = ()


class Tile:
    """One torus. Its pictures show `1.0` of background as WHITE."""

    def __init__(
        self,
        recipe: TileRecipe,
        variation: SlideVariation,
        instrument: Instrument = NOMINAL,
        planes: PlaneStore | None = None,
    ) -> None:
        """ValueError for a size that is not a multiple of 64 px. The slide's own tilt is left out:
        it is the topography's."""
        if recipe.size_px % (2 * CELL_PX):
            raise ValueError(f"a tile of {recipe.size_px} px is not a multiple of {2 * CELL_PX}")
        self.recipe, self.size_px = recipe, recipe.size_px
        self._variation, self._instrument = variation, instrument
        self._planes = planes if planes is not None else PlaneStore()
        text = repr((recipe, variation, instrument, WHITE, LADDER_UM.tolist()))
        self.key = hashlib.sha256(text.encode()).hexdigest()[:16]

    def plane(self, rung: int) -> U8:
        """(size, size, 3) uint8: the picture with the objective LADDER_UM[rung] above height 0."""
        return self._planes.get(self.key, rung, self._render)

    def _render(self, rung: int) -> U8:
        light = self.renderer.intensity(float(LADDER_UM[rung]))
        light *= np.float32(WHITE)
        return np.clip(np.rint(light, out=light), 0, 255).astype(np.uint8)

    @cached_property
    def _specimen(self) -> Specimen:
        recipe, size = self.recipe, (self.recipe.size_px,) * 2
        rng = np.random.default_rng(recipe.seed)
        return make_specimen(
            recipe.kind, recipe.sparsity, size, self._instrument.um_per_px, rng,
            self._variation, dict(recipe.dirt),
        )  # fmt: skip

    @cached_property
    def renderer(self) -> Renderer:
        """The tile's own optics: any height, exactly."""
        return Renderer(self._specimen, self._variation.optics, self._instrument)

    @cached_property
    def energy_um(self) -> F64:
        """Heights (n,) at which `energy` is known, above height 0."""
        heights = (layer.z_um for layer in self._specimen.layers if layer.content)
        return planes_um(heights, _REACH_UM)

    @cached_property
    def energy(self) -> F32:
        """(n, cells, cells): gradient energy of the content's luminance, summed over each square
        of CELL_PX; the square's sharpest height is where it is greatest."""
        return np.stack(
            [
                _per_cell(gradient_energy(self.renderer.luminance(float(z)))) * CELL_PX**2
                for z in self.energy_um
            ]
        )

    @cached_property
    def detail(self) -> F32:
        """(cells, cells): mean detail energy of the content, of which W* is made
        (simulator.specimen.patch_content)."""
        parts = [_per_cell(energy) for _, energy in detail_energy(self._specimen)]
        return np.asarray(np.sum(parts, axis=0), np.float32)

    @cached_property
    def transmitted(self) -> F32:
        """(cells, cells, 3): mean light through each square, as a macro camera sees it."""
        rgb = np.zeros((*self._specimen.shape, 3), np.float32)
        for layer in self._specimen.layers:
            for channel, plane in enumerate(layer.absorbance(self._specimen.stain_rgb)):
                rgb[..., channel] += plane
        return np.stack([_per_cell(np.exp(-rgb[..., c])) for c in range(3)], axis=-1)

    @cached_property
    def scatter(self) -> F32:
        """(cells, cells): mean squared slope of the specimen's phase, rad^2 per um^2: what light
        from the side is scattered by."""
        pitch = np.float32(self._instrument.um_per_px)
        total = np.zeros(self._specimen.shape, np.float32)
        for layer in self._specimen.layers:
            if layer.phase is not None:
                total += layer.phase
        return _per_cell(gradient_energy(total)) / np.float32(pitch**2)


def _per_cell(plane: F32) -> F32:
    cells = plane.shape[0] // CELL_PX, plane.shape[1] // CELL_PX
    return np.asarray(cv2.resize(plane, cells[::-1], interpolation=cv2.INTER_AREA), np.float32)


class PlaneStore:
    """Rendered planes: the last `most` of them in memory, or all of them as files of a folder, from
    which they are mapped and another run finds them again."""

    def __init__(self, folder: Path | None = None, most: int = 160) -> None:
        self._folder, self._most = folder, most
        self._kept: OrderedDict[tuple[str, int], U8] = OrderedDict()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str, rung: int, render: Render) -> U8:
        """A tile's plane; rendered where it is not there yet."""
        name = (key, rung)
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        plane = render(rung) if self._folder is None else self._file(self._folder, name, render)
        self._kept[name] = plane
        while len(self._kept) > self._most and self._folder is None:
            self._kept.popitem(last=False)
        return plane

    @staticmethod
    def _file(folder: Path, name: tuple[str, int], render: Render) -> U8:
        path = folder / f"{name[0]}-{name[1]:03d}.npy"
        if not path.exists():
            beside = path.with_suffix(f".{os.getpid()}.part")
            with beside.open("wb") as file:  # np.save would add a suffix to the name
                np.save(file, render(name[1]))
            os.replace(beside, path)
        return np.asarray(np.load(path, mmap_mode="r"))
