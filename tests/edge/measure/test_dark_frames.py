"""What the shipped networks make of frames without light is no evidence against the stage.

A camera's noise is content to them in every patch, and they answer it: often far beyond the range,
or the wrong way round.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from edge.camera import Frame, PixelFormat
from edge.latency import Lap
from edge.loop import step
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from edge.state import State
from tests.support.fake_microscope import FakeMeasurer, microscope

SIDE = 2016
MADE = np.random.default_rng(0)


def noise(levels):
    return MADE.integers(0, levels, (SIDE, SIDE, 3)).astype(np.uint8)


def dimmed(picture, share):
    return (picture * share + MADE.normal(0, 1, picture.shape)).clip(0, 255).astype(np.uint8)


def partly(picture, dark):
    """A shutter that closes while the lines are read: the first of them have no light."""
    lines = round(dark * SIDE)
    return np.concatenate([noise(4)[:lines], picture[lines:]])


@pytest.fixture(scope="module")
def eye(simulated_sensor):
    """(pixels) -> the estimate, by the shipped networks; and a picture."""
    sensor, frames = simulated_sensor
    picture = next(iter(frames(exchanged=False))).pixels

    def say(pixels):
        return sensor.measure(Frame(pixels, PixelFormat.RGB8, 0, 0, 1), Lap()).estimate

    return say, picture


def test_a_frame_without_light_cannot_be_read(eye):
    say, picture = eye
    for pixels in (noise(4), noise(40), dimmed(picture, 0.1)):
        dark = say(pixels)
        assert isinstance(dark, NoFocus)
        assert dark.reason in (Reason.TOO_DARK, Reason.BLANK)
        assert math.isnan(dark.rejected_um)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_nor_one_that_is_partly_dark(eye, share):
    say, picture = eye
    estimate = say(partly(picture, share))
    assert isinstance(estimate, FocusEstimate) or estimate.reason is not Reason.OUTSIDE_RANGE


def test_noise_on_an_even_field_is_not_in_focus(eye):
    """A grey camera without light to spare: the networks say 0.0 +- 0.6 um of it."""
    say, _ = eye
    grey = (200 + MADE.normal(0, 25, (SIDE, SIDE, 1))).clip(0, 255).astype(np.uint8)
    estimate = say(np.ascontiguousarray(np.broadcast_to(grey, (SIDE, SIDE, 3))))
    assert isinstance(estimate, NoFocus)
    assert estimate.reason is Reason.OUTSIDE_TRAINING


@pytest.mark.parametrize("count", [1, 3, 20])
@pytest.mark.parametrize("kind", ["dark", "nine tenths dark"])
def test_the_loop_after_such_frames(eye, kind, count):
    """Right after the first large move, which nothing has confirmed yet."""
    say, picture = eye
    shown = say(noise(4) if kind == "dark" else partly(picture, 0.9))
    rig, eye = microscope(focus_um=14.0)
    left = count

    def see(frame):
        nonlocal left
        settled_ns = rig.stage.status().settled_ns
        if not (rig.stage.moves and settled_ns and frame.exposure_start_ns >= settled_ns and left):
            return eye(frame)
        left -= 1
        start_ns, mid_ns = frame.exposure_start_ns, frame.exposure_mid_ns
        return replace(shown, exposure_start_ns=start_ns, exposure_mid_ns=mid_ns)

    rig.sensor = FakeMeasurer(see)
    for _ in range(40):
        step(rig)
    assert left == 0
    assert rig.state.value is State.TRACKING
    assert rig.controller.strikes == 0
    assert abs(eye.focus_um - rig.stage.glass_um) < 1.0
