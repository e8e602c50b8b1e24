"""Three surfaces explain the readings of a line; the drive whose surface is smooth is at hand."""

import math
import random

import numpy as np
import pytest

from edge.decide.drive_evidence import ENOUGH, DriveEvidence, _Surface


class Line:
    """Readings along a slide of `slope` (um per mm), from a drive of `gain`."""

    def __init__(self, gain, slope=0.0, direction=1, noise_um=0.1, seed=0):
        self.evidence = DriveEvidence(direction)
        self.gain, self.slope, self.direction = gain, slope, direction
        self.x_um = self.z_um = self.jump_um = 0.0
        self.random, self.noise_um = random.Random(seed), noise_um

    def read(self, mm, travel_um=0.0):
        """`mm` on, after a way of the stage's z; the verdict."""
        self.x_um += 1e3 * mm
        self.z_um += travel_um
        glass = self.gain * self.direction * self.z_um
        focus = self.slope * self.x_um / 1e3 + self.jump_um
        defocus = focus - glass + self.random.gauss(0, self.noise_um)
        return self.evidence.read(self.x_um, self.z_um, defocus, 0.3)


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("mm", [0.3, 1.0])
def test_two_moves_of_a_reversed_drive_are_enough(mm, direction):
    line = Line(-1, 1.0, direction)
    assert line.read(0.0) == ""
    verdicts = [line.read(mm, 5.0), line.read(mm, 5.0), line.read(mm), line.read(mm)]
    assert verdicts[0] == ""  # one reading alone is never enough
    assert any("focus sign contradicts" in each for each in verdicts)


@pytest.mark.parametrize("gain", [1, -1])
def test_a_move_over_a_long_way_is_judged_by_the_readings_at_rest_around_it(gain):
    """10 um of focus over 3 mm may be the slide; two readings at rest say that it is not."""
    line = Line(gain, 0.5)
    for _ in range(4):
        line.read(1.0)
    for travel_um in (5.0, 5.0, 0.0, 0.0):
        line.read(3.0, travel_um)
    assert (line.evidence.reversed > 3.0) is (gain == -1)


def test_one_odd_reading_is_never_enough():
    for jump_um in (2.0, 10.0, 40.0):
        line = Line(1)
        for _ in range(10):
            line.read(0.3)
        line.jump_um += 2 * jump_um  # as a reversed drive would show it
        line.read(0.3, jump_um)
        assert 0 < line.evidence.reversed < ENOUGH / 1.5


def test_a_drive_that_was_right_for_long_is_found_out_as_soon():
    line = Line(1)
    for n in range(500):
        assert line.read(0.3, math.sin(n) * 2.0) == ""
    line.gain = -1
    line.jump_um = 2 * line.z_um * -1  # the glass is where it was
    verdicts = [line.read(0.3, way) for way in (4.0, -4.0, 4.0, -4.0)]
    assert any("focus sign contradicts" in each for each in verdicts)


def test_no_more_than_any_play_is_called_a_glass_that_does_not_follow():
    line = Line(0)
    line.read(0.3)
    verdicts = [line.read(0.3, 2.0) for _ in range(9)]
    assert verdicts[:6] == [""] * 6  # 12 um may be play
    assert "the glass does not follow" in verdicts[-1]


def test_at_rest_nothing_is_told():
    line = Line(-1, slope=3.0)
    for _ in range(50):
        line.read(0.3)
    assert (line.evidence.reversed, line.evidence.stands) == (0.0, 0.0)


def test_what_speaks_against_a_drive_outlasts_the_line_and_not_a_restart():
    line = Line(-1)
    line.read(0.0)
    line.read(0.3, 5.0)
    before = line.evidence.reversed
    assert before > 3.0
    line.evidence.new_line()
    line.read(50.0, -9.0)  # elsewhere: another surface
    assert line.evidence.reversed == before
    line.evidence.restart()
    assert line.evidence.reversed == 0.0


def test_evidence_fades():
    line = Line(-1)
    line.read(0.0)
    line.read(0.3, 5.0)
    line.gain, line.jump_um = 1, -2 * line.z_um
    before = line.evidence.reversed
    line.read(0.3)
    assert line.evidence.reversed == pytest.approx(before, abs=1.0)  # nothing was tried
    for n in range(40):
        line.read(0.3, 0.3 * (-1) ** n)
    assert line.evidence.reversed == 0.0


class ByHand:
    """The textbook's filter on (height, slope), in matrices, and what a reading is worth to it."""

    def __init__(self, height, variance):
        self.begin(height, variance)

    def begin(self, height, variance):
        self.mean, self.spread = np.array([height, 0.0]), np.diag([variance, 4.0])

    def read(self, mm, height, variance):
        step = np.array([[1.0, mm], [0.0, 1.0]])
        relief = 1.0 - math.exp(-abs(mm) / 2.0)
        self.mean = step @ self.mean
        self.spread = step @ self.spread @ step.T + np.diag([relief, 0.09 * abs(mm)])
        off, total = height - self.mean[0], self.spread[0, 0] + variance
        density = math.exp(-0.5 * off**2 / total) / math.sqrt(2 * math.pi * total)
        if abs(off) > 4.0 * math.sqrt(total):
            self.begin(height, variance)
        else:
            gain = self.spread[:, 0] / total
            self.mean = self.mean + gain * off
            self.spread = self.spread - np.outer(gain, self.spread[0])
        steep = max(0.0, abs(self.mean[1]) - 4.0)
        density *= math.exp(-0.5 * steep**2 / (1.0 + self.spread[1, 1]))
        return math.log(0.9 * density + 0.1 / 50.0)


#: mm on and height: smooth, steep both ways, back over what was seen, 3 and 5 sd off, both ways
LINE = (
    (0.5, 200.4), (0.7, 201.1), (1.0, 207.5), (1.0, 214.6), (0.3, 214.9), (-0.4, 212.0),
    (1.1, 206.1), (1.3, 197.0), (1.2, 188.4), (0.1, 188.3), (0.2, 193.2), (0.2, 185.0),
    (0.05, 185.9), (0.0, 187.0), (0.4, 184.1), (-2.0, 190.0), (0.3, 190.3), (0.3, 226.0),
    (0.3, 226.5), (0.3, 187.0), (0.3, 186.0), (0.01, 185.9), (0.01, 184.7), (0.02, 187.0),
)  # fmt: skip


@pytest.mark.parametrize("variance", [0.01, 0.09])
def test_a_surface_is_the_textbooks_filter(variance):
    surface, hand = _Surface(200.0, variance), ByHand(200.0, variance)
    begun = 0
    for mm, height in LINE:
        assert surface.read(mm, height, variance) == pytest.approx(
            hand.read(mm, height, variance), rel=1e-9, abs=1e-9
        )
        assert (surface.height, surface.slope) == pytest.approx(tuple(hand.mean), rel=1e-9)
        assert (surface.variance, surface.joint, surface.slope_variance) == pytest.approx(
            (hand.spread[0, 0], hand.spread[0, 1], hand.spread[1, 1]), rel=1e-9, abs=1e-12
        )
        begun += surface.slope == 0.0
    assert 0 < begun < len(LINE) / 2


@pytest.mark.parametrize("side", [1, -1])
def test_four_standard_deviations_belong_to_the_surface_and_more_begin_another(side):
    surface = _Surface(0.0, 0.5)
    surface.read(0.0, side * 4.0, 0.5)  # the sum of both variances is 1
    assert surface.height == side * 2.0
    surface = _Surface(0.0, 0.5)
    surface.read(0.0, side * math.nextafter(4.0, 5.0), 0.5)
    assert surface.height == side * math.nextafter(4.0, 5.0)


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("gain", [1, 0, -1])
def test_the_sums_by_hand(direction, gain):
    """Three surfaces; what each reading says for the one drive against the other is summed up."""
    dice = random.Random(7)
    evidence = DriveEvidence(direction)
    assert (evidence.reversed, evidence.stands, evidence.doubt) == (0.0, 0.0, 0.0)
    x = z = 0.0
    by_hand, reverse, stands, lost = {}, 0.0, 0.0, 0.0
    for number in range(40):
        mm = dice.choice((0.0, 0.1, 0.3, 1.0, -0.5)) if number else 1.0
        way = dice.choice((0.0, 0.0, 0.4, -0.7, 3.0, -4.0)) if number else 5.0
        x, z = x + 1e3 * mm, z + way
        interval = dice.choice((0.2, 0.5))
        defocus = 0.4 * x / 1e3 - gain * direction * z + dice.gauss(0, 0.2)
        verdict = evidence.read(x, z, defocus, interval)
        variance = (interval / 1.96) ** 2 + 0.1**2
        at = {drive: drive * direction * z + defocus for drive in (1, 0, -1)}
        if not by_hand:
            by_hand = {drive: ByHand(height, variance) for drive, height in at.items()}
            assert verdict == ""
            continue
        worth = {drive: one.read(mm, at[drive], variance) for drive, one in by_hand.items()}
        fades = 0.2 if way else 0.0
        reverse = max(0.0, reverse + worth[-1] - worth[1] - fades)
        stands = max(0.0, stands + worth[0] - worth[1] - fades)
        lost = lost + abs(way) if stands else 0.0
        assert (evidence.reversed, evidence.stands) == pytest.approx((reverse, stands), abs=1e-8)
        assert evidence.doubt == max(evidence.reversed, evidence.stands)
        assert evidence._lost_um == pytest.approx(lost)
        if reverse >= 10.0 and reverse >= stands:
            assert verdict == REVERSED
        elif stands >= 12.0 and lost > 12.0:
            assert verdict == f"the glass does not follow: {lost:.1f} um of motion changed nothing"
        else:
            assert verdict == ""
    assert (evidence.doubt > 10.0) is (gain != 1)


REVERSED = (
    "focus sign contradicts the calibration: the readings fit a drive that goes the other way"
)
STANDS = "the glass does not follow: 12.5 um of motion changed nothing"


@pytest.mark.parametrize(
    ("reverse", "stands", "lost_um", "verdict"),
    [
        (10.0, 10.0, 0.0, REVERSED), (9.999, 9.0, 99.0, ""), (11.0, 11.5, 99.0, ""),
        (99.0, 98.0, 99.0, REVERSED), (0.0, 12.0, 12.5, STANDS), (0.0, 11.999, 12.5, ""),
        (0.0, 99.0, 12.0, ""), (99.0, 99.5, 12.5, STANDS), (0.0, 1.0, 99.0, ""),
        (19.9, 0.0, 0.0, REVERSED), (0.0, 23.9, 12.5, STANDS),
    ],
)  # fmt: skip
def test_how_much_is_enough(reverse, stands, lost_um, verdict):
    evidence = DriveEvidence(1)
    evidence.reversed, evidence.stands, evidence._lost_um = reverse, stands, lost_um
    assert evidence._verdict() == verdict


def test_as_new_nothing_was_lost_either():
    evidence = DriveEvidence(1)
    assert evidence._lost_um == 0.0
    evidence.read(0.0, 0.0, 0.0, 0.2)
    evidence.read(100.0, 5.0, 0.0, 0.2)
    assert evidence._lost_um == 5.0
    evidence.restart()
    assert (evidence._lost_um, evidence.doubt) == (0.0, 0.0)
    assert evidence.read(0.0, 9.0, 0.0, 0.2) == ""  # the first of a surface again
