"""Calibrating stages that tell where they are in coarse steps: what is claimed holds the truth."""

import math
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest

from edge.appliance.calibrate import drive_calibration as calibration
from edge.appliance.calibrate.drive_calibration import (
    MOST_OFF_UM,
    CalibrationRefused,
    DriveCalibrator,
)
from edge.appliance.calibrate.fit import Look, fit_line, linear_range_um, sharpest_um
from edge.appliance.calibrate.verb import sentence
from edge.camera import Frame, PixelFormat
from edge.guard import Guard, GuardLimits
from edge.measure.aggregate import FocusEstimate
from edge.measure.importance import Sparsity
from edge.measure.sensor import Measurement
from edge.state import RunState
from firmware_bridge.stage import StageStatus, open_stage
from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.grbl import SimulatedGrbl
from simulator.controllers.prior import SimulatedPrior
from simulator.controllers.serving import Served
from simulator.controllers.tmcl import SimulatedTmcl
from simulator.controllers.zaber import SimulatedZaber
from tests.support.calibrated_drive import Drive, Sight
from tests.support.patience import ANSWER_S

GAIN = 0.8  # um of focus for a commanded um, which is to be found
SEEDS = range(8)


class CoarseDrive(Drive):
    """Goes where it is told and says so to `report_um`; the driver knows it, or not."""

    def __init__(self, report_um, known, **drive):
        self.report_um = report_um
        super().__init__(**drive)
        self.resolution_um = report_um if known else 0.05

    def status(self):
        reading = round(self.z_um / self.report_um) * self.report_um
        return StageStatus(reading, False, 1, self.latched, 2)

    def move_to(self, target_um, assumed_um):
        assert assumed_um == self.status().z_um
        self.z_um, true_um = assumed_um, self.z_um  # what the drive below checks
        number = super().move_to(target_um, assumed_um)
        assert abs(true_um - assumed_um) <= self.report_um / 2 + 1e-9
        return number


def calibrate(monkeypatch, axis, seed):
    sight = Sight(axis, seed=seed)
    monkeypatch.setattr(calibration, "sharpness", sight.sharpness)
    state = RunState()
    state.ready()
    guard = Guard(GuardLimits(100.0, 300.0, 0, 25.0, 100.0, 0.0, 10_000), axis, state)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return sight, DriveCalibrator(axis, guard, sight, sight.next, 0.0).run()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("report_um", [0.1, 0.5, 0.8, 1.0])
def test_what_is_claimed_holds_the_truth(monkeypatch, report_um, known):
    held = []
    for seed in SEEDS:
        draw = np.random.default_rng(seed)
        play_um, start_um = float(draw.choice([0.0, 2.0, 3.3])), 200.0 + draw.uniform(-2, 2)
        axis = CoarseDrive(report_um, known, gain=-GAIN, play_um=play_um, start_um=start_um)
        sight, result = calibrate(monkeypatch, axis, seed)
        assert result.focus_direction == -1
        assert result.um_per_unit_95 < 0.01 + 0.06 * report_um
        assert abs(result.um_per_unit - GAIN) < 1.5 * result.um_per_unit_95
        assert abs(result.play_um - play_um) < 0.3 + report_um / 2
        assert abs(sight.error_um()) < 0.1 + report_um / 2  # left in focus as well as it can tell
        held += [
            abs(result.um_per_unit - GAIN) <= result.um_per_unit_95,
            abs(result.play_um - play_um) <= result.play_95_um,
            abs(result.zero_um) <= result.focus_offset_95_um,
        ]
    assert sum(held) >= 0.9 * len(held)


def test_a_person_is_told(monkeypatch):
    _, result = calibrate(monkeypatch, CoarseDrive(1.0, known=True, gain=GAIN), 0)
    assert result.off_um == pytest.approx(0.5, abs=0.1)
    assert "the stage is within 0.5 um of where it says" in sentence(result)
    _, result = calibrate(monkeypatch, Drive(gain=GAIN), 0)
    assert result.off_um == pytest.approx(0.025)


def test_the_networks_are_not_blamed_for_the_stage(monkeypatch):
    for report_um in (0.5, 1.0):
        _, result = calibrate(monkeypatch, CoarseDrive(report_um, True, gain=GAIN), 1)
        assert result.interval_factor < 1.3


def test_reports_that_tell_nothing_are_refused(monkeypatch):
    axis = CoarseDrive(4.0, known=True, gain=GAIN, play_um=1.0)
    with pytest.raises(CalibrationRefused, match=rf"it says; {MOST_OFF_UM:g} is the most"):
        calibrate(monkeypatch, axis, 0)
    assert axis.z_um == pytest.approx(200.0, abs=4.0)  # brought back, as far as it can tell


def test_looks_that_were_told_the_same_place_are_one():
    z_um = (-1.0, -1.0 + 1e-12, 0.0, 0.0, 1.0, 1.0)
    rows = [Look(z, 0.0, 0.3, 1 / (1 + (z - 0.2) ** 2), "fine") for z in z_um]
    assert sharpest_um(rows) == pytest.approx(0.2, abs=0.1)
    with pytest.raises(ValueError, match="first or the last"):
        sharpest_um(rows[:4])


def test_the_slopes_interval_grows_by_an_even_errors_share():
    looks = [Look(z, -z, 0.3, 1.0, "up") for z in np.linspace(-5.0, 5.0, 12)]
    spread = sum(look.z_um**2 for look in looks)
    sharp, coarse = fit_line(looks), fit_line(looks, 0.6)
    assert sharp.um_per_unit_95 == pytest.approx(1.96 * math.sqrt(1e-6 / spread))
    assert coarse.um_per_unit_95 == pytest.approx(1.96 * math.sqrt((1e-6 + 0.12) / spread))
    grown_um = math.sqrt(coarse.play_95_um**2 - sharp.play_95_um**2)
    assert grown_um == pytest.approx(2.4 * 1.96 / math.sqrt(12.0))


def test_a_coarse_place_is_not_taken_for_the_end_of_the_linear_range():
    line = fit_line([Look(z, -z, 0.3, 1.0, "up") for z in np.linspace(-5.0, 5.0, 12)])
    far = [Look(z, -z + 1.1 * (z > 0), 0.3, 1.0, "far") for z in (-9.0, -3.0, 3.0, 9.0)]
    assert linear_range_um(far, line) == 0.0
    assert linear_range_um(far, line, 0.6) == pytest.approx(9.0)
    unsure = replace(line, um_per_unit_95=0.1)
    steep = [Look(z, -z + 0.15 * z, 0.3, 1.0, "far") for z in (-9.0, 9.0)]
    assert linear_range_um(steep, line) == 0.0
    assert linear_range_um(steep, unsure) == pytest.approx(9.0)


# ---- the drivers whose reports are coarse --------------------------------------------------------

WINDOW = {"z_min_um": -6000.0, "z_max_um": -4000.0, "poll_ms": 4, "settle_ms": 0, "answer_s": 10.0}
#: driver -> (its controller, its options); a step, or a report, of 1 um each
COARSE = {
    "grbl": (SimulatedGrbl, {"speed_um_s": 2000.0}),
    "prior": (lambda axis: SimulatedPrior(axis, nm_per_unit=1000), {}),
    "tmcl": (lambda axis: SimulatedTmcl(axis, nm_per_step=1000), {"full_step_um": 16.0}),
    "zaber": (lambda axis: SimulatedZaber(axis, nm_per_step=1000), {"full_step_um": 64.0}),
}


class AxisSight:
    """Networks and camera over a motor: the glass moves by GAIN of it, focus lies 3 um above."""

    def __init__(self, axis):
        self.axis, self.rng = axis, np.random.default_rng(3)
        self.focus_um = axis.position_nm() / 1000 * GAIN + 3.0

    def error_um(self):
        return self.axis.position_nm() / 1000 * GAIN - self.focus_um

    def next(self, timeout_s):
        now_ns = time.monotonic_ns()
        return Frame(np.zeros((1, 1), np.uint8), PixelFormat.MONO8, 1, now_ns, now_ns + 1)

    def measure(self, frame, lap):
        read_um = float(self.rng.normal(-self.error_um(), 0.1))
        estimate = FocusEstimate(read_um, 0.3, 9, Sparsity.SPARSE, 1, 1, 0.1)
        return Measurement(None, None, estimate)

    def sharpness(self, frame):
        return 1.0 / (1.0 + (self.error_um() / 2.0) ** 2)


@pytest.mark.long
@pytest.mark.parametrize("driver", COARSE)
def test_every_driver_that_reports_coarsely(monkeypatch, driver):
    controller, options = COARSE[driver]
    axis = SimulatedAxis(start_nm=-5_000_400, min_nm=-10_000_000, max_nm=0, speed_nm_s=20_000_000)
    sight = AxisSight(axis)
    monkeypatch.setattr(calibration, "sharpness", sight.sharpness)
    monkeypatch.setattr(calibration, "WAIT_S", ANSWER_S)
    state = RunState()
    state.ready()
    with Served(controller(axis)) as served:
        stage = open_stage(driver, {"port": served.port, **WINDOW, **options})
        try:
            limits = GuardLimits(-6000.0, -4000.0, 0, 25.0, 100.0, 0.0, 10_000)
            run = DriveCalibrator(stage, Guard(limits, stage, state), sight, sight.next, 0.0).run
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                result = run()
        finally:
            stage.close()
    assert result.off_um >= 0.4
    assert abs(result.um_per_unit - GAIN) <= result.um_per_unit_95 < 0.05
    assert result.play_um <= result.play_95_um
    assert abs(sight.error_um()) < 1.0
