"""The closed loop on the second judge's fields, and its table on fields made up by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from training import closed_loop_judge
from training.closed_loop_judge import Judged, table, text
from training.closed_loop_table import Ended
from training.judge.instrument import Slide
from training.judge.sharpness import Sharpest

ENDED = Ended("judge", "cell dense", 0, 10.0, 1.0, 0.2, "IN_FOCUS", "in-deadband", 1, 2)
JUDGED = Judged(ENDED, 0.6, 0.95, 0.7, 0.1, 1.0, False)


class Known:
    """A field that shows its defocus: red = 128 + 4 d, read by the tiny DPN."""

    def __init__(self, instrument, seed, number, group):
        self.surface_um = 203.0
        self.richness = np.full((9, 9), 0.0 if group == "blank" else 1.0)
        self.sharpest = Sharpest(202.5, np.full((9, 9), 202.5), 1.0)
        self.slide, self.exact = a_slide(), False
        self._blank = group == "blank"

    def picture(self, z_um):
        if self._blank:
            return np.full((2016, 2016, 3), (0, 255, 10), np.uint8)
        pixels = np.full((2016, 2016, 3), (0, 0, 10), np.uint8)
        pixels[..., 0] = np.clip(round(128 + 4 * (202.5 - z_um)), 0, 255)
        pixels[:224, :224] = 255  # one patch of light, or the frame is too dark
        return pixels

    def reached(self, z_um):
        return float(np.exp(-((z_um - 202.5) ** 2)))


def a_slide():
    return Slide(0.45, 1.0, 1.3, 1.0, 1.0, 0.0, (0.0, 0.0), "usual", 0.0)


def test_fields_go_through_the_real_loop_and_are_judged_by_the_sharpest_plane(
    tmp_path, monkeypatch
):
    pytest.importorskip("onnx")
    from tests.support.tiny_models import write_dpn, write_rin

    write_rin(tmp_path)
    write_dpn(tmp_path)
    monkeypatch.setattr(closed_loop_judge, "JudgeField", Known)
    words = ["--slides", "1", "--group", "cell dense", "--group", "blank", "--start-um", "6"]
    report = tmp_path / "loop.json"
    run = [*words, "--models", str(tmp_path), "--json", str(report), "--quiet"]
    assert closed_loop_judge.main(run) == 0
    cell, blank = json.loads(report.read_text())["fields"]
    first, *_, last = cell["ended"]["looks"]
    assert first["true_um"] == pytest.approx(-6.0, abs=1.2)
    assert first["defocus_um"] == pytest.approx(first["true_um"], abs=0.2)
    assert last["true_um"] == pytest.approx(0.0, abs=0.6)
    assert blank["ended"]["looks"] == []
    assert cell["ended"]["start_um"] == pytest.approx(6.0, abs=1.2)
    assert cell["ended"]["decision"] == "IN_FOCUS"
    assert cell["ended"]["final_um"] < 0.6
    assert cell["reached_final"] == pytest.approx(np.exp(-(cell["ended"]["final_um"] ** 2)))
    assert cell["final_absorption_um"] == pytest.approx(0.5, abs=0.6)
    assert cell["phase"] == 1.3
    assert blank["ended"]["moves"] == 0
    assert blank["reached_final"] is None


def test_the_table_has_sharpness_reached_by_group_and_counts_shutdowns():
    held = replace(ENDED, decision="SHUTDOWN", group="tissue dense", final_um=4.0)
    rows = [
        JUDGED,
        replace(JUDGED, reached_final=0.85),
        Judged(held, 0.5, 0.1, 0.7, 3.0, 0.0, True),
    ]
    whole, cell, tissue = table(rows, 0.63)
    assert [whole["group"], cell["group"], tissue["group"]] == ["all", "cell dense", "tissue dense"]
    assert cell["reached"]["median"] == pytest.approx(0.9)
    assert whole["reached"]["p10"] == pytest.approx(0.25)
    assert [whole["shutdown"], cell["shutdown"], tissue["shutdown"]] == [1, 0, 1]
    assert cell["absorption_um"] == {"first": pytest.approx(0.7), "final": pytest.approx(0.1)}
    assert "0.900" in text([whole, cell, tissue])


def test_wrong_use_is_one_line(capsys):
    assert closed_loop_judge.main(["--group", "bone"]) == 2
    assert "training.closed_loop_judge: group 'bone' must be" in capsys.readouterr().err
