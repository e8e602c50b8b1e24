"""A small model of a rig with bad days, behind the fakes of fake_microscope: dark and dim frames,
hands on the knob, play, slips, drift, noise, a reading whose gain near focus is not 1."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np

from edge.measure.aggregate import Reason
from tests.support.fake_microscope import (
    FakeMeasurer,
    FakeStage,
    estimate,
    microscope,
    no_focus,
)


class RoughStage(FakeStage):
    """`play_um` between nut and glass; every move ends coming up by `approach_um`, as a firmware
    makes it; `sign` -1: the motor is wired the wrong way round."""

    play_um = approach_um = nut_um = 0.0
    sign = 1

    def _drive(self, by_um):
        to = self.nut_um + by_um
        self.nut_um = min(max(to, 0.0), self.play_um)
        self.glass_um += self.sign * (to - self.nut_um)

    def move_to(self, target_um, assumed_um):
        here = self._reported(self.clock())
        self._drive(target_um - self.approach_um - here)
        self._drive(self.approach_um)
        self._path.append((self.clock(), here, target_um))
        self.moves.append(target_um)
        return len(self.moves)

    def turn(self, by_um):
        """A hand on the motor's knob: the controller sees it, and reports it when it rests."""
        here = self._reported(self.clock())
        self._drive(by_um)
        self._path.append((self.clock(), here + by_um, here + by_um))


@dataclass
class Day:
    """What happens, and when; frames count from the first one."""

    dark: set = field(default_factory=set)
    dim: set = field(default_factory=set)
    knobs: dict = field(default_factory=dict)  # frame -> um, reported by the stage
    slips: dict = field(default_factory=dict)  # frame -> um of the glass, reported by nobody
    drift_um: float = 0.0  # a frame
    noise_um: float = 0.05
    gain: float = 1.0  # of the reading, within `gain_within_um` of focus
    gain_within_um: float = 2.0


class RoughEye:
    """Stands in for the networks on such a day; `aggregate` of the loop."""

    def __init__(self, stage, focus_um, day, interval_um=0.2, seed=0, range_um=25.0):
        self.stage, self.focus_um, self.day = stage, focus_um, day
        self.interval_um, self.range_um = interval_um, range_um
        self.random = random.Random(seed)
        self.frames = 0
        self.lit_moves = []  # moves that a frame with light has followed, by their number

    @property
    def error_um(self):
        return abs(self.focus_um - self.stage.glass_um)

    def __call__(self, frame):
        day, n = self.day, self.frames
        self.frames += 1
        self.focus_um += day.drift_um
        if n in day.knobs and not self.stage.status().moving:
            self.stage.turn(day.knobs[n])
        self.stage.glass_um += day.slips.get(n, 0.0)
        start, mid = frame.exposure_start_ns, frame.exposure_mid_ns
        if n in day.dark:
            return no_focus(Reason.BLANK, start, mid)
        d = self.read(self.focus_um - self.stage.glass_um)
        half = self.interval_um
        if n in day.dim:
            half *= 4
            d += self.random.gauss(0, half / 2)
        d += self.random.gauss(0, day.noise_um)
        d = float(np.clip(d, -30.0, 30.0))
        if abs(d) > self.range_um:
            return no_focus(Reason.OUTSIDE_RANGE, start, mid, d, half)
        return estimate(d, half, start, mid)

    def read(self, error_um):
        """Without noise: `gain` near focus, and right again far from it."""
        near = self.day.gain_within_um
        inside = min(max(error_um, -near), near)
        return error_um + (self.day.gain - 1.0) * inside


FRAMES, QUIET = 400, 150  # of a history; the last of them without a disturbance
LENGTHS = (1, 2, 3, 5, 8, 20, 40)
KINDS = ("dark", "dim", "knob", "slip", "drift", "gain", "play")


def any_day(seed, kinds=KINDS):
    """(Day, play, approach, where the nut is, focus) of a history: half of the kinds on average."""
    draw = random.Random(seed)
    day, on = Day(noise_um=draw.choice((0.0, 0.03, 0.07, 0.1))), set()
    for kind in kinds:
        if draw.random() < 0.5:
            on.add(kind)

    def moments(kind):
        return [draw.randrange(FRAMES - QUIET) for _ in range(draw.randint(1, 4) * (kind in on))]

    for name in ("dark", "dim"):
        for start in moments(name):
            getattr(day, name).update(range(start, start + draw.choice(LENGTHS)))
    day.knobs = {n: draw.uniform(-12, 12) for n in moments("knob")}
    day.slips = {n: draw.uniform(-6, 6) for n in moments("slip")}
    day.drift_um = draw.uniform(-0.01, 0.01) * ("drift" in on)
    day.gain = draw.uniform(0.7, 2.0) if "gain" in on else 1.0
    play_um = draw.choice((1.5, 3.0, 4.0, 8.0)) * ("play" in on)
    return day, play_um, draw.choice((0.0, 2.0)), draw.uniform(0, play_um), draw.uniform(-20, 20)


def rough(day, settings, focus_um, sign=1, play_um=0.0, approach_um=0.0, nut_um=0.0, seed=0):
    """A rig on such a day: (rig, its eye, its stage)."""
    rig, _ = microscope(settings=settings)
    stage = RoughStage(rig.clock, uncertainty_um=0.03)
    stage.sign, stage.play_um, stage.approach_um = sign, play_um, approach_um
    stage.nut_um = nut_um
    rig.stage = rig.guard._stage = stage
    rig.state._stop = stage.stop
    eye = RoughEye(stage, focus_um, day, seed=seed)
    rig.sensor = FakeMeasurer(eye)
    return rig, eye, stage
