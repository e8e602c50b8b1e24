"""The golden pictures that every TensorRT plan is asked: `python -m training.golden`.

One frame per row of FRAMES, from the simulated microscope through the runtime's preprocessing;
of each the patch that the RIN likes best and of which the DPN is sure. Two frames are also the
RIN's pictures. Stored as JPEG without colour subsampling: 0.2 MB instead of 2.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera import Frame, PixelFormat
from edge.measure.preprocess import GRID, CpuPreprocessor
from engines.engine import MODELS, Engine, open_engine
from engines.golden import GOLDEN
from simulator.microscope import Microscope

U8 = npt.NDArray[np.uint8]

SEED = 20
#: kind, sparsity, defocus of the frame in um, whether its small image is a picture of the RIN
FRAMES: tuple[tuple[str, str, float, bool], ...] = (
    ("tissue", "dense", -24.0, False),
    ("tissue", "dense", -9.0, False),
    ("tissue", "dense", 6.0, False),
    ("cell", "sparse", -15.0, False),
    ("cell", "sparse", 3.0, True),
    ("cell", "sparse", 24.0, False),
    ("tissue", "sparse", -20.0, False),
    ("tissue", "sparse", 9.0, True),
    ("cell", "dense", 15.0, False),
)
SURE_UM = 3.0  # half-width of the network's own interval
QUALITY = {"rin": 88, "dpn": 92}


def pictures(numbers: tuple[int, ...] = tuple(range(len(FRAMES)))) -> tuple[list[U8], list[U8]]:
    """RIN's (512, 512, 3) and DPN's (224, 224, 3) pictures of these frames, uint8 RGB.

    Raises ValueError when a frame has no patch of which the DPN is sure.
    """
    rin, dpn = (open_engine(MODELS / f"{name}.json", threads=1) for name in ("rin", "dpn"))
    prepare = CpuPreprocessor()
    small, patches = [], []
    for number in numbers:
        kind, sparsity, defocus_um, for_rin = FRAMES[number]
        microscope = Microscope(SEED, workers=1)  # its noise is the same whatever came before
        truth = microscope.load_field(kind, sparsity, 0)
        pixels = microscope.picture(truth.z_focus_um - defocus_um)
        ready = prepare(Frame(pixels, PixelFormat.RGB8, 0, 0, 0))
        importance = rin.infer(ready.small)[0].reshape(-1)
        best = [divmod(int(cell), GRID) for cell in np.argsort(-importance, kind="stable")[:9]]
        patches.append(_surest(dpn, prepare.gather(ready, best)))
        if for_rin:
            small.append(ready.small[0].copy())
    return small, patches


def _surest(dpn: Engine, candidates: U8) -> U8:
    names = [output.name for output in dpn.manifest.outputs]
    spread = dpn.infer(candidates)[names.index("spread_um")]
    if not spread.min() < SURE_UM:
        raise ValueError(f"the DPN is sure of no patch here: {spread}")
    return candidates[int(spread.argmin())].copy()


def mosaic(pictures: list[U8], columns: int) -> U8:
    """Pictures of one size side by side, in reading order."""
    rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)


def main() -> None:
    """Command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=GOLDEN)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    small, patches = pictures()
    for name, picture in (("rin", mosaic(small, 2)), ("dpn", mosaic(patches, 3))):
        options = [
            cv2.IMWRITE_JPEG_QUALITY, QUALITY[name],
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ]  # fmt: skip
        path = folder / f"{name}.jpg"
        cv2.imwrite(str(path), np.ascontiguousarray(picture[:, :, ::-1]), options)
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
