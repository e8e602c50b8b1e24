"""What is particular to GStreamer: pipelines, colours, and the times of its buffers."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial

import pytest

from edge.cameras import gstreamer, pipelines
from edge.cameras.grabbing import GrabbingCamera
from edge.cameras.options import FORMATS, Options, read_imaging
from edge.errors import ConfigError
from tests.support.camera_benches import (
    LIVE,
    SQUARE,
    Bench,
)
from tests.support.camera_waits import MS, WAIT_S, Open, colour, on

# ---- GStreamer -----------------------------------------------------------------------------------

#: elements that come with a sensor's own software
OF_THE_BOARD = {"nvarguscamerasrc", "nvvidconv", "libcamerasrc", "v4l2src"}


@on("gstreamer")
@pytest.mark.parametrize("pixel_format", [name for name in FORMATS if name != "Mono8"])
@pytest.mark.parametrize("width", [512, 250])  # 250 * 3 is padded to four bytes
def test_gstreamer_colours(opened: Open, pixel_format: str, width: int) -> None:
    """The test source's bars: white, yellow, cyan, green, magenta, red, blue; 75 % of the range."""
    frame = opened(pixel_format=pixel_format, width=width, height=120).next(WAIT_S)
    bars = [colour(frame, 40, int(width * (bar + 0.5) / 7)) for bar in range(1, 7)]
    on_off = [[int(value > 95) for value in bar] for bar in bars]
    assert on_off == [[1, 1, 0], [0, 1, 1], [0, 1, 0], [1, 0, 1], [1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("source", pipelines.SOURCES)
@pytest.mark.parametrize("pixel_format", FORMATS)
@on("gstreamer")
def test_every_pipeline_can_be_parsed(bench: Bench, source: str, pixel_format: str) -> None:
    """By GStreamer itself; what is missing may only be what a board's own software brings."""
    options = {**bench.options, "source": source, "pixel_format": pixel_format}
    if source == "argus" and pixel_format.startswith("Bayer"):
        with pytest.raises(ConfigError, match=r"does not pass the ISP; use RGB8, BGR8 or Mono8"):
            gstreamer.read_options(options)
        return
    text = gstreamer.read_options(options).pipeline
    missing = gstreamer.missing_elements(text)
    assert set(missing) <= OF_THE_BOARD
    assert (missing == []) == (source == "test" or (source == "v4l2" and "v4l2src" not in missing))
    assert "width=512,height=512,framerate=50000/1000" in text
    assert text.endswith("drop=true enable-last-sample=false")
    with pytest.raises(ConfigError, match=r"syntax|unexpected|link"):
        gstreamer.missing_elements("videotestsrc ! ! appsink")


def test_the_pipeline_of_a_jetson_s_sensor() -> None:
    imaging = read_imaging(Options({**LIVE, **SQUARE, "rate_hz": 29.97}))
    assert pipelines.pipeline(pipelines.Source("argus", "1"), imaging) == (
        'nvarguscamerasrc sensor-id=1 exposuretimerange="4000000 4000000" gainrange="1 1" '
        'ispdigitalgainrange="1 1" aelock=true awblock=true tnr-mode=0 ee-mode=0 '
        "! video/x-raw(memory:NVMM),format=NV12,width=512,height=512,framerate=29970/1000 "
        "! nvvidconv ! video/x-raw,format=GRAY8,width=512,height=512,framerate=29970/1000 "
        "! appsink name=slot sync=false max-buffers=2 drop=true enable-last-sample=false"
    )


@on("gstreamer")
def test_a_source_that_ends_is_started_again(bench: Bench) -> None:
    read = gstreamer.read_options(bench.options)
    short = read.pipeline.replace("videotestsrc ", "videotestsrc num-buffers=5 ")
    device = partial(gstreamer.GstreamerDevice, replace(read, pipeline=short))
    camera = GrabbingCamera(device, 0.05)
    ids = [camera.next(WAIT_S).frame_id for _ in range(7)]
    camera.close()
    assert all(b > a for a, b in itertools.pairwise(ids))
    assert camera.reconnects >= 1


@on("gstreamer")
def test_what_gstreamer_says_about_a_missing_sensor(opened: Open) -> None:
    if "libcamerasrc" in gstreamer.missing_elements("libcamerasrc ! fakesink"):
        with pytest.raises(ConfigError, match=r'source makes no pipeline: no element "libcam'):
            opened(source="libcamera")
    with pytest.raises(ConfigError, match=r"options\.sensor = 'x\" ! y' must be a number, name"):
        opened(sensor='x" ! y')
    with pytest.raises(ConfigError, match=r"options\.width must be given"):
        opened(width=None, height=None)


def buffer_times(**changes: object) -> gstreamer.BufferTimes:
    options = {"source": "test", "rate_hz": 50, **SQUARE, **LIVE, **changes}
    return gstreamer.BufferTimes(gstreamer.read_options(options), 1000 * MS)


@pytest.mark.parametrize(
    ("changes", "start_ms", "half_ms"),
    [({"timestamp": "start"}, 500, 1), ({"timestamp": "arrival", "readout_ms": 8}, 492, 4)],
)
def test_which_end_of_the_exposure_a_buffer_s_time_marks(
    changes: dict[str, object], start_ms: int, half_ms: int
) -> None:
    """A buffer of time 500 ms, of an exposure of 4 ms, that comes 5 ms later."""
    exposure = buffer_times(**changes).of(500 * MS, 1505 * MS)
    assert exposure is not None
    assert exposure.start_ns == (1000 + start_ms) * MS
    assert exposure.end_ns - exposure.start_ns == 4 * MS
    assert exposure.uncertainty_ns == half_ms * MS


def test_a_buffer_without_a_time_is_known_by_its_arrival() -> None:
    exposure = buffer_times(readout_ms=8).of(gstreamer.g.NO_TIME, 1505 * MS)
    assert exposure is not None
    assert (exposure.start_ns, exposure.uncertainty_ns) == (1497 * MS, 4 * MS)


@pytest.mark.parametrize("held_up_ms", [0, 4, 40])
def test_a_buffer_that_was_handed_over_late_says_so(held_up_ms: int) -> None:
    times = buffer_times(timestamp="start")
    for number in range(8):
        exposure = times.of(20 * number * MS, (1005 + 20 * number) * MS)
    exposure = times.of(160 * MS, (1165 + held_up_ms) * MS)
    assert exposure is not None
    assert exposure.uncertainty_ns == pytest.approx((1 + 0.3 + held_up_ms) * MS)
