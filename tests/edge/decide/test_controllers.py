"""What the loop would do with one frame is asked of its controller: no verb says otherwise."""

from __future__ import annotations

import dataclasses

import pytest

from edge.decide.controller import Controller, ControllerSettings
from edge.decide.controllers import SingleFrame, controller_of, controller_settings
from edge.decide.tracking import SteadyScan, TrackingController, TrackingSettings
from edge.guard import GuardLimits, TrackingLimits, limits_of
from edge.optics import Objective
from edge.settings import (
    CameraSettings,
    Config,
    LoopSettings,
    ModelSettings,
    ScanSettings,
    StageSettings,
)
from tests.support.fake_microscope import Clock, estimate, no_focus

OBJECTIVE = Objective(na=0.75, magnification=20, um_per_px=0.34)


@pytest.mark.parametrize(
    ("defocus_um", "interval_um", "decision"),
    [
        (20.0, 6.0, "HOLD"),  # too little is known of it
        (12.0, 1.0, "VERIFY"),  # far: the next frame must confirm it
        (0.45, 0.6, "IN_FOCUS"),  # within the depth of field, and hardly known better
        (3.0, 0.2, "MOVE"),
        (0.1, 0.05, "IN_FOCUS"),
    ],
)
def test_a_frame_alone_is_decided_as_in_the_loop(defocus_um, interval_um, decision):
    alone = SingleFrame(LoopSettings(), OBJECTIVE)
    for sign in (1, -1):
        plan = alone.plan(estimate(sign * defocus_um, interval_um, 1, 1))
        assert plan.decision.value == decision, plan.reason


def test_nothing_is_remembered_of_the_frame_before():
    alone = SingleFrame(LoopSettings(), OBJECTIVE)
    plans = [alone.plan(estimate(3.0, 0.2, 1, 1)) for _ in range(20)]
    assert {(plan.decision.value, plan.reason) for plan in plans} == {("MOVE", "defocus")}
    assert alone.plan(no_focus()).reason == "blank"


def test_of_a_stage_that_rests_at_zero_and_whose_rising_z_raises_the_objective():
    alone = SingleFrame(LoopSettings(), OBJECTIVE)
    for defocus_um in (3.0, -3.0):
        assert alone.plan(estimate(defocus_um, 0.2)).target_um == defocus_um


def test_the_deadband_is_the_objectives_unless_it_is_given():
    assert LoopSettings().deadband_for(OBJECTIVE) == OBJECTIVE.deadband_um
    assert LoopSettings(deadband_um=2.0).deadband_for(OBJECTIVE) == 2.0
    wide = SingleFrame(LoopSettings(deadband_um=2.0), OBJECTIVE)
    assert wide.plan(estimate(1.9, 0.1, 1, 1)).decision.value == "IN_FOCUS"


LOOP = LoopSettings(deadband_um=0.7, verify_above_um=6.0, max_interval_um=3.0, max_shots=7)
STAGE = StageSettings(
    "binary", -200.0, 300.0, -1, max_step_um=21.0, settle_ms=8.0, max_moves_per_s=9
)
SCAN = ScanSettings(
    scan_speed_um_s=900.0, max_step_um=4.0, deadband_um=0.2, max_blur_um=0.4,
    max_uncertainty_um=0.2, max_interval_um=1.25, lead_ms=17.0, predict_um=0.55, feed_forward=False,
)  # fmt: skip


def config(scan: ScanSettings | None = None, **loop: float) -> Config:
    return Config(
        camera=CameraSettings("recorded", 40.0),
        stage=STAGE,
        objective=OBJECTIVE,
        models=ModelSettings(),
        loop=LoopSettings(**loop) if loop else LOOP,
        scan=scan,
    )


def test_field_by_field_where_the_config_has_no_scan() -> None:
    controller = controller_of(config(), Clock())
    assert isinstance(controller, Controller)
    assert controller._settings == ControllerSettings(
        focus_direction=-1, deadband_um=0.7, sharp_um=OBJECTIVE.half_depth_um,
        verify_above_um=6.0, max_interval_um=3.0, settle_ns=8_000_000, max_shots=7,
        max_step_um=21.0, no_play=True,  # our own firmware ends every move from one side
        hold_outside=True,
    )  # fmt: skip


def test_what_another_objective_and_a_calibration_mean() -> None:
    loop = LoopSettings(focus_offset_um=0.25, hold_outside_training=False, reading_scale=0.8,
                        reading_scale_95=0.05)  # fmt: skip
    wide = Objective(na=0.45, magnification=10, um_per_px=0.69)
    assert wide.axial_unit > 2.0
    settings = controller_settings(loop, wide, 1, 0)
    assert settings == ControllerSettings(
        focus_direction=1, deadband_um=wide.deadband_um, sharp_um=wide.half_depth_um,
        verify_above_um=5.0 * wide.axial_unit, max_interval_um=4.0 * wide.axial_unit, settle_ns=0,
        max_shots=4, near_um=3.0 * wide.axial_unit, axial_unit=wide.axial_unit, offset_um=0.25,
        hold_outside=False, reading_scale=0.8, reading_scale_95=0.05,
    )  # fmt: skip


def test_the_time_to_settle_is_a_whole_number_of_nanoseconds() -> None:
    stage = dataclasses.replace(STAGE, settle_ms=2.0000004)
    controller = controller_of(dataclasses.replace(config(), stage=stage), Clock())
    assert isinstance(controller, Controller)
    assert type(controller._settings.settle_ns) is int
    assert controller._settings.settle_ns == 2_000_000


def test_along_a_line_where_it_has_one() -> None:
    clock = Clock()
    controller = controller_of(config(SCAN), clock)
    assert isinstance(controller, TrackingController)
    assert controller._settings == TrackingSettings(
        focus_direction=-1, period_ms=40.0, max_step_um=4.0, lead_ms=17.0, deadband_um=0.2,
        max_interval_um=1.25, predict_um=0.55, feed_forward=False,
    )  # fmt: skip
    assert (controller._path, controller._clock) == (SteadyScan(900.0), clock)
    path = SteadyScan(5.0)
    steered = controller_of(config(SCAN), clock, path)
    assert isinstance(steered, TrackingController)
    assert steered._path is path


def test_what_the_guard_allows_is_what_the_config_says() -> None:
    assert limits_of(config(max_age_ms=77.0)) == GuardLimits(
        z_min_um=-200.0, z_max_um=300.0, focus_direction=-1, max_step_um=21.0, max_age_ms=77.0,
        settle_ms=8.0, max_moves_per_s=9, tracking=None,
    )  # fmt: skip
    assert limits_of(config(SCAN)).tracking == TrackingLimits(4.0, 0.4, 0.2)
