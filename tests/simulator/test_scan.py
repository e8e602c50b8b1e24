"""The continuous scan's own truth; and that feed-forward helps through the real loop."""

import numpy as np
import pytest

from edge.camera import Frame, PixelFormat
from edge.errors import CameraStalled
from edge.latency import Lap
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from edge.measure.importance import Sparsity
from edge.measure.sensor import Measurement
from edge.rig import build_rig
from simulator.scan import (
    Line,
    ModelSensor,
    PictureSensor,
    ScanCamera,
    Stack,
    Stand,
    Strip,
)
from simulator.scan_line import SPEED_UM_S, config_of, follow, scan
from tests.support.fake_microscope import MS, Clock, FakeStage


class StillGlass:
    """Mechanics that stand at a height."""

    def __init__(self, um=201.0, known=True):
        self.um, self.known = um, known

    def known_until(self, time_ns):
        return self.known

    def height_um(self, time_ns):
        return self.um


def passing():
    """A clock (ns) that passes when somebody sleeps, and that sleep (s)."""
    clock = Clock()

    def sleep(seconds):
        clock.now_ns += round(1e9 * seconds)

    return clock, sleep


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
    clock, sleep = passing()
    start = clock()
    camera = ScanCamera(start, 20.0, transfer_ms=1.0, clock=clock, sleep=sleep)
    first = camera.next(1.0)
    assert (first.frame_id, first.exposure_start_ns) == (0, start)
    assert clock() == start + 2 * MS  # exposed and transferred
    sleep(0.09)
    later = camera.next(1.0)  # that of 80 ms: 92 ms have passed
    assert (later.frame_id, later.exposure_start_ns, camera.dropped) == (4, start + 80 * MS, 3)
    assert clock() == start + 92 * MS  # it lay there
    last = camera.next(1.0)
    assert (last.frame_id, camera.dropped) == (5, 3)
    assert clock() == start + 102 * MS  # waited for


def test_the_model_says_the_truth_less_its_error():
    here = stand(StillGlass(203.0), tilt_um_per_mm=2.0)
    sensor = ModelSensor(here, latency_ms=0.0, sd_um=0.1)
    estimates = [sensor.measure(frame(start_ns=i * 10_000_000), Lap()).estimate for i in range(60)]
    true = [-exposure.error_um for exposure in here.exposures]
    errors = np.array([e.defocus_um for e in estimates]) - true
    assert 0.05 < errors.std() < 0.15
    assert here.exposures[10].x_um == pytest.approx(11_000 * 0.1005)
    assert here.exposures[0].error_um == pytest.approx(3.0 - 0.011)
    assert [e.interval_um for e in estimates] == [pytest.approx(0.196)] * 60


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
    estimate = sensor.measure(frame(7), Lap()).estimate
    assert estimate.defocus_um == pytest.approx(-0.6)  # -1 was read, the glass is 0.4 nearer
    assert estimate.interval_um == 0.3
    here.mechanics.um = 201.2
    assert sensor.measure(frame(8), Lap()).estimate.reason is Reason.OUTSIDE_RANGE
    at_5_mm = frame(9, start_ns=500_000_000)
    assert sensor.measure(at_5_mm, Lap()).estimate.reason is Reason.BLANK


class StageGlass:
    """Mechanics that stand where the fake stage says, play and ringing left out."""

    def __init__(self, stage):
        self.stage = stage

    def known_until(self, time_ns):
        return True

    def height_um(self, time_ns):
        return self.stage.z_at(time_ns).z_um


def virtual_line(feed_forward, period_ms=28.6, length_mm=30.0, **strip):
    """One line through the whole loop, on a clock that passes when somebody sleeps."""
    clock, sleep = passing()
    begin_ns, strip = clock() + 500 * MS, Strip(**strip)
    stage = FakeStage(clock, z_um=strip.focus_um(0.0), travel_ms=8.0, settle_ms=0.0)
    line = Line(SPEED_UM_S, begin_ns)
    stand = Stand(strip, StageGlass(stage), line)
    camera = ScanCamera(begin_ns, period_ms, clock=clock, sleep=sleep)
    sensor = ModelSensor(stand, 8.0, clock=clock, sleep=sleep)
    rig = build_rig(config_of(feed_forward, SPEED_UM_S), camera, stage, clock, line, sensor)
    result = follow(rig, camera, stand, length_mm)
    rig.close()
    return result


def test_feed_forward_keeps_a_line_in_focus_on_a_clock_of_its_own():
    with_it, without = virtual_line(True), virtual_line(False)
    for line in (with_it, without):
        assert (line.ended, line.missed, line.refused) == ("tracking", 0, {})
        assert line.frames == sum(line.decisions.values()) == 96  # 30 mm, one each 0.31 mm
    assert (with_it.share, with_it.p50_um < 0.15) == (1.0, True)
    # what is lost without it: the rise from one exposure to the next
    assert (without.share < 0.05, without.p50_um > 0.7) == (True, True)


def test_a_line_over_the_reference_firmware():
    """In real time: how well it is followed is this computer's doing, and is tested above."""
    line = scan(Strip(), lambda s: ModelSensor(s, 8.0), length_mm=12.0)
    assert line.ended in ("tracking", "holding")
    assert sum(line.decisions.values()) >= line.frames > 0
    assert all(100.0 <= exposure.glass_um <= 300.0 for exposure in line.exposures)


def test_a_wrong_sign_ends_the_line():
    """However few frames the machine has time for: those that come are enough (the same on
    virtual time, frame by frame: tests/edge/decide/test_tracking_wrong_sign.py)."""
    line = scan(Strip(), lambda s: ModelSensor(s, 8.0), True, 60.0, start_error_um=6.0, sign=-1)
    assert line.moves <= 6
    if len(line.exposures) > 12:
        assert line.ended.startswith(("shutdown: focus sign", "holding"))
    if line.missed == 0:
        assert line.ended.startswith("shutdown: focus sign")
        assert line.moves <= 4


def test_a_line_of_which_no_frame_came_in_time_is_told():
    line = scan(Strip(), lambda s: ModelSensor(s, 8.0), length_mm=-100.0)  # over at once
    assert (line.frames, line.share, line.p95_um, line.moves) == (0, 0.0, 0.0, 0)
