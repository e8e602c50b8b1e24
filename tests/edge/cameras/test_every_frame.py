"""A line keeps every frame in its order; what finds no room, and a lost camera, is told."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge.camera import Camera, EveryFrame, Numbered, PixelFormat
from edge.cameras.exposure_time import ExposureTime
from edge.cameras.grabbing import Grabbed
from edge.errors import CameraLost, CameraStalled, ConfigError
from tests.edge.cameras.test_grabbing import Opened
from tests.support.camera_benches import LIVE_KINDS, Bench, bench_of, kinds
from tests.support.patience import ANSWER_S

WAIT_S = 60.0  # for a frame, on a machine that does other work too


@pytest.fixture
def opened() -> Iterator[Opened]:
    made = Opened()
    yield made
    made.camera.close()


def until(true: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + ANSWER_S
    while not true():
        assert time.monotonic() < give_up_s
        time.sleep(0.001)


def counters(every: EveryFrame, count: int) -> list[int]:
    taken = [every.take(WAIT_S) for _ in range(count)]
    assert all(isinstance(one, Numbered) for one in taken)
    return [one.counter for one in taken if one is not None]


def test_nothing_is_passed_over_and_a_gap_stays_a_gap(opened: Opened) -> None:
    opened.shown(3)
    every = opened.camera.keep_all(10)
    assert every.before == 3
    opened.devices[-1].show(4, 5, 7, 8, 8, 6)  # one lost, one twice, one late
    assert counters(every, 6) == [4, 5, 7, 8, 8, 6]
    assert (every.overflowed, every.broken) == ((), None)
    assert every.take(0.0) is None


def test_no_frame_of_before_the_line_is_among_them(opened: Opened) -> None:
    opened.shown(3)  # in the slot, not handed out
    every = opened.camera.keep_all(10)
    opened.devices[-1].show(4)
    assert counters(every, 1) == [4]


def test_a_camera_that_took_none_yet_does_not_know_the_one_before(opened: Opened) -> None:
    assert opened.camera.keep_all(1).before is None


def test_what_finds_no_room_is_counted(opened: Opened) -> None:
    every = opened.camera.keep_all(2)
    opened.devices[-1].show(1, 2, 3, 4)
    until(lambda: every.overflowed == (3, 4))
    assert counters(every, 2) == [1, 2]
    opened.devices[-1].show(5)
    assert counters(every, 1) == [5]


def test_pixels_are_copies(opened: Opened) -> None:
    every = opened.camera.keep_all(2)
    pixels = np.zeros((2, 2), np.uint8)
    when = ExposureTime(0, 10, 3)
    opened.devices[-1].items.put(Grabbed(pixels, PixelFormat.MONO8, 1, when))
    taken = every.take(WAIT_S)
    assert taken is not None
    pixels[:] = 9  # the driver's buffer is used again
    assert not taken.frame.pixels.any()


def test_a_camera_that_is_lost_ends_the_line(opened: Opened) -> None:
    opened.shown(1)
    every = opened.camera.keep_all(10)
    opened.devices[-1].show(2)
    opened.devices[-1].items.put(CameraLost("unplugged"))
    until(lambda: len(opened.devices) == 2)
    opened.devices[-1].show(3)  # another counter, whatever it says
    until(lambda: opened.camera._counter == 3)
    assert counters(every, 1) == [2]
    assert every.take(0.0) is None
    assert every.broken == "unplugged"


def test_one_line_at_a_time_and_the_newest_again_after_it(opened: Opened) -> None:
    every = opened.camera.keep_all(3)
    with pytest.raises(ConfigError, match="already"):
        opened.camera.keep_all(3)
    opened.devices[-1].show(1)
    until(lambda: opened.camera._counter == 1)
    with pytest.raises(CameraStalled):
        opened.camera.next(0.0)
    every.close()
    every.close()
    assert every.take(0.0) is None
    opened.shown(2, 3)
    assert opened.camera.next(WAIT_S).exposure_start_ns == 3_000
    assert opened.camera.keep_all(3).before == 3


def test_a_closed_camera_ends_it_too(opened: Opened) -> None:
    every = opened.camera.keep_all(3)
    opened.camera.close()
    assert every.take(WAIT_S) is None
    assert every.broken == "the camera is closed"
    every.close()
    assert opened.camera.keep_all(3).take(WAIT_S) is None


@pytest.mark.parametrize("capacity", [0, -1])
def test_room_for_none_is_refused(opened: Opened, capacity: int) -> None:
    with pytest.raises(ConfigError, match="room for"):
        opened.camera.keep_all(capacity)


class Newest(Camera):
    """A driver that has no thread of its own."""

    def next(self, timeout_s: float) -> None:  # type: ignore[override]
        raise CameraStalled("none")

    def close(self) -> None: ...


def test_a_camera_that_cannot_says_so() -> None:
    with pytest.raises(ConfigError, match="newest frame only"):
        Newest().keep_all(3)


# ---- every live driver -----------------------------------------------------------------------


@pytest.fixture(scope="module", params=kinds(*LIVE_KINDS))
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with bench_of(request.param) as made:
        yield made


def test_every_driver_counts_by_the_camera_s_own_numbers(bench: Bench) -> None:
    camera = bench.open()
    try:
        camera.next(WAIT_S)
        every = camera.keep_all(64)
        assert every.before is not None
        taken = [every.take(WAIT_S) for _ in range(12)]
        numbers = [one.counter for one in taken if one is not None]
        assert len(numbers) == 12
        assert numbers[0] > every.before
        assert all(b > a for a, b in itertools.pairwise(numbers))
        starts = [one.frame.exposure_start_ns for one in taken if one is not None]
        assert starts == sorted(starts)
        every.close()
        assert camera.next(WAIT_S).frame_id > 0
        few = camera.keep_all(2)
        until(lambda: len(few.overflowed) >= 3)
        kept = counters(few, 2)
        assert kept[1] < few.overflowed[0]
        few.close()
    finally:
        camera.close()
