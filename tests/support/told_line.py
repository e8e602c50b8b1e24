"""A line whose frames are told instead of measured, one every 20 ms."""

import dataclasses

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


def after_travel(line, d_before, travel_um, d_after, **more):
    """Two frames one after the other, the stage moved by `travel_um` in between."""
    line.see(1, d_before, **more)
    line.goes_to(200.0 + travel_um)
    return line.see(2, d_after, **more)
