"""Calibration by moving and looking, on a drive with play, any scale and either sign."""

import math

import numpy as np
import pytest

from edge.appliance.calibrate.drive_calibration import (
    TRIES,
    CalibrationRefused,
)
from edge.appliance.calibrate.fit import Look, fit_line, linear_range_um, nut_of, sharpest_um
from edge.errors import CameraLost, CameraStalled, MoveRefused
from firmware_bridge.errors import StageRefused
from firmware_bridge.stages.scaled import ScaledStage
from tests.support.calibrated_drive import Drive, bench


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("gain", [0.7, 1.0, 1.3])
@pytest.mark.parametrize("play_um", [0.0, 2.0])
def test_sign_scale_and_play_come_out_right(monkeypatch, sign, gain, play_um):
    here = bench(monkeypatch, gain=sign * gain, play_um=play_um)
    result = here.run()
    assert result.focus_direction == sign
    assert result.um_per_unit == pytest.approx(gain, rel=0.02)
    assert result.play_um == pytest.approx(play_um, abs=0.3)
    assert result.um_per_unit_95 < 0.04
    assert abs(result.zero_um) < 0.25
    assert result.linear_range_um > 10.0
    assert abs(here.sight.error_um()) < 0.4  # it is left in focus
    assert all(100.0 <= z <= 300.0 for z in here.drive.moves)
    assert len(result.looks) <= 40


def test_intervals_that_promise_too_much_are_widened(monkeypatch):
    here = bench(monkeypatch)
    assert here.run().interval_factor < 1.3
    here = bench(monkeypatch)
    here.sight.noise_um, here.sight.interval_um = 0.3, 0.2
    assert here.run().interval_factor > 1.5


def test_how_far_the_networks_are_right_is_found(monkeypatch):
    here = bench(monkeypatch, start_um=202.5)
    here.sight.saturate_um = 9.0
    assert 5.0 < here.run().linear_range_um < 10.0


@pytest.mark.parametrize("spoilt", ["dark", CameraStalled("none")])
@pytest.mark.parametrize("which", [{0}, {5, 6, 7}, set(range(0, 60, 3))])
def test_a_few_frames_that_show_nothing_end_no_calibration(monkeypatch, spoilt, which):
    here = bench(monkeypatch)
    here.sight.spoilt = dict.fromkeys(which, spoilt)
    assert here.run().um_per_unit == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize(
    ("spoilt", "error"),
    [("dark", CalibrationRefused), (CameraStalled("none"), CameraStalled)],
)
def test_more_than_a_few_in_a_row_do(monkeypatch, spoilt, error):
    here = bench(monkeypatch)
    here.sight.spoilt = dict.fromkeys(range(6, 6 + TRIES), spoilt)
    start_um = here.drive.z_um
    with pytest.raises(error):
        here.run()
    assert here.drive.z_um == pytest.approx(start_um, abs=0.1)  # brought back


def test_a_camera_that_is_lost_is_not_asked_again(monkeypatch):
    here = bench(monkeypatch)
    here.sight.spoilt = {3: CameraLost("unplugged")}
    with pytest.raises(CameraLost):
        here.run()
    assert here.sight.looks == 3
    assert here.drive.z_um == pytest.approx(200.0, abs=0.1)  # brought back


def refused(here, words):
    start = here.drive.z_um
    with pytest.raises(CalibrationRefused, match=words):
        here.run()
    assert here.drive.z_um == pytest.approx(start, abs=0.1)  # brought back


def test_what_does_not_allow_a_calibration_is_said(monkeypatch):
    here = bench(monkeypatch)
    here.sight.blind = True
    refused(here, "nothing to measure at z = 200.0 um: blank")
    here = bench(monkeypatch, start_um=150.0)
    refused(here, r"\+53.0 um out of focus|is the most")
    here = bench(monkeypatch, start_um=185.0)
    refused(here, "bring it within 12 um first")
    here = bench(monkeypatch)
    here.drive.stuck = True
    refused(here, "does not move the objective")
    here = bench(monkeypatch)
    here.sight.noise_um = 2.0
    refused(here, "scatter by")
    here = bench(monkeypatch)
    here.sight.flat = True
    refused(here, "sharpest")
    here = bench(monkeypatch)
    here.sight.offset_um = 2.0
    refused(here, "sharpest")


def test_a_latched_stage_is_not_moved(monkeypatch):
    here = bench(monkeypatch)
    here.drive.latched = "LIMIT"
    with pytest.raises(MoveRefused, match="latched"):
        here.run()
    assert here.drive.moves == []


def test_a_window_that_is_too_small_refuses_and_moves_nothing_outside(monkeypatch):
    here = bench(monkeypatch, start_um=101.0)
    with pytest.raises((MoveRefused, CalibrationRefused)):
        here.run()
    assert all(100.0 <= z <= 300.0 for z in here.drive.moves)


# ---- the fit ------------------------------------------------------------------------------------


def test_the_nut_follows_after_the_play():
    assert nut_of([0, 2, 1, -1, -3, -2, 1], 2.0).tolist() == [0, 2, 2, 1, -1, -1, 1]
    assert nut_of([0, 2, 1, -1], 0.0).tolist() == [0, 2, 1, -1]


def look(z_um, defocus_um, sharp=1.0, part="up"):
    return Look(z_um, defocus_um, 0.3, sharp, part)


def test_a_line_needs_looks_and_a_way():
    with pytest.raises(ValueError, match="3 looks, 8 are the least"):
        fit_line([look(0, 0)] * 3)
    with pytest.raises(ValueError, match="did not move"):
        fit_line([look(0, 0)] * 9)


def test_the_linear_range_is_the_worse_sides():
    line = fit_line([look(z, -z) for z in np.linspace(-5, 5, 12)])
    far = [look(z, -z) for z in (-20.0, -10.0, 10.0)] + [look(20.0, -14.0)]
    assert linear_range_um(far, line) == pytest.approx(10.0)
    assert linear_range_um([look(5.0, -5.0)], line) == 0.0  # one side only


def test_a_peak_at_the_end_is_no_peak():
    rows = [look(z, 0.0, sharp=1 / (1 + (z - 0.3) ** 2)) for z in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    assert sharpest_um(rows) == pytest.approx(0.3, abs=0.1)
    with pytest.raises(ValueError, match="first or the last"):
        sharpest_um(rows[:3])


# ---- the stage in um of focus --------------------------------------------------------------------


def test_a_calibrated_stage_counts_in_um_of_focus():
    drive = Drive(gain=0.7)
    stage = ScaledStage(drive, 0.7, 200.0)
    stage.move_to(207.0, 200.0)
    assert drive.z_um == pytest.approx(210.0)
    assert drive.glass_um == pytest.approx(207.0)
    assert stage.status().z_um == pytest.approx(207.0)
    assert stage.z_at(0).z_um == pytest.approx(207.0)
    assert stage.z_at(0).uncertainty_um == pytest.approx(0.014)
    assert stage.resolution_um == pytest.approx(0.035)
    assert (stage.z_min_um, stage.z_max_um) == pytest.approx((130.0, 270.0))
    wide = ScaledStage(Drive(gain=1.3), 1.3, 200.0)
    assert (wide.z_min_um, wide.z_max_um) == (100.0, 300.0)  # never wider than it was
    for scale in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="no scale"):
            ScaledStage(drive, scale, 200.0)


def test_what_the_drivers_window_forbids_is_refused():
    class Strict(Drive):
        def move_to(self, target_um, assumed_um):
            if not self.z_min_um <= target_um <= self.z_max_um:
                raise StageRefused("WINDOW", "outside")
            return super().move_to(target_um, assumed_um)

    drive = Strict(gain=0.7)
    with pytest.raises(StageRefused, match="WINDOW"):
        ScaledStage(drive, 0.7, 200.0).move_to(290.0, 200.0)
    assert drive.moves == []
