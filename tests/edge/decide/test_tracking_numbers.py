"""Along a line, number by number: where the next field is, how far a move goes, what is judged."""

import dataclasses
import math

import pytest

from edge.decide.decision import Decision, Hold, InFocus, Move, Predict, Shutdown
from edge.decide.evidence import Finding
from edge.decide.focus_surface import FocusSurface, SurfaceNoise
from edge.decide.tracking import SteadyScan, TrackingController, TrackingSettings
from tests.support.fake_microscope import MS, Clock, FakeStage, estimate, no_focus

BASE = TrackingSettings(1, 20.0, 5.0, lead_ms=16.0)
START_NS = 1_000 * MS


class Line:
    """A stage at 200 um under a slide that moves at 1 mm/s; frames every 20 ms."""

    def __init__(self, speed_um_s=1_000.0, **changes):
        self.clock = Clock(START_NS)
        self.stage = FakeStage(self.clock, z_um=200.0)
        settings = dataclasses.replace(BASE, **changes)
        self.control = TrackingController(settings, SteadyScan(speed_um_s), self.clock)

    def see(self, number, d=None, interval=0.2, age_ms=4.0):
        """A frame, and its answer `age_ms` after its mid-exposure; d = None: a blank one."""
        mid = START_NS + number * 20 * MS
        self.clock.now_ns = mid + round(age_ms * MS)
        what = no_focus(start_ns=mid, mid_ns=mid)
        what = what if d is None else estimate(d, interval, mid, mid)
        return self.control.plan(what, self.stage)

    def goes_to(self, z_um):
        """By somebody's hand, at once."""
        self.stage._path.append((self.clock() + 1, z_um, z_um))

    def shown(self, *readings, begin=0):
        """What is planned at the last of these (z_um, defocus); between two of them, 10 mm of
        slide may have risen by as much as anything."""
        plan = None
        for number, (z_um, d) in enumerate(readings, begin):
            self.goes_to(z_um)
            plan = self.see(500 * number, d)
        return plan


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


def went(line, d_before, way_um, d_after, **more):
    """Two frames one after the other, the stage moved by `way_um` in between."""
    line.see(1, d_before, **more)
    line.goes_to(200.0 + way_um)
    return line.see(2, d_after, **more)


@pytest.mark.parametrize("direction", [1, -1])
def test_ways_that_went_wrong_twice_in_a_row_are_a_wrong_sign(direction):
    line = Line(focus_direction=direction)
    assert not isinstance(went(line, 4.0, direction * 4.0, 8.0), Shutdown)
    assert (line.control.last_finding, line.control.strikes) == (Finding.OPPOSITE, 1)
    line.goes_to(200.0 + direction * 9.0)
    plan = line.see(3, 13.0)
    assert plan == Shutdown(
        "focus sign contradicts the calibration: 2 corrections in a row went the wrong way"
    )
    assert line.control.strikes == 2


def test_a_way_that_went_right_wipes_the_strike_out_and_a_doubtful_one_does_not():
    line = Line()
    went(line, 4.0, 4.0, 8.0)
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
    went(line, 4.0, 4.0, 8.0)
    line.control.new_field()
    assert line.control.strikes == 1
    line.see(3, 8.0)
    assert line.control.last_finding is None  # another line: compared with nothing
    line.control.restart()
    assert (line.control.strikes, line.control.surface.known) == (0, False)


@pytest.mark.parametrize(("way_um", "judged"), [(0.5, True), (-0.5, True), (0.49, False)])
def test_half_a_micrometre_is_judged(way_um, judged):
    line = Line()
    went(line, 1.0, way_um, 1.0, interval=0.01)
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
    went(line, 4.0, 2.0, 2.05)  # 0.05 um amiss, 0.08 um may be the slide's
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


# ---- which drive it is, and corrections that lead away ------------------------------------------


class Drive:
    """Stands in for DriveEvidence: doubts as much as it is told."""

    def __init__(self, doubt=0.0, verdict=""):
        self.doubt, self.verdict, self.asked = doubt, verdict, []

    def read(self, *reading):
        return self.verdict

    def restart(self):
        self.asked.append("restart")

    def new_line(self):
        self.asked.append("new line")


@pytest.mark.parametrize("interval", [0.2, 2.0])
def test_a_drive_that_is_found_out_ends_it_however_doubtful_the_reading(interval):
    line = Line()
    assert line.control.last_finding is None
    line.control._drive = Drive(verdict="the glass does not follow")
    assert line.see(1, 0.0, interval) == Shutdown("the glass does not follow")
    assert line.control.strikes == 2


def test_the_drive_is_told_of_another_line_and_of_a_restart():
    control = Line().control
    drive = control._drive = Drive()
    control.new_field()
    assert drive.asked == ["new line"]
    control.restart()
    assert drive.asked == ["new line", "restart", "new line"]


AWAY = Hold("unproven: the corrections led away from focus; looking at rest before another")


@pytest.mark.parametrize(
    ("before", "way_um", "after", "away"),
    [
        # a fifth of the way it must have come nearer
        (4.0, 5.0, 3.0, False), (4.0, 5.0, 3.01, True), (-4.0, 5.0, -3.01, True),
        (4.0, -5.0, 3.0, False), (4.0, -5.0, 3.01, True), (-4.0, 5.0, -3.0, False),
        # within 1.5 um of focus, farther off says nothing
        (1.0, 2.0, 1.5, False), (1.0, 2.0, 1.51, True), (1.0, 2.0, -1.51, True),
    ],
)  # fmt: skip
def test_away_is_what_came_no_nearer_to_focus(before, way_um, after, away):
    """Two in a row are held; the second here leads away for sure."""
    line = Line(feed_forward=False)
    line.control._drive = Drive()
    assert isinstance(line.shown((200.0, before), (200.0 + way_um, after)), Move)
    plan = line.shown((202.0 + way_um, 9.0), begin=2)
    assert plan == AWAY if away else isinstance(plan, Move)


@pytest.mark.parametrize(("way_um", "counts"), [(0.5, True), (-0.5, True), (0.49, False)])
def test_a_way_too_short_to_judge_leads_nowhere(way_um, counts):
    line = Line(feed_forward=False)
    line.control._drive = Drive()
    plan = line.shown((200.0, 3.0), (202.0, 5.0), (202.0 + way_um, 9.0))
    assert plan == AWAY if counts else isinstance(plan, Move)


def test_one_that_came_nearer_ends_the_row():
    """Each is compared with the one before it."""
    line = Line(feed_forward=False)
    line.control._drive = Drive()
    for number, (d, held) in enumerate(
        [(3.0, False), (6.0, False), (5.0, False), (9.0, False), (12.0, True), (15.0, True)]
    ):
        plan = line.shown((200.0 + 2.0 * number, d), begin=number)
        assert (plan == AWAY) is held
        assert isinstance(plan, Hold if held else Move)


LED_AWAY = ((-4.0, 3.0), (-2.0, 4.0), (0.0, 5.0))


@pytest.mark.parametrize(
    ("z_um", "rests"), [(0.0999, True), (-0.0999, True), (0.1, False), (-0.1, False)]
)
def test_a_stage_that_moved_by_less_than_a_tenth_of_a_micrometre_was_seen_at_rest(z_um, rests):
    line = Line(feed_forward=False)
    line.control._drive = Drive()
    assert line.shown(*LED_AWAY) == AWAY
    assert line.see(1000, 5.0) == AWAY  # the same frame once more
    plan = line.shown((z_um, 5.0), begin=3)
    assert isinstance(plan, Move) if rests else plan == AWAY
    if rests:  # and the row begins anew
        assert isinstance(line.shown((z_um + 2.0, 7.0), begin=4), Move)
        assert line.shown((z_um + 4.0, 9.0), begin=5) == AWAY


@pytest.mark.parametrize(("doubt", "looks"), [(2.0, 1), (2.001, 3)])
def test_in_doubt_of_the_drive_three_looks_at_rest_are_taken(doubt, looks):
    line = Line(feed_forward=False)
    line.control._drive = Drive(doubt)
    assert line.shown(*LED_AWAY) == AWAY
    number = 3
    if looks == 3:
        assert line.shown((0.0, 5.0), (0.0, 5.0), begin=3) == AWAY
        assert line.shown((2.0, 6.0), begin=5) == AWAY  # it was moved: the looks begin anew
        number = 6
    for look in range(1, looks + 1):
        plan = line.shown((2.0 if looks == 3 else 0.0, 6.0), begin=number)
        assert isinstance(plan, Move) if look == looks else plan == AWAY
        number += 1


def test_on_another_line_the_looks_begin_anew_and_the_row_stays():
    line = Line(feed_forward=False)
    line.control._drive = Drive(doubt=9.0)
    assert line.shown(*LED_AWAY, (0.0, 5.0)) == AWAY
    line.control.new_field()
    # the first is compared with nothing, and of the three looks two are not enough
    assert line.shown((0.0, 5.0), (0.0, 5.0), (0.0, 5.0), begin=4) == AWAY
    assert isinstance(line.shown((0.0, 5.0), begin=7), Move)


@pytest.mark.parametrize("moves", [1, 2])
def test_no_blank_field_is_crossed_after_two_that_led_away(moves):
    line = Line(predict_um=1e6)
    line.control._drive = Drive()
    line.shown(*LED_AWAY[: moves + 1])
    plan = line.see(500 * moves + 1)
    assert plan == AWAY if moves == 2 else isinstance(plan, Predict)
