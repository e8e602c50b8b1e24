"""The paper's tables from answers on every patch: choices, counting, figures, page."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.appliance.evaluate.metrics import tables
from edge.camera import Frame, PixelFormat
from edge.measure.preprocess import CpuPreprocessor
from engines.engine import MODELS
from engines.golden import batches
from simulator.bench.climb import Climb
from training.baselines.networks import BASELINES
from training.baselines.weights import write as write_weights
from training.paper import climbing, judge, psf, zero
from training.paper.__main__ import _options, asked
from training.paper.answers import SAME_TIME, Answers, Methods, all_patches, load, save
from training.paper.choose import (
    NAMES,
    OURS,
    OURS_SAME_TIME,
    Choice,
    ablated,
    compared,
    pick,
)
from training.paper.judge import Job
from training.paper.page import Findings, as_json, write
from training.paper.published import DOF, DSS, GROUPS, MAE_UM, THEIRS
from training.run import Run
from training.schedule import Schedule


def answered(group: str = "cell sparse", slide: int = 0, true_um: float = 5.0) -> Answers:
    """Twelve patches above 0.8 that say 5.0; all others say 50. The darkest are patches 40..48."""
    importance = np.full(81, 0.1, np.float32)
    importance[:12] = np.linspace(0.99, 0.82, 12)
    um = np.full(81, 50.0, np.float32)
    um[:12] = 5.0
    um[40:49] = 7.0
    brightness = np.full(81, 200.0, np.float32)
    brightness[40:49] = 90.0
    richness = np.zeros(81, np.float32)
    richness[[0, 1, 2, 3, 4, 5, 6, 7, 8, 77]] = 0.95
    grid = dict.fromkeys(BASELINES, um + 1.0) | {SAME_TIME: um + 0.5}
    return Answers(group, slide, true_um, 5.1, 0.3, 9, importance, richness, brightness, um, grid)


def said(choice: Choice, frame: Answers) -> float:
    """The median of what the chosen patches say."""
    return float(np.median(frame.shipped_um[pick(frame, choice)]))


def test_the_rin_chooses_as_the_loop_does() -> None:
    frame = answered()
    assert list(pick(frame, Choice())) == list(range(12))  # all above 0.8
    assert list(pick(frame, Choice(by_class=True))) == list(range(9))  # sparse: the paper's k = 9
    assert list(pick(frame, Choice(k=3))) == [0, 1, 2]
    assert len(pick(frame, Choice(k=31))) == 12  # no empty patch votes
    assert len(pick(frame, Choice(k=31, threshold=False))) == 31
    assert said(Choice(k=31), frame) == 5.0
    assert said(Choice(k=31, threshold=False), frame) == 50.0


def test_other_choosers_choose_otherwise() -> None:
    frame = answered()
    darkest = pick(frame, Choice("dark", threshold=False, by_class=True))
    assert set(darkest) == set(range(40, 49))  # ten are truly rich: sparse, k = 9
    assert set(pick(frame, Choice("true", threshold=False, k=10))) == {*range(9), 77}
    random = pick(frame, Choice("random", threshold=False))
    assert len(set(random)) == 10  # as many as are truly rich
    assert list(random) == list(pick(frame, Choice("random", threshold=False)))
    elsewhere = pick(replace(frame, slide=1), Choice("random", threshold=False))
    assert list(random) != list(elsewhere)


def test_a_blank_field_gives_no_answer_with_the_threshold_and_one_without() -> None:
    blank = replace(answered(), importance=np.full(81, 0.2, np.float32))
    rows = {row.condition: row for row in ablated([blank])}
    assert rows["RIN, k by class, importance above 0.8"].found_um is None
    assert rows["RIN, k by class, no threshold"].found_um is not None


def test_rivals_take_the_median_of_the_whole_grid() -> None:
    rows = {row.condition: row for row in compared([answered()])}
    assert rows[OURS].found_um == pytest.approx(5.1)
    assert rows[OURS_SAME_TIME].found_um == pytest.approx(5.5)
    assert {rows[NAMES[name]].found_um for name in BASELINES} == {51.0}
    held = compared([replace(answered(), found_um=np.nan, interval_um=np.nan)])[0]
    assert (held.found_um, held.interval_um) == (None, None)


def test_what_a_rival_learned_as_zero_is_taken_from_its_answers(tmp_path: Path) -> None:
    """Measured near focus on patches with content, of these very weights, and of no others."""
    near, far = answered(true_um=2.0), answered(true_um=15.0)
    grid = {**near.grid_um, "liao": np.where(near.richness > 0.8, 2.6, 80.0).astype(np.float32)}
    result = zero.shifts([replace(near, grid_um=grid), far])
    assert result["liao"] == {"um": pytest.approx(0.6), "patches": 10}  # the far frame says nothing
    (tmp_path / "liao.pt").write_bytes(b"weights")
    zero.write(result, tmp_path)
    assert zero.zeros(tmp_path)["liao"] == pytest.approx(0.6)
    moved = {row.condition: row for row in compared([near], zero.zeros(tmp_path))}
    assert moved[NAMES["liao"]].found_um == pytest.approx(50.4)
    assert moved[OURS].found_um == pytest.approx(5.1)  # ours learned this zero
    (tmp_path / "liao.pt").write_bytes(b"trained again")
    assert zero.zeros(tmp_path)["liao"] == 0.0
    (tmp_path / "zero.json").write_text('{"liao": {"um": "much"}}')
    with pytest.raises(ValueError, match="liao has no finite um"):
        zero.zeros(tmp_path)


def test_slides_that_tell_the_zero_are_not_judged() -> None:
    assert Job(Path(), MODELS, Path(), count=1, planes=2).domain != zero.CALIBRATION


def test_a_constant_offset_of_a_climber_is_told_apart_from_what_it_loses() -> None:
    ends = [-0.6, -0.5, -0.7, 12.0]
    fields = [Climb("cell dense", 9.0, 12, 1.0, abs(um), "sharpest", um) for um in ends]
    report = climbing.as_json({"a way": fields})["a way"]
    assert isinstance(report, dict)
    assert (report["constant_um"], report["lost"]) == (-0.6, 1)


def test_answers_come_back_from_their_file(tmp_path: Path) -> None:
    rows = [answered(slide=4, true_um=t) for t in (-3.0, 2.0)]
    save(tmp_path / "a.npz", rows)
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
    for kept, own in zip(load(tmp_path / "a.npz"), rows, strict=True):
        assert (kept.group, kept.slide, kept.true_um) == (own.group, own.slide, own.true_um)
        assert np.array_equal(kept.importance, own.importance)
        assert {n: v.tolist() for n, v in kept.grid_um.items()} == {
            n: v.tolist() for n, v in own.grid_um.items()
        }


def test_patches_lie_where_the_runtime_cuts_them() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2048, 2448, 3), dtype=np.uint8)
    runtime = CpuPreprocessor()
    ready = runtime(Frame(pixels, PixelFormat.RGB8, 1, 0, 0))
    cells = [(0, 0), (3, 7), (8, 8)]
    mine = all_patches(pixels)[[row * 9 + column for row, column in cells]]
    assert np.array_equal(mine, runtime.gather(ready, cells))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained rivals."""
    folder = tmp_path_factory.mktemp("weights")
    for name in (SAME_TIME, *BASELINES):
        write_weights(Run(Schedule(name)), folder / f"{name}.pt")
    return folder


def test_every_method_answers_on_the_same_frame(weights: Path) -> None:
    frame = np.full((2048, 2448, 3), 225, np.uint8)  # glass, and on it patches with content
    tiles = [tile for batch in batches("dpn") for tile in batch][:16]
    for place, tile in enumerate(tiles):
        row, column = divmod(place * 5, 9)
        top, left = 16 + 224 * row, 216 + 224 * column
        frame[top : top + 224, left : left + 224] = tile
    methods = Methods(MODELS, weights)
    truth = np.zeros((9, 9), np.float32)
    answers = methods(frame, frame, 1.5, truth, "cell sparse", 3)
    assert (answers.group, answers.slide, answers.true_um) == ("cell sparse", 3, 1.5)
    assert set(answers.grid_um) == {SAME_TIME, *BASELINES}
    assert all(um.shape == (81,) and np.isfinite(um).all() for um in answers.grid_um.values())
    chosen = pick(answers, Choice())
    assert len(chosen) == answers.k > 0
    if np.isfinite(answers.found_um):  # the pipeline's median is that of the same patches
        assert answers.found_um == pytest.approx(np.median(answers.shipped_um[chosen]), abs=2e-3)
    darkest = int(np.argmin(answers.brightness))
    assert darkest in {place * 5 for place in range(len(tiles))}


class FakeField:
    """A field whose picture tells its height."""

    def __init__(self) -> None:
        self.truth = type("Truth", (), {"z_focus_um": 200.0, "richness": np.zeros((9, 9))})()

    def picture(self, z_um: float) -> np.ndarray:
        """One pixel."""
        return np.full((1, 1, 3), int(z_um) % 256, np.uint8)


def test_judging_goes_on_where_it_was_broken_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[tuple[str, int, float]] = []

    class FakeMethods:
        def __init__(self, *_: object) -> None: ...

        def __call__(
            self, first: np.ndarray, second: np.ndarray, true_um: float, richness: np.ndarray,
            group: str, slide: int,
        ) -> Answers:  # fmt: skip
            judged.append((group, slide, true_um))
            if len(judged) == 5:
                raise KeyboardInterrupt
            return answered(group, slide, true_um)

    monkeypatch.setattr(judge, "Methods", FakeMethods)
    judge._methods.cache_clear()
    monkeypatch.setattr(judge, "load", lambda *_: FakeField())
    job = Job(tmp_path, MODELS, tmp_path, count=1, planes=2)
    with pytest.raises(KeyboardInterrupt):
        judge.judge(job, quiet=True)
    assert len(list(tmp_path.glob("*.npz"))) == 2
    result = judge.judge(job, quiet=True)
    assert [a.group for a in result] == [g for g in GROUPS for _ in range(2)]
    assert len(judged) == 5 + 8  # the third slide began again, the first two did not
    assert len({a.true_um for a in result}) == 12
    assert all(abs(a.true_um) <= 25.0 for a in result)


def test_answers_of_another_model_or_set_are_not_taken(tmp_path: Path) -> None:
    """A second run in the same folder with a network trained further judged the first one's."""
    for name in ("rin.json", "dpn.json", *(f"{each}.pt" for each in (SAME_TIME, *BASELINES))):
        (tmp_path / name).write_bytes(name.encode())
    place = ["--models", str(tmp_path), "--weights", str(tmp_path)]
    first = asked(_options([*place, "--slides", "2"]))
    assert asked(_options([*place, "--slides", "30"])) == first  # more slides go on
    named = {
        first,
        asked(_options([*place, "--seed", "2"])),
        asked(_options([*place, "--planes", "3"])),
    }
    (tmp_path / "dpn.json").write_bytes(b"other")
    named.add(asked(_options(place)))
    (tmp_path / "liao.pt").write_bytes(b"other")
    named.add(asked(_options(place)))
    assert len(named) == 5


def test_the_papers_numbers_are_whole_and_as_printed() -> None:
    for table in (MAE_UM, DOF, DSS):
        assert set(table) == {*NAMES.values(), THEIRS}
        assert all(len(row) == len(GROUPS) for row in table.values())
    assert [mean for mean, _ in MAE_UM[THEIRS]] == [0.37, 0.51, 0.60, 0.49, 0.43, 0.45]
    assert MAE_UM["Li et al."][2] == (12.25, 10.65)
    assert DOF["Jiang et al."][5] == (4.06, 5.19, 8.63)
    assert DSS["Dastidar et al."][2] == 69.48
    assert all(a < b < c for row in DOF.values() for a, b, c in row)


def test_the_point_spread_function_is_lopsided_by_its_aberration_only() -> None:
    near, far = psf.asymmetry(1.0), psf.asymmetry(5.0)
    assert 0.02 < far.difference < near.difference < 1.0
    assert far.peak_above != pytest.approx(far.peak_below, rel=0.05)
    ideal = replace(psf.TYPICAL, w040_waves=0.0)
    above, below = psf.point(5.0, psf.GREEN, ideal), psf.point(-5.0, psf.GREEN, ideal)
    assert np.abs(above - below).max() < 1e-3 * above.max()
    assert psf.point(0.0).argmax() == psf.SIDE // 2 * psf.SIDE + psf.SIDE // 2
    assert len(psf.through_focus()) == 81


def test_pictures_of_a_page_say_what_they_should() -> None:
    shades = psf.grey(np.array([[0.0, 0.25, 1.0]], np.float32))
    assert shades.tolist() == [[255, 128, 0]]
    colours = psf.signed(np.array([[-1.0, 0.0, 1.0]], np.float32), 1.0)
    assert colours.tolist() == [[[0, 114, 178], [255, 255, 255], [213, 94, 0]]]
    url = psf.data_url(colours, 2.0)
    assert url.startswith("data:image/png;base64,")


def test_searches_find_the_top_of_a_hill() -> None:
    for way in climbing.WAYS:
        looks: list[float] = []

        def height(z_um: float, looks: list[float] = looks) -> float:
            looks.append(z_um)
            return 1.0 / (1.0 + ((z_um - 13.2) / 6.0) ** 2)

        assert way.search(height, 0.0) == pytest.approx(13.2, abs=0.45), way.name
        assert 6 < len(looks) < 24, way.name


def test_focus_measures_fall_with_blur() -> None:
    sharp = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 2.0), np.uint8)
    for way in climbing.WAYS:
        assert way.measure(sharp) > 2 * way.measure(blurred) > 0


def findings() -> Findings:
    """Two slides per group; the rivals are ten times worse."""
    frames = [
        answered(group, slide, true_um)
        for slide, group in enumerate(GROUPS * 2)
        for true_um in (5.0, 4.0)
    ]
    rows = compared(frames)
    climbs = {"SparseFocus": [Climb("cell dense", 9.0, 2, 0.2, 0.1, "IN_FOCUS")]}
    trained = {OURS: {"parameters": 1000, "core_minutes": 1.0, "samples": 5}}
    return Findings(rows, tables(rows, 0.63, 50), tables(ablated(frames), 0.63, 50), climbs,
                    trained, 0.63, {"machine": "a <small> one"})  # fmt: skip


def test_the_page_holds_tables_figures_and_its_numbers(tmp_path: Path) -> None:
    result = findings()
    page = write(result, tmp_path).read_text("utf-8")
    HTMLParser().feed(page)
    for words in ("Table 1", "Table 2", "Table 3", "Figure 2", "Figure 3", "Figure 4", "KDAF",
                  "12.25 ± 10.65", "a &lt;small&gt; one", "quoted, not measured here"):  # fmt: skip
        assert words in page
    assert "$" not in page.replace("$$", "")
    numbers = json.loads((tmp_path / "paper.json").read_text("utf-8"))
    ratio = numbers["times_better_than_the_best_rival"][OURS]["cell sparse"]
    assert ratio == pytest.approx(46.5 / 0.6, rel=1e-3)  # 46 and 47 um against 0.1 and 1.1
    assert numbers["hill_climbing"]["SparseFocus"]["images"] == 2
    assert as_json(result)["dof_um"] == 0.63
