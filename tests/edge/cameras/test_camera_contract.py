"""The same tests for every camera that this machine can run: what the loop relies on."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import numpy as np
import pytest

from edge.camera import Camera, Frame, PixelFormat
from edge.errors import CameraStalled, ConfigError
from tests.support.camera_benches import BENCHES, LIVE_KINDS, Bench, bench_of, kinds

WAIT_S = 60.0  # for a frame, on a machine that does other work too


@pytest.fixture(scope="module", params=kinds(*BENCHES))
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with bench_of(request.param) as made:
        yield made


@pytest.fixture
def camera(bench: Bench) -> Iterator[Camera]:
    opened = bench.open()
    yield opened
    opened.close()


#: the simulated one exposes when it is asked, into a picture of its own
PACED = pytest.mark.parametrize(
    "bench", kinds(*(k for k in BENCHES if k != "simulated")), indirect=True
)
LIVE = pytest.mark.parametrize("bench", kinds(*LIVE_KINDS), indirect=True)


def take(camera: Camera, count: int) -> list[Frame]:
    return [camera.next(WAIT_S) for _ in range(count)]


def test_frames_are_what_they_say(bench: Bench, camera: Camera) -> None:
    for frame in take(camera, 3):
        channels = frame.pixel_format.channels
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.flags.c_contiguous
        assert frame.pixels.shape[2:] == ((3,) if channels == 3 else ())
        assert min(frame.pixels.shape[:2]) >= 512
        assert frame.exposure_end_ns - frame.exposure_start_ns >= bench.exposure_ms * 0.99e6


def test_no_frame_comes_twice_and_none_is_lost_uncounted(camera: Camera) -> None:
    frames = take(camera, 4)
    ids = [frame.frame_id for frame in frames]
    assert ids[0] >= 0
    assert all(b > a for a, b in itertools.pairwise(ids))
    dropped = camera.dropped
    last = camera.next(WAIT_S)
    assert camera.dropped - dropped == last.frame_id - ids[-1] - 1


def test_exposures_follow_each_other_and_are_over(camera: Camera) -> None:
    before_ns = 0
    for _ in range(4):
        frame = camera.next(WAIT_S)
        now_ns = time.monotonic_ns()
        assert 0 <= frame.time_uncertainty_ns < 100_000_000
        assert frame.exposure_end_ns - frame.time_uncertainty_ns <= now_ns
        assert frame.exposure_mid_ns > before_ns
        before_ns = frame.exposure_mid_ns


@PACED
def test_times_agree_with_the_camera_s_own_count(bench: Bench, camera: Camera) -> None:
    """n exposures later is n periods later, as well as the camera's times claim to be known."""
    asked_ns = time.monotonic_ns()
    first = camera.next(WAIT_S)
    for _ in range(11):
        last = camera.next(WAIT_S)
    wall_s = (time.monotonic_ns() - asked_ns) / 1e9
    passed_s = (last.exposure_mid_ns - first.exposure_mid_ns) / 1e9
    counted_s = (last.frame_id - first.frame_id) * bench.period_s
    known_s = (first.time_uncertainty_ns + last.time_uncertainty_ns) / 1e9
    # peers are programs, not crystals: the fake GigE camera and pylon's emulator run a little slow,
    # and as slow as the computer on a busy one; what passed is no more than what the clock says
    slack_s = known_s + 0.15 * counted_s + bench.period_s
    assert passed_s >= counted_s - slack_s
    assert passed_s <= max(counted_s + slack_s, wall_s + known_s + 2 * bench.period_s)


@PACED
def test_a_late_reader_gets_the_newest_frame(bench: Bench, camera: Camera) -> None:
    early = camera.next(WAIT_S)
    dropped = camera.dropped
    time.sleep(0.4)
    asked_ns = time.monotonic_ns()
    late = camera.next(WAIT_S)
    passed = late.frame_id - early.frame_id - 1
    assert passed >= 0.4 / bench.period_s / 2
    assert camera.dropped - dropped == passed
    # several incomplete frames in a row may have come after it
    assert asked_ns - late.exposure_end_ns <= (0.2 + 0.2 * bench.loses) * 1e9


def test_a_held_frame_does_not_change(camera: Camera) -> None:
    held = camera.next(WAIT_S)
    copy = held.pixels.copy()
    take(camera, 3)
    assert np.array_equal(held.pixels, copy)
    camera.close()
    assert np.array_equal(held.pixels, copy)


@PACED
def test_buffers_come_back(bench: Bench, camera: Camera) -> None:
    """More frames than the driver has buffers."""
    assert len({frame.frame_id for frame in (camera.next(WAIT_S) for _ in range(20))}) == 20


def test_close_ends_it(camera: Camera) -> None:
    camera.next(WAIT_S)
    camera.close()
    camera.close()
    with pytest.raises(CameraStalled):
        camera.next(0.01)


def test_trigger_needs_its_option(camera: Camera) -> None:
    with pytest.raises(ConfigError, match=r"camera\.options\.trigger must be software"):
        camera.trigger()


def test_opening_twice_in_turn(bench: Bench) -> None:
    frames = []
    for _ in range(2):
        opened = bench.open()
        frames.append(opened.next(WAIT_S))
        opened.close()
    # the first is held meanwhile: it keeps its memory, not the camera
    assert frames[1].exposure_start_ns > frames[0].exposure_start_ns


EIGHT_BIT = [each for each in PixelFormat if each.value.endswith("8")]


@LIVE
@pytest.mark.parametrize("pixel_format", EIGHT_BIT)
def test_pixel_formats(bench: Bench, pixel_format: PixelFormat) -> None:
    if bench.driver == "aravis" and pixel_format is PixelFormat.BGR8:
        with pytest.raises(ConfigError, match=r"camera\.options\.pixel_format is not taken"):
            bench.open(pixel_format="BGR8")
        return
    # the fake sends RGB8 in three times the packets: hardly a frame would be complete
    camera = bench.open(pixel_format=pixel_format.value, width=256, height=128)
    frame = camera.next(WAIT_S)
    camera.close()
    assert frame.pixel_format is pixel_format
    assert frame.pixels.shape == ((128, 256, 3) if pixel_format.channels == 3 else (128, 256))


@LIVE
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"exposure_ms": 0}, r"exposure_ms = 0 must be a number 0.001 to 10000 \(ms\)"),
        ({"exposure_ms": True}, "exposure_ms = True must be a number"),
        ({"exposure_ms": 21.0}, r"exposure_ms = 21 must fit into the 20 ms between frames"),
        ({"pixel_format": "Mono12p"}, r"pixel_format = 'Mono12p' must be one of Mono8, RGB8,"),
        ({"width": 512.5}, r"width = 512.5 must be a whole number 16 to 65535 \(px\)"),
        ({"height": None}, "height must be given"),
        ({"rate_hz": "fast"}, r"rate_hz = 'fast' must be a number .* \(frames per second\)"),
        ({"trigger": "laser"}, r"trigger = 'laser' must be one of free"),
        ({"trigger_line": "Line1"}, r"trigger_line must be given with trigger: hardware, and only"),
        ({"readout_ms": -1}, r"readout_ms = -1 must be a number 0 to 1000 \(ms\)"),
        ({"retry_s": 1e6}, r"retry_s = 1000000.0 must be a number 0 to 3600 \(s\)"),
        ({"gain": 3}, r"gain is not an option of this driver, which has .*exposure_ms"),
    ],
)
def test_wrong_options(bench: Bench, changes: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=rf"^camera\.options\.{says}"):
        bench.open(**changes)


@LIVE
@pytest.mark.parametrize("key", ["exposure_ms", "pixel_format"])
def test_what_is_not_guessed(bench: Bench, key: str) -> None:
    options = {k: v for k, v in bench.options.items() if k != key}
    with pytest.raises(ConfigError, match=rf"camera\.options\.{key} must be given"):
        Bench(bench.driver, options, 0, 0).open()
