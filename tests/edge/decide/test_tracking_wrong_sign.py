"""Along a line a wrong sign, or a glass that does not follow, is found out; the right one never
is."""

import math

import numpy as np
import pytest

from edge.decide.decision import Decision, Shutdown
from tests.support.scan_line import Scan, begun_off, read_at_rest, tilted, with_gaps


@pytest.mark.parametrize("start_um", [-8.0, -3.0, 0.3, 2.0, 12.0])
@pytest.mark.parametrize("slope", [0.0, 3.0])
@pytest.mark.parametrize("feed_forward", [True, False])
def test_a_wrong_sign_ends_in_a_shutdown_close_by(start_um, slope, feed_forward):
    scan = Scan(tilted(slope), sign=-1, feed_forward=feed_forward, noise_um=0.03)
    scan.stage._path = [(0, 200.0 - start_um, 200.0 - start_um)]
    ended = scan.run()
    assert isinstance(ended, Shutdown)
    assert "sign" in ended.reason
    assert max(map(abs, scan.errors)) <= 4 * abs(start_um) + 13.0
    assert scan.control.strikes == 2


def test_the_right_sign_is_never_taken_for_a_wrong_one():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        steps = np.cumsum(rng.choice((0.0, 2.0, -2.0), 40, p=(0.8, 0.1, 0.1)))

        def surface(x, steps=steps):
            return 200.0 + 2.0 * x / 1e3 + steps[min(int(max(x, 0) // 1000), 39)]

        scan = Scan(surface, noise_um=0.15, seed=seed)
        assert scan.run() is None, seed


def test_another_line_begins_anew_but_strikes_stay():
    scan = Scan(tilted(3.0))
    scan.run(20)
    scan.control.strikes = 1
    scan.control.new_field()
    assert not scan.control.surface.known
    assert scan.control.strikes == 1
    scan.control.restart()
    assert scan.control.strikes == 0


@pytest.mark.parametrize(("judge_um", "strikes"), [(2.1, 0), (1.9, 1)])
def test_ways_shorter_than_judge_um_prove_nothing(judge_um, strikes):
    scan = Scan(tilted(0.0), judge_um=judge_um)
    read_at_rest(scan, 1, 4.0)
    scan.stage._path.append((scan.clock(), 200.0, 202.0))
    read_at_rest(scan, 2, 10.0)  # 2 um up, and 6 um farther from focus
    assert scan.control.strikes == strikes


def test_a_change_within_the_noise_is_no_strike():
    scan = Scan(tilted(0.0))
    read_at_rest(scan, 1, 1.0, interval=1.4)
    scan.stage._path.append((scan.clock(), 200.0, 201.0))
    read_at_rest(scan, 2, 3.5, interval=1.4)
    assert scan.control.strikes == 0


@pytest.mark.parametrize("gap", [1, 2, 3, 4, 6, 8, 12])
@pytest.mark.parametrize("slope", [-3.0, 0.0, 3.0])
@pytest.mark.parametrize("start_um", [-6.0, 6.0, 0.4])
def test_a_wrong_sign_is_found_out_however_few_frames_come(gap, slope, start_um):
    """What a pair of readings far apart leaves to the tilt, the next ones do not."""
    scan = begun_off(start_um, tilted(slope), sign=-1, noise_um=0.15)
    ended = with_gaps(scan, gap)
    assert isinstance(ended, Shutdown)
    assert "sign" in ended.reason
    assert len(scan.stage.moves) <= 6  # of 5 um; what the slide rises meanwhile is its own
    assert max(abs(z - scan.stage.moves[0]) for z in scan.stage.moves) <= 25.0


@pytest.mark.parametrize("seed", range(12))
def test_a_wrong_sign_is_found_out_while_frames_come_as_they_may(seed):
    draw = np.random.default_rng(seed)
    scan = begun_off(draw.uniform(-8, 8), tilted(draw.uniform(-3, 3)), sign=-1,
                     noise_um=0.15, latency_ms=draw.uniform(8, 25), seed=seed)  # fmt: skip
    number = 0
    while number < 200:
        number += int(draw.choice([1, 1, 2, 3, 5, 8]))
        plan = scan.frame(number)
        if isinstance(plan, Shutdown):
            break
    assert isinstance(plan, Shutdown)
    assert len(scan.stage.moves) <= 6


@pytest.mark.parametrize("seed", range(16))
def test_the_right_sign_is_not_taken_for_a_wrong_one_where_frames_are_missed(seed):
    draw = np.random.default_rng(seed)
    steps = np.cumsum(draw.choice((0.0, 1.0, -1.0, 2.0, -2.0), 90, p=(0.8, 0.05, 0.05, 0.05, 0.05)))
    slope, start = draw.uniform(-3, 3), draw.uniform(-8, 8)

    def surface(x):
        relief = 0.8 * math.sin(2 * math.pi * x / 8000.0)
        return 200.0 + slope * x / 1e3 + relief + steps[min(int(max(x, 0) // 1000), 89)]

    scan = begun_off(start, surface, noise_um=0.15, seed=seed)
    assert with_gaps(scan, int(draw.choice([1, 2, 3, 4])), jitter=1) is None
    assert scan.control.strikes <= 1


def test_a_motor_too_slow_to_judge_by_a_pair_of_frames_is_judged_by_many():
    """Each way is shorter than `judge_um`."""
    scan = begun_off(4.0, tilted(0.0), sign=-1, noise_um=0.1, max_step_um=0.4)
    ended = scan.run(200)
    assert isinstance(ended, Shutdown)
    assert max(map(abs, scan.errors)) < 13.0


@pytest.mark.parametrize("gap", [1, 3])
def test_a_glass_that_does_not_follow_is_shut_down(gap):
    scan = begun_off(-6.0, tilted(0.0), noise_um=0.1)
    scan.glass_um = lambda time_ns: 194.0
    ended = with_gaps(scan, gap)
    assert isinstance(ended, Shutdown)
    assert "the glass does not follow" in ended.reason
    assert max(abs(z - 194.0) for z in scan.stage.moves) < 25.0


def test_away_from_focus_twice_is_not_followed_by_a_third_before_it_was_seen_at_rest():
    scan = Scan(tilted(0.0), noise_um=0.0)
    moved = 0.0
    for number, (z_um, d) in enumerate([(200.0, 3.0), (202.0, 4.0), (204.0, 5.0)], 1):
        scan.stage._path.append((scan.clock(), z_um, z_um))
        plan = read_at_rest(scan, 8 * number, d, interval=1.0)
        moved += plan.decision is Decision.MOVE
    assert moved == 2
    assert plan.reason.startswith("unproven")
    # the same frame once more is no look at rest
    assert read_at_rest(scan, 24, 5.0, interval=1.0).decision is not Decision.MOVE
    assert read_at_rest(scan, 25, 5.0, interval=1.0).decision is Decision.MOVE
