"""`camera check` waits for a camera that is being opened again, and only for that."""

from __future__ import annotations

import numpy as np
import pytest

from edge.appliance.camera import check
from edge.camera import Camera, Frame, PixelFormat
from edge.errors import CameraLost, CameraStalled

LOST = CameraLost("the camera is lost: unplugged; trying again every 1 s")
SILENT = CameraStalled("no frame within 0.1 s")


class Script(Camera):
    """Frames by number, or what `next` raises."""

    def __init__(self, *steps: int | Exception, again: bool = True) -> None:
        self.steps, self.again = list(steps), again

    @property
    def tries_again(self) -> bool:
        return self.again

    def next(self, timeout_s: float) -> Frame:
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        start = step * 10_000_000
        pixels = np.zeros((4, 6), np.uint8)
        return Frame(pixels, PixelFormat.MONO8, step, start, start + 1_000_000)

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]

    class Clock:
        monotonic = staticmethod(lambda: now[0])
        monotonic_ns = staticmethod(lambda: round(now[0] * 1e9))

        @staticmethod
        def sleep(seconds: float) -> None:
            now[0] += seconds

    monkeypatch.setattr(check, "time", Clock)
    return now


@pytest.mark.parametrize(
    "steps", [(LOST, LOST, 1, 2, 3), (1, LOST, LOST, LOST, 2, 3), (SILENT, 1, LOST, 2, SILENT, 3)]
)
def test_a_camera_that_comes_back_is_waited_for(steps: tuple[int | Exception, ...]) -> None:
    """P22: it ended with exit status 4 while the camera was still being opened again."""
    record = check.measure(Script(*steps), 3, 0.1)
    assert (record["frames"], record["period_ms"], record["times_lost"]) == (3, 10.0, 1)


def test_not_for_ever(clock: list[float]) -> None:
    with pytest.raises(CameraLost, match="unplugged"):
        check.measure(Script(1, LOST), 3, 0.1)
    assert check.BACK_S <= clock[0] < check.BACK_S + 1


def test_one_that_is_not_tried_again_is_not_waited_for(clock: list[float]) -> None:
    with pytest.raises(CameraLost, match="unplugged"):
        check.measure(Script(1, LOST, again=False), 3, 0.1)
    assert clock[0] == 0.0


def test_silence_is_an_end() -> None:
    with pytest.raises(CameraStalled, match="no frame"):
        check.measure(Script(SILENT), 3, 0.1)
