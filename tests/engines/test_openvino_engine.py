"""OpenVINO beside the reference: the same answers, the same refusals."""

import hashlib
import importlib.util
import json
import platform

import numpy as np
import pytest

from engines.engine import MODELS, open_engine, runtime_for
from engines.golden import batches
from engines.manifest import EngineRejected, Manifest
from engines.onnx_engine import OnnxEngine
from tests.support.tiny_models import write_dpn, write_rin

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the test extra brings OpenVINO on x86 only"
)


def refused(path, words):
    with pytest.raises(EngineRejected, match=words):
        open_engine(path, 1, "openvino")


def test_the_shipped_rin_answers_as_the_reference():
    reference = open_engine(MODELS / "rin.json", 2)
    engine = open_engine(MODELS / "rin.json", 2, "openvino")
    assert type(engine).__name__ == "OpenVinoEngine"
    for batch in batches("rin"):
        (want,), (got,) = reference.infer(batch), engine.infer(batch)
        assert got.shape == (1, 9, 9)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, atol=1e-5)


def test_an_answer_is_the_callers_to_keep():
    engine = open_engine(MODELS / "rin.json", 1, "openvino")
    first, second = batches("rin")[:2]
    kept = engine.infer(first)[0]
    before = kept.copy()
    engine.infer(second)
    np.testing.assert_array_equal(kept, before)


def test_a_free_batch_is_left_to_onnx_runtime(tmp_path):
    assert isinstance(open_engine(write_dpn(tmp_path), 1, "openvino"), OnnxEngine)


def test_a_network_without_a_table(tmp_path):
    """Whose pixels go in as they are."""
    engine = open_engine(write_rin(tmp_path), 1, "openvino")
    picture = np.zeros((1, 512, 512, 3), np.uint8)
    picture[0, :56, :56, 1] = 255
    (result,) = engine.infer(picture)
    assert result[0, 0, 0] == pytest.approx(0.0, abs=1e-3)
    assert result[0, 8, 8] == pytest.approx(1.0, abs=1e-3)


def test_other_pictures_are_refused():
    engine = open_engine(MODELS / "rin.json", 1, "openvino")
    for bad in (np.zeros((1, 512, 512, 3), np.float32), np.zeros((2, 512, 512, 3), np.uint8)):
        with pytest.raises(EngineRejected, match="is not uint8"):
            engine.infer(bad)


@pytest.mark.parametrize(
    ("where", "key", "value", "words"),
    [
        ("outputs", "name", "depth", r"rin\.onnx: has \['importance'\]"),
        ("outputs", "shape", [1, 9, 8], "its manifest says"),
        ("inputs", "shape", [1, 512, 256, 3], "its manifest says"),
    ],
)
def test_a_manifest_of_another_network(tmp_path, where, key, value, words):
    path = write_rin(tmp_path)
    values = json.loads(path.read_text())
    values[where][0][key] = value
    path.write_text(json.dumps(values))
    refused(path, words)


def test_what_is_no_network(tmp_path):
    path = write_rin(tmp_path)
    (tmp_path / "rin.onnx").write_bytes(b"not a network")
    refused(path, "SHA-256 is")
    values = json.loads(path.read_text())
    values["sha256"] = hashlib.sha256(b"not a network").hexdigest()
    path.write_text(json.dumps(values))
    refused(path, "OpenVINO refuses it")


def test_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    rin = Manifest.read(MODELS / "rin.json")
    assert runtime_for(rin, "onnxruntime") == "onnxruntime"
    with pytest.raises(EngineRejected, match=r"pip install 'sparsefocus-edge\[openvino\]'"):
        runtime_for(rin, "openvino")
