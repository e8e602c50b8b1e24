"""The training range that is fitted: quiet inside, loud outside, by the right witness."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from edge.measure.photometry import PHOTOMETRY
from edge.measure.training_range import TrainingRange
from engines.manifest import NOMINAL_OPTICS, Manifest, Output
from tests.support.drawn_rows import OUTSIDE, inside_rows, optics_rows, outside_rows
from training.fit_training_range import fit_training_range, judge
from training.frame_rows import FrameRow, split


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
