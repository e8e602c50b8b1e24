"""The three pipelines on the same virtual slides: who keeps the tissue in focus, and how fast."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edge.wsi.focus_map import FocusMap, MapLimits, Refusal
from edge.wsi.grid import Grid
from edge.wsi.path import Field, ScanPlan, plan_at, plan_scan
from edge.wsi.pipelines import KeyPoints, OneStep, Pipeline, Taken, TwoStep
from edge.wsi.regions import Box, Mask
from edge.wsi.walk import Answer, Walk
from simulator.topography import Topography, TopographyParameters
from simulator.virtual_slide import EyeParameters, VirtualEye

GRID = Grid(832.32, 696.32, 0.1)
WINDOW = Box(-9000, -9000, 9000, 9000)
HALF_DOF_UM = 0.605
START_UM = 35.0
EYE, LIMITS = EyeParameters(), MapLimits()


def plan_of(slide: Topography, size_um: float) -> ScanPlan:
    """The tissue of a slide, by a mask of 200 um a cell; 55 % of it."""
    n = round(size_um / 200)
    x, y = np.meshgrid(*[(np.arange(n) + 0.5) * 200 - size_um / 2] * 2)
    content = slide.tissue(x, y)
    return plan_scan(
        [Mask(content > np.quantile(content, 0.45), 200.0, -size_um / 2, -size_um / 2)],
        GRID,
        WINDOW,
    )


class Run:
    """One pipeline over one slide."""

    def __init__(
        self,
        pipeline: Pipeline,
        seed: int = 1,
        roughness: float = 1.0,
        eye: EyeParameters = EYE,
        limits: MapLimits = LIMITS,
        size_um: float = 9000.0,
    ) -> None:
        slide = Topography(seed, TopographyParameters(roughness=roughness))
        self.plan = plan_of(slide, size_um)
        claimed = {field.cell for field in self.plan}
        self.eye = VirtualEye(slide, lambda field: field.cell in claimed, seed, eye)
        self.map = FocusMap(limits=limits)
        walk = Walk(self.plan)
        self.taken: list[Taken] = list(pipeline.fields(walk, self.map, self.eye))
        self.walk = walk
        kept = [taken for taken in self.taken if taken.z_um is not None]
        self.errors = np.abs([taken.z_um - self.eye.focus_um(taken.field) for taken in kept])

    @property
    def sharp(self) -> float:
        return float(np.mean(self.errors <= HALF_DOF_UM))


PIPELINES: dict[str, Pipeline] = {
    "key points": KeyPoints(START_UM),
    "two steps": TwoStep(START_UM),
    "one step": OneStep(START_UM),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_every_field_ends_once(name: str) -> None:
    run = Run(PIPELINES[name])
    ids = [taken.field.id for taken in run.taken]
    assert sorted(ids) == sorted(field.id for field in run.walk.plan)
    assert run.walk.next() is None
    for taken in run.taken:
        assert (taken.z_um is None) == (taken.answer is Answer.BLANK)
        if taken.z_um is not None:
            assert run.eye.taken[taken.field.id] == taken.z_um


def test_two_steps_and_one_beat_key_points() -> None:
    """Over the fields of three slides, of which each has its own topography."""
    runs = {name: [Run(way, seed) for seed in range(3)] for name, way in PIPELINES.items()}
    errors = {name: np.concatenate([run.errors for run in each]) for name, each in runs.items()}
    sharp = {name: np.mean(error <= HALF_DOF_UM) for name, error in errors.items()}
    assert sharp["two steps"] >= 0.98
    assert sharp["one step"] >= 0.95
    assert sharp["key points"] < 0.9
    assert np.quantile(errors["two steps"], 0.95) <= 0.45
    for one, key in zip(runs["one step"], runs["key points"], strict=True):
        assert one.eye.now_s < key.eye.now_s


@pytest.mark.parametrize("name", ["two steps", "one step"])
def test_a_smooth_slide_is_kept_as_a_whole(name: str) -> None:
    assert Run(PIPELINES[name], roughness=0.5).sharp >= 0.98


def test_blank_fields_are_found_by_looking_and_taken_by_none() -> None:
    """The plan has grown by the border of the tissue, which holds nothing."""
    for name in ("two steps", "one step"):
        run = Run(PIPELINES[name])
        claimed = {field.cell for field in run.plan}
        blank = {taken.field.cell for taken in run.taken if taken.z_um is None}
        assert len(run.walk.plan) > len(run.plan)
        assert blank == {field.cell for field in run.walk.plan} - claimed


def test_a_field_far_off_is_taken_once_more_and_no_more_than_that() -> None:
    run = Run(OneStep(START_UM))
    tries = [taken.tries for taken in run.taken]
    assert set(tries) == {1, 2}
    never = Run(OneStep(START_UM, retake_um=1e9))
    assert {taken.tries for taken in never.taken} == {1}
    assert never.sharp < run.sharp


def test_where_the_map_refuses_the_field_says_so() -> None:
    strict = MapLimits(support=10_000)
    for name in ("two steps", "one step"):
        run = Run(PIPELINES[name], limits=strict, size_um=3000.0)
        assert {taken.why for taken in run.taken if taken.z_um is not None} == {
            Refusal.INSUFFICIENT
        }


def test_anchors_are_what_was_measured_and_nothing_else() -> None:
    run = Run(TwoStep(START_UM))
    first_pass = {t.seen.time_ns: t.seen for t in run.taken if t.seen is not None}
    looked_again = sum(t.tries > 1 for t in run.taken)
    others = 0
    for anchor in run.map.anchors:
        look = first_pass.get(anchor.time_ns)
        others += look is None
        assert look is None or look.focus_um == anchor.z_um
    assert others <= looked_again < len(run.taken) / 3
    unanswered = dataclasses.replace(EyeParameters(), answered=0.0)
    assert Run(OneStep(START_UM), eye=unanswered, size_um=3000.0).map.anchors == []


def test_the_simulated_clock_is_the_sum_of_its_parts() -> None:
    places = [(0.0, 0.0), (749.0, 0.0), (749.0, 627.0)]
    plan = plan_at(places, GRID, WINDOW)
    p = EyeParameters(answered=1.0, wild=0.0)
    eye = VirtualEye(Topography(1), lambda _: True, 0, p)
    taken = list(OneStep(START_UM, retake_um=1e9).fields(Walk(plan), FocusMap(), eye))
    ways_s = p.axis.seconds(749.0) + p.axis.seconds(627.0) + 2 * p.settle_s
    assert len(taken) == 3
    assert eye.now_s == pytest.approx(ways_s + 3 * (p.exposure_s + p.one_shot_s))
    assert eye.focus_s == pytest.approx(3 * p.one_shot_s)


def test_beyond_its_range_the_eye_says_nothing() -> None:
    eye = VirtualEye(Topography(1), lambda _: True, 0, EyeParameters(answered=1.0, wild=0.0))
    field = Field(0, 0, 0, 0.0, 0.0, 1.0)
    truth = eye.focus_um(field)
    assert eye.one_shot(field, truth + 24.0).focus_um == pytest.approx(truth, abs=0.8)
    assert eye.one_shot(field, truth + 26.0).focus_um is None
