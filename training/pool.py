"""A bounded rolling pool of freshly rendered fields on disk: one process writes, trainers read.

Every field is drawn from (domain, seed, index), so training and validation never share a slide.
The pool is two memory-mapped files used as a ring: the newest fields replace the oldest.
"""

from __future__ import annotations

import argparse
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from simulator.optics import NOMINAL
from simulator.photograph import Photographs
from training.fields import FIELDS, draw_instrument
from training.labels import FIELD_PX, LABELS
from training.malloc_tuning import keep_memory
from training.photo_variation import VariedPhotographs

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

#: first word of every seed: no slide is shared between what trains and what judges
TRAINING, VALIDATION = 1, 2
#: specimens under one condenser, whose transfer takes a second to integrate
PER_INSTRUMENT = 25


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
    instrument = NOMINAL
    while time.monotonic() < end and not stop:
        rng = np.random.default_rng([TRAINING, seed, index])
        if index % PER_INSTRUMENT == 0:
            instrument = draw_instrument(rng)
        for image, label in FIELDS[kind](rng, photographs, instrument=instrument):
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
