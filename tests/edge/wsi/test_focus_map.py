"""One map of a slide: what it says, how sure it is, which readings it believes, what it refuses."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from edge.decide.focus_surface import SD_PER_INTERVAL, Surface
from edge.wsi.focus_map import (
    Anchor,
    FocusMap,
    MapLimits,
    Refusal,
    Unknown,
    farthest_first,
    map_of_json,
)
from edge.wsi.focus_priors import PRIORS, GaussianProcess, Plane
from edge.wsi.loo_gate import LEAST_KEPT, judge
from edge.wsi.map_line import MapLine
from simulator.topography import Topography, TopographyParameters

MINUTE_NS = 60_000_000_000
INTERVAL_UM = 0.3
WIDE = MapLimits(reach_um=1e6, support_um=1e6)
STEPS_X_UM, STEPS_Y_UM = 749.0, 627.0


def plane(x_um: float, y_um: float) -> float:
    return 40.0 + 1e-3 * x_um - 2e-3 * y_um


def lattice(n: int, step_um: float = 750.0) -> list[tuple[float, float]]:
    return [(step_um * i, step_um * j) for j in range(n) for i in range(n)]


def filled(focus_map: FocusMap, n: int = 5, noise_um: float = 0.0, seed: int = 0) -> FocusMap:
    rng = np.random.default_rng(seed)
    for x, y in lattice(n):
        focus_map.add(Anchor(x, y, plane(x, y) + rng.normal(0, noise_um), INTERVAL_UM, 0))
    return focus_map


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_answers_by_the_same_contract(name: str) -> None:
    """A tilted plane lies within the interval everywhere; the interval grows with the distance."""
    prior = PRIORS[name]()
    assert prior.name == name
    focus_map = filled(FocusMap(prior))
    inside, outside = focus_map.at(1100, 1300), focus_map.at(4400, 1300)
    for (x, y), answer in (((1100, 1300), inside), ((4400, 1300), outside)):
        assert abs(answer.z_um - plane(x, y)) <= answer.interval_um
    assert abs(inside.z_um - plane(1100, 1300)) < 0.1
    assert INTERVAL_UM / 5 < inside.interval_um < outside.interval_um


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_is_a_covariance(name: str) -> None:
    places = np.random.default_rng(1).uniform(-8, 8, (40, 2))
    whole = PRIORS[name]().covariance(places, places)
    assert whole == pytest.approx(whole.T)
    assert np.linalg.eigvalsh(whole).min() > -1e-7 * np.linalg.eigvalsh(whole).max()


def test_leaving_one_out_in_closed_form_is_leaving_one_out() -> None:
    rng = np.random.default_rng(3)
    focus_map = filled(FocusMap(), 3, noise_um=0.15)
    for left_out, verdict in enumerate(focus_map.verdicts()):
        others = FocusMap(focus_map.prior, WIDE)
        for i, anchor in enumerate(focus_map.anchors):
            if i != left_out:
                others.add(anchor)
        a = verdict.anchor
        expected = others.at(a.x_um, a.y_um)
        sd = math.hypot(expected.interval_um, a.interval_um) * SD_PER_INTERVAL
        # the prior's middle moves with its anchors, and a weak belief in a plane hardly tells
        assert verdict.off_um == pytest.approx(a.z_um - expected.z_um, abs=2e-3)
        assert verdict.sd_um == pytest.approx(sd, rel=2e-3)
    assert rng is not None


@pytest.mark.parametrize("off_um", [-8.0, -3.0, 3.0, 8.0])
def test_one_wrong_reading_is_dropped(off_um: float) -> None:
    focus_map = filled(FocusMap())
    focus_map.add(Anchor(1500, 1600, plane(1500, 1600) + off_um, INTERVAL_UM, 0))
    *good, wrong = focus_map.verdicts()
    assert not wrong.kept
    assert math.isnan(wrong.off_um)
    assert all(verdict.kept for verdict in good)
    assert focus_map.at(1500, 1600).z_um == pytest.approx(plane(1500, 1600), abs=0.1)


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("off_um", [-40.0, -8.0, 3.0, 12.0])
def test_two_neighbours_that_agree_are_never_dropped(name: str, off_um: float) -> None:
    focus_map = filled(FocusMap(PRIORS[name]()))
    for x, y in ((1500, 1600), (1900, 1600)):
        focus_map.add(Anchor(x, y, plane(x, y) + off_um, INTERVAL_UM, 0))
    assert all(verdict.kept for verdict in focus_map.verdicts()[-2:])


def test_two_that_are_wrong_in_their_own_way_are_dropped() -> None:
    focus_map = filled(FocusMap())
    for x, y, off in ((1500, 1600, 8.0), (1900, 1600, -8.0)):
        focus_map.add(Anchor(x, y, plane(x, y) + off, INTERVAL_UM, 0))
    assert [verdict.kept for verdict in focus_map.verdicts()[-2:]] == [False, False]


def test_a_verdict_does_not_bind_when_a_neighbour_comes_to_agree() -> None:
    focus_map = filled(FocusMap())
    focus_map.add(Anchor(1500, 1600, plane(1500, 1600) + 8, INTERVAL_UM, 0))
    assert not focus_map.verdicts()[-1].kept
    focus_map.add(Anchor(1800, 1600, plane(1800, 1600) + 8, INTERVAL_UM, 0))
    assert [verdict.kept for verdict in focus_map.verdicts()[-2:]] == [True, True]


def test_a_map_of_few_drops_none() -> None:
    z = np.array([0.0] * (LEAST_KEPT - 1) + [50.0])
    apart = np.full((len(z), len(z)), 1e6)
    judged = judge(z, np.eye(len(z)), apart, 1.0)
    assert len(judged.kept) == LEAST_KEPT
    assert list(judged.doubtful) == [LEAST_KEPT - 1]


def test_refusals_have_a_type_and_are_never_a_height() -> None:
    focus_map = FocusMap()
    for x, y in lattice(2)[:3]:
        assert focus_map.at(x, y) == Unknown(why=Refusal.INSUFFICIENT)
        focus_map.add(Anchor(x, y, plane(x, y), INTERVAL_UM, 0))
    filled(focus_map, 3)
    assert focus_map.at(1500 + 2990, 1500).interval_um < math.inf
    assert focus_map.at(1500 + 3010, 1500) == Unknown(why=Refusal.OUTSIDE)
    assert focus_map.at(math.nan, 0) == Unknown(why=Refusal.OUTSIDE)
    lonely = FocusMap(limits=MapLimits(support_um=1000))
    for x in (0.0, 900.0, 9000.0, 9900.0):
        lonely.add(Anchor(x, 0, 40, INTERVAL_UM, 0))
    assert lonely.at(450, 0) == Unknown(why=Refusal.INSUFFICIENT)
    assert not Unknown().interval_um <= 1e9
    assert not abs(Unknown().z_um) <= 1e9


def test_beside_anchors_that_contradict_each_other_it_says_nothing() -> None:
    focus_map = filled(FocusMap())
    for x in (1500.0, 1900.0):
        focus_map.add(Anchor(x, 1600, plane(x, 1600) + 12, INTERVAL_UM, 0))
    assert focus_map.at(1700, 1600) == Unknown(why=Refusal.DISCONTINUITY)
    assert abs(focus_map.at(0, 3000).z_um - plane(0, 3000)) < 0.5


def test_only_measured_places_are_anchors() -> None:
    focus_map = FocusMap()
    expected = focus_map.at(0, 0)
    with pytest.raises(ValueError, match="no anchor"):
        focus_map.add(Anchor(0, 0, expected.z_um, expected.interval_um, 0))
    for interval in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="no anchor"):
            Anchor(0, 0, 1, interval, 0)


def test_a_place_visited_again_shows_the_drift() -> None:
    focus_map = FocusMap(limits=MapLimits(drift_um=0.2))
    for minute, (x, y) in enumerate(lattice(4)):
        wandered = 0.1 * minute
        time_ns = minute * MINUTE_NS
        focus_map.add(Anchor(x, y, plane(x, y) + wandered, INTERVAL_UM, time_ns))
        again = Anchor(0, 0, plane(0, 0) + wandered, INTERVAL_UM, time_ns)
        focus_map.add(again)
    drift = focus_map.drift(15 * MINUTE_NS)
    assert abs(drift.z_um - 1.5) <= drift.interval_um < 0.5
    assert focus_map.drift(0).z_um == pytest.approx(0, abs=1e-9)
    late, early = focus_map.at(800, 800), focus_map.at(800, 800, 0)
    assert late.z_um - early.z_um == pytest.approx(1.5, abs=0.3)
    far_off = focus_map.at(800, 800, 60 * MINUTE_NS)
    assert far_off.interval_um > 2 * late.interval_um


def error_um(seed: int, parameters: TopographyParameters) -> tuple[np.ndarray, float]:
    """A two-step map of a simulated slide against its truth: 90 % of the tissue fields measured,
    one in a hundred of them anywhere; and how often the interval holds."""
    slide, rng = Topography(seed, parameters), np.random.default_rng(seed)
    x, y = np.meshgrid((np.arange(20) - 9.5) * STEPS_X_UM, (np.arange(24) - 11.5) * STEPS_Y_UM)
    content = slide.tissue(x, y)
    x, y = x[content > np.quantile(content, 0.45)], y[content > np.quantile(content, 0.45)]
    truth = slide.height_um(x, y)
    focus_map = FocusMap()
    for xi, yi, zi in zip(x, y, truth, strict=True):
        if rng.random() < 0.9:
            wild = rng.uniform(-10, 10) if rng.random() < 0.01 else 0.0
            z = zi + rng.normal(0, 0.15) + wild
            focus_map.add(Anchor(xi, yi, z, 1.96 * 0.15, 0))
    answers = [focus_map.at(xi, yi) for xi, yi in zip(x, y, strict=True)]
    off = np.abs([expected.z_um for expected in answers] - truth)
    return off, float(np.mean(off <= [expected.interval_um for expected in answers]))


@pytest.mark.parametrize("roughness", [0.5, 1.0])
def test_two_steps_keep_the_tissue_within_half_the_depth_of_field(roughness: float) -> None:
    off, covered = error_um(11, TopographyParameters(roughness=roughness))
    assert np.mean(off <= 0.605) >= 0.98
    assert np.quantile(off, 0.95) <= 0.45
    assert covered >= 0.93


def test_a_map_goes_through_json() -> None:
    focus_map = filled(FocusMap(GaussianProcess(roughness=2.0), MapLimits(reach_um=1234)), 3, 0.2)
    again = map_of_json(json.loads(json.dumps(focus_map.as_json())))
    assert (again.prior, again.limits) == (focus_map.prior, focus_map.limits)
    assert again.at(700, 700) == focus_map.at(700, 700)


@pytest.mark.parametrize("change", [{"format": 0}, {"prior": {"name": "cubic"}}, {"anchors": [1]},
                                    {"prior": {"name": "plane", "x": 1}}])  # fmt: skip
def test_what_is_no_map(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="map"):
        map_of_json({**FocusMap(Plane()).as_json(), **change})


def test_key_points_lie_far_apart() -> None:
    places = lattice(9)
    chosen = farthest_first(places, 5)
    assert chosen[0] == (3000, 3000)
    assert sorted(chosen[1:]) == [(0, 0), (0, 6000), (6000, 0), (6000, 6000)]
    assert sorted(farthest_first(places, 1000)) == sorted(places)
    assert farthest_first([], 3) == farthest_first(places, 0) == []


def test_a_line_of_the_map_is_what_tracking_follows() -> None:
    focus_map = FocusMap()
    line: Surface = MapLine(focus_map, 0.0, clock=lambda: 7)
    assert not line.known
    assert math.isinf(line.at(0).interval_um)
    for x in range(0, 4000, 500):
        assert line.read(x, plane(x, 0), INTERVAL_UM)
    line.forget()
    assert line.known
    assert abs(line.at(1750).z_um - plane(1750, 0)) < 0.1
    assert {(a.y_um, a.time_ns, a.source) for a in focus_map.anchors} == {(0.0, 7, "tracking")}
    assert isinstance(line, MapLine)
    line.begin(700.0)  # the lines behind make the next one known
    assert abs(line.at(1750).z_um - plane(1750, 700)) < line.at(1750).interval_um
    with pytest.raises(ValueError, match="no anchor"):
        line.read(0, math.nan, 1)
