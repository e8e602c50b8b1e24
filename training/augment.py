"""Training pictures from the pool: cut, turn, flip, relight (paper, section 4.4). All on uint8.

Brightness 0.9..1.4, contrast and saturation 0.8..1.5, as one colour matrix per picture: a tenth
of the cost of the same in float tensors. Most pictures are kept from burning out, as an exposure
control would; one in five clips at 255 where it must.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from edge.measure.preprocess import GRID
from training.fields import STEP_UM
from training.labels import BLOCK_PX, HEAD, window_correction, window_richness
from training.pool import Pool

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
Rng = np.random.Generator
Batch = tuple[U8, F32]

LUMA = np.array([0.299, 0.587, 0.114])
#: windows emptier than this (W*) are left out: most, some, and one in thirty
FLOORS, FLOOR_ODDS = (0.7, 0.3, 0.05), (0.65, 0.32, 0.03)
PATCH_PX = 224
WHITE = 250.0
#: what `relight` draws from, evenly, and on which share of the pictures it keeps white from burning
BRIGHTNESS, CONTRAST, SATURATION, KEPT = (0.9, 1.4), (0.8, 1.5), (0.8, 1.5), 0.8
SAME_UM = 1e-3
RECOLOURED = 0.4  # share of the RIN's pictures


def relight(image: U8, rng: Rng) -> U8:
    """Random brightness, contrast (about the picture's mean) and saturation; a new array."""
    brightness, contrast, saturation = (
        rng.uniform(*span) for span in (BRIGHTNESS, CONTRAST, SATURATION)
    )
    mix = saturation * np.eye(3) + (1.0 - saturation) * LUMA
    grey = float(np.array(cv2.mean(image)[:3]) @ LUMA)
    matrix = np.column_stack([mix * contrast, np.full(3, grey * (1.0 - contrast))]) * brightness
    if rng.uniform() < KEPT:
        small = cv2.resize(image, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
        brightest = float((small.reshape(-1, 3) @ matrix[:, :3].T + matrix[:, 3]).max())
        matrix *= min(1.0, WHITE / max(brightest, 1.0))
    return np.asarray(cv2.transform(image, matrix), np.uint8)


def recolour(image: U8, rng: Rng) -> U8:
    """Each colour becomes a random mixture of the three: content has no colour of its own.

    Only for the RIN. The DPN reads the sign from which colour is sharper, and must not see this.
    """
    mix = rng.dirichlet((0.5, 0.5, 0.5), 3)
    return np.asarray(cv2.transform(image, mix), np.uint8)


def turn(image: npt.NDArray[np.generic], quarter: int, mirror: bool) -> npt.NDArray[np.generic]:
    """One of the eight symmetries of the square; optics is radial, so defocus keeps its sign."""
    turned = np.rot90(image, quarter)
    return turned[:, ::-1] if mirror else turned


def dpn_batch(pool: Pool, ready: npt.NDArray[np.int64], rng: Rng, size: int, crop: int) -> Batch:
    """Patches (size, crop, crop, 3) uint8; labels (size, 4): d um, W040 waves, axial
    colour um, thickness um."""
    images = np.empty((size, crop, crop, 3), np.uint8)
    labels = np.empty((size, 4), np.float32)
    done = 0
    while done < size:
        slot = int(rng.choice(ready))
        label = np.array(pool.labels[slot])
        place = _window(label, rng, crop)
        if place is None:
            continue
        top, left, correction = place
        window = np.array(pool.images[slot, top : top + crop, left : left + crop])
        if pool.labels[slot, 0] != label[0]:  # overwritten meanwhile
            continue
        images[done] = turn(relight(window, rng), int(rng.integers(4)), bool(rng.integers(2)))
        labels[done] = correction, *label[1:HEAD]
        done += 1
    return images, labels


def pair_batch(pool: Pool, ready: npt.NDArray[np.int64], rng: Rng, size: int, crop: int) -> Batch:
    """For a method that looks twice: (size, 2, crop, crop, 3) uint8, the second picture taken
    higher by the pool's step, both lit and turned alike; labels as in `dpn_batch`, of the first.

    ValueError for a pool that was not made with pairs.
    """
    first = np.intersect1d(ready[ready % 2 == 0], ready[ready % 2 == 1] - 1)
    steps_um = pool.labels[first + 1, 0] - pool.labels[first, 0]
    first = first[np.abs(steps_um - STEP_UM) < SAME_UM]
    if not len(first):
        raise ValueError(f"{pool.folder}: holds no pairs (training.pool pairs)")
    images = np.empty((size, 2, crop, crop, 3), np.uint8)
    labels = np.empty((size, 4), np.float32)
    done = 0
    while done < size:
        slot = int(rng.choice(first))
        label, second = np.array(pool.labels[slot]), np.array(pool.labels[slot + 1])
        step_um = float(second[0] - label[0])
        if not abs(step_um - STEP_UM) < SAME_UM:  # overwritten meanwhile
            continue
        place = _window(label, rng, crop)
        if place is None:
            continue
        top, left, correction = place
        rows, columns = slice(top, top + crop), slice(left, left + crop)
        both = np.concatenate(
            [pool.images[slot, rows, columns], pool.images[slot + 1, rows, columns]]
        )
        if pool.labels[slot, 0] != label[0] or pool.labels[slot + 1, 0] != second[0]:
            continue
        lit = relight(both, rng)  # one light for both
        quarter, mirror = int(rng.integers(4)), bool(rng.integers(2))
        images[done, 0] = turn(lit[:crop], quarter, mirror)
        images[done, 1] = turn(lit[crop:], quarter, mirror)
        labels[done] = correction, *label[1:HEAD]
        done += 1
    return images, labels


def _window(label: F32, rng: Rng, crop: int) -> tuple[int, int, float] | None:
    """A window with content: its top, left and true correction (um); None where there is none."""
    if not np.isfinite(label[0]):
        return None
    richness = window_richness(label, crop)
    # a small window must hold as much detail as a whole patch of that W*, not as dense
    richness = 1.0 - (1.0 - richness) ** ((crop / PATCH_PX) ** 2)
    floor = float(rng.choice(FLOORS, p=FLOOR_ODDS))
    rows, columns = np.nonzero(richness > floor)
    if not len(rows):
        return None
    pick = int(rng.integers(len(rows)))
    row, column = int(rows[pick]), int(columns[pick])
    correction = window_correction(label, crop, row, column)
    return row * BLOCK_PX, column * BLOCK_PX, correction


def rin_batch(
    pool: Pool,
    ready: npt.NDArray[np.int64],
    rng: Rng,
    size: int,
    crop: int,
    grid: tuple[int, int] = (GRID, GRID),
) -> Batch:
    """Whole crops (size, 512, 512, 3) uint8 and W* (size, 9, 9), or of the pool's size and another
    `grid`, which is laid on its side only where it is square; `crop` is not used."""
    quarters = range(4) if grid[0] == grid[1] else range(0, 4, 2)
    images = np.empty((size, *pool.images.shape[1:]), np.uint8)
    importance = np.empty((size, *grid), np.float32)
    done = 0
    while done < size:
        slot = int(rng.choice(ready))
        label = np.array(pool.labels[slot])
        image = np.array(pool.images[slot])
        if not np.isfinite(label[0]) or pool.labels[slot, 0] != label[0]:
            continue
        quarter, mirror = quarters[rng.integers(len(quarters))], bool(rng.integers(2))
        if rng.uniform() < RECOLOURED:
            image = recolour(image, rng)
        images[done] = turn(relight(image, rng), quarter, mirror)
        importance[done] = turn(label[1:].reshape(grid), quarter, mirror)
        done += 1
    return images, importance


BATCHES: dict[str, Callable[[Pool, npt.NDArray[np.int64], Rng, int, int], Batch]] = {
    "dpn": dpn_batch,
    "rin": rin_batch,
    "dastidar": pair_batch,
    "liao": dpn_batch,
    "jiang": dpn_batch,
    "li": dpn_batch,
}
