"""Three surfaces explain the readings of a line; the drive whose surface is smooth is at hand."""

import math
import random

import pytest

from edge.decide.drive_evidence import ENOUGH, DriveEvidence


class Line:
    """Readings along a slide of `slope` (um per mm), from a drive of `gain`."""

    def __init__(self, gain, slope=0.0, direction=1, noise_um=0.1, seed=0):
        self.evidence = DriveEvidence(direction)
        self.gain, self.slope, self.direction = gain, slope, direction
        self.x_um = self.z_um = self.jump_um = 0.0
        self.random, self.noise_um = random.Random(seed), noise_um

    def read(self, mm, way_um=0.0):
        """`mm` on, after a way of the stage's z; the verdict."""
        self.x_um += 1e3 * mm
        self.z_um += way_um
        glass = self.gain * self.direction * self.z_um
        focus = self.slope * self.x_um / 1e3 + self.jump_um
        defocus = focus - glass + self.random.gauss(0, self.noise_um)
        return self.evidence.read(self.x_um, self.z_um, defocus, 0.3)


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("mm", [0.3, 1.0])
def test_two_moves_of_a_reversed_drive_are_enough(mm, direction):
    line = Line(-1, 1.0, direction)
    assert line.read(0.0) == ""
    said = [line.read(mm, 5.0), line.read(mm, 5.0), line.read(mm), line.read(mm)]
    assert said[0] == ""  # one reading alone is never enough
    assert any("focus sign contradicts" in each for each in said)


@pytest.mark.parametrize("gain", [1, -1])
def test_a_move_over_a_long_way_is_judged_by_the_readings_at_rest_around_it(gain):
    """10 um of focus over 3 mm may be the slide; two readings at rest say that it is not."""
    line = Line(gain, 0.5)
    for _ in range(4):
        line.read(1.0)
    for way_um in (5.0, 5.0, 0.0, 0.0):
        line.read(3.0, way_um)
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
    said = [line.read(0.3, way) for way in (4.0, -4.0, 4.0, -4.0)]
    assert any("focus sign contradicts" in each for each in said)


def test_no_more_than_any_play_is_called_a_glass_that_does_not_follow():
    line = Line(0)
    line.read(0.3)
    said = [line.read(0.3, 2.0) for _ in range(9)]
    assert said[:6] == [""] * 6  # 12 um may be play
    assert "the glass does not follow" in said[-1]


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
