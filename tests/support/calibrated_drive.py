"""A drive with play, any scale and either sign, what is seen through it, and its calibration."""

import math
from types import SimpleNamespace

import numpy as np

from edge.appliance.calibrate import drive_calibration as calibration
from edge.appliance.calibrate.drive_calibration import (
    DriveCalibrator,
)
from edge.camera import Frame, PixelFormat
from edge.guard import Guard, GuardLimits
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from edge.measure.importance import Sparsity
from edge.measure.sensor import Measurement
from edge.state import RunState
from firmware_bridge.stage import Stage, StageStatus, ZAt

FOCUS_UM = 203.0  # true height of best focus


class Drive(Stage):
    """A drive at once at rest: play, gain and direction between the motor and the glass."""

    z_min_um, z_max_um, resolution_um = 100.0, 300.0, 0.05

    def __init__(self, gain=1.0, play_um=0.0, start_um=200.0):
        self.z_um, self.nut_um, self.gain, self.play_um = start_um, start_um, gain, play_um
        self.origin_um, self.moves, self.stuck, self.latched = start_um, [], False, None

    @property
    def glass_um(self):
        return self.origin_um + self.gain * (self.nut_um - self.origin_um)

    def status(self):
        return StageStatus(self.z_um, False, 1, self.latched, 2)

    def z_at(self, time_ns):
        return ZAt(self.z_um, 0.02)

    def move_to(self, target_um, assumed_um):
        assert self.z_min_um <= target_um <= self.z_max_um
        assert abs(assumed_um - self.z_um) < 1e-6
        self.z_um = target_um
        if not self.stuck:
            self.nut_um = min(max(self.nut_um, target_um), target_um + self.play_um)
        self.moves.append(target_um)
        return len(self.moves)

    def wait(self, timeout_s):
        return self.status()

    def stop(self):
        pass

    def clear(self):
        pass

    def close(self):
        pass


class Sight:
    """Networks and camera in one: true defocus with noise; sharpest at focus."""

    def __init__(self, drive, noise_um=0.1, offset_um=0.0, seed=0):
        self.drive, self.noise_um, self.offset_um = drive, noise_um, offset_um
        self.rng = np.random.default_rng(seed)
        self.blind = self.flat = False
        self.spoilt = {}  # look -> "dark", or what the camera raises instead
        self.looks = -1
        self.interval_um = 0.3
        self.saturate_um = math.inf

    def error_um(self):
        return self.drive.glass_um - FOCUS_UM

    def next(self, timeout_s):
        self.looks += 1
        if isinstance(self.spoilt.get(self.looks), Exception):
            raise self.spoilt[self.looks]
        # the picture tells its sharpness in its own grey levels
        return Frame(np.zeros((1, 1), np.uint8), PixelFormat.MONO8, 1, 10**9, 10**9 + 1)

    def measure(self, frame, lap):
        if self.blind or self.looks in self.spoilt:
            estimate = NoFocus(Reason.BLANK, Sparsity.BLANK, 1, 1)
            return Measurement(None, None, estimate)
        d = -self.error_um() + self.offset_um
        d = max(-self.saturate_um, min(self.saturate_um, d))
        d += float(self.rng.normal(0, self.noise_um))
        return Measurement(
            None, None, FocusEstimate(d, self.interval_um, 9, Sparsity.SPARSE, 1, 1, 0.1)
        )

    def sharpness(self, frame):
        return 1.0 if self.flat else 1.0 / (1.0 + (self.error_um() / 2.0) ** 2)


def bench(monkeypatch, **drive):
    axis = Drive(**drive)
    sight = Sight(axis)
    monkeypatch.setattr(calibration, "sharpness", sight.sharpness)
    state = RunState()
    state.ready()
    guard = Guard(GuardLimits(100.0, 300.0, 0, 25.0, 100.0, 0.0, 10_000), axis, state)
    return SimpleNamespace(
        drive=axis, sight=sight, guard=guard,
        run=DriveCalibrator(axis, guard, sight, sight.next, 0.0).run,
    )  # fmt: skip


# ---- the file and the config ---------------------------------------------------------------------

CONFIG = """\
camera: {driver: recorded, period_ms: 40, options: {folder: pictures}}
stage:
  driver: binary
  z_min_um: 100
  z_max_um: 300
  calibration: calibration.json
  options: {port: /dev/null}
objective: {na: 0.75, magnification: 20, um_per_px: 0.34}
"""
