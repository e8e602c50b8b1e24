"""The judge of the closed loop: real loop, firmware and drive on pictures whose defocus is known,
and its table on fields made up by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from firmware_bridge.errors import LinkLost
from simulator.field_truth import FieldTruth
from training import closed_loop
from training.cases import CASES, SLIDE_Z_UM
from training.closed_loop import CaseMicroscope, starts_um
from training.closed_loop_table import Ended, summarise, text

ENDED = Ended("clean", "cell dense", 0, 10.0, 1.0, 0.2, "IN_FOCUS", "in-deadband", 1, 2)
SIX = CASES["clean"].groups


class Known:
    """A field that shows its defocus: red = 128 + 4 d, read by the tiny DPN. `gain` is what it
    makes of the distance, 0 = nothing to be seen."""

    def __init__(self, gain, z_focus_um):
        nothing = np.zeros((9, 9), np.float32)
        planes = np.arange(-1.0, 1.1, 0.5)
        energy = np.zeros((5, 9, 9), np.float32)
        self.truth = FieldTruth(
            "cell", "dense", z_focus_um, nothing, nothing, planes, energy, nothing
        )
        self.gain = gain

    def picture(self, z_um):
        pixels = np.full((2016, 2016, 3), (0, 255, 10), np.uint8)
        if self.gain:
            shown = self.gain * (self.truth.z_focus_um - z_um)
            pixels[:] = (np.clip(np.rint(128 + 4 * shown), 0, 255), 0, 10)
            pixels[:224, :224] = 255  # one patch of light, or the frame is too dark
        return pixels


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    pytest.importorskip("onnx")
    from tests.support.tiny_models import write_dpn, write_rin

    folder = tmp_path_factory.mktemp("models")
    write_rin(folder)
    write_dpn(folder)
    return folder


@pytest.fixture(scope="module")
def judged(models, tmp_path_factory):
    """One field per group: the first shows the distance with the wrong sign, the second nothing,
    the fourth 0.55 of it: less than any iris makes of it, so that no scale is learnt by it."""
    gains = dict(zip(SIX, (-1.0, 0.0, 1.0, 0.55, 1.0, 1.0), strict=True))
    asked = []

    def load(case, seed, slide, group, **more):
        asked.append((case.name, seed, slide, group))
        return Known(gains[group], SLIDE_Z_UM + slide - 2.0)

    report = tmp_path_factory.mktemp("loop") / "loop.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closed_loop, "load", load)
        words = ["--case", "clean", "--slides", "1", "--seed", "3", "--models", str(models)]
        assert closed_loop.main([*words, "--json", str(report), "--quiet"]) == 0
    assert asked == [("clean", 3, slide, group) for slide, group in enumerate(SIX)]
    return json.loads(report.read_text())


def test_fields_end_in_focus_through_the_real_loop(judged):
    for field in judged["fields"]:
        start = starts_um(CASES["clean"], 3, field["slide"])
        # the hand on the knob is as good as the drive: play and position error
        assert field["start_um"] == pytest.approx(abs(start), abs=1.2)
        if field["group"] not in (*SIX[:2], SIX[3]):
            assert field["decision"] == "IN_FOCUS"
            assert field["final_um"] < 0.6
            assert field["first_um"] < 1.5


def test_a_field_that_shows_nothing_is_held_where_it_is(judged):
    held = judged["fields"][1]
    assert (held["decision"], held["reason"], held["moves"]) == ("HOLD", "blank", 0)
    assert held["final_um"] == held["first_um"] == pytest.approx(held["start_um"], abs=0.01)


def test_a_shutdown_is_an_end_like_any_other_and_left_behind(judged):
    """Two moves that go the wrong way: the sign was never confirmed, and is not believed."""
    first = judged["fields"][0]
    assert first["decision"] == "SHUTDOWN"
    assert "sign" in first["reason"]
    assert 1 <= first["moves"] <= 2
    assert judged["fields"][4]["decision"] == "IN_FOCUS"  # the next ones get another try


def test_there_are_two_moves_and_no_third(judged):
    """0.55 of the way each time."""
    slow = judged["fields"][3]
    assert slow["start_um"] > 12.0
    assert (slow["decision"], slow["reason"], slow["moves"]) == ("HOLD", "max-shots", 2)
    assert slow["first_um"] == pytest.approx(0.45 * slow["start_um"], abs=1.2)
    assert slow["final_um"] == pytest.approx(0.2 * slow["start_um"], abs=1.0)


def test_json_and_table_count_every_field(judged):
    whole = judged["groups"][0]
    assert (whole["group"], whole["fields"], whole["held"]) == ("all", 6, 3)
    sizes = [field["final_um"] for field in judged["fields"]]
    assert whole["final_um"]["mean"] == pytest.approx(np.mean(sizes))
    assert judged["dof_um"] == pytest.approx(0.604, abs=1e-3)
    assert len(text(judged["groups"]).splitlines()) == (2 + 7) + 1 + (2 + 7)
    assert (whole["looks"]["fields"], whole["looks"]["direction"]) == (6, 0.8)  # one is mirrored


def test_held_fields_count_and_are_told_apart():
    rows = [ENDED, replace(ENDED, slide=1, final_um=0.4),
            replace(ENDED, slide=2, first_um=9.0, final_um=9.0, decision="HOLD", reason="blank",
                    moves=0)]  # fmt: skip
    whole, group = summarise(rows, 0.3)
    assert {**whole, "group": "cell dense"} == group
    assert (group["fields"], group["settled"], group["held"]) == (3, 2, 1)
    assert group["held_because"] == {"blank": 1}
    assert group["final_um"]["mean"] == pytest.approx(3.2)
    assert group["final_um"]["largest"] == 9.0
    assert group["final_um"]["within_dof"] == pytest.approx(1 / 3)  # 0.4 is outside
    assert group["final_settled_um"]["mean"] == pytest.approx(0.3)
    assert group["final_held_um"]["mean"] == pytest.approx(9.0)
    assert group["first_um"]["mean"] == pytest.approx(11 / 3)
    assert group["final_um"]["mean_95"] == pytest.approx((0.2, 9.0))
    assert group["final_held_um"]["mean_95"] is None  # one slide


def test_worse_fields_and_further_moves_are_counted():
    rows = [ENDED, replace(ENDED, slide=1, final_um=12.0, moves=3, decision="SHUTDOWN")]
    line = summarise(rows, 0.6)[0]
    assert line["farther_than_at_the_start"] == 1
    assert line["more_than_two_moves"] == 1
    assert line["held"] == 1  # a shutdown is no focus


def test_blank_fields_only_count_moves():
    blank = replace(ENDED, case="nothing", group="blank", start_um=None, first_um=None,
                    final_um=None, decision="HOLD", reason="blank", moves=0)  # fmt: skip
    (line,) = table = summarise([blank, replace(blank, slide=1, moves=1)], 0.6)
    assert (line["group"], line["fields"], line["moved"]) == ("blank", 2, 1)
    assert "final_um" not in line
    assert "1 fields moved" in text(table)


def test_cases_stay_apart():
    lines = summarise([ENDED, replace(ENDED, case="thick", final_um=3.0)], 0.6)
    assert [(x["case"], x["group"], x["final_um"]["mean"]) for x in lines] == [
        ("clean", "all", 0.2), ("clean", "cell dense", 0.2),
        ("thick", "all", 3.0), ("thick", "cell dense", 3.0),
    ]  # fmt: skip


def test_starts_are_spread_and_the_same_again():
    starts = np.array([starts_um(CASES["clean"], 0, slide) for slide in range(1000)])
    assert np.abs(starts).max() <= 25.0
    assert abs(starts.mean()) < 2.0
    assert starts.std() == pytest.approx(50 / 12**0.5, rel=0.05)
    assert starts_um(CASES["clean"], 0, 7) == starts[7] != starts_um(CASES["thick"], 0, 7)


def test_microscope_shows_the_slide_of_its_case(monkeypatch):
    asked = []
    monkeypatch.setattr(
        closed_loop, "load", lambda *words, **more: asked.append((words, more)) or Known(1.0, 200.0)
    )
    case = CASES["nothing"]
    microscope = CaseMicroscope(case, 5, None)
    with pytest.raises(RuntimeError):
        microscope.picture(0.0)
    assert microscope.load_field("cell", "blank", 3, slide=9) is microscope.truth
    ((words, more),) = asked
    assert words == (case, 5, 9, "blank")
    assert more["shape"] == (2016, 2016)
    assert microscope.picture(201.0)[-1, -1, 0] == 124  # 1 um too high: lower it


def test_near_enough_can_be_told(models, tmp_path, monkeypatch):
    monkeypatch.setattr(closed_loop, "load", lambda *_, **__: Known(1.0, SLIDE_Z_UM))
    report = tmp_path / "loop.json"
    words = ["--case", "clean", "--slides", "1", "--models", str(models), "--quiet"]
    assert closed_loop.main([*words, "--deadband", "26", "--json", str(report)]) == 0
    document = json.loads(report.read_text())
    assert document["deadband_um"] == 26.0
    assert {(f["decision"], f["reason"], f["moves"]) for f in document["fields"]} == {
        ("IN_FOCUS", "in-deadband", 0)
    }
    for wrong in ("0", "-1", "101", "nan", "near"):
        with pytest.raises(SystemExit):
            closed_loop.main([*words, "--deadband", wrong])


def test_a_stage_that_is_lost_is_one_line(models, monkeypatch, capsys):
    def lost(*_):
        raise LinkLost("no STATUS for 0.5 s")

    monkeypatch.setattr(closed_loop.SimulatedInstrument, "focus", lost)
    words = ["--case", "clean", "--slides", "1", "--models", str(models), "--quiet"]
    assert closed_loop.main(words) == 4
    assert "the stage was lost: no STATUS" in capsys.readouterr().err


def test_an_unknown_model_is_one_line(capsys):
    assert closed_loop.main(["--case", "clean", "--slides", "1", "--models", "/nowhere"]) == 2
    assert "/nowhere" in capsys.readouterr().err
