"""A camera that shows pictures taken elsewhere: files, the pages of a TIFF, or a z-stack."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.camera import Camera, Frame, PixelFormat
from edge.cameras.options import WHERE, Options
from edge.errors import CameraStalled, ConfigError
from edge.images.image_file import check_size, read_image
from edge.images.stack_picture import Plane, pages_of, read_plane
from edge.images.zstack import Exposure, read_manifest, stacks

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
SOURCES = ("folder", "files", "tiff", "manifest")

Picture = Callable[[], tuple[npt.NDArray[np.uint8], PixelFormat]]


def read_options(given: Mapping[str, Any]) -> None:
    """Check the options without opening a file; ConfigError."""
    options = Options(given)
    for name in ("folder", "tiff", "manifest", "stack"):
        _must_be_text(options, name, options.anything(name))
    files = options.anything("files")
    if files is not None and not isinstance(files, (list, tuple)):
        options.reject("files", f"= {files!r:.80} must be a list of file names")
    else:
        for file in files or ():
            _must_be_text(options, "files", file)
    if given.get("stack") is not None and not given.get("manifest"):
        options.reject("stack", "needs a manifest")
    options.integer("bits", 8, 16, "of the camera", default=16)
    rate_hz = options.number("rate_hz", 0, 1000, "frames per second", default=0.0)
    exposure_ms = options.number("exposure_ms", 0.001, 1000, "ms", default=1.0)
    options.truth("repeat", default=False)
    if options.truth("live", default=False) and not 0 < rate_hz * exposure_ms <= 1000:
        options.reject("live", "needs a rate_hz, and exposure_ms must fit between two frames")
    options.done()
    if sum(bool(given.get(name)) for name in SOURCES) != 1:
        raise ConfigError(f"{WHERE}: give either folder or files, tiff or manifest, and only one")


def _must_be_text(options: Options, key: str, value: Any) -> None:
    name = str(value) if isinstance(value, (str, Path)) else None
    if value is not None and (name is None or not 0 < len(name) <= 1000 or "\0" in name):
        options.reject(key, f"= {value!r:.80} must be a name")


class RecordedCamera(Camera):
    """Shows each picture once, in order, or for ever with `repeat`.

    Give one of `folder` (in the order of the names), `files`, `tiff` (a multi-page TIFF) or
    `manifest` (a z-stack's, see edge.images.zstack; from the lowest to the highest z, `stack`
    chooses one of several). `rate_hz` is the frame rate, 0 = as fast as they are asked for. A
    frame's exposure is stamped when it is shown: it is "now" of a microscope that sees this
    picture. `live` keeps the rate whether frames are taken or not, as a camera does: a late reader
    gets the newest picture and the others count as dropped. ConfigError when there are no images; a
    bad file fails when its turn comes.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        files: Sequence[str | Path] = (),
        tiff: str | Path | None = None,
        manifest: str | Path | None = None,
        stack: str | None = None,
        rate_hz: float = 0.0,
        exposure_ms: float = 1.0,
        repeat: bool = False,
        live: bool = False,
        bits: int | None = None,
    ) -> None:
        sources = {"folder": folder, "files": files, "tiff": tiff, "manifest": manifest}
        times = {"rate_hz": rate_hz, "exposure_ms": exposure_ms, "repeat": repeat, "live": live}
        depth = {} if bits is None else {"bits": bits}
        read_options({**sources, "stack": stack, **times, **depth})
        self._pictures = _pictures(folder, files, tiff, manifest, stack, bits)
        self._period_s = 1 / rate_hz if rate_hz else 0.0
        self._exposure_s = exposure_ms / 1e3
        self._repeat, self._live = repeat, live
        self._shown = 0
        self._due_s = time.monotonic()

    def next(self, timeout_s: float) -> Frame:
        """See Camera.next. CameraStalled after the last picture."""
        if self._live:
            self._pass_over()
        if self._shown >= len(self._pictures) and not self._repeat:
            raise CameraStalled(f"all {len(self._pictures)} recorded images were shown")
        wait_s = self._due_s - time.monotonic()
        if wait_s > timeout_s:
            time.sleep(timeout_s)
            raise CameraStalled(f"no frame within {timeout_s:g} s")
        pixels, pixel_format = self._pictures[self._shown % len(self._pictures)]()
        end_s = self._due_s + self._exposure_s
        if not self._live:
            time.sleep(max(0.0, self._due_s - time.monotonic()) + self._exposure_s)
            end_s = time.monotonic()
        time.sleep(max(0.0, end_s - time.monotonic()))
        self._due_s = max(self._due_s + self._period_s, end_s - self._period_s)
        if self._live:
            self._due_s = end_s - self._exposure_s + self._period_s
        self._shown += 1
        end_ns = round(end_s * 1e9)
        start_ns = end_ns - round(self._exposure_s * 1e9)
        return Frame(pixels, pixel_format, self._shown - 1, start_ns, end_ns)

    def close(self) -> None:
        """Nothing to release; no further frames."""
        self._shown, self._repeat = len(self._pictures), False

    def _pass_over(self) -> None:
        """Those whose exposure ended before a newer one's did are past."""
        left = len(self._pictures) - 1 - self._shown
        ended = (time.monotonic() - self._due_s - self._exposure_s) / self._period_s
        skipped = max(0, int(ended) if self._repeat else min(left, int(ended)))
        self.dropped += skipped
        self._shown += skipped
        self._due_s += skipped * self._period_s


def still(path: str | Path, frame_id: int = 0) -> Frame:
    """One image file as a frame exposed now; ConfigError as in `read_image`."""
    pixels, pixel_format = read_image(path)
    now_ns = time.monotonic_ns()
    return Frame(pixels, pixel_format, frame_id, now_ns - 1_000_000, now_ns)


def _pictures(
    folder: str | Path | None,
    files: Sequence[str | Path],
    tiff: str | Path | None,
    manifest: str | Path | None,
    stack: str | None,
    bits: int | None,
) -> list[Picture]:
    if tiff is not None:
        pages = pages_of(Path(tiff))
        return [partial(_page, *page, pages, bits) for page in pages]
    if manifest is not None:
        exposures = _stack(Path(manifest), stack)
        return [partial(_page, e.path, e.page, e.planes, bits or e.bits) for e in exposures]
    named = [Path(f) for f in files] if folder is None else _images_in(Path(folder))
    return [partial(read_image, path, bits) for path in named]


def _page(
    path: Path, page: int | None, planes: tuple[Plane, ...], bits: int | None
) -> tuple[npt.NDArray[np.uint8], PixelFormat]:
    pixels, pixel_format = read_plane(path, page, planes, bits)
    check_size(path, *pixels.shape[:2])
    return pixels, pixel_format


def _stack(manifest: Path, wanted: str | None) -> tuple[Exposure, ...]:
    by_name = stacks(read_manifest(manifest))
    if wanted is None and len(by_name) == 1:
        return next(iter(by_name.values()))
    if wanted not in by_name:
        names = ", ".join(list(by_name)[:20])
        raise ConfigError(f"camera.options.stack = {wanted!r} must be one of {names}")
    return by_name[wanted]


def _images_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(f"camera.options.folder = {folder} must be a folder")
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES)
    if not files:
        raise ConfigError(f"camera.options.folder = {folder} must hold {', '.join(SUFFIXES)} files")
    return files
