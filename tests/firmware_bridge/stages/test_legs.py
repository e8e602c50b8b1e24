"""A long move goes in legs: what a controller was sent never takes it long."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.errors import LinkLost, StageUncertain
from firmware_bridge.stages.legs import FIRST_UM, GROWTH, LEG_NS, STALE_NS, Legs
from firmware_bridge.stages.minder import ENDED
from firmware_bridge.stages.rest_detector import START_NS, Reading, RestDetector
from tests.support.patience import wait_for
from tests.support.stage_benches import START_UM, OpenBench, WireBench, at

MS = 1_000_000


class Axis:
    """A detector, the legs, and an axis of one speed that is looked at now and then."""

    def __init__(self, speed_um_s: float, whole: bool = False) -> None:
        self.rest = RestDetector(still_um=0.1, arrival_um=0.5)
        self.legs = Legs(1.5, whole)
        self.speed_um_s = speed_um_s
        self.z_um, self.now_ns = 0.0, 1000 * MS
        self.sent: list[float] = []
        self.look()

    def look(self, after_ms: float = 0.0, z_um: float | None = None, moving: bool = False) -> None:
        self.now_ns += round(after_ms * MS)
        self.z_um = self.z_um if z_um is None else z_um
        reading = Reading(self.z_um, moving)
        self.rest.note(reading, self.now_ns)
        leg_um = self.legs.note(self.rest, reading, self.now_ns)
        if leg_um is not None:
            self.send(leg_um)

    def move(self, target_um: float) -> None:
        self.send(self.legs.begin(self.z_um, target_um, self.now_ns))

    def send(self, leg_um: float) -> None:
        self.rest.begin(leg_um, self.now_ns)
        self.sent.append(leg_um)

    def follow(self, late_ms: float) -> None:
        """The leg under way is made, and seen so much later."""
        target_um = self.rest.target_um
        assert target_um is not None
        takes_ms = 1e3 * abs(target_um - self.z_um) / self.speed_um_s
        while takes_ms > 400:
            takes_ms -= 400
            self.look(400, moving=True)
        self.look(takes_ms, moving=True)
        self.look(late_ms, target_um)


def arrived(axis: Axis, target_um: float, late_ms: float = 5.0) -> list[float]:
    """Made to its end: the legs' lengths."""
    begun, first = axis.z_um, len(axis.sent)
    axis.move(target_um)
    for _ in range(10_000):
        if axis.rest.target_um is None:
            break
        axis.follow(late_ms)
    assert (axis.z_um, axis.rest.ended_short) == (target_um, "")
    ends = [begun, *axis.sent[first:]]
    assert ends == sorted(ends, reverse=target_um < begun)  # never back on its way
    return [abs(b - a) for a, b in pairwise(ends)]


@given(
    speed=st.floats(30, 2000),
    late=st.lists(st.floats(0, 900), min_size=1, max_size=8),
    targets=st.lists(st.floats(-400, 400), min_size=1, max_size=4),
)
def test_no_leg_takes_longer_than_it_may(
    speed: float, late: list[float], targets: list[float]
) -> None:
    """Whatever the speed, and however late a busy computer sees that it rests."""
    axis = Axis(speed)
    most_um = max(1.5 * FIRST_UM, speed * LEG_NS / 1e9 + FIRST_UM / 2)  # the last takes the rest
    for number, target_um in enumerate(targets):
        legs = arrived(axis, target_um, late[number % len(late)])
        assert max(legs) <= most_um * (1 + 1e-9)


def test_it_begins_short_and_learns_once() -> None:
    axis = Axis(1000.0)
    legs = arrived(axis, 2000.0)
    assert legs[0] == FIRST_UM
    assert all(b <= GROWTH * a * (1 + 1e-9) for a, b in pairwise(legs))
    assert max(legs) > 150
    assert len(arrived(axis, 1950.0)) == 1  # a focus move is one leg then


def test_a_slower_axis_gets_shorter_legs_at_once() -> None:
    axis = Axis(1000.0)
    arrived(axis, 2000.0)
    axis.speed_um_s = 100.0  # somebody turned it down
    legs = arrived(axis, 1000.0)
    assert max(legs[1:]) <= 20 + FIRST_UM / 2


def test_whole_moves_for_who_asks_for_them() -> None:
    assert arrived(Axis(1000.0, whole=True), 3000.0) == [3000.0]


def test_after_an_end_elsewhere_nothing_more_is_sent() -> None:
    axis = Axis(1000.0)
    axis.move(100.0)
    axis.follow(1)
    axis.look(5, FIRST_UM + 2)  # somebody stopped it there
    axis.look(2 * START_NS / MS)
    assert "ended at 7.000 um, not at 100.000" in axis.rest.ended_short
    for _ in range(3):
        axis.look(50)
    assert len(axis.sent) == 2


def test_who_was_suspended_does_not_go_on() -> None:
    axis = Axis(1000.0)
    axis.move(100.0)
    axis.follow(STALE_NS / MS + 1)
    assert "not at 100.000: this program stood still" in axis.rest.ended_short
    assert axis.sent == [FIRST_UM]


def test_a_dropped_way_teaches_nothing() -> None:
    axis = Axis(1000.0)
    axis.move(100.0)
    axis.legs.drop()
    axis.rest.stop()
    axis.look(1, 0.2)
    assert (axis.rest.target_um, axis.legs.longest_um) == (None, FIRST_UM)


# ---- on every controller ---------------------------------------------------------------------


def test_the_controller_is_never_told_far(wire: WireBench) -> None:
    """So a line that is cut, a minder that is frozen: it rests at the end of the leg."""
    stage = wire.open()
    start = at(wire, START_UM)
    assert stage.move_to(start + 900, start) == 1
    assert stage.wait(60.0).z_um == pytest.approx(start + 900, abs=stage.resolution_um)
    ends = np.array([round(1000 * start), *wire.axis.targets_nm]) / 1000
    most_um = 4000 * LEG_NS / 1e9 + FIRST_UM
    assert 0 <= np.diff(ends).min() <= np.diff(ends).max() <= most_um
    assert len(ends) > 3
    assert stage.move_to(start, start + 900) == 2  # a move has one number


def test_a_cut_line_leaves_a_leg(make_bench: OpenBench) -> None:
    bench = make_bench("asi", speed_um_s=100.0)
    assert isinstance(bench, WireBench)
    stage = bench.open()
    stage.move_to(START_UM + 900, START_UM)
    wait_for(lambda: bench.motor_um() > START_UM + 12)
    bench.hang_up()
    with pytest.raises(LinkLost):
        stage.wait(30.0)
    to_go_um = bench.axis.target_nm / 1000 - START_UM
    wait_for(lambda: not bench.axis.moving)
    assert bench.motor_um() == START_UM + to_go_um
    assert to_go_um < 800


def test_a_leg_that_is_refused_ends_the_move_there(make_bench: OpenBench) -> None:
    bench = make_bench("zaber")
    assert isinstance(bench, WireBench)
    stage = bench.open()
    bench.axis.max_nm = round(1000 * START_UM) + 50_000  # somebody narrowed the limits
    stage.move_to(START_UM + 900, START_UM)
    with pytest.raises(StageUncertain, match=r"not at 5900\.000: WINDOW"):
        stage.wait(30.0)
    assert not stage.status().moving
    assert bench.axis.position_nm() <= bench.axis.max_nm


def test_no_leg_without_the_minder_of_the_last(make_bench: OpenBench) -> None:
    bench = make_bench("tango", speed_um_s=50.0)
    stage = bench.open()
    stage.move_to(START_UM + 900, START_UM)
    minder = stage._minder  # type: ignore[attr-defined]
    minder._process.kill()
    with pytest.raises(StageUncertain, match=ENDED[:20]):
        stage.wait(30.0)
    with pytest.raises(StageUncertain, match=ENDED[:20]):
        minder.begin(goes_on=True)


def test_from_beyond_the_window_every_leg_ends_inside(make_bench: OpenBench) -> None:
    bench = make_bench("pi")
    assert isinstance(bench, WireBench)
    stage = bench.open(z_min_um=START_UM + 20, z_max_um=START_UM + 400)
    stage.move_to(START_UM + 200, START_UM)
    stage.wait(30.0)
    assert min(bench.axis.targets_nm) >= round(1000 * START_UM) + 20_000
