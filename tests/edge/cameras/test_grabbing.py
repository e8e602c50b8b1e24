"""The newest-frame slot on a device that does what the test says, step by step."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge.camera import PixelFormat
from edge.cameras.exposure_time import ExposureTime
from edge.cameras.grabbing import Device, Grabbed, GrabbingCamera
from edge.errors import CameraLost, CameraStalled, ConfigError
from tests.support.patience import ANSWER_S

PIXELS = np.zeros((1, 1), np.uint8)
LOST = CameraLost("unplugged")


class Script(Device):
    """Hands out what is put into `items`; None waits until it was taken."""

    def __init__(self) -> None:
        self.items: queue.Queue[Grabbed | CameraLost] = queue.Queue()
        self.triggers = 0
        self.closed = 0

    def grab(self, timeout_s: float) -> Grabbed | None:
        try:
            item = self.items.get(timeout=0.01)
        except queue.Empty:
            return None
        if isinstance(item, CameraLost):
            raise item
        return item

    def trigger(self) -> None:
        self.triggers += 1

    def close(self) -> None:
        self.closed += 1

    def show(self, *counters: int) -> None:
        for counter in counters:
            time_ns = 1000 * counter
            when = ExposureTime(time_ns, time_ns + 10, 3)
            self.items.put(Grabbed(PIXELS, PixelFormat.MONO8, counter, when))


class Opened:
    """A camera and the devices that were opened for it, the newest last."""

    def __init__(self, retry_s: float = 0.005, software: bool = False) -> None:
        self.devices: list[Script] = []
        self.fail: Exception | None = None
        self.camera = GrabbingCamera(self._open, retry_s, software)

    def _open(self) -> Script:
        if self.fail is not None:
            raise self.fail
        self.devices.append(Script())
        return self.devices[-1]

    def shown(self, *counters: int) -> None:
        """The last of them is in the slot."""
        self.devices[-1].show(*counters)
        wanted = 1000 * counters[-1]
        newest = lambda: self.camera._newest  # noqa: E731
        until(lambda: newest() is not None and newest().exposure_start_ns == wanted)


def until(true: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + ANSWER_S
    while not true():
        assert time.monotonic() < give_up_s
        time.sleep(0.001)


@pytest.fixture
def opened() -> Iterator[Opened]:
    made = Opened()
    yield made
    made.camera.close()


def test_the_newest_frame_wins_and_the_others_are_counted(opened: Opened) -> None:
    opened.shown(41, 42, 43)
    frame = opened.camera.next(0)
    assert (frame.frame_id, opened.camera.dropped) == (2, 2)
    assert (frame.exposure_start_ns, frame.exposure_end_ns) == (43_000, 43_010)
    assert frame.time_uncertainty_ns == 3
    with pytest.raises(CameraStalled, match=r"^no frame within 0 s$"):
        opened.camera.next(0)


def test_what_the_camera_lost_on_the_way_counts_too(opened: Opened) -> None:
    opened.shown(7)
    opened.camera.next(0)
    opened.shown(9, 12)
    assert (opened.camera.next(0).frame_id, opened.camera.dropped) == (5, 4)


def test_a_counter_that_starts_again_does_not_turn_back_time(opened: Opened) -> None:
    opened.shown(500)
    opened.camera.next(0)
    opened.shown(1)
    assert opened.camera.next(0).frame_id == 1
    opened.shown(3)
    assert (opened.camera.next(0).frame_id, opened.camera.dropped) == (3, 1)


def test_a_lost_camera_is_opened_again(opened: Opened) -> None:
    opened.shown(5)
    opened.camera.next(0)
    opened.shown(6)  # was exposed before it went: nobody must act on it
    opened.fail = CameraStalled("nothing there")
    opened.devices[0].incomplete = 3
    opened.devices[0].items.put(LOST)
    until(lambda: opened.devices[0].closed == 1)
    until(lambda: opened.camera._why == "nothing there")
    with pytest.raises(CameraLost, match="the camera is lost: nothing there; trying again every"):
        opened.camera.next(0)
    opened.fail = None
    until(lambda: len(opened.devices) == 2)
    opened.shown(0)
    assert opened.camera.next(0).frame_id == 2
    assert (opened.camera.reconnects, opened.camera.incomplete) == (1, 3)


def test_without_retry_it_stays_lost() -> None:
    made = Opened(retry_s=0)
    made.devices[0].items.put(LOST)
    made.camera._thread.join(ANSWER_S)
    with pytest.raises(CameraLost, match=r"^the camera is lost: unplugged$"):
        made.camera.next(0)
    made.camera.close()
    assert (len(made.devices), made.devices[0].closed) == (1, 1)


def test_a_stall_takes_its_time(opened: Opened) -> None:
    """The loop counts stalls: they must not come in a burst, lost or not."""
    opened.fail = LOST
    opened.devices[0].items.put(LOST)
    until(lambda: opened.devices[0].closed == 1)
    began = time.monotonic()
    with pytest.raises(CameraLost, match=r"trying again every 0\.005 s"):
        opened.camera.next(0.05)
    assert time.monotonic() - began >= 0.05


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_broken_driver_is_a_lost_camera(opened: Opened) -> None:
    opened.devices[0].items.put("no frame at all")  # type: ignore[arg-type]
    opened.camera._thread.join(ANSWER_S)
    with pytest.raises(CameraLost, match="its thread ended"):
        opened.camera.next(0)


def test_refused_frames_are_told(opened: Opened) -> None:
    opened.devices[0].incomplete = 2
    with pytest.raises(CameraStalled, match=r"no frame within 0 s \(2 incomplete ones refused"):
        opened.camera.next(0)


def test_closing_wakes_whoever_waits(opened: Opened) -> None:
    messages: list[str] = []

    def wait() -> None:
        with pytest.raises(CameraStalled) as caught:
            opened.camera.next(60)
        messages.append(str(caught.value))

    thread = threading.Thread(target=wait)
    thread.start()
    opened.camera.close()
    thread.join(ANSWER_S)
    assert messages == ["the camera is closed"]


def test_a_software_trigger_is_sent_once_per_frame() -> None:
    made = Opened(software=True)
    device = made.devices[0]
    with pytest.raises(CameraStalled):
        made.camera.next(0)
    assert device.triggers == 1
    with pytest.raises(CameraStalled):  # the first was not answered: send another
        made.camera.next(0)
    assert device.triggers == 2
    made.camera.trigger()
    made.shown(1)
    made.camera.next(0)  # that one
    assert device.triggers == 3
    made.camera.close()
    with pytest.raises(CameraStalled, match="closed"):
        made.camera.trigger()


def test_no_software_trigger_unless_asked_for(opened: Opened) -> None:
    with pytest.raises(ConfigError, match="must be software"):
        opened.camera.trigger()
    assert opened.devices[0].triggers == 0


def test_the_first_opening_reports_to_the_caller() -> None:
    def fails() -> Device:
        raise CameraLost("not there")

    with pytest.raises(CameraLost, match="not there"):
        GrabbingCamera(fails, 1.0)
