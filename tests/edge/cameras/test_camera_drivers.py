"""What is particular to one camera: triggers, losses, unplugging, formats, wrong settings."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from edge.camera import Camera, Frame, PixelFormat, open_camera
from edge.cameras import gstreamer, pipelines, pylon
from edge.cameras.aravis import steps
from edge.cameras.grabbing import GrabbingCamera
from edge.cameras.options import FORMATS, Options, read_imaging
from edge.cameras.shared_library import load
from edge.errors import CameraLost, CameraStalled, ConfigError
from edge.measure.raw_pixels import demosaic, red_at
from tests.support.camera_benches import (
    LIVE,
    SQUARE,
    Bench,
    aravis,
    bench_of,
    kinds,
    missing,
    picture,
    write_pictures,
)
from tests.support.patience import ANSWER_S

WAIT_S = 60.0  # for a frame, on a machine that does other work too
Open = Callable[..., GrabbingCamera]


@pytest.fixture(scope="module")
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with bench_of(request.param) as made:
        yield made


def on(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bench", kinds(kind), indirect=True)


@pytest.fixture
def opened(bench: Bench) -> Iterator[Open]:
    cameras: list[Camera] = []

    def open_one(**changes: object) -> Camera:
        cameras.append(bench.open(**changes))
        return cameras[-1]

    yield open_one  # type: ignore[misc]
    for camera in cameras:
        camera.close()


def until(true: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + ANSWER_S
    while not true():
        assert time.monotonic() < give_up_s
        time.sleep(0.005)


def lost(camera: Camera) -> str:
    """Read until the camera is lost; why."""
    for _ in range(200):
        try:
            camera.next(0.3)
        except CameraLost as error:
            return str(error)
        except CameraStalled:
            continue
    raise AssertionError("never lost")


def colour(frame: Frame, row: int, column: int) -> list[int]:
    """Red, green, blue."""
    red = red_at(frame)
    if red is not None:
        return list(demosaic(frame.pixels, red, (row, column), (1, 1))[0, 0].tolist())
    pixel = frame.pixels[row, column].tolist()
    return pixel[::-1] if frame.pixel_format is PixelFormat.BGR8 else pixel


# ---- triggers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bench", kinds("pylon", "aravis"), indirect=True)
def test_a_software_trigger_exposes_once(opened: Open, bench: Bench) -> None:
    camera = opened(trigger="software", rate_hz=None, packet_resend=False) if (
        bench.driver == "aravis"
    ) else opened(trigger="software", rate_hz=None)  # fmt: skip
    ids = []
    for _ in range(4):
        sent_ns = time.monotonic_ns()
        for _ in range(20):  # a frame may be incomplete: the next call triggers again
            try:
                frame = camera.next(0.5 if bench.loses else WAIT_S)
                break
            except CameraStalled:
                assert bench.loses
        ids.append(frame.frame_id)
        assert frame.exposure_start_ns + frame.time_uncertainty_ns >= sent_ns
    assert all(b > a for a, b in itertools.pairwise(ids))
    time.sleep(0.2)  # ten periods: nobody asked
    assert camera._newest is None


@on("pylon")
def test_a_trigger_before_it_is_needed(opened: Open) -> None:
    camera = opened(trigger="software", rate_hz=None)
    first = camera.next(WAIT_S)
    camera.trigger()
    until(lambda: camera._newest is not None)
    assert camera.next(0).frame_id == first.frame_id + 1
    assert camera.dropped == 0  # nothing is exposed unasked


@pytest.mark.parametrize("bench", kinds("pylon", "aravis"), indirect=True)
def test_a_hardware_trigger_waits_for_its_line(opened: Open, bench: Bench) -> None:
    line = {"pylon": "Line1", "aravis": "Line0"}[bench.driver]
    camera = opened(trigger="hardware", trigger_line=line)
    with pytest.raises(CameraStalled, match=r"no frame within 0\.2 s"):
        camera.next(0.2)
    camera.close()
    with pytest.raises(ConfigError, match=r"options\.trigger_line is not taken by the camera"):
        opened(trigger="hardware", trigger_line="Line99")


@on("pylon")
def test_the_trigger_s_features(opened: Open) -> None:
    camera = opened(trigger="hardware", trigger_line="Line2", trigger_edge="falling")
    nodes = camera._device._nodes
    names = ("TriggerMode", "TriggerSelector", "TriggerSource", "TriggerActivation")
    assert [nodes.GetNode(name).ToString() for name in names] == [
        "On", "FrameStart", "Line2", "FallingEdge",
    ]  # fmt: skip
    assert nodes.GetNode("ExposureAuto").ToString() == "Off"


@pytest.mark.parametrize("driver", ["v4l2", "gstreamer"])
def test_no_trigger_where_there_is_none(driver: str) -> None:
    with pytest.raises(ConfigError, match=r"options\.trigger = 'hardware' must be one of free$"):
        open_camera(driver, {**LIVE, "device": "/dev/video0", "trigger": "hardware"})


# ---- pylon ---------------------------------------------------------------------------------------


@on("pylon")
def test_failed_buffers_are_refused_and_counted(opened: Open) -> None:
    camera = opened()
    before = camera.next(WAIT_S)
    dropped = camera.dropped
    nodes = camera._device._nodes
    nodes.GetNode("ForceFailedBufferCount").SetValue(7)
    nodes.GetNode("ForceFailedBuffer").Execute()
    until(lambda: camera.incomplete == 7)
    until(lambda: camera._newest is not None and camera._newest.frame_id > before.frame_id + 7)
    after = camera.next(0)
    assert camera.dropped - dropped == after.frame_id - before.frame_id - 1 >= 7


@on("pylon")
def test_a_camera_that_stops_is_opened_again(opened: Open) -> None:
    camera = opened()
    before = camera.next(WAIT_S)
    camera._device._camera.StopGrabbing()
    until(lambda: camera.reconnects == 1)
    assert camera.next(WAIT_S).frame_id > before.frame_id


@on("pylon")
def test_what_pylon_says_in_one_line(opened: Open) -> None:
    wrong: list[tuple[dict[str, object], str]] = [
        ({"width": 9000}, r"^camera\.options\.width is not taken by the camera: Width = 9000: "),
        ({"serial": "1"}, r"no camera 1 on emulated: found \['0815-0000'\]"),
        ({"link": "gige", "address": "127.0.0.1"}, "no camera on gige: "),
        ({"link": "gige"}, r"options\.address must be given with link: gige, and only then"),
        ({"serial": 24}, r"options\.serial = 24 must be a serial number in quotes"),
        ({"link": "firewire"}, r"options\.link = 'firewire' must be one of usb, gige, emulated"),
    ]
    for changes, says in wrong:
        with pytest.raises((ConfigError, CameraStalled), match=says) as caught:
            opened(**changes)
        assert "\n" not in str(caught.value)
        assert "thrown" not in str(caught.value)


@on("pylon")
def test_the_middle_of_the_sensor_with_its_mosaic(opened: Open) -> None:
    camera = opened(pixel_format="BayerRG8", width=1022, height=1022)
    nodes = camera._device._nodes
    assert nodes.GetNode("OffsetX").GetValue() == (4096 - 1022) // 4 * 2
    assert nodes.GetNode("OffsetY").GetValue() % 2 == 0
    assert camera.next(WAIT_S).pixels.shape == (1022, 1022)


@pytest.mark.parametrize(("answers", "ready"), [((False, True), True), ((False, False), False)])
def test_who_had_no_turn_looks_once_more_before_giving_a_trigger_up(
    monkeypatch: pytest.MonkeyPatch, answers: tuple[bool, ...], ready: bool
) -> None:
    clock = itertools.count(0, 100)  # s: between any two looks we stand still
    stand_in = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
    monkeypatch.setattr(pylon, "time", stand_in)
    device: Any = SimpleNamespace(_exposure_ns=4 * MS, _pylon=SimpleNamespace())
    device._pylon.TimeoutHandling_Return = 0
    device._camera = SimpleNamespace(CanWaitForFrameTriggerReady=lambda: True)
    looks = iter(answers)
    device._camera.WaitForFrameTriggerReady = lambda *_: next(looks)
    with nullcontext() if ready else pytest.raises(CameraStalled, match="not ready for a trigger"):
        pylon.PylonDevice._await_trigger_ready(device)


def test_without_pypylon_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypylon.pylon", None)
    with pytest.raises(ConfigError, match=r"needs pypylon: pip install 'sparsefocus-edge\[pylon"):
        open_camera("pylon", {"link": "emulated", **LIVE})


def test_without_a_library_the_package_is_named() -> None:
    with pytest.raises(ConfigError, match=r"libnothing\.so\.0 is missing: apt install nothing"):
        load("libnothing.so.0", "apt install nothing")


# ---- Aravis --------------------------------------------------------------------------------------


@on("aravis")
def test_incomplete_frames_are_refused_and_counted(opened: Open) -> None:
    """Two of a thousand packets are lost, a frame has 190: about a third of the frames."""
    camera = opened()
    first = camera.next(WAIT_S)
    dropped = camera.dropped
    until(lambda: camera.incomplete >= 5)
    frames = 1
    while True:
        frame = camera.next(WAIT_S)
        frames += 1
        if frames > 10:
            break
    assert frame.pixels.shape == (512, 512)
    assert camera.dropped - dropped + frames == frame.frame_id - first.frame_id + 1
    assert camera.dropped >= 5


@pytest.mark.skipif(bool(missing("aravis")), reason=missing("aravis"))
def test_an_unplugged_camera_comes_back() -> None:
    with aravis("aravis", lost_per_thousand=0) as bench:
        camera = bench.open()
        assert isinstance(camera, GrabbingCamera)
        before = camera.next(WAIT_S)
        with pytest.raises(CameraStalled, match=r"127\.0\.0\.1 is in use by another program"):
            bench.open()
        bench.parts["peer"].kill()
        assert "the camera is lost: " in lost(camera)
        bench.parts["peer"].start()
        until(lambda: camera.reconnects == 1)
        after = camera.next(WAIT_S)
        assert after.frame_id > before.frame_id
        assert after.exposure_start_ns > before.exposure_end_ns
        camera.close()


@on("aravis")
def test_what_the_gige_camera_does_not_take(opened: Open) -> None:
    with pytest.raises(ConfigError, match=r"options\.width = 4000 must be at most 2048 \(px\)"):
        opened(width=4000)
    with pytest.raises(ConfigError, match=r"options\.device = 'a b' must be an address"):
        opened(device="a b")


@pytest.mark.parametrize(
    ("before", "now", "step"),
    [(1, 2, 1), (65_534, 65_535, 1), (65_535, 1, 1), (65_530, 3, 8), (65_535, 65_536, 1),
     (10**9, 10**9 + 5, 5), (0, 1, 1)],
)  # fmt: skip
def test_frame_ids_of_16_bits_go_on(before: int, now: int, step: int) -> None:
    assert steps(before, now) == step


# ---- V4L2 ----------------------------------------------------------------------------------------


@on("v4l2")
@pytest.mark.parametrize("padding", [0, 12])
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_v4l2_colours(bench: Bench, opened: Open, pixel_format: str, padding: int) -> None:
    bench.parts["peer"].reset(padding=padding)
    frame = opened(pixel_format=pixel_format, width=64, height=48).next(WAIT_S)
    assert frame.pixels.flags.c_contiguous
    if pixel_format == "Mono8":
        assert set(frame.pixels[1:].ravel().tolist()) == {77}
    else:
        for row, column in ((5, 5), (20, 63 - 2), (46, 30)):
            assert colour(frame, row, column) == [200, 120, 40]


@on("v4l2")
def test_damaged_v4l2_frames_are_refused(bench: Bench, opened: Open) -> None:
    bench.parts["peer"].reset()
    camera = opened()
    before = camera.next(WAIT_S)
    dropped = camera.dropped
    bench.parts["peer"].break_frames(6)  # flagged and too short in turn
    until(lambda: camera.incomplete == 6)
    camera._newest = None
    after = camera.next(WAIT_S)
    assert after.pixels[1:].max() == 77
    assert camera.dropped - dropped == after.frame_id - before.frame_id - 1 >= 6


@on("v4l2")
def test_what_the_kernel_s_stamp_marks(bench: Bench, opened: Open) -> None:
    bench.parts["peer"].reset(stamp_start=True)
    frame = opened(exposure_ms=2.5).next(WAIT_S)
    assert bench.parts["peer"].exposure_ticks() == 25
    assert frame.exposure_end_ns - frame.exposure_start_ns == 2_500_000
    assert frame.time_uncertainty_ns == 1000
    assert abs(frame.exposure_end_ns - bench.parts["peer"].exposure_end_ns(frame)) <= 1000
    bench.parts["peer"].reset(stamp_start=False)
    frame = opened(readout_ms=6.0).next(WAIT_S)
    assert frame.time_uncertainty_ns == 3_000_000
    # the stand-in needs no read-out: the truth lies at the late end of what is possible
    end_ns = bench.parts["peer"].exposure_end_ns(frame)
    assert abs(frame.exposure_end_ns + 3_000_000 - end_ns) <= 1000


@on("v4l2")
def test_v4l2_exposure_set_elsewhere(bench: Bench, opened: Open) -> None:
    bench.parts["peer"].reset(no_exposure=True)
    with pytest.raises(ConfigError, match=r"exposure_ms cannot be set .* set_exposure: false"):
        opened()
    frame = opened(set_exposure=False, exposure_ms=3.0).next(WAIT_S)
    assert frame.exposure_end_ns - frame.exposure_start_ns == 3_000_000
    assert bench.parts["peer"].exposure_ticks() == 0


@on("v4l2")
def test_an_unplugged_v4l2_camera_comes_back(bench: Bench, opened: Open) -> None:
    bench.parts["peer"].reset()
    camera = opened()
    before = camera.next(WAIT_S)
    bench.parts["peer"].unplug(True)
    assert "No such device; trying again every 0.05 s" in lost(camera)
    bench.parts["peer"].reset()
    until(lambda: camera.reconnects == 1)
    assert camera.next(WAIT_S).frame_id > before.frame_id


@on("v4l2")
def test_v4l2_stalls_when_no_frame_comes(bench: Bench, opened: Open) -> None:
    bench.parts["peer"].reset()
    camera = opened()
    camera.next(WAIT_S)
    bench.parts["peer"].pause()
    time.sleep(0.1)  # the thread takes what was exposed before
    camera._newest = None
    with pytest.raises(CameraStalled, match=r"^no frame within 0\.2 s$"):
        camera.next(0.2)


@on("v4l2")
def test_what_v4l2_does_not_take(
    bench: Bench, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.parts["peer"].reset()
    with pytest.raises(ConfigError, match=r"options\.width = 5000 is not offered; .* 4096 \(px\)"):
        opened(width=5000)
    with pytest.raises(ConfigError, match=r"options\.rate_hz = 60 is not offered; .* is 50"):
        opened(rate_hz=60)
    with pytest.raises(CameraLost, match=r"/video9 cannot be opened: No such file"):
        opened(device=str(tmp_path / "video9"))
    with pytest.raises(ConfigError, match=r"options\.device = 'video0' must be a path like /dev"):
        opened(device="video0")
    monkeypatch.undo()


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


MS = 1_000_000


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


# ---- recorded ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["folder", "tiff", "manifest"])
def test_recorded_pictures_in_their_order(tmp_path: Path, kind: str) -> None:
    """The manifest's rows are not in the order of z; the camera shows them from low to high."""
    camera = open_camera("recorded", write_pictures(kind, tmp_path))
    for number in range(5):
        frame = camera.next(1.0)
        assert np.array_equal(frame.pixels, picture(number))
        assert (frame.frame_id, frame.pixel_format) == (number, PixelFormat.MONO8)
    with pytest.raises(CameraStalled, match="all 5 recorded images were shown"):
        camera.next(1.0)


def test_pages_of_16_bits_share_one_scale(tmp_path: Path) -> None:
    pages = [np.full((2016, 2016), level, np.uint16) for level in (600, 3000)]  # of 12 bits
    assert cv2.imwritemulti(str(tmp_path / "a.tif"), pages)
    camera = open_camera("recorded", {"tiff": str(tmp_path / "a.tif")})
    assert [int(camera.next(1.0).pixels[0, 0]) for _ in range(2)] == [600 >> 4, 3000 >> 4]


def test_recorded_sources_that_are_none(tmp_path: Path) -> None:
    manifest = write_pictures("manifest", tmp_path)["manifest"]
    text = Path(manifest).read_text()
    Path(manifest).write_text(text + "0.tif,,b,9,0,0.34\n")
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", picture(0))[1].tobytes())
    (tmp_path / "cut.tif").write_bytes(b"II*\0\x08\0\0\0")
    wrong = [
        ({"manifest": manifest}, r"options\.stack = None must be one of a, b"),
        ({"manifest": manifest, "stack": "c"}, r"options\.stack = 'c' must be one of a, b"),
        ({"folder": "x", "stack": "a"}, r"options\.stack needs a manifest"),
        ({"tiff": str(tmp_path / "a.png")}, r"a\.png: is not a TIFF file"),
        ({"tiff": str(tmp_path / "cut.tif")}, r"cut\.tif: .* cut short"),
        ({"tiff": "a", "manifest": "b"}, "give either folder or files, tiff or manifest"),
        ({"tiff": "a", "live": True}, r"options\.live needs a rate_hz"),
        ({"tiff": "a", "rate_hz": 2000}, r"rate_hz = 2000 must be .* 1000 \(frames per second\)"),
    ]
    for options, says in wrong:
        with pytest.raises(ConfigError, match=says):
            open_camera("recorded", options)
    camera = open_camera("recorded", {"manifest": manifest, "stack": "b"})
    assert np.array_equal(camera.next(1.0).pixels, picture(0))
