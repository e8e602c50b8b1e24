"""The paper's metrics on examples worked out by hand, and what the paper leaves out."""

from __future__ import annotations

import numpy as np
import pytest

from edge.appliance.evaluate.bootstrap import SlideBootstrap
from edge.appliance.evaluate.metrics import (
    ALL,
    blanks,
    direction_right,
    distance_of,
    tables,
    worst,
)
from edge.appliance.frame_result import FrameResult

EVERY = np.ones


def row(true, estimate, half=1.0, slide="1", group="cell dense", condition="clean", **more):
    return FrameResult(
        condition, group, slide, true, estimate, half if estimate is not None else None, **more
    )


def line(rows, group=ALL, distance=ALL, condition="clean", dof_um=0.6):
    lines = tables(rows, dof_um, resamples=200)
    (one,) = [x for x in lines if (x.condition, x.group, x.distance)
              == (condition, group, distance)]  # fmt: skip
    return one


def test_errors_of_a_small_table():
    result = line([row(1.0, 1.5), row(-2.0, -1.0), row(10.0, 7.0), row(4.0, 4.0)])
    # |errors| 0.5, 1, 3, 0
    assert result.values["mae_um"] == pytest.approx(1.125)
    assert result.values["sd_um"] == pytest.approx(np.std([0.5, 1.0, 3.0, 0.0]))
    assert result.values["median_um"] == pytest.approx(0.75)
    assert result.values["p95_um"] == pytest.approx(1 + 2 * 0.85)
    assert result.values["bias_um"] == pytest.approx((0.5 + 1.0 - 3.0) / 4)
    assert (result.frames, result.answered, result.slides) == (4, 4, 1)


def test_depth_of_field_is_strict_at_its_edges():
    """1 DoF = 0.6: an error of just that is outside; a half and a third of it count alike. The
    paper's 0.63 um stands beside it."""
    errors = (0.0, 0.1999, 0.2, 0.2999, 0.3, 0.5999, 0.6, 0.6299, 0.63, 2.0)
    result = line([row(0.0, -e) for e in errors]).values
    assert result["dof"] == pytest.approx(6 / 10)
    assert result["dof_half"] == pytest.approx(4 / 10)
    assert result["dof_third"] == pytest.approx(2 / 10)
    assert result["paper_dof"] == pytest.approx(8 / 10)
    assert result["paper_dof_half"] == pytest.approx(5 / 10)  # below 0.315
    assert result["paper_dof_third"] == pytest.approx(3 / 10)  # below 0.21


def test_direction_by_the_text_of_equation_4():
    true = np.array([0.0, 0.0, 0.0, 3.0, 3.0, -3.0, -3.0, 3.0])
    estimates = np.array([1.0, -1.0, 0.0, 1.0, -1.0, -9.0, 9.0, 0.0])
    assert direction_right(true, estimates).tolist() == [
        True, True, True, True, False, True, False, False,
    ]  # fmt: skip
    rows = [row(t, f) for t, f in zip(true, estimates, strict=True)]
    assert line(rows).values["dss"] == pytest.approx(5 / 8)
    near = [row(0.99, -0.1), row(-0.5, 0.2), row(1.0, -0.1), row(-1.0, -0.1)]
    assert line(near).values["dss"] == pytest.approx(1 / 4)
    assert line(near).values["direction"] == pytest.approx(1 / 2)  # the two at 1 um and beyond


def test_silence_is_counted_and_never_scored():
    rows = [row(5.0, 5.1), row(5.0, None, reason="blank"), row(-5.0, None, reason="blank"),
            row(9.0, None, reason="patches-disagree")]  # fmt: skip
    result = line(rows)
    assert (result.frames, result.answered) == (4, 1)
    assert result.values["answered_share"] == pytest.approx(1 / 4)
    assert result.values["mae_um"] == pytest.approx(0.1)
    assert result.values["dof"] == 1.0
    assert result.values["dof_of_all"] == pytest.approx(1 / 4)
    assert result.reasons == {"blank": 2, "patches-disagree": 1}
    silent = line(rows, distance="5-10")  # nothing here is lost either
    assert (silent.frames, silent.answered) == (4, 1)


def test_a_table_without_any_answer_has_no_numbers():
    result = line([row(5.0, None, slide="1"), row(6.0, None, slide="2")])
    assert result.values["answered_share"] == 0.0
    for name in ("mae_um", "sd_um", "median_um", "p95_um", "dof", "dss", "coverage"):
        assert result.values[name] is None
    assert result.ranges["mae_um"] is None
    assert result.ranges["p95_um"] is None
    assert "mae_um" in result.as_json()


def test_interval_coverage_and_width():
    rows = [row(0.0, 1.0, 1.0), row(0.0, -2.0, 1.9), row(0.0, 0.5, 3.0), row(3.0, None)]
    result = line(rows).values
    assert result["coverage"] == pytest.approx(2 / 3)  # an error of just the interval is inside
    assert result["interval_um"] == pytest.approx(1.9)


def test_moves_that_end_farther_from_focus():
    rows = [row(2.0, 5.0, decision="MOVE"), row(2.0, -1.0), row(2.0, 1.0, decision="MOVE"),
            row(2.0, None)]  # fmt: skip
    result = line(rows).values
    assert result["moves"] == pytest.approx(2 / 4)
    assert result["worse"] == pytest.approx(1 / 2)  # of the moves


def test_frames_without_a_truth_are_not_scored():
    assert tables([row(None, 3.0)], 0.6) == []
    assert line([row(None, 3.0), row(1.0, 2.0)]).frames == 1


def test_alarms_are_a_share_of_the_frames_that_were_asked():
    rows = [row(1.0, 1.0, shift_alarm=True), row(1.0, 1.0, shift_alarm=False),
            row(1.0, None, shift_alarm=True),
            row(1.0, 1.0)]  # fmt: skip
    assert line(rows).values["alarms"] == pytest.approx(2 / 3)
    assert line([row(1.0, 1.0)]).values["alarms"] is None


@pytest.mark.parametrize(
    ("true", "bin_"),
    [(0.0, "0-5"), (-4.999, "0-5"), (5.0, "5-10"), (-10.0, "10-15"), (24.9, "20-25"),
     (-25.0, "20-25"), (25.001, ">25")],
)  # fmt: skip
def test_bins_of_distance(true, bin_):
    assert distance_of(true) == bin_


def test_lines_are_kept_apart():
    rows = [row(1.0, 2.0), row(12.0, 15.0), row(1.0, 1.5, group="tissue dense"),
            row(-30.0, -20.0, group="tissue dense", condition="thick")]  # fmt: skip
    lines = tables(rows, 0.6, resamples=10)
    assert [(x.condition, x.group, x.distance) for x in lines] == [
        ("clean", "all", "all"), ("clean", "all", "0-5"), ("clean", "all", "10-15"),
        ("clean", "cell dense", "all"), ("clean", "cell dense", "0-5"),
        ("clean", "cell dense", "10-15"),
        ("clean", "tissue dense", "all"), ("clean", "tissue dense", "0-5"),
        ("thick", "all", "all"), ("thick", "all", ">25"),
        ("thick", "tissue dense", "all"), ("thick", "tissue dense", ">25"),
    ]  # fmt: skip
    assert line(rows, "cell dense", "10-15").values["mae_um"] == pytest.approx(3.0)
    assert line(rows, ALL, "0-5").values["mae_um"] == pytest.approx(0.75)


def test_bootstrap_draws_slides_and_not_frames():
    """Two slides with opposite errors, many frames each: the mean of both is sure if frames are
    drawn, and anything from one slide's to the other's if slides are."""
    slides = ["a"] * 500 + ["b"] * 500
    errors = np.repeat([-1.0, 3.0], 500)
    drawn = SlideBootstrap(slides, 2000, seed=1)
    assert drawn.mean(errors, EVERY(1000, bool)) == (-1.0, 3.0)
    assert drawn.quantile(errors, EVERY(1000, bool), 0.5) == (-1.0, 3.0)
    frames = SlideBootstrap([str(i) for i in range(1000)], 2000, seed=1)
    low, high = frames.mean(errors, EVERY(1000, bool))
    assert 0.8 < low < 1.0 < high < 1.2


def test_bootstrap_weighs_a_slide_by_its_frames():
    """Ratio of sums: a slide of three frames counts three times in the mean of frames."""
    drawn = SlideBootstrap(["a", "a", "a", "b"], 4000, seed=0)
    values = np.array([1.0, 1.0, 1.0, 5.0])
    only_b = np.array([False, False, False, True])
    assert drawn.mean(values, EVERY(4, bool)) == (1.0, 5.0)
    assert drawn.mean(values, only_b) is None  # one slide says nothing of others


def test_a_drawn_quantile_is_that_of_the_frames_drawn():
    """Nine frames of one slide, one of the other: drawn twice, the small one is all there is."""
    drawn = SlideBootstrap(["a"] * 9 + ["b"], 1000, seed=0)
    assert drawn.quantile(np.array([1.0] * 9 + [5.0]), EVERY(10, bool), 0.5) == (1.0, 5.0)


def test_bootstrap_of_many_slides_agrees_with_the_normal_theory():
    rng = np.random.default_rng(3)
    slides, per = 80, 5
    values = np.repeat(rng.normal(2.0, 1.0, slides), per)
    names = np.repeat([f"s{i}" for i in range(slides)], per).tolist()
    low, high = SlideBootstrap(names, 4000, seed=2).mean(values, EVERY(slides * per, bool))
    half = 1.96 * values[::per].std() / slides**0.5
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05)
    q_low, q_high = SlideBootstrap(names, 4000, seed=2).quantile(values, EVERY(400, bool), 0.5)
    assert q_low < np.median(values) < q_high
    assert 0.25 < q_high - q_low < 0.9  # 2 * 1.96 * 1.25 / sqrt(80) = 0.55


def test_the_same_seed_gives_the_same_range():
    values, names = np.arange(20.0), [str(i) for i in range(20)]
    first, again, other = (
        SlideBootstrap(names, 500, seed).mean(values, EVERY(20, bool)) for seed in (4, 4, 5)
    )
    assert first == again != other


def test_a_share_of_all_or_nothing_is_not_certain():
    """20 slides without a false move: the true rate may still be 17 %."""
    drawn = SlideBootstrap([str(i) for i in range(20)] * 3, 500)
    none, every = np.zeros(60, bool), np.ones(60, bool)
    assert drawn.share(none, every) == (0.0, pytest.approx(1 - 0.025 ** (1 / 20)))
    assert drawn.share(every, every) == (pytest.approx(0.025 ** (1 / 20)), 1.0)
    assert SlideBootstrap(["a", "a"], 500).share(every[:2], every[:2]) is None


def test_ranges_of_a_table_come_from_its_slides():
    rows = [row(0.0, e, slide=s) for e, s in ((1.0, "a"), (1.0, "a"), (3.0, "b"), (3.0, "b"))]
    result = line(rows)
    assert result.slides == 2
    assert result.ranges["mae_um"] == (1.0, 3.0)
    assert result.ranges["median_um"] == (1.0, 3.0)
    assert result.as_json()["mae_um_95"] == [1.0, 3.0]
    assert line([row(0.0, 1.0), row(0.0, 2.0)]).ranges["mae_um"] is None


def test_false_moves_are_counted_on_blank_fields_only():
    rows = [row(None, 8.0, group="blank", decision="MOVE", slide="1"),
            row(None, -3.0, group="blank", slide="2"),
            row(0.0, None, group="blank", slide="3"),
            row(-6.0, -9.5, group="blank", decision="MOVE", slide="4"),
            row(2.0, 2.0, decision="MOVE")]  # fmt: skip
    (result,) = blanks(rows, resamples=200)
    assert (result.frames, result.answered, result.false_moves) == (4, 3, 2)
    assert result.share == 0.5
    assert result.largest_um == 9.5
    low, high = result.share_95
    assert low < 0.5 < high
    # a blank field has no focus, whatever the manifest says
    assert [x.frames for x in tables(rows, 0.6, resamples=10) if x.distance == ALL] == [1, 1]


def test_the_worst_come_first():
    rows = [row(1.0, 1.1), row(1.0, -4.0, stack_id="bad"), row(1.0, None), row(None, 9.0),
            row(0.0, 3.0), row(0.0, 50.0, group="blank")]  # fmt: skip
    assert [r.found_um for r in worst(rows, 2)] == [-4.0, 3.0]
