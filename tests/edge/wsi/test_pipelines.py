"""The three pipelines on the same virtual slides: who keeps the tissue in focus, and how fast."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edge.wsi.focus_map import FocusMap, MapLimits, Refusal
from edge.wsi.grid import Grid
from edge.wsi.path import Field, plan_at, plan_scan
from edge.wsi.pipelines import KeyPoints, Looked, OneStep, Pipeline, Taken, TwoStep
from edge.wsi.regions import Box, Mask
from edge.wsi.route import Cell
from edge.wsi.walk import Answer, Walk
from simulator.topography import Topography, TopographyParameters
from simulator.virtual_slide import EyeParameters, VirtualEye

GRID = Grid(832.32, 696.32, 0.1)
WINDOW = Box(-9000, -9000, 9000, 9000)
HALF_DOF_UM = 0.605
START_UM = 35.0
EYE, LIMITS = EyeParameters(), MapLimits(nearest=48)


def mask_of(slide: Topography, size_um: float) -> Mask:
    """The tissue of a slide, by a mask of 200 um a cell; 55 % of it."""
    n = round(size_um / 200)
    x, y = np.meshgrid(*[(np.arange(n) + 0.5) * 200 - size_um / 2] * 2)
    content = slide.tissue(x, y)
    return Mask(content > np.quantile(content, 0.45), 200.0, -size_um / 2, -size_um / 2)


def edges(mask: Mask, field: Field) -> frozenset[Cell]:
    """The sides on which the outer two of nine patches show something."""
    box = GRID.box(field.cell)
    across, down = (box.x1_um - box.x0_um) * 2 / 9, (box.y1_um - box.y0_um) * 2 / 9
    x = {-1: (box.x0_um, box.x0_um + across), 0: (box.x0_um, box.x1_um),
         1: (box.x1_um - across, box.x1_um)}  # fmt: skip
    y = {-1: (box.y0_um, box.y0_um + down), 0: (box.y0_um, box.y1_um),
         1: (box.y1_um - down, box.y1_um)}  # fmt: skip
    parts = {(r, c): Box(x[c][0], y[r][0], x[c][1], y[r][1]) for r in y for c in x if r or c}
    return frozenset(side for side, part in parts.items() if mask.content_um2(part) > 0)


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
        mask = mask_of(slide, size_um)
        self.plan = plan_scan([mask], GRID, WINDOW, columns=True)
        claimed = {field.cell for field in self.plan}
        self.eye = VirtualEye(
            slide,
            lambda field: field.cell in claimed,
            seed,
            eye,
            toward=lambda field: edges(mask, field),
        )
        self.map = FocusMap(limits=limits)
        walk = Walk(self.plan)
        self.steps = list(pipeline.fields(walk, self.map, self.eye))
        last = {step.field.id: step for step in self.steps if isinstance(step, Taken)}
        self.taken = list(last.values())
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
    assert sharp["key points"] < 0.9
    for name in ("two steps", "one step"):
        assert sharp[name] >= 0.98
        assert min(run.sharp for run in runs[name]) >= 0.95
        assert np.quantile(errors[name], 0.95) <= 0.45
    for one, key in zip(runs["one step"], runs["key points"], strict=True):
        assert one.eye.now_s < key.eye.now_s


@pytest.mark.parametrize("name", ["two steps", "one step"])
def test_a_smooth_slide_is_kept_as_a_whole(name: str) -> None:
    assert Run(PIPELINES[name], roughness=0.5).sharp >= 0.98


def test_blank_fields_are_found_by_looking_and_taken_by_none() -> None:
    """The plan has grown by the border of the tissue, which holds nothing."""
    for name in ("two steps", "one step"):
        run = Run(PIPELINES[name])
        assert len(run.walk.plan) < 1.2 * len(run.plan)  # on the sides where it may go on
        claimed = {field.cell for field in run.plan}
        blank = {taken.field.cell for taken in run.taken if taken.z_um is None}
        assert len(run.walk.plan) > len(run.plan)
        assert blank == {field.cell for field in run.walk.plan} - claimed


def test_a_field_far_off_is_taken_again_a_few_times_and_no_more() -> None:
    run = Run(OneStep(START_UM))
    tries = [taken.tries for taken in run.taken]
    assert set(tries) <= {1, 2, 3, 4}  # at most three in its turn, and one late
    assert {taken.tries for taken in run.taken if not taken.late} == {1, 2, 3}
    never = Run(OneStep(START_UM, retake_um=1e9))
    assert {taken.tries for taken in never.taken} == {1, 2}  # the second: of the unanswered
    assert never.sharp < run.sharp


def test_what_was_taken_wrongly_is_taken_again_at_the_end() -> None:
    """Every fifth answer is anywhere, and one field in five has none: what the whole map says of
    those is known only when all were visited."""
    bad = EyeParameters(answered=0.8, wild=0.05)
    run = Run(OneStep(START_UM), eye=bad)
    first = {s.field.id: s for s in reversed(run.steps) if isinstance(s, Taken)}
    late = [taken for taken in run.taken if taken.late]
    assert len(late) >= 3

    def error(taken: Taken) -> float:
        assert taken.z_um is not None
        return abs(taken.z_um - run.eye.focus_um(taken.field))

    before = [error(first[taken.field.id]) for taken in late]
    assert np.mean([error(taken) for taken in late]) < 0.5 * np.mean(before)


def test_where_the_map_refuses_the_field_says_so() -> None:
    strict = MapLimits(support=10_000)
    for name in ("two steps", "one step"):
        run = Run(PIPELINES[name], limits=strict, size_um=3000.0)
        why = {taken.why for taken in run.taken if taken.z_um is not None}
        assert why <= {Refusal.INSUFFICIENT, None}  # None: its own reading was enough
        assert Refusal.INSUFFICIENT in why or name == "two steps"


def test_anchors_are_what_was_measured_and_nothing_else() -> None:
    run = Run(TwoStep(START_UM))
    looks = [step.reading for step in run.steps]
    measured = {look.time_ns: look.focus_um for look in looks if look is not None}
    assert all(measured[anchor.time_ns] == anchor.z_um for anchor in run.map.anchors)
    assert sum(isinstance(step, Looked) for step in run.steps) == len(run.taken)
    unanswered = dataclasses.replace(EyeParameters(), answered=0.0)
    assert Run(OneStep(START_UM), eye=unanswered, size_um=3000.0).map.anchors == []


def test_the_simulated_clock_is_the_sum_of_its_parts() -> None:
    places = [(0.0, 0.0), (749.0, 0.0), (749.0, 627.0)]
    plan = plan_at(places, GRID, WINDOW)
    p = EyeParameters(answered=1.0, wild=0.0)
    eye = VirtualEye(Topography(1), lambda _: True, 0, p)
    taken = list(OneStep(START_UM, retake_um=1e9).fields(Walk(plan), FocusMap(), eye))
    ways_s = p.axis.seconds(749.0) + p.axis.seconds(627.0) + 2 * p.settle_s
    look_s = p.transfer_s + p.measure_s
    assert len(taken) == 3
    first_z_s = p.z_step_s  # the others are over before the slide is there
    assert eye.now_s == pytest.approx(first_z_s + ways_s + 3 * (p.exposure_s + look_s))
    assert eye.focus_s == pytest.approx(3 * look_s)


def test_measuring_on_the_way_costs_nothing() -> None:
    """The slide goes on after the exposure; a way is longer than a transfer and a measurement."""
    p = EyeParameters(answered=1.0, wild=0.0)
    fields = plan_at([(0.0, 0.0), (749.0, 0.0), (1498.0, 0.0)], GRID, WINDOW).fields
    eye = VirtualEye(Topography(1), lambda _: True, 0, p)
    eye.one_shot(fields[0], START_UM, fields[1])
    eye.one_shot(fields[1], START_UM)
    assert eye.focus_s == pytest.approx(p.transfer_s + p.measure_s)  # of the second alone
    way_s = p.axis.seconds(749.0) + p.settle_s
    assert eye.now_s == pytest.approx(p.z_step_s + way_s + 2 * p.exposure_s + eye.focus_s)


def test_a_wrong_guess_of_the_way_costs_the_way_back() -> None:
    p = EyeParameters(answered=1.0, wild=0.0)
    fields = plan_at([(0.0, 0.0), (749.0, 0.0)], GRID, WINDOW).fields
    eye = VirtualEye(Topography(1), lambda _: True, 0, p)
    eye.one_shot(fields[0], START_UM, fields[1])
    eye.take(fields[0], START_UM)
    ways_s = 2 * (p.axis.seconds(749.0) + p.settle_s)
    assert eye.now_s == pytest.approx(p.z_step_s + ways_s + 2 * p.exposure_s)


def test_beyond_its_range_the_eye_says_nothing() -> None:
    eye = VirtualEye(Topography(1), lambda _: True, 0, EyeParameters(answered=1.0, wild=0.0))
    field = Field(0, 0, 0, 0.0, 0.0, 1.0)
    truth = eye.focus_um(field)
    assert eye.one_shot(field, truth + 24.0).focus_um == pytest.approx(truth, abs=0.8)
    assert eye.one_shot(field, truth + 26.0).focus_um is None
