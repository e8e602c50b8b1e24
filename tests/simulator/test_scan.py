"""The continuous scan's own truth; and that feed-forward helps through the real loop."""

import time

import numpy as np
import pytest

from edge.camera import Frame, PixelFormat
from edge.errors import CameraStalled
from edge.latency import Lap
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from edge.measure.importance import Sparsity
from edge.measure.sensor import Measurement
from simulator.scan import (
    Line,
    ModelSensor,
    PictureSensor,
    ScanCamera,
    Stack,
    Stand,
    Strip,
)
from simulator.scan_line import scan


class StillGlass:
    """Mechanics that stand at a height."""

    def __init__(self, um=201.0, known=True):
        self.um, self.known = um, known

    def known_until(self, time_ns):
        return self.known

    def height_um(self, time_ns):
        return self.um


def frame(number=0, start_ns=0):
    return Frame(np.zeros((1, 1, 3), np.uint8), PixelFormat.RGB8, number, start_ns,
                 start_ns + 1_000_000)  # fmt: skip


def stand(glass=None, **strip):
    plain = {"relief_um": 0.0, **strip}
    return Stand(Strip(**plain), glass or StillGlass(), Line(11_000.0, 0))


def test_the_strip_is_tilt_relief_and_steps():
    strip = Strip(z_um=100.0, tilt_um_per_mm=3.0, relief_um=1.0, relief_mm=8.0,
                  steps=((5.0, 2.0), (9.0, -1.0)), blank=((1.0, 2.0),))  # fmt: skip
    assert strip.focus_um(0.0) == 100.0
    assert strip.focus_um(2_000.0) == pytest.approx(100 + 6 + 1)
    assert strip.focus_um(6_000.0) == pytest.approx(100 + 18 - 1 + 2)
    assert strip.focus_um(10_000.0) == pytest.approx(100 + 30 + 1 + 1)
    assert [strip.is_blank(x) for x in (999.0, 1_000.0, 1_999.0, 2_000.0)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_the_camera_exposes_on_its_own_and_counts_what_nobody_took():
    start = time.monotonic_ns()
    camera = ScanCamera(start, period_ms=20.0, transfer_ms=1.0)
    first = camera.next(1.0)
    assert (first.frame_id, first.exposure_start_ns) == (0, start)
    time.sleep(0.09)
    later = camera.next(1.0)
    assert later.frame_id >= 4
    assert camera.dropped == later.frame_id - 1
    assert later.exposure_start_ns == start + later.frame_id * 20_000_000
    assert time.monotonic_ns() >= later.exposure_end_ns + 1_000_000


def test_the_model_says_the_truth_less_its_error():
    here = stand(StillGlass(203.0), tilt_um_per_mm=2.0)
    sensor = ModelSensor(here, latency_ms=0.0, sd_um=0.1)
    said = [sensor.measure(frame(start_ns=i * 10_000_000), Lap()).estimate for i in range(60)]
    true = [-seen.error_um for seen in here.seen]
    errors = np.array([e.defocus_um for e in said]) - true
    assert 0.05 < errors.std() < 0.15
    assert here.seen[10].x_um == pytest.approx(11_000 * 0.1005)
    assert here.seen[0].error_um == pytest.approx(3.0 - 0.011)
    assert [e.interval_um for e in said] == [pytest.approx(0.196)] * 60


def test_blank_far_and_a_dead_trace():
    blank = stand(blank=((0.0, 1.0),))
    assert ModelSensor(blank, 0.0).measure(frame(), Lap()).estimate.reason is Reason.BLANK
    far = stand(StillGlass(240.0))
    assert ModelSensor(far, 0.0).measure(frame(), Lap()).estimate.reason is Reason.OUTSIDE_RANGE
    with pytest.raises(CameraStalled, match="stands still"):
        ModelSensor(stand(StillGlass(known=False)), 0.0).measure(frame(), Lap())


class Reader:
    """Networks that read the grey level of a picture as um."""

    def measure(self, frame, lap):
        grey = int(frame.pixels[0, 0, 0])
        start, mid = frame.exposure_start_ns, frame.exposure_mid_ns
        if grey == 255:
            return Measurement(None, None, NoFocus(Reason.BLANK, Sparsity.BLANK, start, mid))
        estimate = FocusEstimate(100.0 - grey, 0.3, 9, Sparsity.SPARSE, start, mid, 0.1)
        return Measurement(None, None, estimate)


def test_the_nearest_picture_is_shown_and_the_rest_is_added():
    offsets = (-1.0, 0.0, 1.0)
    pictures = tuple(np.full((2, 2, 3), 100 + int(o), np.uint8) for o in offsets)
    blank = np.full((2, 2, 3), 255, np.uint8)
    here = stand(StillGlass(200.6), tilt_um_per_mm=0.0, blank=((5.0, 6.0),))
    sensor = PictureSensor(here, Reader(), [Stack(offsets, pictures)], blank)
    found = sensor.measure(frame(7), Lap()).estimate
    assert found.defocus_um == pytest.approx(-0.6)  # -1 was read, the glass is 0.4 nearer
    assert found.interval_um == 0.3
    here.mechanics.um = 201.2
    assert sensor.measure(frame(8), Lap()).estimate.reason is Reason.OUTSIDE_RANGE
    at_5_mm = frame(9, start_ns=500_000_000)
    assert sensor.measure(at_5_mm, Lap()).estimate.reason is Reason.BLANK


@pytest.mark.real_time
def test_feed_forward_helps_through_the_whole_loop():
    """Real time on a machine that may be busy: a comparison within one run, no share."""
    found = {
        on: scan(Strip(), lambda s: ModelSensor(s, 8.0), on, length_mm=12.0) for on in (True, False)
    }
    for line in found.values():
        assert line.ended in ("tracking", "holding")
        assert line.moves > 5
        assert sum(line.decisions.values()) >= line.frames
    assert found[True].p50_um < found[False].p50_um


def test_a_wrong_sign_ends_the_line():
    """However few frames the machine has time for: those that come are enough (the same on
    virtual time, frame by frame, in tests/edge/decide/test_tracking.py)."""
    line = scan(Strip(), lambda s: ModelSensor(s, 8.0), True, 60.0, start_error_um=6.0, sign=-1)
    assert line.moves <= 6
    if len(line.seen) > 12:
        assert line.ended.startswith(("shutdown: focus sign", "holding"))
    if line.missed == 0:
        assert line.ended.startswith("shutdown: focus sign")
        assert line.moves <= 4


def test_a_line_of_which_no_frame_came_in_time_is_told():
    line = scan(Strip(), lambda s: ModelSensor(s, 8.0), length_mm=-100.0)  # over at once
    assert (line.frames, line.share, line.p95_um, line.moves) == (0, 0.0, 0.0, 0)
