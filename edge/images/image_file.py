"""Image files as frames: PNG, TIFF and JPEG; colour, grey, palette, with alpha; 8 to 16 bits.

What a file is is read from its own header first, so that a file is read right or refused with the
reason, whatever OpenCV would make of it.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera import PixelFormat
from edge.errors import ConfigError
from edge.images import bit_depth, tiff_directory
from edge.images.headers import JPEG, PNG, Header, jpeg_header, png_header
from edge.images.orientation import upright
from edge.images.quiet_opencv import quiet_decoder
from edge.images.tiff_directory import Directory, PictureFault, directories
from edge.images.tiff_layout import layout_of
from edge.images.tiff_pixels import pixels_of

#: of a PNG or JPEG file; of a TIFF only the picture that is wanted is read
SIZE_LIMIT = 1 << 30
MIN_SIDE_PX, MAX_SIDE_PX = 224, 30_000  # one patch; what no camera has


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a file.

    pixels: as stored, upright: (h, w) grey, or (h, w, 3 or 4) BGR(A); uint8 or uint16. said_bits:
    the camera's depth as the file says it, None where it does not. `pictures`: in the file,
    thumbnails not counted; 0 = not counted. `white_is_zero`: a grey picture whose 0 is white.
    """

    pixels: npt.NDArray[np.generic]
    stated_bits: int | None
    pictures: int = 1
    white_is_zero: bool = False


def read_image(
    path: Path | str, bits: int | None = None
) -> tuple[npt.NDArray[np.uint8], PixelFormat]:
    """Decode one file to (height, width, 3) BGR8 or (height, width) Mono8, C-contiguous uint8.

    More than 8 bits become the 8 highest of the camera's depth: `bits`, else what the file says
    (edge.images.bit_depth). Alpha is dropped. ConfigError with one line when the file is missing,
    not an image, damaged, of a kind that cannot be read, of unknown depth, or out of size.
    """
    path = Path(path)
    return as_frame(path, read_picture(path), bits)


def as_frame(
    path: Path, picture: Picture, bits: int | None = None
) -> tuple[npt.NDArray[np.uint8], PixelFormat]:
    """A picture as `read_image` gives it; ConfigError likewise."""
    check_size(path, *picture.pixels.shape[:2])
    with one_line(path):
        depth = depth_of(picture, bits)
    return in_8_bits(picture, depth)


def in_8_bits(picture: Picture, depth: int) -> tuple[npt.NDArray[np.uint8], PixelFormat]:
    """Without alpha, black = 0, C-contiguous; `depth` is the camera's."""
    pixels = bit_depth.to_8_bit(picture.pixels, depth)
    if picture.white_is_zero:
        pixels = np.uint8(255) - pixels
    if pixels.ndim == 2:
        return np.ascontiguousarray(pixels), PixelFormat.MONO8
    return np.ascontiguousarray(pixels[..., :3]), PixelFormat.BGR8


def depth_of(picture: Picture, bits: int | None = None) -> int:
    """The camera's bits: `bits`, else what the file says; DepthUnknown."""
    if picture.pixels.dtype == np.uint8:
        return 8
    stated = picture.stated_bits if bits is None else bits
    return bit_depth.depth_of(int(picture.pixels[..., :3].max()), stated)


def decode(path: Path) -> npt.NDArray[np.generic]:
    """The pixels of the file's first picture, see `Picture`; ConfigError."""
    return read_picture(path).pixels


def read_picture(path: Path, page: int | None = None) -> Picture:
    """The file's first picture (of a TIFF: that is no thumbnail), or a TIFF's page, from 0 on.

    ConfigError with one line when the file is missing, not an image, damaged, cut short, of a kind
    that cannot be read, or has no such page.
    """
    with opened(path) as (file, size, head):
        what = "the image" if page is None else f"page {page}"
        with one_line(path, what):
            if head.startswith(tiff_directory.MAGIC):
                return _tiff(path, file, size, page)
            if page:
                raise ConfigError(f"{path}: page = {page} must be 0 or empty: the file is no TIFF")
            if size > SIZE_LIMIT:
                raise ConfigError(f"{path}: {size} bytes is above the limit of {SIZE_LIMIT}")
            data = head + file.read()
            header = png_header(data) if data.startswith(PNG) else jpeg_header(data)
            return Picture(_decoded(data, header), None, header.pictures)


def count_pages(path: Path) -> int:
    """Pictures in a TIFF, thumbnails too; ConfigError when it is none or damaged."""
    with opened(path) as (file, size, head):
        if not head.startswith(tiff_directory.MAGIC):
            raise ConfigError(f"{path}: is not a TIFF file")
        with one_line(path):
            count = sum(1 for _ in directories(file, size))
            if not count:
                raise PictureFault("is damaged or cut short: there is no page in it")
    return count


def printable(name: object) -> str:
    """A file's name, which may be of any bytes, as one line that every terminal takes."""
    text = " ".join(str(name).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, int, bytes]]:
    """(file, its size, its first 8 bytes); ConfigError when it is not an image that can be read."""
    try:
        about = path.stat()
        if stat.S_ISDIR(about.st_mode):
            raise ConfigError(f"{path}: is a folder, not an image")
        if not stat.S_ISREG(about.st_mode):  # a pipe would be waited for
            raise ConfigError(f"{path}: is not a regular file")
        with path.open("rb") as file:
            head = file.read(8)
            if not head.startswith((PNG, JPEG, *tiff_directory.MAGIC)):
                what = "is not an image in PNG, TIFF or JPEG format" if head else "is empty"
                raise ConfigError(f"{path}: {what}")
            yield file, about.st_size, head
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: the image cannot be read: {why}") from error


@contextmanager
def one_line(path: Path, what: str = "the image") -> Iterator[None]:
    """What is wrong with a picture as a ConfigError that names its file."""
    try:
        yield
    except PictureFault as fault:
        raise ConfigError(f"{path}: {what} cannot be decoded: it {fault}") from fault
    except bit_depth.DepthUnknown as doubt:
        raise ConfigError(f"{path}: {what} {doubt}") from doubt


def check_size(path: Path, height: int, width: int) -> None:
    """ConfigError when a picture does not hold one patch, or is absurdly large. Whether the models
    need more is the preprocessing's to say."""
    if min(height, width) < MIN_SIDE_PX or max(height, width) > MAX_SIDE_PX:
        raise ConfigError(
            f"{path}: {width} x {height} px is outside the limits: "
            f"{MIN_SIDE_PX} to {MAX_SIDE_PX} px on each side"
        )


def _tiff(path: Path, file: BinaryIO, size: int, page: int | None) -> Picture:
    if page is not None:
        directory = next(islice(directories(file, size), page, None), None)
        if directory is None:
            count = sum(1 for _ in directories(file, size))
            if count:
                raise ConfigError(f"{path}: page = {page} must be below {count}, the file's pages")
            raise PictureFault("is damaged or cut short: there is no page in it")
        return _tiff_picture(file, size, directory, 0)
    full = [each for each in directories(file, size) if not each.reduced]
    if not full:
        raise PictureFault("is damaged or cut short: there is no full picture in it")
    return _tiff_picture(file, size, full[0], len(full))


def _tiff_picture(file: BinaryIO, size: int, directory: Directory, pictures: int) -> Picture:
    image = pixels_of(file, size, directory)
    if image.ndim == 3:
        if image.shape[2] == 2:  # grey with alpha
            image = image[..., 0]
        else:
            image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    layout = layout_of(directory)
    stated = _stated_bits(directory, layout.bits)
    return Picture(np.ascontiguousarray(image), stated, pictures, layout.white_is_zero)


def _stated_bits(directory: Directory, bits: int) -> int | None:
    if bits != 16:
        return bits
    description = directory.tags.get(tiff_directory.DESCRIPTION, b"")
    if isinstance(description, bytes):
        for stated_by in (bit_depth.stated_by_ome, bit_depth.stated_by_micro_manager):
            stated = stated_by(description)
            if stated is not None:
                return stated
    return bit_depth.stated_by_largest(directory.number(tiff_directory.MAX_VALUE, 0))


def _decoded(data: bytes, header: Header) -> npt.NDArray[np.generic]:
    """A PNG or JPEG whose header was read."""
    try:
        with quiet_decoder():
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise PictureFault(f"cannot be decoded: {error.err}") from error
    if image is None or image.shape[:2] != (header.height, header.width):
        raise PictureFault("is damaged or cut short")
    if header.grey and image.ndim == 3:
        image = image[..., 0]
    return upright(np.asarray(image), header.orientation)
