"""Along a line in doubt of the drive: what led away from focus, and how it is looked at, at
rest."""

import pytest

from edge.decide.decision import Hold, Move, Predict, Shutdown
from tests.support.told_line import Line

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
    ("before", "travel_um", "after", "away"),
    [
        # a fifth of the way it must have come nearer
        (4.0, 5.0, 3.0, False), (4.0, 5.0, 3.01, True), (-4.0, 5.0, -3.01, True),
        (4.0, -5.0, 3.0, False), (4.0, -5.0, 3.01, True), (-4.0, 5.0, -3.0, False),
        # within 1.5 um of focus, farther off says nothing
        (1.0, 2.0, 1.5, False), (1.0, 2.0, 1.51, True), (1.0, 2.0, -1.51, True),
    ],
)  # fmt: skip
def test_away_is_what_came_no_nearer_to_focus(before, travel_um, after, away):
    """Two in a row are held; the second here leads away for sure."""
    line = Line(feed_forward=False)
    line.control._drive = Drive()
    assert isinstance(line.shown((200.0, before), (200.0 + travel_um, after)), Move)
    plan = line.shown((202.0 + travel_um, 9.0), begin=2)
    assert plan == AWAY if away else isinstance(plan, Move)


@pytest.mark.parametrize(("travel_um", "counts"), [(0.5, True), (-0.5, True), (0.49, False)])
def test_a_way_too_short_to_judge_leads_nowhere(travel_um, counts):
    line = Line(feed_forward=False)
    line.control._drive = Drive()
    plan = line.shown((200.0, 3.0), (202.0, 5.0), (202.0 + travel_um, 9.0))
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
