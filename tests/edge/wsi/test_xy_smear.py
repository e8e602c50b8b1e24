"""H19: no frame that the moving slide smeared, or may have smeared, corrects focus."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

from edge.wsi.xy_guard import XYLimits
from firmware_bridge.xy_stage import Trigger
from tests.support.fake_microscope import MS
from tests.support.xy_bench import UP_UM, WINDOW, Bench


def test_a_smeared_frame_corrects_no_focus() -> None:
    """15 us at 11 mm/s are 0.17 um, half a pixel; a millisecond is 32 of them."""
    bench = Bench()
    bench.guard.limits = XYLimits(WINDOW, UP_UM, 1, 1500.0, max_smear_um=0.35)
    bench.guard.sweep(9500.0, 11_000.0, Trigger(1500.0, 749.0, 10))
    bench.xy.wait(100.0)
    pulses = bench.xy.triggered()
    for a, b in pairwise(pulses):
        bench.guard.check_sharp(a.time_ns, a.time_ns + 15_000)
        times = (a.time_ns, a.time_ns + MS)
        assert bench.refused(lambda t=times: bench.guard.check_sharp(*t)) == "smeared"  # type: ignore[misc]
        assert b.count == a.count + 1
    at_rest = bench.clock() - MS
    bench.guard.check_sharp(at_rest, at_rest + MS)


def test_a_frame_of_which_nobody_knows_the_smear_corrects_no_focus() -> None:
    bench = Bench()
    future = bench.clock() + MS
    assert bench.refused(lambda: bench.guard.check_sharp(0, bench.clock())) == "no-history"
    assert bench.refused(lambda: bench.guard.check_sharp(bench.clock(), future)) == "no-history"
    bench.guard.limits = XYLimits(WINDOW, UP_UM, 1, 1500.0, max_smear_um=math.nan)
    now = bench.clock()
    assert bench.refused(lambda: bench.guard.check_sharp(now, now)) == "smeared"


def test_what_has_not_settled_counts_as_moving() -> None:
    bench = Bench()
    bench.guard.send(1100.0, 1000.0)
    bench.sleep(bench.xy._x.end_s - bench.clock() / 1e9 + 0.001)
    assert not bench.xy.status().moving
    assert bench.refused(lambda: bench.guard.send(1200.0, 1000.0)) == "moving"
    other = Bench()
    unsettled = replace(other.z.status(), settled_ns=None)
    other.z.status = lambda: unsettled  # type: ignore[method-assign]
    assert other.refused(lambda: other.guard.send(1100.0, 1000.0)) == "z-moving"


def test_what_is_not_known_of_the_way_counts_as_smear() -> None:
    bench = Bench()
    now = bench.clock()
    bench.xy.resolution_um = 0.19  # 0.095 um either way, at both ends: 0.19 in all
    bench.guard.check_sharp(now, now)
    bench.xy.resolution_um = 0.21
    assert bench.refused(lambda: bench.guard.check_sharp(now, now)) == "smeared"
