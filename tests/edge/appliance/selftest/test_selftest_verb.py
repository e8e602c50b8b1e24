"""`sparsefocus selftest` on a machine without a GPU, and the pictures it makes for cameras."""

import json

import numpy as np
import pytest

from edge.appliance.cli import main
from edge.appliance.selftest.checks import FORMATS, Check, Findings, frame_of, quantiles
from edge.appliance.selftest.text import as_page, as_text, verdict
from edge.measure.preprocess import CpuPreprocessor
from engines.onnx_engine import OnnxEngine

STAGES = {"preprocess", "rin", "select", "dpn", "plain_look", "aggregate", "total"}


def test_on_the_cpu(tmp_path, capsys):
    words = ["selftest", "--backend", "cpu", "--frames", "2"]
    files = ["--json", str(tmp_path / "s.json"), "--report", str(tmp_path / "s.html")]
    assert main([*words, *files]) == 0
    document = json.loads((tmp_path / "s.json").read_text())
    assert (document["backend"], document["ok"]) == ("cpu", True)
    assert [check["name"] for check in document["checks"]] == [
        "golden pictures, rin",
        "golden pictures, dpn",
        "whole frame",
    ]
    assert "31 patches" in document["checks"][2]["detail"]
    assert set(document["latency_ms"]) == STAGES
    output = capsys.readouterr().out
    assert "self-test on the CPU: all 3 checks passed" in output
    page = (tmp_path / "s.html").read_text()
    assert "all 3 checks passed" in page
    assert "golden pictures, dpn" in page


def test_an_engine_that_answers_otherwise_fails_it(monkeypatch, capsys):
    honest = OnnxEngine.infer

    def off_in_batches(self, batch):
        answers = honest(self, batch)
        return tuple(a + np.float32(0.11) if len(batch) > 1 else a for a in answers)

    monkeypatch.setattr(OnnxEngine, "infer", off_in_batches)
    assert main(["selftest", "--backend", "cpu", "--frames", "1"]) == 4
    assert "FAIL  golden pictures, dpn: dpn.onnx: defocus_um differs" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["--frames", "0"], ["--json", "/nowhere/x"], ["--backend", "gpu"]]
)
def test_wrong_use_is_one_line(words, capsys):
    assert main(["selftest", "--frames", "1", "--quiet", "--backend", "cpu", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("name", FORMATS)
def test_a_frame_in_a_cameras_format_shows_the_picture(name):
    rgb = np.full((2020, 2020, 3), (200, 120, 60), np.uint8)
    rgb[:1000, :, 1] = 40
    small = CpuPreprocessor()(frame_of(rgb, name)).small[0]
    below, above = small[400, 300], small[100, 300]
    expected = [200, 120, 60] if name[:4] != "Mono" else [120] * 3
    assert below.tolist() == expected
    assert above[1] == 40


def test_quantiles_are_of_the_samples():
    laps = [{"total": float(ms)} for ms in range(1, 201)]
    assert quantiles(laps) == {"total": {"p50": 101.0, "p99": 199.0, "max": 200.0}}
    assert quantiles([{"total": 3.0}]) == {"total": {"p50": 3.0, "p99": 3.0, "max": 3.0}}


def test_no_check_is_no_success():
    result = Findings("cpu")
    assert not result.ok
    assert verdict(result) == "nothing was checked"
    result.checks = [Check("a", True, "x"), Check("<b>", False, "y & z")]
    assert not result.ok
    assert "FAIL  <b>: y & z" in as_text(result)
    assert "&lt;b&gt;" in as_page(result)
    assert "1 of 2 checks FAILED" in as_page(result)
