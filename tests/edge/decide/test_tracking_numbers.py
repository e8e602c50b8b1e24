"""Along a line, number by number: where the next field is, how far a move goes, what is judged."""

import dataclasses
import math

import pytest

from edge.decide.decision import Decision, Hold, InFocus, Predict, Shutdown
from edge.decide.evidence import Finding
from edge.decide.focus_surface import FocusSurface, SurfaceNoise
from edge.decide.tracking import SteadyScan, TrackingController, TrackingSettings
from tests.support.fake_microscope import MS, Clock
from tests.support.told_line import BASE, START_NS, Line, after_travel


def test_what_is_not_said_is_this():
    assert TrackingSettings(1, 20.0, 5.0) == TrackingSettings(
        focus_direction=1, period_ms=20.0, max_step_um=5.0, lead_ms=16.0, deadband_um=0.1,
        max_interval_um=1.5, predict_um=0.6, judge_um=0.5, feed_forward=True,
        noise=SurfaceNoise(0.10, 0.15),
    )  # fmt: skip


def test_the_surface_is_the_one_that_is_given_or_the_lines_own():
    given = FocusSurface()
    assert TrackingController(BASE, SteadyScan(1.0), Clock(), given).surface is given
    noise = SurfaceNoise(0.3, 0.4)
    own = TrackingController(dataclasses.replace(BASE, noise=noise), SteadyScan(1.0)).surface
    assert isinstance(own, FocusSurface)
    assert own._noise is noise


def test_no_scale_is_followed():
    assert Line().control.scale is None


def test_a_steady_scan():
    assert SteadyScan(500.0).x_um(3_000_000_000) == 1_500.0


@pytest.mark.parametrize(
    ("age_ms", "periods"),
    [(0.0, 1), (4.0, 1), (4.001, 2), (24.0, 2), (24.001, 3), (-30.0, 1)],
)
def test_the_next_field_is_the_first_by_which_a_move_is_made(age_ms, periods):
    line = Line()
    mid = START_NS + 7 * MS
    line.clock.now_ns = mid + round(age_ms * MS)
    assert line.control._next_x_um(mid) == pytest.approx(1_007.0 + 20.0 * periods)


@pytest.mark.parametrize("direction", [1, -1])
def test_a_long_way_is_gone_in_steps(direction):
    line = Line(focus_direction=direction, feed_forward=False)
    for d, step in ((7.0, 5.0), (-7.0, -5.0), (3.0, 3.0), (5.0, 5.0), (-0.11, -0.11)):
        plan = line.see(1, d)
        assert plan.target_um == pytest.approx(200.0 + direction * step)
        assert (plan.assumed_um, plan.reason, plan.decision) == (200.0, "track", Decision.MOVE)
    for d in (0.1, -0.1, 0.0):
        line.stage._path = [(0, 0.0, 0.0)]
        assert line.see(1, d) == InFocus()


def test_blank_fields_are_crossed_held_or_in_focus():
    line = Line()
    assert line.see(0) == Hold("blank")
    for number in range(1, 9):
        line.see(number, 0.0)
    assert line.see(9) == InFocus("predicted: blank")
    line.goes_to(193.0)
    plan = line.see(10)
    assert isinstance(plan, Predict)
    assert (plan.target_um, plan.assumed_um, plan.reason) == (198.0, 193.0, "predict: blank")
    assert plan.decision is Decision.PREDICT
    assert line.see(11, 7.0, interval=1.6).reason == "predict: uncertain"
    line.goes_to(200.0 - 0.1)
    assert isinstance(line.see(12), InFocus)
    assert line.see(400) == Hold("blank, and the surface is not known")
    line.control.new_field()
    assert line.see(401) == Hold("blank")
    without = Line(feed_forward=False)
    without.see(1, 0.0)
    assert without.see(2) == Hold("blank")


def test_intervals_at_their_limits():
    line = Line()
    line.stage.uncertainty_um = 1.5
    assert line.see(1, 0.0, 0.0).decision is Decision.IN_FOCUS
    line.stage.uncertainty_um = 1.500001
    assert line.see(2, 0.0, 0.0) == Hold("position-uncertain")
    line = Line()
    line.stage.uncertainty_um = 0.9
    assert line.see(1, 0.0, 1.2).decision is Decision.IN_FOCUS  # together 1.5
    assert line.see(2, 0.0, 1.21).reason != "track"
    assert line.control.surface.readings == 1


@pytest.mark.parametrize("direction", [1, -1])
def test_ways_that_went_wrong_twice_in_a_row_are_a_wrong_sign(direction):
    line = Line(focus_direction=direction)
    assert not isinstance(after_travel(line, 4.0, direction * 4.0, 8.0), Shutdown)
    assert (line.control.last_finding, line.control.strikes) == (Finding.OPPOSITE, 1)
    line.goes_to(200.0 + direction * 9.0)
    plan = line.see(3, 13.0)
    assert plan == Shutdown(
        "focus sign contradicts the calibration: 2 corrections in a row went the wrong way"
    )
    assert line.control.strikes == 2


def test_a_way_that_went_right_wipes_the_strike_out_and_a_doubtful_one_does_not():
    line = Line()
    after_travel(line, 4.0, 4.0, 8.0)
    line.goes_to(205.0)
    line.see(3, 7.9, 1.4)  # within the noise
    assert (line.control.last_finding, line.control.strikes) == (Finding.NOTHING, 1)
    line.goes_to(209.0)
    line.see(4, 3.9)
    assert (line.control.last_finding, line.control.strikes) == (Finding.AGREES, 0)
    line.see(5, 3.9)  # it has not moved: nothing is judged
    assert line.control.last_finding is None


def test_a_strike_stays_with_the_stage_until_a_person_restarts():
    line = Line()
    after_travel(line, 4.0, 4.0, 8.0)
    line.control.new_field()
    assert line.control.strikes == 1
    line.see(3, 8.0)
    assert line.control.last_finding is None  # another line: compared with nothing
    line.control.restart()
    assert (line.control.strikes, line.control.surface.known) == (0, False)


@pytest.mark.parametrize(("travel_um", "judged"), [(0.5, True), (-0.5, True), (0.49, False)])
def test_half_a_micrometre_is_judged(travel_um, judged):
    line = Line()
    after_travel(line, 1.0, travel_um, 1.0, interval=0.01)
    assert (line.control.last_finding is not None) is judged


@pytest.mark.parametrize(
    ("frames", "finding"),
    [(98, Finding.OPPOSITE), (102, Finding.SHORT)],
)
@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("speed_um_s", [1_000.0, -1_000.0])
def test_no_more_is_excused_than_the_steepest_slide_may_rise(
    frames, finding, direction, speed_um_s
):
    """Up by 2 um and farther by 7: 9 um amiss. 1.1 um against the sign are a strike; a slide
    rises by 4 um/mm, and a frame is 20 um."""
    line = Line(speed_um_s, focus_direction=direction)
    line.see(1, 4.0, 0.3)
    line.goes_to(200.0 + direction * 2.0)
    line.see(1 + frames, 12.85, 0.3)
    assert line.control.last_finding is finding


def test_the_rise_that_explains_most_is_taken_and_no_more():
    line = Line()
    after_travel(line, 4.0, 2.0, 2.05)  # 0.05 um amiss, 0.08 um may be the slide's
    assert line.control.last_finding is Finding.AGREES
    line.goes_to(204.0)
    line.see(3, -0.05)
    assert line.control.last_finding is Finding.AGREES


def test_the_path_is_asked_in_whole_nanoseconds():
    asked = []

    class Path:
        def x_um(self, time_ns):
            asked.append(time_ns)
            return 0.0

    settings = dataclasses.replace(BASE, period_ms=28.6)
    TrackingController(settings, Path(), lambda: 4 * MS)._next_x_um(0)
    assert [(type(each), each) for each in asked] == [(int, 28_600_000)]


# ---- what is uncertain ------------------------------------------------------------------------


@pytest.mark.parametrize("d", [math.nan, math.inf])
def test_what_is_no_number_is_neither_read_nor_followed(d):
    line = Line()
    assert line.see(1, d) == Hold("uncertain")
    assert not line.control.surface.known
    line.goes_to(math.nan)
    assert line.see(2, 1.0) == Hold("position-uncertain")


@pytest.mark.parametrize(
    ("d", "plan"),
    [(2.0, InFocus("predicted: uncertain")), (-2.0, InFocus("predicted: uncertain")),
     (2.1, Hold("uncertain")), (-2.1, Hold("uncertain"))],
)  # fmt: skip
def test_a_doubtful_reading_that_the_surface_contradicts_is_held(d, plan):
    line = Line()
    line.goes_to(0.0)
    for number in range(1, 9):
        line.see(number, 0.0)
    assert line.see(9, d, interval=2.0) == plan


def test_the_surface_is_followed_up_to_its_limits():
    def last(d, fields=8, **changes):
        line = Line(**changes)
        line.goes_to(0.0)
        for number in range(fields):
            line.see(1 + number, 0.0)
        plan = line.see(1 + fields, d)
        mid = START_NS + (1 + fields) * 20 * MS
        return plan, line.control.surface.at(line.control._next_x_um(mid))

    _, ahead = last(None)
    assert last(None, predict_um=ahead.interval_um)[0] == InFocus("predicted: blank")
    below_um = math.nextafter(ahead.interval_um, 0.0)
    assert last(None, predict_um=below_um)[0] == Hold("blank, and the surface is not known")
    _, ahead = last(0.3, fields=1)
    assert ahead.z_um != 0.3
    assert last(0.3, 1, max_interval_um=ahead.interval_um)[0].target_um == ahead.z_um
    below_um = math.nextafter(ahead.interval_um, 0.0)
    assert last(0.3, 1, max_interval_um=below_um)[0].target_um == 0.3


@pytest.mark.parametrize(("z_um", "target_um"), [(7.0, 2.0), (-7.0, -2.0), (-0.1, None)])
def test_a_blank_field_is_come_to_from_either_side(z_um, target_um):
    line = Line()
    line.goes_to(0.0)
    for number in range(1, 9):
        line.see(number, 0.0)
    line.goes_to(z_um)
    plan = line.see(9)
    if target_um is None:
        assert plan == InFocus("predicted: blank")
    else:
        assert plan == Predict(target_um, z_um, "predict: blank")
