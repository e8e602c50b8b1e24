"""GStreamer pipelines for CSI sensors and other sources, as text; each ends in an appsink that
keeps the newest frames. Nothing here needs GStreamer."""

from __future__ import annotations

from dataclasses import dataclass

from edge.camera import PixelFormat
from edge.cameras.options import WHERE, Imaging
from edge.errors import OptionError

SINK = "slot"
#: two frames: the one being taken and the newest
_APPSINK = f"appsink name={SINK} sync=false max-buffers=2 drop=true enable-last-sample=false"
_RAW = {PixelFormat.MONO8: "GRAY8", PixelFormat.RGB8: "RGB", PixelFormat.BGR8: "BGR"}
_BAYER = {
    PixelFormat.BAYER_RG8: "rggb",
    PixelFormat.BAYER_GR8: "grbg",
    PixelFormat.BAYER_GB8: "gbrg",
    PixelFormat.BAYER_BG8: "bggr",
}
SOURCES = ("argus", "libcamera", "v4l2", "test")


@dataclass(frozen=True, slots=True)
class Source:
    """`kind` is one of SOURCES; `sensor`: number (argus), camera's name (libcamera) or device
    path (v4l2), None = the first."""

    kind: str
    sensor: str | None


def pipeline(source: Source, imaging: Imaging) -> str:
    """The pipeline's text. OptionError for a format that the source cannot deliver."""
    return f"{_BUILD[source.kind](source, imaging)} ! {_APPSINK}"


def caps(imaging: Imaging) -> str:
    """What arrives at the appsink."""
    wanted = imaging.pixel_format
    if wanted in _BAYER:
        return f"video/x-bayer,format={_BAYER[wanted]}{_size(imaging)}"
    return f"video/x-raw,format={_RAW[wanted]}{_size(imaging)}"


def format_name(wanted: PixelFormat) -> str:
    """GStreamer's name of a pixel format."""
    return _BAYER.get(wanted) or _RAW[wanted]


def _size(imaging: Imaging) -> str:
    text = ""
    if imaging.width is not None:
        text = f",width={imaging.width},height={imaging.height}"
    if imaging.rate_hz is not None:
        text += f",framerate={round(imaging.rate_hz * 1000)}/1000"
    return text


def _argus(source: Source, imaging: Imaging) -> str:
    """NVIDIA's ISP: fixed exposure and gain, no noise reduction or sharpening, which would change
    what defocus looks like. It debayers itself; nvvidconv brings the frame into CPU memory."""
    wanted = imaging.pixel_format
    if wanted in _BAYER:
        raise OptionError(
            WHERE,
            "pixel_format",
            f"= {wanted.value} does not pass the ISP; use RGB8, BGR8 or Mono8, or the v4l2 driver",
        )
    exposure = f'"{imaging.exposure_ns} {imaging.exposure_ns}"'
    out = caps(imaging) if wanted is PixelFormat.MONO8 else "video/x-raw,format=BGRx"
    convert = "" if wanted is PixelFormat.MONO8 else f" ! videoconvert ! {caps(imaging)}"
    return (
        f"nvarguscamerasrc sensor-id={source.sensor or 0} exposuretimerange={exposure} "
        'gainrange="1 1" ispdigitalgainrange="1 1" aelock=true awblock=true tnr-mode=0 ee-mode=0 '
        f"! video/x-raw(memory:NVMM),format=NV12{_size(imaging)} ! nvvidconv ! {out}{convert}"
    )


def _libcamera(source: Source, imaging: Imaging) -> str:
    name = f' camera-name="{source.sensor}"' if source.sensor else ""
    direct = imaging.pixel_format in _BAYER
    convert = f"{caps(imaging)}" if direct else f"videoconvert ! {caps(imaging)}"
    return f"libcamerasrc{name} ! {convert}"


def _v4l2(source: Source, imaging: Imaging) -> str:
    return f"v4l2src device={source.sensor or '/dev/video0'} io-mode=mmap ! {caps(imaging)}"


def _test(source: Source, imaging: Imaging) -> str:
    return f"videotestsrc is-live=true pattern=smpte ! {caps(imaging)}"


_BUILD = {"argus": _argus, "libcamera": _libcamera, "v4l2": _v4l2, "test": _test}
