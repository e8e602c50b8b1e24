"""The paper's tables from answers on every patch: choices, counting, figures, page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.camera import Frame, PixelFormat
from edge.measure.preprocess import CpuPreprocessor
from engines.engine import MODELS
from engines.golden import batches
from simulator.bench.climb import Climb
from tests.support.paper_answers import answered
from training.baselines.networks import BASELINES
from training.baselines.weights import write as write_weights
from training.paper import climbing, judge, zero
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
from training.paper.published import GROUPS
from training.run import Run
from training.schedule import Schedule


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
