"""The controller that a config asks for, and what it would do with one frame taken alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edge.decide.conduct import NEAR_UM
from edge.decide.controller import Controller, ControllerSettings
from edge.decide.decision import Plan
from edge.decide.reading_scale import Scale
from edge.decide.tracking import ScanPath, SteadyScan, TrackingController, TrackingSettings
from edge.measure.aggregate import FocusEstimate, NoFocus
from edge.settings import Config, LoopSettings, Objective
from firmware_bridge.stages.at_rest import StageAtRest


def controller_of(
    config: Config, clock: Callable[[], int], path: ScanPath | None = None
) -> Controller | TrackingController:
    """Field by field, or along a line where the config has a `scan` section.

    `path`: where along the line the slide is, instead of the steady speed that the config names.
    """
    scan, stage = config.scan, config.stage
    if scan is None:
        settle_ns = round(stage.settle_ms * 1e6)
        by_field = controller_settings(
            config.loop, config.objective, stage.focus_direction, settle_ns
        )
        return Controller(
            replace(by_field, max_step_um=stage.max_step_um, no_play=stage.ends_from_one_side)
        )
    settings = TrackingSettings(
        focus_direction=stage.focus_direction,
        period_ms=config.camera.period_ms,
        max_step_um=scan.max_step_um,
        lead_ms=scan.lead_ms,
        deadband_um=scan.deadband_um,
        max_interval_um=scan.max_interval_um,
        predict_um=scan.predict_um,
        feed_forward=scan.feed_forward,
    )
    return TrackingController(settings, path or SteadyScan(scan.scan_speed_um_s), clock)


def controller_settings(
    loop: LoopSettings, objective: Objective, focus_direction: int, settle_ns: int
) -> ControllerSettings:
    """What the loop's section and the objective mean for the controller."""
    return ControllerSettings(
        focus_direction=focus_direction,
        deadband_um=loop.deadband_for(objective),
        sharp_um=objective.half_depth_um,
        verify_above_um=loop.verify_above_for(objective),
        max_interval_um=loop.max_interval_for(objective),
        settle_ns=settle_ns,
        max_shots=loop.max_shots,
        near_um=NEAR_UM * objective.axial_unit,
        axial_unit=objective.axial_unit,
        offset_um=loop.focus_offset_um,
        hold_outside=loop.hold_outside_training,
        reading_scale=loop.reading_scale,
        reading_scale_95=loop.reading_scale_95,
    )


class SingleFrame:
    """Says what the loop would do with a frame when nothing is known of any other, by asking its
    controller: of a stage at rest, with a direction that is known. Moves nothing."""

    def __init__(self, loop: LoopSettings, objective: Objective) -> None:
        self._controller = Controller(controller_settings(loop, objective, 1, 0))
        self._stage = StageAtRest()

    @property
    def scale(self) -> Scale:
        """What a reading is worth, as calibrated, or nothing but the spread of all irises."""
        return self._controller.scale

    def plan(self, estimate: FocusEstimate | NoFocus) -> Plan:
        """MOVE, VERIFY, IN_FOCUS or HOLD, with the reason that the loop would give."""
        # nothing is ever sent, so that nothing of the frame before is remembered
        return self._controller.plan(estimate, self._stage)
