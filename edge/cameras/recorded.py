"""A camera that shows image files: to try the loop on pictures taken elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from edge.camera import Camera, Frame
from edge.cameras.image_file import read_image
from edge.errors import CameraStalled, ConfigError

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")


class RecordedCamera(Camera):
    """Shows each file once, in the order of the names, or for ever with `repeat`.

    Give either `folder` or `files`. `rate_hz` is the frame rate, 0 = as fast as they are asked
    for. A frame's exposure is stamped when it is shown: it is "now" of a microscope that sees
    this picture. ConfigError when there are no images; a bad file fails when its turn comes.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        files: Sequence[str | Path] = (),
        rate_hz: float = 0.0,
        exposure_ms: float = 1.0,
        repeat: bool = False,
    ) -> None:
        if (folder is None) == (not files):
            raise ConfigError("camera.options: give either folder or files")
        self._files = [Path(f) for f in files] if folder is None else _images_in(Path(folder))
        if not 0 <= rate_hz <= 1000 or not 0 < exposure_ms <= 1000:
            raise ConfigError("camera.options: rate_hz must be 0 to 1000, exposure_ms up to 1000")
        self._period_s = 1 / rate_hz if rate_hz else 0.0
        self._exposure_ns = round(exposure_ms * 1e6)
        self._repeat = repeat
        self._shown = 0
        self._due_s = time.monotonic()

    def next(self, timeout_s: float) -> Frame:
        """See Camera.next. CameraStalled after the last file."""
        if self._shown >= len(self._files) and not self._repeat:
            raise CameraStalled(f"all {len(self._files)} recorded images were shown")
        wait_s = self._due_s - time.monotonic()
        if wait_s > timeout_s:
            time.sleep(timeout_s)
            raise CameraStalled(f"no frame within {timeout_s:g} s")
        pixels, pixel_format = read_image(self._files[self._shown % len(self._files)])
        time.sleep(max(0.0, self._due_s - time.monotonic()) + self._exposure_ns / 1e9)
        end_ns = time.monotonic_ns()
        self._due_s = max(self._due_s + self._period_s, time.monotonic() - self._period_s)
        self._shown += 1
        return Frame(pixels, pixel_format, self._shown - 1, end_ns - self._exposure_ns, end_ns)

    def close(self) -> None:
        """Nothing to release; no further frames."""
        self._shown, self._repeat = len(self._files), False


def still(path: str | Path, frame_id: int = 0) -> Frame:
    """One image file as a frame exposed now; ConfigError as in `read_image`."""
    pixels, pixel_format = read_image(path)
    now_ns = time.monotonic_ns()
    return Frame(pixels, pixel_format, frame_id, now_ns - 1_000_000, now_ns)


def _images_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(f"camera.options.folder = {folder} must be a folder")
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES)
    if not files:
        raise ConfigError(f"camera.options.folder = {folder} must hold {', '.join(SUFFIXES)} files")
    return files
