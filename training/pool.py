"""A bounded rolling pool of freshly rendered fields on disk: one process writes, trainers read.

Every field is drawn from (domain, seed, index), so training and validation never share a slide.
The pool is two memory-mapped files used as a ring: the newest fields replace the oldest.

A DPN field is a 512 x 512 px torus at the nominal pixel size with its truth kept on 16 px
blocks, so that a trainer may cut any aligned window and know that window's label. A RIN field
is the whole crop, rendered at twice the pixel size and resized as the runtime does.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from simulator.optics import NOMINAL, SlideOptics
from simulator.photograph import Photographs
from simulator.render import Renderer, expose
from simulator.slide import (
    DIRT,
    KINDS,
    TEXTURE,
    SlideVariation,
    draw_variation,
    field_truth,
    make_specimen,
)
from simulator.specimen import DETAIL_SCALE, GRID, Specimen, detail_energy
from training.memory import keep_memory
from training.variety import VariedPhotographs

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
Rng = np.random.Generator
Field = tuple[U8, F32]

#: first word of every seed: no slide is shared between what trains and what judges
TRAINING, VALIDATION = 1, 2
FIELD_PX = 512
BLOCK_PX = 16
BLOCKS = FIELD_PX // BLOCK_PX
#: of a pool made with pairs: how much higher the second picture of each field is taken
STEP_UM = 2.0
#: a DPN label: delta, W040, axial colour, thickness, energy and moment blocks; a RIN label:
#: delta, W*
HEAD = 4
LABELS = {"dpn": HEAD + 2 * BLOCKS * BLOCKS, "rin": 1 + GRID * GRID}
LABELS["pairs"] = LABELS["dpn"]
COVERAGE = {"dense": 0.25, "sparse": 0.30, "ex-sparse": 0.45}
#: of photographs, which are hardest where they fill the field
TEXTURE_COVERAGE = {"dense": 0.50, "sparse": 0.25, "ex-sparse": 0.25}
RIN_COVERAGE = {"dense": 0.20, "sparse": 0.25, "ex-sparse": 0.35, "blank": 0.20}
#: the RIN's field: 9 patches of 76.16 um at twice the nominal pixel, before the last resize
RIN_FIELD_PX = 1008


class Pool:
    """Ring of `capacity` images (512, 512, 3) uint8 RGB with `labels` float32 each.

    A slot's first label is NaN while it is being written, so a reader never pairs a picture
    with another picture's truth.
    """

    def __init__(self, folder: Path, images: U8, labels: F32) -> None:
        self.folder, self.images, self.labels = folder, images, labels
        self.capacity = len(labels)

    @classmethod
    def create(cls, folder: Path, capacity: int, kind: str) -> Pool:
        """Make an empty pool; an existing one in the same folder is replaced."""
        folder.mkdir(parents=True, exist_ok=True)
        shape = (capacity, FIELD_PX, FIELD_PX, 3)
        images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, shape)
        labels = np.lib.format.open_memmap(
            folder / "labels.npy", "w+", np.float32, (capacity, LABELS[kind])
        )
        labels[:] = np.nan
        labels.flush()
        return cls(folder, images, labels)

    @classmethod
    def open(cls, folder: Path, writable: bool = False) -> Pool:
        """Open a pool that a writer made."""
        mode = "r+" if writable else "r"
        return cls(
            folder,
            np.load(folder / "images.npy", mmap_mode=mode),  # type: ignore[arg-type]
            np.load(folder / "labels.npy", mmap_mode=mode),  # type: ignore[arg-type]
        )

    def write(self, index: int, image: U8, label: F32) -> None:
        """Put field number `index` into its slot."""
        slot = index % self.capacity
        self.labels[slot, 0] = np.nan
        self.images[slot] = image
        self.labels[slot, 1:] = label[1:]
        self.labels[slot, 0] = label[0]

    def ready(self) -> npt.NDArray[np.int64]:
        """Slots that hold a complete field."""
        return np.flatnonzero(np.isfinite(self.labels[:, 0]))


#: optics well beyond the calibrated range, on this share of the slides: the DPN learns to tell them
WIDE_SHARE, WIDE_W040, WIDE_COLOUR = 0.4, (0.0, 1.25), (0.3, 2.0)
#: thick sections beyond those that `draw_variation` draws: they are the hardest
THICK_SHARE, THICK_UM = 0.25, (0.5, 4.0)
PEN = 2.0  # times as much pen as dirt brings: a mark's rim looks like a cell's
LONE_DIRT = 1.6  # times the dirt beside a lone cell or shred, where nothing else can outvote it
TEXTURE_SHARE = 0.5  # of the specimens, when there are photographs


def draw_slide(rng: Rng) -> SlideVariation:
    """A slide without tilt (0.2 um over a patch at most), its optics sometimes far out."""
    variation = draw_variation(rng, tilt_um_per_mm=0.0)
    if rng.uniform() < THICK_SHARE:
        variation = dataclasses.replace(variation, thickness_um=float(rng.uniform(*THICK_UM)))
    if rng.uniform() >= WIDE_SHARE:
        return variation
    wide = SlideOptics(float(rng.uniform(*WIDE_W040)), float(rng.uniform(*WIDE_COLOUR)))
    return dataclasses.replace(variation, optics=wide)


def draw_kind(rng: Rng, photographs: Photographs | None) -> str:
    """Cell or tissue, or a photograph where there are any."""
    if photographs is not None and rng.uniform() < TEXTURE_SHARE:
        return TEXTURE
    return KINDS[int(rng.integers(2))]


def draw_delta(rng: Rng) -> float:
    """Objective minus best focus, um: even over +-26, more near focus, some far out to +-55.

    The far ones teach the direction outside the calibrated range; see `training.nets.Bins`.
    """
    draw, sign = rng.uniform(), rng.choice((-1.0, 1.0))
    if draw < 0.62:
        return float(sign * rng.uniform(0.0, 26.0))
    if draw < 0.88:
        return float(sign * 2.0 * np.sinh(rng.uniform(0.0, np.arcsinh(13.0))))
    return float(sign * rng.uniform(26.0, 55.0))


def dirt_chances(dirt: float, kind: str) -> dict[str, float]:
    """Chance of each distractor on a DPN's field; cells do not fold."""
    return {
        name: min(1.0, dirt * share * (PEN if name == "pen" else 1.0))
        for name, share in DIRT.items()
        if name != "fold" or kind != "cell"
    }


def dpn_fields(
    rng: Rng,
    photographs: Photographs | None = None,
    heights: int = 5,
    dirt: float = 1.5,
    above_um: Sequence[float] = (0.0,),
) -> Iterator[Field]:
    """One specimen at `heights` random z, each with its truth on blocks (see `pack_truth`); at
    each z a picture for every entry of `above_um`, taken that much higher."""
    variation = draw_slide(rng)
    kind = draw_kind(rng, photographs)
    odds = TEXTURE_COVERAGE if kind == TEXTURE else COVERAGE
    coverage = str(rng.choice(list(odds), p=list(odds.values())))
    if coverage == "ex-sparse":
        dirt *= LONE_DIRT
    chances = dirt_chances(dirt, kind)
    specimen = make_specimen(
        kind, coverage, (FIELD_PX, FIELD_PX), NOMINAL.um_per_px, rng, variation, chances,
        photographs,
    )  # fmt: skip
    renderer = Renderer(specimen, variation.optics)
    energy, moment = block_truth(specimen)
    for _ in range(heights):
        height = draw_delta(rng)
        for delta in (height + above for above in above_um):
            image = expose(renderer.intensity(delta), variation, rng)
            yield image, pack_truth(delta, energy, moment, variation)


def pair_fields(
    rng: Rng, photographs: Photographs | None = None, heights: int = 3, dirt: float = 1.5
) -> Iterator[Field]:
    """As `dpn_fields`, each height twice: there and STEP_UM higher, for methods that look twice."""
    yield from dpn_fields(rng, photographs, heights, dirt, (0.0, STEP_UM))


def block_truth(specimen: Specimen) -> tuple[F32, F32]:
    """Mean detail energy and energy x height (um) of 16 px blocks, each (32, 32)."""
    energy = np.zeros((BLOCKS, BLOCKS), np.float32)
    moment = np.zeros((BLOCKS, BLOCKS), np.float32)
    for z_um, detail in detail_energy(specimen):
        part = detail.reshape(BLOCKS, BLOCK_PX, BLOCKS, BLOCK_PX).mean((1, 3))
        energy += part
        moment += part * np.float32(z_um)
    return energy, moment


def pack_truth(delta_um: float, energy: F32, moment: F32, slide: SlideVariation | None) -> F32:
    """Flatten to a label: delta, W040, axial colour, thickness (NaN of a real slide, which tells
    none of these: None), energy blocks, moment blocks."""
    facts = (np.nan,) * (HEAD - 1)
    if slide is not None:
        facts = slide.optics.w040_waves, slide.optics.axial_colour_um, slide.thickness_um
    head = np.array((delta_um, *facts), np.float32)
    return np.concatenate([head, energy.ravel(), moment.ravel()])


def window_truth(label: F32, size_px: int) -> tuple[F32, F32]:
    """Truth of every block-aligned window of `size_px`: (W*, correction d in um).

    Both (n, n) with n = 33 - size/16 (of a tile of 512 px); element (i, j) is the window from
    pixel (16 i, 16 j).
    d = local focus height - z_objective: positive = raise the objective.
    """
    blocks, side = size_px // BLOCK_PX, math.isqrt((len(label) - HEAD) // 2)
    energy, moment = label[HEAD:].reshape(2, side, side)
    boxes = []
    for plane in (energy, moment):
        integral = np.zeros((side + 1, side + 1))
        integral[1:, 1:] = plane.astype(np.float64).cumsum(0).cumsum(1)
        rows = integral[blocks:] - integral[:-blocks]
        boxes.append((rows[:, blocks:] - rows[:, :-blocks]) / blocks**2)
    richness = 1.0 - np.exp(-boxes[0] / DETAIL_SCALE)
    focus = boxes[1] / np.maximum(boxes[0], 1e-9)
    return richness.astype(np.float32), (focus - label[0]).astype(np.float32)


def rin_fields(
    rng: Rng, photographs: Photographs | None = None, heights: int = 3, dirt: float = 1.5
) -> Iterator[Field]:
    """One whole crop at `heights` random z within +-30 um; label = delta and 81 W*."""
    variation = draw_slide(rng)
    coverage = str(rng.choice(list(RIN_COVERAGE), p=list(RIN_COVERAGE.values())))
    kind = draw_kind(rng, photographs) if coverage != "blank" else KINDS[0]
    deltas = [float(d) for d in rng.uniform(-30.0, 30.0, heights)]
    yield from render_crop(kind, coverage, rng, variation, deltas, dirt, photographs)


def render_crop(
    kind: str,
    coverage: str,
    rng: Rng,
    variation: SlideVariation,
    deltas_um: Sequence[float],
    dirt: float,
    photographs: Photographs | None = None,
) -> Iterator[Field]:
    """A whole crop at each delta as the RIN sees it: (512, 512, 3) uint8 and label (82,)."""
    instrument = dataclasses.replace(NOMINAL, um_per_px=2.0 * NOMINAL.um_per_px)
    shape = (RIN_FIELD_PX, RIN_FIELD_PX)
    specimen = make_specimen(
        kind, coverage, shape, instrument.um_per_px, rng, variation, dirt, photographs
    )
    truth = field_truth(specimen)
    assert truth is not None
    binned = average_four(variation)
    renderer = Renderer(specimen, variation.optics, instrument)
    for delta in deltas_um:
        half = expose(renderer.intensity(delta), binned, rng)
        image = cv2.resize(half, (FIELD_PX, FIELD_PX), interpolation=cv2.INTER_LINEAR)
        label = np.concatenate([np.array([delta], np.float32), truth.richness.ravel()])
        yield np.asarray(image, np.uint8), label


def average_four(variation: SlideVariation) -> SlideVariation:
    """The same camera after averaging 2 x 2 pixels: four times the charge, twice the read noise."""
    return dataclasses.replace(
        variation,
        full_well_e=4.0 * variation.full_well_e,
        read_noise_e=2.0 * variation.read_noise_e,
    )


FIELDS = {"dpn": dpn_fields, "pairs": pair_fields, "rin": rin_fields}


def fill(
    pool: Pool,
    kind: str,
    seed: int,
    seconds: float,
    first: int = 0,
    photographs: Photographs | None = None,
) -> int:
    """Write fields until `seconds` have passed or SIGTERM comes; returns how many were written."""
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    end, written, index = time.monotonic() + seconds, first, 0
    while time.monotonic() < end and not stop:
        rng = np.random.default_rng([TRAINING, seed, index])
        for image, label in FIELDS[kind](rng, photographs):
            pool.write(written, image, label)
            written += 1
        index += 1
        if index % 100 == 0:
            print(f"{time.strftime('%H:%M:%S')} {written} fields", flush=True)
    return written - first


def main() -> None:
    """`python -m training.pool dpn|pairs|rin --out FOLDER`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=sorted(FIELDS))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--capacity", type=int, default=4000)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--textures", type=Path, help="folder of sharp photographs to blur")
    parser.add_argument("--hold-out", nargs="*", default=[], help="its sub-folders to leave out")
    parser.add_argument("--first", type=int, default=0, help="slot to start at in an old pool")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    keep_memory()
    if (options.out / "images.npy").exists():
        pool = Pool.open(options.out, writable=True)
    else:
        pool = Pool.create(options.out, options.capacity, options.kind)
    photographs = None
    if options.textures:
        photographs = VariedPhotographs.open(options.textures, "train", options.hold_out)
    seconds = options.minutes * 60.0
    count = fill(pool, options.kind, options.seed, seconds, options.first, photographs)
    print(f"wrote {count} fields into {options.out}")


if __name__ == "__main__":
    main()
