"""What is waited for on a camera, and what its pixels show."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from edge.camera import Camera, Frame, PixelFormat
from edge.cameras.grabbing import GrabbingCamera
from edge.errors import CameraLost, CameraStalled
from edge.measure.raw_pixels import demosaic, red_at
from tests.support.camera_benches import kinds
from tests.support.patience import ANSWER_S

MS = 1_000_000
WAIT_S = 60.0  # for a frame, on a machine that does other work too
Open = Callable[..., GrabbingCamera]


def on(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bench", kinds(kind), indirect=True)


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
