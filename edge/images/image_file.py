"""Image files as frames: PNG, TIFF and JPEG; colour, grey, with alpha; 8 or 16 bits.

OpenCV accepts a truncated file and fills the rest with grey, which the networks would measure.
So the file's own end mark is looked for before it is decoded.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera import PixelFormat
from edge.errors import ConfigError
from edge.measure.preprocess import PATCH_PX

SIZE_LIMIT = 1 << 30
MAX_SIDE_PX = 30_000
CUT_SHORT = "is cut short"

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_image(path: Path | str) -> tuple[npt.NDArray[np.uint8], PixelFormat]:
    """Decode one file to (height, width, 3) BGR8 or (height, width) Mono8, C-contiguous uint8.

    16-bit values are scaled to 8 bits (see `to_8_bit`), alpha is dropped. Raises ConfigError
    with one line when the file is missing, not an image, cut short or below 2016 x 2016 px.
    """
    path = Path(path)
    return _as_frame(path, decode(path))


def decode(path: Path) -> npt.NDArray[np.generic]:
    """The file's first picture as it is stored: (h, w) or (h, w, 3 or 4), colour as BGR(A).

    Raises ConfigError with one line when the file is missing, not an image, or cut short.
    """
    data = _read(path)
    fault = _fault(data)
    if fault is not None:
        raise ConfigError(f"{path}: the image {fault} ({len(data)} bytes)")
    try:
        with quiet_decoder():
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ConfigError(f"{path}: the image cannot be decoded: {error.err}") from error
    if image is None:
        raise ConfigError(f"{path}: the image cannot be decoded: it is damaged or cut short")
    return np.asarray(image)


def is_tiff(path: Path) -> bool:
    """By its first bytes; ConfigError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(4) in _TIFF
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: the image cannot be read: {why}") from error


@contextmanager
def quiet_decoder() -> Iterator[None]:
    """Keep OpenCV's own warnings off the terminal: what is wrong is said once, by the caller."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ConfigError(f"{path}: is a folder, not an image")
        size = path.stat().st_size
        if size > SIZE_LIMIT:
            raise ConfigError(f"{path}: {size} bytes is above the limit of {SIZE_LIMIT}")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: the image cannot be read: {why}") from error
    if not data.startswith((_PNG, _JPEG, *_TIFF)):
        what = "is empty" if not data else "is not an image in PNG, TIFF or JPEG format"
        raise ConfigError(f"{path}: {what}")
    return data


def _fault(data: bytes) -> str | None:
    """What is wrong with the file's own structure, None when it reaches its end. TIFF has no end
    mark: its strips must lie inside the file, which its decoder checks."""
    if data.startswith(_PNG):
        return _png_fault(data)
    # Cameras append trailers to JPEG: look anywhere after the last scan began.
    if data.startswith(_JPEG) and b"\xff\xd9" not in data[max(0, data.rfind(b"\xff\xda")) :]:
        return CUT_SHORT
    return None


def _png_fault(data: bytes) -> str | None:
    at = len(_PNG)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            return CUT_SHORT
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return f"is damaged at byte {at}"
        if data[at + 4 : at + 8] == b"IEND":
            return None
        at = end
    return CUT_SHORT


def _as_frame(
    path: Path, image: npt.NDArray[np.generic]
) -> tuple[npt.NDArray[np.uint8], PixelFormat]:
    channels = count_channels(path, image)
    height, width = image.shape[:2]
    check_size(path, height, width)
    pixels = to_8_bit(image[..., :3] if channels == 4 else image)
    if channels == 1:
        return np.ascontiguousarray(pixels.reshape(height, width)), PixelFormat.MONO8
    return np.ascontiguousarray(pixels), PixelFormat.BGR8


def check_size(path: Path, height: int, width: int) -> None:
    """ConfigError when a picture does not hold one patch, or is absurdly large. Whether the models
    need more is the preprocessing's to say."""
    if min(height, width) < PATCH_PX or max(height, width) > MAX_SIDE_PX:
        raise ConfigError(
            f"{path}: {width} x {height} px is outside the limits: "
            f"{PATCH_PX} to {MAX_SIDE_PX} px on each side"
        )


def count_channels(path: Path, image: npt.NDArray[np.generic]) -> int:
    """1, 3 or 4; ConfigError when the picture is of another depth or number of channels."""
    channels = 1 if image.ndim == 2 else image.shape[2]
    if image.dtype not in (np.uint8, np.uint16) or channels not in (1, 3, 4):
        raise ConfigError(
            f"{path}: {image.dtype} with {channels} channels; "
            "8 or 16 bits with 1, 3 or 4 channels can be read"
        )
    return channels


def used_bits(largest: int) -> int:
    """Bits of the camera whose largest value this is. 10-, 12- and 14-bit cameras store their
    values right-aligned in 16 bits; a bright-field image reaches the upper part of its range."""
    return next((b for b in (8, 10, 12, 14) if largest < 1 << b), 16)


def to_8_bit(image: npt.NDArray[np.generic], bits: int | None = None) -> npt.NDArray[np.uint8]:
    """The 8 highest of `bits` bits; by default of those that the image itself uses."""
    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    if bits is None:
        bits = used_bits(int(image.max()))
    return (image.astype(np.uint16, copy=False) >> (bits - 8)).astype(np.uint8)
