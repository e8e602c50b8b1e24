"""Specimens from real photographs: sharp bright-field images become absorbance on the torus.

The simulator knows two kinds of painted specimen. A folder of photographs adds what no painter
thinks of. A photograph has no micrometres here: its pixel, made coarser until it is sharp, is
taken for the specimen's pixel.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from simulator.picture import Picture, quilt, sharp_picture
from simulator.specimen import Layer
from simulator.texture import noise_field, smoothstep

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
Rng = np.random.Generator

PARTS = ("all", "train", "test")
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
CACHE_BYTES = 200_000_000
DYES = ("cyan", "magenta", "yellow")


class Photographs:
    """Photographs in a folder, read when drawn; about 200 MB of them are kept.

    A draw picks the source first, by the root of its bytes on disk, so that neither many small
    files nor one large one fill the specimens.
    """

    #: a photograph is drawn at its sharp size or up to this much coarser
    coarsest = 1.5

    def __init__(self, folder: Path, files: Sequence[Path]) -> None:
        self.folder, self.files = folder, tuple(files)
        groups: dict[str, list[Path]] = {}
        for file in files:
            groups.setdefault(_source(folder, file), []).append(file)
        self._groups = list(groups.values())
        root = np.array([sum(f.stat().st_size for f in g) for g in self._groups]) ** 0.5
        self._weights = root / root.sum()
        self._cache: OrderedDict[Path, Picture] = OrderedDict()
        self._cached_bytes = 0
        self._refused: set[Path] = set()

    @classmethod
    def open(cls, folder: Path, part: str = "all", held_out: Sequence[str] = ()) -> Photographs:
        """Find the PNG, JPEG and TIFF files under `folder`; ValueError if there are none.

        Two crops of one file, or two tiles of one slide, never stand on both sides: what is
        directly in `folder` (sub-folders, or single files) is a source. The sources named in
        `held_out` are "test", all others "train". With none named, a tenth is "test", by a
        stable hash of the name: a tenth of the sources where there are at least four
        sub-folders, else of the files.
        """
        if part not in PARTS:
            raise ValueError(f"photographs: part {part!r} is none of {', '.join(PARTS)}")
        if not folder.is_dir():
            raise ValueError(f"{folder}: no such folder of photographs")
        files = [
            file
            for file in sorted(folder.rglob("*"))
            if file.suffix.lower() in SUFFIXES and cv2.haveImageReader(str(file))
        ]
        if not files:
            raise ValueError(f"{folder}: no PNG, JPEG or TIFF image in it")
        if part != "all":
            test = _test_files(folder, files, held_out)
            files = [file for file in files if (file in test) == (part == "test")]
        if not files:
            raise ValueError(f"{folder}: no photograph is left for the part {part!r}")
        return cls(folder, files)

    def draw(self, rng: Rng, shape: tuple[int, int]) -> list[F32]:
        """Absorbance in R, G and B, each `shape` float32 and periodic.

        Windows of one random photograph, 1 to `coarsest` times coarser than it is sharp, turned and
        mirrored; see `simulator.picture.quilt`. ValueError if no photograph is sharp and full
        enough, or if a file cannot be decoded.
        """
        picture = self._picture(rng)
        return quilt(picture, rng, shape, float(rng.uniform(1.0, self.coarsest)))

    def _picture(self, rng: Rng) -> Picture:
        for _ in range(20 * len(self.files)):
            group = self._groups[int(rng.choice(len(self._groups), p=self._weights))]
            picture = self._load(group[int(rng.integers(len(group)))])
            # a picture that is half empty is half as welcome
            if picture is not None and rng.uniform() < picture.filled.mean():
                return picture
        raise ValueError(f"{self.folder}: no photograph in it is sharp, large and full enough")

    def _load(self, file: Path) -> Picture | None:
        """The photograph at the size where it is sharp; None if there is no such size."""
        if file in self._refused:
            return None
        if file in self._cache:
            self._cache.move_to_end(file)
            return self._cache[file]
        picture = sharp_picture(_decode(file), file.suffix.lower() in (".jpg", ".jpeg"))
        if picture is None:
            self._refused.add(file)
            return None
        self._cache[file] = picture
        self._cached_bytes += picture.pixels.nbytes
        while self._cached_bytes > CACHE_BYTES and len(self._cache) > 1:
            self._cached_bytes -= self._cache.popitem(last=False)[1].pixels.nbytes
        return picture


def paint_photograph(
    planes: list[F32],
    um_per_px: float,
    rng: Rng,
    mask: F32 | None,
    thickness_um: float,
    strength: float,
) -> list[Layer]:
    """Layers from absorbance planes (R, G, B), kept where `mask` (h, w) in 0..1 lets them.

    Islands (`mask` given) lose the photograph's clear level first, so that their rims are no
    cut. A thick specimen undulates: patches of about 80 um lie in one of three layers each.

    A photograph says nothing of phase. Assumed are 0.3 to 2.0 rad times green absorbance where
    it is pale; deep stain absorbs more than it refracts, so the phase levels off at that factor.
    """
    if mask is not None:
        clear = [np.float32(np.quantile(plane[::4, ::4], 0.05)) for plane in planes]
        planes = [
            np.maximum(plane - low, 0.0) * mask for plane, low in zip(planes, clear, strict=True)
        ]
    planes = [np.asarray(plane * np.float32(strength), np.float32) for plane in planes]
    green = planes[1]
    phase = np.asarray(green / (green + 1.0) * np.float32(rng.uniform(0.3, 2.0)), np.float32)
    if thickness_um < 0.5:
        return [Layer(0.0, dict(zip(DYES, planes, strict=True)), phase)]
    height = noise_field(planes[0].shape, um_per_px, rng, 80.0)
    # equal thirds of a Gaussian field, 0.3 sd of slope between them
    lowest = smoothstep((np.float32(-0.43) - height) / np.float32(0.3) + np.float32(0.5))
    highest = smoothstep((height - np.float32(0.43)) / np.float32(0.3) + np.float32(0.5))
    shares = (lowest, np.float32(1.0) - lowest - highest, highest)
    layers = []
    for z, share in zip((-thickness_um / 2, 0.0, thickness_um / 2), shares, strict=True):
        dyes = {name: plane * share for name, plane in zip(DYES, planes, strict=True)}
        layers.append(Layer(z, dyes, np.asarray(phase * share, np.float32)))
    return layers


def _decode(file: Path) -> U8:
    try:
        picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ValueError(f"{file}: cannot be decoded as an image") from error
    if picture is None:
        raise ValueError(f"{file}: cannot be decoded as an image")
    return np.asarray(picture[..., ::-1], np.uint8)  # OpenCV reads B, G, R


def _source(folder: Path, file: Path) -> str:
    return file.relative_to(folder).parts[0]


def _test_files(folder: Path, files: list[Path], held_out: Sequence[str]) -> set[Path]:
    sources = {_source(folder, file) for file in files}
    if held_out:
        unknown = sorted(set(held_out) - sources)
        if unknown:
            raise ValueError(f"{folder}: nothing called {unknown[0]!r} to hold out")
        return {file for file in files if _source(folder, file) in held_out}
    folders = {_source(folder, file) for file in files if file.parent != folder}
    names = {
        file: _source(folder, file) if len(folders) >= 4 else file.relative_to(folder).as_posix()
        for file in files
    }
    ranked = sorted(set(names.values()), key=lambda name: (zlib.crc32(name.encode()), name))
    chosen = set(ranked[: max(1, round(len(ranked) / 10))])
    return {file for file, name in names.items() if name in chosen}
