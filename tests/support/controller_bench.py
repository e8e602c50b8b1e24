"""A controller, a stage of plain numbers, and frames that are told instead of measured."""

import dataclasses

from edge.decide.controller import Controller
from edge.decide.decision import LookAgain
from edge.measure.aggregate import Reason
from tests.support.fake_microscope import MS, SETTINGS, Clock, FakeStage, estimate, no_focus


class Bench:
    """A controller, a stage, and a clock that is always past settling when a frame is shown."""

    def __init__(self, **changes):
        self.clock = Clock()
        self.stage = FakeStage(self.clock)
        self.controller = Controller(dataclasses.replace(SETTINGS, **changes))

    def show(self, what, *args, wait_ms=100, **more):
        self.clock.now_ns += wait_ms * MS
        times = {"start_ns": self.clock() - 2 * MS, "mid_ns": self.clock() - MS}
        return self.controller.plan(what(*args, **times, **more), self.stage)

    def see(self, d, interval=0.2, **more):
        return self.show(estimate, d, interval, **more)

    def send(self, plan):
        self.stage.move_to(plan.target_um, plan.assumed_um)
        self.controller.sent(self.clock())
        return plan


def confirmed():
    """A bench whose sign a move has confirmed; it stands 1 um below focus."""
    bench = Bench(sharp_um=0.6)
    bench.send(bench.see(4.0))
    assert bench.see(1.0).reason == "defocus"
    assert bench.controller.sign_confirmed
    bench.controller.new_field()
    return bench


def blind(bench, reason=Reason.BLANK):
    """Shown what cannot be read until the controller has looked often enough: (looks, plan)."""
    looks = 1
    while isinstance(plan := bench.show(no_focus, reason), LookAgain):
        looks += 1
        assert bench.controller.strikes == 0
    return looks, plan


def hand(bench, to_um):
    """Somebody turns the knob."""
    here_um = bench.stage.status().z_um
    bench.stage._path.append((bench.clock(), here_um, to_um))


def beyond(bench, d, interval=0.2):
    """Shown a reading from beyond the range."""
    return bench.show(no_focus, Reason.OUTSIDE_RANGE, d=d, interval=interval)
