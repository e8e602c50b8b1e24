"""A bench per camera: what stands in for the instrument, and how its driver is opened."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.camera import Camera, Frame, open_camera
from edge.cameras.gstreamer import gstreamer
from edge.errors import CameraStalled, ConfigError
from firmware_bridge.firmware.host import HostFirmware
from tests.support.patience import PATIENCE_S

os.environ.setdefault("PYLON_CAMEMU", "1")  # read by pylon when it is loaded

SIDE_PX = 512
FAKE_GIGE = "arv-fake-gv-camera-0.8"
LIVE = {"exposure_ms": 4.0, "pixel_format": "Mono8", "readout_ms": 10, "retry_s": 0.05}
SQUARE = {"width": SIDE_PX, "height": SIDE_PX}


@dataclass
class Bench:
    """`period_s`: between exposures, 0 where the exposure waits for the reader."""

    driver: str
    options: Mapping[str, Any]
    period_s: float
    exposure_ms: float
    loses: bool = False  # frames are lost on the way
    parts: dict[str, Any] = field(default_factory=dict)

    def open(self, **changes: Any) -> Camera:
        """With these options changed; None takes one out."""
        given = {**self.options, **changes}
        return open_camera(self.driver, {k: v for k, v in given.items() if v is not None})


def missing(driver: str) -> str:
    """Why the peer of a driver cannot run here; "" when it can, and in CI, where it must."""
    if os.environ.get("CI"):
        return ""
    if driver == "aravis" and shutil.which(FAKE_GIGE) is None:
        return f"{FAKE_GIGE} is not installed (make camera-tools)"
    if driver == "gstreamer":
        try:
            if not gstreamer().element_factory_find(b"videotestsrc"):
                return "GStreamer has no videotestsrc (make camera-tools)"
        except ConfigError as error:
            return f"{error} (make camera-tools)"
    return ""


def kinds(*names: str) -> list[Any]:
    """Parameters; one whose peer is missing says so."""
    marks = {n: pytest.mark.skipif(bool(missing(n)), reason=missing(n)) for n in names}
    return [pytest.param(name, marks=marks[name]) for name in names]


# ---- pictures ------------------------------------------------------------------------------------


def picture(number: int) -> np.ndarray:
    """2016 x 2016 grey, a level of its own."""
    return np.full((2016, 2016), 40 + 20 * number, np.uint8)


def write_pictures(kind: str, folder: Path) -> dict[str, Any]:
    """Five pictures as a folder, as one TIFF, or as a z-stack whose rows are not in order."""
    pictures = [picture(number) for number in range(5)]
    if kind == "tiff":
        assert cv2.imwritemulti(str(folder / "all.tif"), pictures)
        return {"tiff": str(folder / "all.tif")}
    for number, pixels in enumerate(pictures):
        assert cv2.imwrite(str(folder / f"{number}.tif"), pixels)
    if kind == "folder":
        return {"folder": str(folder)}
    rows = [f"{n}.tif,,a,{2 * n - 4},0,0.34" for n in (3, 1, 0, 4, 2)]
    header = "file,page,stack_id,z_um,focus_z_um,um_per_px"
    (folder / "manifest.csv").write_text("\n".join([header, *rows]) + "\n")
    return {"manifest": str(folder / "manifest.csv")}


@contextmanager
def recorded(kind: str) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        source = write_pictures(kind, Path(folder))
        options = {**source, "rate_hz": 20, "exposure_ms": 4.0, "repeat": True, "live": True}
        yield Bench("recorded", options, 1 / 20, 4.0)


# ---- live cameras --------------------------------------------------------------------------------


@contextmanager
def simulated(_: str) -> Iterator[Bench]:
    with HostFirmware(start_nm=5_000_000) as firmware:
        yield Bench("simulated", {"trace": str(firmware.trace_path)}, 0.0, 4.0)


@contextmanager
def pylon(_: str) -> Iterator[Bench]:
    options = {"link": "emulated", "rate_hz": 50, **SQUARE, **LIVE}
    yield Bench("pylon", options, 1 / 50, 4.0)


class FakeGigE:
    """Aravis's own fake camera: real GVCP and GVSP on the loopback interface."""

    def __init__(self, lost_per_thousand: int) -> None:
        self._lost = lost_per_thousand
        self.start()

    def start(self) -> None:
        words = [FAKE_GIGE, "-i", "127.0.0.1", "-s", "GV02", "-r", str(self._lost)]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def aravis(_: str, lost_per_thousand: int = 2) -> Iterator[Bench]:
    from tests.support.private_network import private_network

    # a frame is 190 packets: with two of a thousand lost, a third of the frames are incomplete
    options = {"device": "127.0.0.1", "rate_hz": 50, "packet_resend": False, **SQUARE, **LIVE}
    with private_network():
        peer = FakeGigE(lost_per_thousand)
        try:
            bench = Bench("aravis", options, 1 / 50, 4.0, lost_per_thousand > 0, {"peer": peer})
            wait_for(bench)
            yield bench
        finally:
            peer.kill()


def wait_for(bench: Bench) -> None:
    """Until the peer answers."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            bench.open().close()
            return
        except CameraStalled:
            assert time.monotonic() < until_s, "the peer does not answer"
            time.sleep(0.05)


@contextmanager
def gstreamer_test(_: str) -> Iterator[Bench]:
    options = {"source": "test", "rate_hz": 50, **SQUARE, **LIVE}
    yield Bench("gstreamer", options, 1 / 50, 4.0)


class FakeV4l2:
    """fake_v4l2.c in place of ioctl; everything else is the kernel's."""

    def __init__(self, folder: Path) -> None:
        source, built = Path(__file__).with_name("fake_v4l2.c"), folder / "fake_v4l2.so"
        flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        subprocess.run(["cc", *flags, "-o", str(built), str(source)], check=True)
        self._c = ctypes.PyDLL(str(built), use_errno=True)
        self._c.fake_ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p]
        self._c.fake_began_ns.restype = ctypes.c_int64
        self.path = folder / "video0"
        self.path.write_bytes(b"")
        self.reset()

    def ioctl(self, fd: int, request: int, argument: Any) -> None:
        if self._c.fake_ioctl(fd, request, ctypes.addressof(argument)):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    def reset(
        self,
        period_ms: int = 20,
        stamp_start: bool = True,
        padding: int = 0,
        no_exposure: bool = False,
    ) -> None:
        self._c.fake_reset(period_ms, stamp_start, padding, no_exposure)

    def break_frames(self, count: int) -> None:
        self._c.fake_break(count)

    def unplug(self, unplugged: bool) -> None:
        self._c.fake_unplug(unplugged)

    def pause(self) -> None:
        self._c.fake_pause()

    def exposure_end_ns(self, frame: Frame, period_ms: int = 20) -> int:
        """The truth; the first pixel is the frame's number."""
        number = int(frame.pixels[0, 0])
        return int(self._c.fake_began_ns()) + (number + 1) * period_ms * 1_000_000

    def exposure_ticks(self) -> int:
        return int(self._c.fake_exposure())


class _Fcntl:
    def __init__(self, ioctl: Callable[..., None]) -> None:
        self.ioctl = ioctl


@contextmanager
def v4l2(_: str) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        peer = FakeV4l2(Path(folder))
        patch.setattr("edge.cameras.v4l2.fcntl", _Fcntl(peer.ioctl))
        options = {"device": str(peer.path), "rate_hz": 50, **SQUARE, **LIVE}
        yield Bench("v4l2", options, 1 / 50, 4.0, parts={"peer": peer})


BENCHES: dict[str, Callable[[str], Any]] = {
    "simulated": simulated,
    "folder": recorded,
    "tiff": recorded,
    "manifest": recorded,
    "pylon": pylon,
    "aravis": aravis,
    "gstreamer": gstreamer_test,
    "v4l2": v4l2,
}
LIVE_KINDS = ("pylon", "aravis", "gstreamer", "v4l2")


@contextmanager
def bench_of(kind: str) -> Iterator[Bench]:
    with ExitStack() as opened:
        yield opened.enter_context(BENCHES[kind](kind))
