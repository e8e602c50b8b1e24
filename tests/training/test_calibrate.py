"""The fits on rows whose errors are drawn from a known model: does what is promised hold on fresh
slides, in every group, and does the alarm ring where it should?"""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from edge.appliance.evaluate.rows_file import rows_file
from edge.appliance.frame_result import FrameResult
from edge.measure.by_patches import NumberByPatches, number_for
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Sparsity
from edge.measure.interval import IntervalModel
from edge.measure.photometry import PHOTOMETRY
from edge.measure.training_range import TrainingRange
from engines.manifest import NOMINAL_OPTICS, Input, Manifest, Output
from training import calibrate
from training import fit_interval as fit_interval_module
from training.conformal import slide_quantile, slide_share, weights
from training.fit_interval import LEAST_SLIDES, fit_interval, intervals
from training.fit_training_range import fit_training_range, judge
from training.frame_rows import FrameRow, best_of, k_keys, read_frames, slide_numbers, split

START = IntervalModel(range_um=27.0)
GROUPS = [(kind, name, k) for kind in ("cell", "tissue")
          for name, k in (("dense", 31), ("sparse", 9), ("ex-sparse", 3))]  # fmt: skip
USUAL = {"background": 230.0, "red balance": 0.02, "blue balance": -0.05, "saturated": 0.0,
         "black": 0.0, "colour": 0.2, "contrast": 0.15}  # fmt: skip
NOTHING = PatchDefocus(*[np.empty(0, np.float32)] * 3, (), Sparsity.DENSE, True)


def interval_rows(slides: int, seed: int, heavy: bool = False, frames: int = 2) -> list[FrameRow]:
    """Errors whose size follows everything known at run time, and the slide.

    Tissue chooses patches of less importance and errs more for it; a slide's frames share half of
    the logarithm of their size. `slides` per group.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for kind, name, k in GROUPS:
        for slide in range(slides):
            bad = math.exp(rng.normal(0, 0.3))
            for _ in range(frames):
                few = int(rng.integers(1, 4)) if k == 3 else k
                reading = float(rng.uniform(-25, 25))
                network = 0.15 * math.exp(rng.normal(0, 0.5)) * (1 + abs(reading) / 10)
                between = network * math.exp(rng.normal(0, 0.3))
                importance = 1 - float(rng.uniform(0, 0.2 if kind == "tissue" else 0.05))
                size = bad * math.hypot(
                    0.05, 0.5 * network * (1 + 1 / math.sqrt(few)), 3 * (1 - importance),
                    0.01 * reading,
                )  # fmt: skip
                error = abs(float(rng.standard_t(4) if heavy else rng.normal())) * size
                rows.append(FrameRow(
                    "everyday", f"{kind} {name}", f"{kind}{name}{slide}", few, error, reading,
                    network, between, importance, NOTHING, {},
                ))  # fmt: skip
    return rows


def at_every_law(exponent: NumberByPatches) -> list[float]:
    return [number_for(exponent, k) for k in (3, 9, 31)]


def group_coverage(rows: list[FrameRow], calibration: IntervalModel) -> dict[str, float]:
    inside = np.array([r.error_um for r in rows]) <= intervals(rows, calibration)
    return {
        f"{kind} {name}": slide_share(
            inside[mine], slide_numbers([r for r, m in zip(rows, mine, strict=True) if m])
        )[0]
        for kind, name, _ in GROUPS
        for mine in [np.array([row.group == f"{kind} {name}" for row in rows])]
    }


# --- quantiles over slides


def test_every_slide_counts_once():
    slides = np.array([0, 0, 0, 0, 1])
    assert weights(slides).tolist() == [0.25, 0.25, 0.25, 0.25, 1.0]
    assert slide_share(np.array([True] * 4 + [False]), slides) == (0.5, 0.5)
    alone = slide_share(np.array([True]), np.array([7]))
    assert alone[0] == 1.0
    assert math.isnan(alone[1])


def test_the_quantile_is_the_finite_sample_one():
    scores = np.arange(1.0, 20.0)  # 19 slides: ceil(20 * 0.95) = the 19th
    slides = np.arange(19)
    assert slide_quantile(scores, slides, 0.95) == 19.0
    assert slide_quantile(scores, slides, 0.95, new=0) == 19.0
    assert slide_quantile(scores, slides, 0.90) == 18.0
    assert slide_quantile(scores[:18], slides[:18], 0.95) == math.inf
    assert slide_quantile(scores[::-1], slides, 0.5) == 10.0


def test_many_frames_of_one_slide_do_not_outvote_the_others():
    scores = np.concatenate([np.full(1000, 0.1), np.arange(1.0, 100.0)])
    slides = np.concatenate([np.zeros(1000, int), np.arange(1, 100)])
    assert slide_quantile(scores, slides, 0.95) == 95.0  # 101 * 0.95 = 95.95, one of them at 0.1


# --- splitting


def test_a_slide_is_in_one_part_and_every_group_in_all():
    rows = interval_rows(10, 0)
    parts = split(rows, (0, 1, 0, 1, 2), seed=3)
    assert sorted(map(id, rows)) == sorted(id(row) for part in parts for row in part)
    names = [{(row.condition, row.slide) for row in part} for part in parts]
    assert [len(each) for each in names] == [24, 24, 12]
    assert len(set.union(*names)) == 60
    assert all({row.group for row in part} == {f"{a} {b}" for a, b, _ in GROUPS} for part in parts)
    assert [len(part) for part in split(rows, (0, 1), seed=4)] == [60, 60]


def test_small_strata_do_not_all_miss_the_same_part():
    rows = [dataclasses.replace(row, slide=f"{row.slide}") for row in interval_rows(1, 0)]
    assert min(len(part) for part in split(rows, (0, 1))) > 0


def test_few_slides_share_a_factor():
    def rows(**counts: int) -> list[FrameRow]:
        one = interval_rows(1, 0)[0]
        return [dataclasses.replace(one, k=int(k[1:]), slide=f"{k} {i}")
                for k, n in counts.items() for i in range(n)]  # fmt: skip

    assert k_keys(rows(k3=40, k9=40, k31=40), 40) == (1, 9, 31)
    assert k_keys(rows(k3=10, k9=40, k31=40), 40) == (1, 31)
    assert k_keys(rows(k3=40, k9=40, k31=10), 40) == (1, 9)
    assert k_keys(rows(k3=40, k9=10, k31=40), 40) == (1, 9)
    assert k_keys(rows(k3=9), 40) == (1,)
    assert k_keys(rows(k1=120, k2=120, k3=120, k9=40, k31=40), 40) == (1, 2, 3, 9, 31)


# --- the interval


@pytest.mark.parametrize("heavy", [False, True])
def test_coverage_on_fresh_slides_in_every_group(heavy):
    calibration = fit_interval(*split(interval_rows(400, 1, heavy), (0, 1)), START)
    fresh = interval_rows(500, 2, heavy)
    coverage = group_coverage(fresh, calibration)
    assert all(0.93 <= share <= 0.97 for share in coverage.values()), coverage
    # and it is no constant: vague frames get wide intervals
    half = intervals(fresh, calibration)
    vague = np.array([row.network_um for row in fresh])
    assert np.median(half[vague > 0.5]) > 1.5 * np.median(half[vague < 0.2])


def test_one_factor_for_all_would_not_do():
    rows = interval_rows(160, 1)
    plain = dataclasses.replace(START, scale_um=1.0, network=0.0)
    factor = slide_quantile(np.array([row.error_um for row in rows]), slide_numbers(rows), 0.95)
    constant = dataclasses.replace(plain, factors=((1, factor),))
    coverage = group_coverage(interval_rows(250, 2), constant)
    assert max(coverage.values()) > 0.97 or min(coverage.values()) < 0.93


def test_the_promise_does_not_rest_on_the_shape():
    """Errors that follow nothing known: the shape is wrong, the factors still cover."""
    rng = np.random.default_rng(3)

    def random(rows: list[FrameRow]) -> list[FrameRow]:
        return [
            dataclasses.replace(row, error_um=float(rng.pareto(2.5)) * (4 if row.k == 9 else 1))
            for row in rows
        ]

    calibration = fit_interval(*split(random(interval_rows(250, 4)), (0, 1)), START)
    fresh = random(interval_rows(250, 5))
    inside = np.array([row.error_um for row in fresh]) <= intervals(fresh, calibration)
    k = np.array([row.k for row in fresh])
    for mine in (k < 9, k == 9, k == 31):
        assert 0.93 <= inside[mine].mean() <= 0.97


def test_what_matters_is_found():
    rows = interval_rows(160, 6)
    noise = np.random.default_rng(7).normal(0, 1, len(rows))
    by_network = [dataclasses.replace(row, error_um=abs(float(n)) * row.network_um)
                  for row, n in zip(rows, noise, strict=True)]  # fmt: skip
    fit = fit_interval(*split(by_network, (0, 1)), START)
    assert at_every_law(fit.network) == pytest.approx([1.0] * 3, abs=0.25)
    assert max(at_every_law(fit.importance)) < 0.15
    by_importance = [dataclasses.replace(row, error_um=abs(float(n)) * (1 - row.importance))
                     for row, n in zip(rows, noise, strict=True)]  # fmt: skip
    fit = fit_interval(*split(by_importance, (0, 1)), START)
    assert at_every_law(fit.importance) == pytest.approx([1.0] * 3, abs=0.25)
    # the network's own doubt always counts
    assert at_every_law(fit.network) == pytest.approx([0.25] * 3, abs=0.05)
    by_colour = [
        dataclasses.replace(
            row, error_um=abs(float(n)) * colour, photometry={"colour": colour - 0.01}
        )
        for row, n in zip(rows, noise, strict=True)
        for colour in [0.02 + 0.1 * row.importance**20]
    ]
    fit = fit_interval(*split(by_colour, (0, 1)), START)
    assert number_for(fit.colour, 31) == pytest.approx(1.0, abs=0.3)
    covered = [row for row in rows if row.k >= 31]
    levels = np.random.default_rng(8).uniform(100.0, 225.0, len(covered))
    by_ground = [
        dataclasses.replace(
            row, error_um=abs(float(n)) * (240.0 - level) / 100.0, photometry={"background": level}
        )
        for row, n, level in zip(covered, noise, levels.tolist(), strict=False)
    ]
    fit = fit_interval(*split(by_ground, (0, 1)), START)
    assert fit.background == pytest.approx(1.0, abs=0.3)
    assert fit.network == pytest.approx(0.25, abs=0.05)


def test_few_and_many_patches_have_laws_of_their_own_where_there_are_slides_enough():
    """Few patches err by the network's own spread, many by how they differ."""
    noise = np.random.default_rng(13)

    def by_k(slides: int) -> list[FrameRow]:
        rows = []
        for row in interval_rows(slides, 14):
            between = 3.0 * math.exp(noise.normal(0, 0.6))
            size = row.network_um if row.k < 9 else between
            error = abs(float(noise.normal())) * size
            rows.append(dataclasses.replace(row, error_um=error, between_um=between))
        return rows

    fit = fit_interval(*split(by_k(250), (0, 1)), START)
    few, nine, many = at_every_law(fit.network)
    assert few == pytest.approx(1.0, abs=0.25)
    assert (nine, many) == pytest.approx((0.25, 0.25), abs=0.05)
    few, nine, many = at_every_law(fit.patches)
    assert few < 0.15
    assert (nine, many) == pytest.approx((1.0, 1.0), abs=0.3)
    together = fit_interval(*split(by_k(60), (0, 1)), START)
    assert isinstance(together.network, float)
    assert isinstance(together.scale_um, float)


def test_near_is_inside_as_often_as_far():
    """Errors that grow with the distance, which the network's own spread does not tell."""
    noise = np.random.default_rng(16)

    def growing(rows: list[FrameRow]) -> list[FrameRow]:
        return [
            dataclasses.replace(
                row, error_um=abs(float(noise.normal())) * 0.1 * (1 + abs(row.found_um)) ** 0.3
            )
            for row in rows
        ]

    fit = fit_interval(*split(growing(interval_rows(160, 17)), (0, 1)), START)
    assert max(at_every_law(fit.distance)) <= 0.0
    fresh = growing(interval_rows(300, 18))
    inside = np.array([row.error_um for row in fresh]) <= intervals(fresh, fit)
    assert inside[np.abs([row.found_um for row in fresh]) < 3.0].mean() > 0.93


def test_a_shape_that_is_kept_still_covers():
    calibration = fit_interval(*split(interval_rows(100, 8), (0, 1)), START, keep_shape=True)
    default = IntervalModel(START.range_um)
    assert dataclasses.replace(calibration, factors=default.factors) == default
    fresh = interval_rows(250, 9)
    inside = np.array([row.error_um for row in fresh]) <= intervals(fresh, calibration)
    assert 0.93 <= inside.mean() <= 0.975


def test_no_slide_judges_what_was_fitted_on_it(monkeypatch):
    fitted, judged, rows = [], [], interval_rows(20, 3)

    def fit(given: list[FrameRow], start: IntervalModel) -> IntervalModel:
        fitted.append({row.slide for row in given})
        return start

    def judge(given: list[FrameRow], calibration: IntervalModel) -> np.ndarray:
        judged.append({row.slide for row in given})
        return np.ones(len(given))

    monkeypatch.setattr(fit_interval_module, "_fitted", fit)
    monkeypatch.setattr(fit_interval_module, "_ratios", judge)
    fit_interval_module._wider(split(rows, range(5)), START)
    everybody = {row.slide for row in rows}
    assert len(judged) == 5
    assert set().union(*judged) == everybody
    for mine, others in zip(judged, fitted, strict=True):
        assert mine
        assert others == everybody - mine


def test_only_many_slides_may_narrow_what_was_fitted(monkeypatch):
    """Where the halves say that 0.8 times as wide would do."""
    results = {}
    for slides in (40, 80):  # of each of six groups
        rows = interval_rows(slides, 3)
        for wider in (0.8, 1.0):
            monkeypatch.setattr(
                "training.fit_interval._wider", lambda halves, start, to=wider: ((1, to),)
            )
            results[slides, wider] = fit_interval(*split(rows, (0, 1)), START).factors
    assert results[40, 0.8] == results[40, 1.0]
    for (k, narrow), (_, whole) in zip(results[80, 0.8], results[80, 1.0], strict=True):
        assert narrow == pytest.approx(0.8 * whole, abs=1e-3), k


def test_too_few_slides_and_unanswered_frames():
    rows = interval_rows(5, 0)
    with pytest.raises(ValueError, match=rf"30 slides for the fit part, {LEAST_SLIDES} are"):
        fit_interval(rows, rows, START)
    silent = [dataclasses.replace(row, error_um=math.nan) for row in interval_rows(40, 0)]
    with pytest.raises(ValueError, match="0 slides"):
        fit_interval(silent, silent, START)
    many = interval_rows(40, 0)
    assert fit_interval([*many, *silent], many, START) == fit_interval(many, many, START)


# --- the training range


def optics_rows(
    condition: str, slides: int, seed: int, w040: tuple[float, float] = (0.27, 0.63),
    colour: tuple[float, float] = (0.85, 1.15), novelty: float = 1.0, known: bool = True,
    frames: int = 1,
) -> list[FrameRow]:  # fmt: skip
    """Frames whose patches estimate their slide's optics with the deviation they claim."""
    rng = np.random.default_rng([seed, len(condition)])
    rows = []
    for kind, name, k in GROUPS:
        for slide in range(slides):
            truth = rng.uniform(*w040), rng.uniform(*colour)
            corner = condition == "edge"
            if corner:
                truth = w040[slide % 2], colour[slide // 2 % 2]
            for _ in range(frames):
                few = int(rng.integers(1, 4)) if k == 3 else k
                sd = np.stack([rng.uniform(0.03, 0.1, few), rng.uniform(0.04, 0.12, few)], 1)
                own = truth + rng.normal(0, 1, 2) * 0.5 * sd.mean(0)  # what all patches share
                values = own + rng.normal(0, 1, (few, 2)) * 0.8 * sd
                optics = np.stack([values[:, 0], sd[:, 0], values[:, 1], sd[:, 1]], 1)
                ones = np.ones(few, np.float32)
                strange = novelty * rng.lognormal(0, 0.15, few)
                patches = PatchDefocus(
                    ones, ones, ones, ((0, 0),) * few, Sparsity.DENSE, True,
                    optics.astype(np.float32) if known else None,
                    strange.astype(np.float32) if known else None,
                )  # fmt: skip
                photometry = {
                    key: value * float(rng.uniform(0.9, 1.1)) for key, value in USUAL.items()
                }
                rows.append(FrameRow(condition, f"{kind} {name}", f"{kind}{name}{slide}", few, 0.1,
                                     1.0, 0.2, 0.1, 1.0, patches, photometry))  # fmt: skip
    return rows


def inside_rows(slides: int, seed: int) -> list[FrameRow]:
    return [*optics_rows("everyday", slides, seed), *optics_rows("edge", slides // 2, seed)]


OUTSIDE = {"outside-w040": {"w040": (0.95, 0.95)}, "outside-axial": {"colour": (1.6, 1.6)}}


def outside_rows(slides: int, seed: int) -> list[FrameRow]:
    return [row for name, how in OUTSIDE.items() for row in optics_rows(name, slides, seed, **how)]


def training_range_of(fitted: dict, outputs: bool = True) -> TrainingRange:
    outputs = [Output(n, ("k",), "1") for n in ("defocus_um", "spread_um", "novelty")]
    outputs += [Output("optics", ("k", 4), "1")] if outputs else []
    calibration = {"envelope": json.loads(json.dumps(fitted))}
    return TrainingRange.of(Manifest("dpn", "d", "0" * 64, (), tuple(outputs), NOMINAL_OPTICS,
                                calibration=calibration))  # fmt: skip


def alarms(training_range: TrainingRange, rows: list[FrameRow]) -> float:
    return float(
        np.mean([shift is not None and shift.alarm for shift in judge(training_range, rows)])
    )


@pytest.fixture(scope="module")
def fitted():
    halves = split(inside_rows(70, 10), (0, 1))
    return fit_training_range((halves[0], halves[1]), outside_rows(15, 11))


def test_quiet_inside_and_loud_outside(fitted):
    training_range = training_range_of(fitted.training_range)
    assert fitted.remarks == ()
    for rows in (optics_rows("everyday", 120, 20), optics_rows("edge", 120, 21)):
        for least, below in ((1, 9), (9, 31), (31, 99)):
            assert alarms(training_range, [row for row in rows if least <= row.k < below]) <= 0.02
        assert alarms(training_range, rows) <= 0.013
    for name, how in OUTSIDE.items():
        assert alarms(training_range, optics_rows(name, 60, 22, **how)) >= 0.95
    low = optics_rows("low", 60, 23, w040=(-0.05, -0.05))  # never shown to the fit
    assert alarms(training_range, low) >= 0.95
    assert alarms(training_range, optics_rows("strange", 60, 24, novelty=3.0)) >= 0.95


def test_each_witness_and_the_light_ring_by_name(fitted):
    training_range = training_range_of(fitted.training_range)
    (row,) = [r for r in optics_rows("everyday", 1, 30) if r.group == "cell dense"][:1]
    dark = dataclasses.replace(row, photometry={**row.photometry, "background": 60.0})
    burnt = dataclasses.replace(row, photometry={**row.photometry, "saturated": 0.4})
    far = optics_rows("x", 1, 31, w040=(1.2, 1.2))[0]
    named = [shift.feature for shift in judge(training_range, [dark, burnt, far])]
    assert named == ["background", "saturated", "spherical aberration"]
    # what training varied on top of the slides is inside
    bright = dataclasses.replace(
        row, photometry={**row.photometry, "background": 255.0, "colour": 0.3}
    )
    assert not judge(training_range, [bright])[0].alarm


def test_few_patches_get_wider_bounds():
    halves = split(inside_rows(220, 10), (0, 1))  # 330 slides per class in each half
    fitted = fit_training_range((halves[0], halves[1]), outside_rows(15, 11))
    table = fitted.training_range["bounds"]["spherical aberration"]
    reach = {k: entry[1] - entry[0] for k, entry in table.items()}
    assert list(reach) == ["1", "9", "31"]
    assert reach["1"] + 2 * table["1"][2] * 0.07 > reach["31"] + 2 * table["31"][2] * 0.07


def test_without_frames_outside_nothing_is_searched():
    halves = split(inside_rows(70, 10), (0, 1))
    training_range = training_range_of(
        fit_training_range((halves[0], halves[1]), []).training_range
    )
    assert alarms(training_range, optics_rows("everyday", 100, 25)) <= 0.02
    assert alarms(training_range, optics_rows("x", 40, 26, w040=(0.95, 0.95))) >= 0.8


def test_too_few_slides_for_one_per_cent_are_said():
    halves = split(optics_rows("everyday", 8, 12), (0, 1))
    fit = fit_training_range((halves[0], halves[1]), [])
    assert any("100 are needed" in remark for remark in fit.remarks)
    assert alarms(training_range_of(fit.training_range), halves[1]) == 0.0


def test_a_witness_that_sees_nothing_spends_no_false_alarms(monkeypatch):
    """Only the axial colour is foreign, and just so: the others cost alarms if they must stay."""
    halves = split(inside_rows(70, 10), (0, 1))
    foreign = {"colour": (1.32, 1.32)}
    fresh = optics_rows("outside", 60, 22, **foreign)

    def rings() -> float:
        fit = fit_training_range((halves[0], halves[1]), optics_rows("outside", 30, 11, **foreign))
        return alarms(training_range_of(fit.training_range), fresh)

    free = rings()
    monkeypatch.setattr("training.fit_training_range.SLACKS", (1.0,))
    assert free > rings() + 0.05


def test_a_model_without_witnesses_gets_bounds_of_the_light():
    halves = split(optics_rows("everyday", 20, 13, known=False), (0, 1))
    fit = fit_training_range((halves[0], halves[1]), [], action="hold").training_range
    assert set(fit["bounds"]) == set(PHOTOMETRY)
    assert training_range_of(fit, outputs=False).hold
    bare = [dataclasses.replace(row, photometry={}) for row in halves[0]]
    with pytest.raises(ValueError, match="neither"):
        fit_training_range((bare, bare), [])
    with pytest.raises(ValueError, match="no frames"):
        fit_training_range(([], []), [])


# --- the command


def result_of(row: FrameRow, number: int) -> FrameResult:
    """The frame of a row, with the range's witnesses of `row.patches`."""
    k = row.k
    return FrameResult(
        condition=row.condition, group=row.group, slide=row.slide, stack_id=f"s{number}", file="f",
        decision="MOVE", sparsity=row.group.split()[1], k=k, z_um=0.0,
        true_um=row.found_um - row.error_um, found_um=row.found_um, network_um=row.network_um,
        between_um=row.between_um, patch_importance=[row.importance] * k,
        patch_defocus_um=[row.found_um] * k, patch_spread_um=[row.network_um] * k,
        optics=row.patches.optics.tolist(), novelty=row.patches.novelty.tolist(),
        photometry=row.photometry,
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows_csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("calibrate") / "rows.csv"
    measured = interval_rows(40, 40, frames=2)
    optics = optics_rows("everyday", 40, 41, frames=2)
    rows = [dataclasses.replace(a, patches=b.patches, photometry=b.photometry, k=b.k)
            for a, b in zip(measured, optics, strict=True)]  # fmt: skip
    rows += [*optics_rows("edge", 8, 42), *outside_rows(8, 43)]
    with rows_file(path) as append:
        for number, row in enumerate(rows):
            append(result_of(row, number))
    return path


def manifest_at(folder) -> Manifest:
    outputs = (*(Output(n, ("k",), "1") for n in ("defocus_um", "spread_um", "novelty")),
               Output("optics", ("k", 4), "1"))  # fmt: skip
    manifest = Manifest("dpn", "dpn.onnx", "0" * 64, (Input("patches", ("k", 224, 224, 3)),),
                        outputs, NOMINAL_OPTICS, calibration={
                            "interval": {"scale_um": 9.0, "disagree_um": 3.5}, "note": "kept"
                        })  # fmt: skip
    manifest.write(folder / "dpn.json")
    return Manifest.read(folder / "dpn.json")


def test_rows_are_read_as_they_were_measured(rows_csv):
    rows = read_frames([rows_csv])
    assert len(rows) == 480 + 48 + 96
    assert rows[0].group == "cell dense"
    assert rows[0].patches.optics.shape == (rows[0].k, 4)
    (first,) = interval_rows(1, 40, frames=1)[:1]
    for name in ("error_um", "found_um", "network_um", "between_um", "importance"):
        assert getattr(rows[0], name) == pytest.approx(getattr(first, name), rel=1e-5)


def test_the_best_of_more_patches_are_looked_at_as_the_runtime_would():
    defocus = np.array([2.0, 2.2, 2.4, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0], np.float32)
    spread = np.arange(10, dtype=np.float32)
    cells = tuple((0, 0) for _ in range(10))
    patches = PatchDefocus(defocus, spread, 1 - spread / 10, cells, Sparsity.SPARSE, True)
    whole = FrameRow("everyday", "cell sparse", "1", 10, 6.9, 9.0, 4.5, 0.0, 0.55, patches, {}, 2.1)
    best = best_of(whole, 3)
    assert (best.k, best.patches.left_out, len(best.patches.cells)) == (3, 7, 3)
    result = best.found_um, best.error_um, best.network_um, best.importance
    assert result == pytest.approx((2.2, 0.1, 1.0, 0.9), rel=1e-5)
    assert best.between_um == pytest.approx(1.4826 * 0.2, rel=1e-5)
    # nine would be believed to the least half-width, nine of ten are not
    calibration = IntervalModel(27.0, scale_um=((1, 2.0), (9, 1e-3)), least_um=0.1)
    nine = best_of(whole, 9)
    no_more = dataclasses.replace(nine.patches, left_out=0)
    claimed = intervals([dataclasses.replace(nine, patches=no_more), nine], calibration)
    assert claimed.tolist() == pytest.approx([0.1, 8.0])
    table = {line["rows"]: line for line in calibrate.interval_table([whole, best], calibration)}
    assert (table["best 9 of more"]["frames"], table["best 3 of more"]["frames"]) == (1, 1)
    assert table["best 3 of more"]["error_um"] == pytest.approx(0.1, rel=1e-5)


def test_slides_of_two_files_are_different_slides(rows_csv, tmp_path):
    other = tmp_path / rows_csv.name  # in another folder
    other.write_bytes(rows_csv.read_bytes())
    one, both = read_frames([rows_csv]), read_frames([rows_csv, other])
    slides = {(row.condition, row.slide) for row in one}
    assert len({(row.condition, row.slide) for row in both}) == 2 * len(slides)


def test_the_command_writes_what_the_runtime_reads(rows_csv, tmp_path, capsys):
    manifest_at(tmp_path)
    path, out = tmp_path / "dpn.json", tmp_path / "report.json"
    words = [str(rows_csv), "--manifest", str(path), "--json", str(out)]
    before = path.read_bytes()
    assert calibrate.main(words) == 0
    assert path.read_bytes() == before  # only with --write
    assert calibrate.main([*words, "--write", "--action", "hold"]) == 0
    changed = Manifest.read(path)
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []
    assert changed.calibration["note"] == "kept"
    assert IntervalModel.of(changed).disagree_um == 3.5
    assert IntervalModel.of(changed).scale_um != 9.0
    assert TrainingRange.of(changed).hold
    report = json.loads(out.read_text())
    assert report["envelope"] == changed.calibration["envelope"]
    assert report["slides"][0] + report["slides"][1] > 3 * report["slides"][2]
    shares = {line["rows"]: line for line in report["coverage"]}
    assert 0.88 <= shares["all"]["coverage"] <= 1.0
    assert {"cell dense", "tissue ex-sparse", "k = 31", "from 10 um"} <= set(shares)
    loud = {line["rows"]: line["alarms"] for line in report["alarms"]}
    assert loud["everyday"] <= 0.05
    assert loud["outside-w040"] >= 0.9
    assert "outside-axial, tissue ex-sparse" in loud
    printed = capsys.readouterr().out
    assert "tissue ex-sparse" in printed
    assert f"written to {path}" in printed


def test_the_look_is_at_the_other_file(rows_csv, tmp_path):
    manifest_at(tmp_path)
    out = tmp_path / "report.json"
    words = ["--manifest", str(tmp_path / "dpn.json"), "--check", str(rows_csv)]
    assert calibrate.main([str(rows_csv), *words, "--json", str(out)]) == 0
    report = json.loads(out.read_text())
    assert report["slides"][0] + report["slides"][1] == report["slides"][2]
    assert report["coverage"][0]["frames"] == 528


def test_rows_that_do_not_do_are_one_line_and_exit_2(rows_csv, tmp_path, capsys):
    manifest_at(tmp_path)
    manifest = ["--manifest", str(tmp_path / "dpn.json")]
    lines = rows_csv.read_text().splitlines(keepends=True)
    few, no_column, broken = (tmp_path / name for name in ("few.csv", "column.csv", "broken.csv"))
    few.write_text("".join(lines[:20]))
    no_column.write_text("".join([lines[0].replace("optics", "glass"), *lines[1:]]))
    broken.write_text(lines[0] + lines[1].replace(",31,", ",30,", 1))
    for path, hint in ((few, "slides for the fit part"), (no_column, "optics"),
                       (broken, "broken.csv:2: patch_importance has shape"),
                       (tmp_path / "no.csv", "cannot be read")):  # fmt: skip
        assert calibrate.main([str(path), *manifest]) == 2, path
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1
        assert hint in err
    assert calibrate.main([str(rows_csv), "--manifest", str(tmp_path / "no.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err
