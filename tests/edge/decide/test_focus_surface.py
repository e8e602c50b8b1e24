"""The focus surface along a scan: height, slope, steps, and what one wrong reading does."""

import math

import numpy as np
import pytest

from edge.decide.focus_surface import SD_PER_INTERVAL, FocusSurface, SurfaceNoise

PITCH_UM = 314.0  # 11 mm/s at 35 frames per second


def scanned(heights, interval_um=0.2, pitch_um=PITCH_UM):
    surface = FocusSurface()
    believed = [surface.read(i * pitch_um, z, interval_um) for i, z in enumerate(heights)]
    return surface, believed


def test_before_the_first_reading_nothing_is_known():
    surface = FocusSurface()
    assert not surface.known
    assert math.isinf(surface.at(0.0).interval_um)


@pytest.mark.parametrize("slope", [-3.0, 0.0, 3.0])
@pytest.mark.parametrize("way", [1, -1])
def test_a_tilted_plane_is_predicted(slope, way):
    x = way * PITCH_UM * np.arange(12)
    z = 200 + slope * x / 1e3
    surface = FocusSurface()
    for place, height in zip(x, z, strict=True):
        assert surface.read(place, height, 0.2)
    ahead = surface.at(x[-1] + way * PITCH_UM)
    assert surface.slope_um_per_mm == pytest.approx(slope, abs=0.05)
    assert ahead.z_um == pytest.approx(z[-1] + slope * way * PITCH_UM / 1e3, abs=0.05)
    assert 0.05 < ahead.interval_um < 0.4


def test_the_interval_holds_what_it_promises():
    inside, noise, sd = [], SurfaceNoise(), 0.1
    for seed in range(60):
        rng = np.random.default_rng(seed)
        surface, height, slope = FocusSurface(), 100.0, rng.normal(0, 2e-3)
        for i in range(40):
            mm = PITCH_UM / 1e3
            slope += rng.normal(0, noise.slope_um_per_mm / 1e3 * math.sqrt(mm))
            height += slope * PITCH_UM + rng.normal(0, noise.height_um * math.sqrt(mm))
            if i > 5:
                ahead = surface.at(i * PITCH_UM)
                inside.append(abs(ahead.z_um - height) <= ahead.interval_um)
            surface.read(i * PITCH_UM, height + rng.normal(0, sd), 1.96 * sd)
    assert 0.90 < np.mean(inside) < 0.995


def test_what_was_not_seen_for_long_is_known_less():
    surface, _ = scanned([200.0] * 8)
    spans = [surface.at((7 + n) * PITCH_UM).interval_um for n in (1, 3, 10)]
    assert spans == sorted(spans)
    assert spans[2] > 1.5 * spans[0]
    before = surface.at(8 * PITCH_UM)
    assert surface.at(8 * PITCH_UM) == before  # asking changes nothing


def test_one_wrong_reading_is_set_aside():
    heights = [200 + 0.9 * i for i in range(14)]
    heights[9] += 12.0
    surface, believed = scanned(heights)
    assert believed == [i != 9 for i in range(14)]
    ahead = surface.at(14 * PITCH_UM)
    assert ahead.z_um == pytest.approx(200 + 0.9 * 14, abs=0.1)


def test_two_wrong_readings_that_disagree_are_both_set_aside():
    heights = [200.0] * 14
    heights[8], heights[9] = 215.0, 185.0
    _, believed = scanned(heights)
    assert [i for i, kept in enumerate(believed) if not kept] == [8, 9]


def test_a_step_is_followed_with_its_second_reading_and_the_slope_stays():
    heights = [200 + 0.9 * i + (4.0 if i >= 9 else 0.0) for i in range(12)]
    surface, believed = scanned(heights)
    assert believed == [i != 9 for i in range(12)]
    assert surface.slope_um_per_mm == pytest.approx(0.9 / 0.314, abs=0.15)
    assert surface.at(12 * PITCH_UM).z_um == pytest.approx(204 + 0.9 * 12, abs=0.2)


@pytest.mark.parametrize(
    "reading", [(math.nan, 1.0, 0.2), (0.0, math.inf, 0.2), (0.0, 1.0, 0.0), (0.0, 1.0, math.nan)]
)
def test_what_is_no_number_is_refused_and_changes_nothing(reading):
    surface, _ = scanned([200.0, 200.9, 201.8])
    before = surface.at(1500.0)
    with pytest.raises(ValueError, match="no reading"):
        surface.read(*reading)
    assert surface.at(1500.0) == before


def test_it_forgets():
    surface, _ = scanned([200.0, 201.0])
    surface.forget()
    assert not surface.known
    assert surface.slope_um_per_mm == 0.0


@pytest.mark.parametrize(
    ("sds", "believed"), [(3.95, True), (4.05, False), (-3.95, True), (-4.05, False)]
)
def test_four_standard_deviations_are_believed_and_not_more(sds, believed):
    surface, _ = scanned([200.0] * 6)
    ahead = surface.at(6 * PITCH_UM)
    sd = math.hypot(ahead.interval_um, 0.2) / 1.96
    assert surface.read(6 * PITCH_UM, ahead.z_um + sds * sd, 0.2) is believed


def test_exactly_four_standard_deviations_are_believed():
    sd, other = 0.2 * SD_PER_INTERVAL, 0.3 * SD_PER_INTERVAL
    for side in (1, -1):
        surface = FocusSurface()
        surface.read(0.0, 0.0, 0.2)
        assert surface.read(0.0, side * 4.0 * math.sqrt(sd**2 + other**2), 0.3) is True
        surface = FocusSurface()
        surface.read(0.0, 99.0, 0.2)
        assert surface.read(0.0, 0.0, 0.2) is False
        assert surface.read(0.0, side * 4.0 * math.hypot(other, sd, 0.0), 0.3) is True  # a step


def test_after_one_reading_the_slope_may_be_any_that_a_slide_has():
    surface, noise = FocusSurface(), SurfaceNoise()
    surface.read(0.0, 200.0, 0.196)
    sd = math.hypot(0.1, 5.0, noise.height_um)
    wander = (noise.slope_um_per_mm / 1e3) ** 2
    assert surface.at(1000.0).interval_um == pytest.approx(1.96 * sd, rel=1e-6)
    assert surface._carried(1000.0)[1][1, 1] == pytest.approx(5e-3**2 + wander)


def test_a_step_must_come_twice_alike():
    surface, _ = scanned([200.0] * 6)
    assert not surface.read(6 * PITCH_UM, 204.0, 0.2)
    assert not surface.read(7 * PITCH_UM, 206.0, 0.2)
    assert surface.read(8 * PITCH_UM, 206.1, 0.2)
    assert surface.slope_um_per_mm == pytest.approx(0.0, abs=0.05)


class ByHand:
    """The same filter in the textbook's scalars: z, slope, and the covariance a, b, c."""

    def __init__(self, x, z, sd):
        self.x, self.z, self.slope, self.a, self.b, self.c = x, z, 0.0, sd**2, 0.0, 25e-6

    def carry(self, x):
        dx, mm = x - self.x, abs(x - self.x) / 1e3
        self.a += 2 * dx * self.b + dx**2 * self.c + 0.01 * mm
        self.b += dx * self.c
        self.c += 0.15e-3**2 * mm
        self.z += self.slope * dx
        self.x = x
        return self

    def read(self, x, z, sd):
        self.carry(x)
        off, gain = z - self.z, self.a / (self.a + sd**2)
        slope_gain = self.b / (self.a + sd**2)
        self.z, self.slope = self.z + gain * off, self.slope + slope_gain * off
        self.c -= slope_gain * self.b
        self.a, self.b = self.a * (1 - gain), self.b * (1 - gain)


def readings_of_a_scan(count):
    """Unequal distances, turned once, of unequal certainty."""
    x = [0.0, 300.0, 650.0, 900.0, 1400.0, 1100.0, 500.0, 450.0][:count]
    sds = [0.1, 0.2, 0.05, 0.3, 0.1, 0.15, 0.1, 0.2]
    return [(at, 200.0 + 2e-3 * at + 0.1 * (-1) ** i, sds[i]) for i, at in enumerate(x)]


@pytest.mark.parametrize("count", range(1, 9))
def test_it_is_the_textbooks_filter(count):
    first, *more = readings_of_a_scan(count)
    surface, hand = FocusSurface(), ByHand(*first)
    assert surface.read(first[0], first[1], 1.96 * first[2]) is True
    for x, z, sd in more:
        assert surface.read(x, z, 1.96 * sd) is True
        hand.read(x, z, sd)
    assert (surface.readings, surface.known) == (count, True)
    assert surface.slope_um_per_mm == pytest.approx(1e3 * hand.slope)
    for ahead in (700.0, -200.0, hand.x):
        expected = surface.at(ahead)
        by_hand = ByHand(0, 0, 0)
        by_hand.__dict__.update(hand.__dict__)
        by_hand.carry(ahead)
        assert expected.z_um == pytest.approx(by_hand.z, rel=1e-12)
        assert expected.interval_um == pytest.approx(1.96 * math.sqrt(by_hand.a), rel=1e-9)


@pytest.mark.parametrize("slope", [0.0, 2e-3])
@pytest.mark.parametrize(("sds", "followed"), [(3.99, True), (4.01, False)])
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("way", [1, -1])
def test_a_step_is_one_where_two_readings_agree(slope, sds, followed, side, way):
    """Within what both are uncertain by, and the height may have wandered since it was known."""
    surface, hand = FocusSurface(), ByHand(0.0, 200.0, 0.02)
    surface.read(0.0, 200.0, 1.96 * 0.02)
    for x in range(250 * way, 2001 * way, 250 * way):
        surface.read(x, 200.0 + slope * x, 1.96 * 0.02)
        hand.read(x, 200.0 + slope * x, 0.02)
    assert surface.read(2250.0 * way, 230.0, 1.96 * 0.3) is False
    apart = sds * math.sqrt(0.3**2 + 0.4**2 + 0.01 * 0.5)
    z = 230.0 + hand.slope * 250 * way + side * apart
    assert surface.read(2500.0 * way, z, 1.96 * 0.4) is followed
    assert surface.readings == 9 + followed
    if followed:
        hand.carry(2500.0 * way)
        hand.z, hand.a, hand.b = z, 0.4**2, 0.0
    hand.carry(3000.0 * way)
    ahead = surface.at(3000.0 * way)
    assert ahead.z_um == pytest.approx(hand.z, rel=1e-12)
    assert ahead.interval_um == pytest.approx(1.96 * math.sqrt(hand.a), rel=1e-9)


def test_what_was_set_aside_is_forgotten_by_a_good_reading_a_step_and_another_line():
    surface, _ = scanned([200.0] * 6)
    far = 6 * PITCH_UM
    assert surface.read(far, 230.0, 0.2) is False
    assert surface.read(far, 200.0, 0.2) is True
    assert surface.read(far, 230.0, 0.2) is False  # the one before counts no more
    assert surface.read(far, 230.0, 0.2) is True
    assert surface.read(far, 200.0, 0.2) is False  # nor does what became a step
    surface.forget()
    assert surface.read(far, 100.0, 0.2) is True
    assert surface.read(far, 200.0, 0.2) is False


def test_before_the_first_reading_every_number_says_so():
    surface = FocusSurface()
    assert (surface.readings, surface.slope_um_per_mm) == (0, 0.0)
    assert math.isnan(surface.at(0.0).z_um)
    with pytest.raises(ValueError, match=r"^no reading: z = 1.0 um within nan um at x = 3.0 um$"):
        surface.read(3.0, 1.0, math.nan)
