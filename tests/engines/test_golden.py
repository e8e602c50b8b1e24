"""The golden pictures ask what matters, and the comparison refuses what it must."""

import shutil

import cv2
import numpy as np
import onnx
import pytest

from engines import golden
from engines.build import fp16
from engines.build.run import Wishes, _build_one
from engines.engine import MODELS
from engines.errors import EngineRejected, PlanInaccurate
from engines.gpu.plan import TYPED, Host
from engines.manifest import Manifest
from engines.onnx_engine import OnnxEngine
from tests.support.tiny_models import write_dpn


def _model(name):
    return Manifest.read(MODELS / f"{name}.json")


@pytest.fixture(scope="module")
def expected():
    return golden.reference(_model("dpn"), golden.batches("dpn"))


def test_shapes_and_contents(expected):
    rin, dpn = golden.batches("rin"), golden.batches("dpn")
    assert [batch.shape for batch in rin] == [(1, 512, 512, 3)] * 2
    assert [batch.shape for batch in dpn] == [(k, 224, 224, 3) for k in (3, 9, 31)]
    assert all(batch.dtype == np.uint8 and batch.flags.c_contiguous for batch in rin + dpn)
    largest = dpn[-1]
    assert len({patch.tobytes() for patch in largest}) == 31  # no picture twice
    # both directions, near and far, and no patch of which the network is unsure
    defocus, spread = expected[-1]["defocus_um"], expected[-1]["spread_um"]
    assert defocus.min() < -20
    assert defocus.max() > 20
    assert np.abs(defocus).min() < 4
    assert spread.max() < 3
    counts = [int((a["importance"] > 0.8).sum()) for a in golden.reference(_model("rin"), rin)]
    assert all(3 < count < 60 for count in counts)  # some patches matter, some do not


@pytest.mark.parametrize("name", ["rin", "dpn"])
def test_fp16_network_passes_on_the_cpu(name):
    """An estimate only: ONNX Runtime rounds the numbers as FP16 does, but sums in float32."""
    model, given = _model(name), golden.batches(name)
    engine = OnnxEngine(model, threads=1, data=fp16.prepare(model.model_bytes(), TYPED))
    names = [output.name for output in model.outputs]
    expected = golden.reference(model, given)

    def run(batch):
        return dict(zip(names, engine.infer(batch), strict=True))

    record = golden.examine(name, model, run, given, expected)
    (key,) = record["limits"]
    assert 0 < record["worst"][key] < record["limits"][key]
    assert record["inputs_sha256"] == golden.digest(given)


def _changed(expected, name, change):
    results = [{key: value.copy() for key, value in each.items()} for each in expected]
    change(results[-1][name])
    return results


def test_just_within_and_just_beyond_the_limit(expected):
    model = _model("dpn")
    within = _changed(expected, "defocus_um", lambda v: v.__setitem__(30, v[30] + 0.099))
    worst = golden.compare("plan", model, expected, within)
    assert worst["defocus_um"] == pytest.approx(0.099, abs=1e-4)
    assert worst["spread_um"] == 0
    for sign in (1, -1):
        beyond = _changed(
            expected, "defocus_um", lambda v, s=sign: v.__setitem__(0, v[0] + s * 0.101)
        )
        with pytest.raises(PlanInaccurate, match=r"defocus_um differs from the CPU by 0\.101 um"):
            golden.compare("plan", model, expected, beyond)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["defocus_um", "spread_um", "optics", "novelty"])
def test_an_answer_that_is_not_finite_never_passes(expected, name, value):
    result = _changed(expected, name, lambda v: v.reshape(-1).__setitem__(0, value))
    with pytest.raises(PlanInaccurate, match=name):
        golden.compare("plan", _model("dpn"), expected, result)


def test_answers_of_another_batch_never_pass(expected):
    with pytest.raises(PlanInaccurate, match="has shape"):
        golden.compare("plan", _model("dpn"), expected, expected[::-1])
    with pytest.raises(ValueError, match="zip"):
        golden.compare("plan", _model("dpn"), expected, expected[:2])


def test_importance_limit():
    model = _model("rin")
    expected = golden.reference(model, golden.batches("rin")[:1])
    results = [{"importance": expected[0]["importance"] + np.float32(0.021)}]
    with pytest.raises(PlanInaccurate, match=r"0\.02 is the limit"):
        golden.compare("plan", model, expected, results)


def test_pictures_that_cannot_be_read(tmp_path):
    with pytest.raises(EngineRejected, match=r"dpn\.jpg: cannot be read"):
        golden.batches("dpn", tmp_path)
    (tmp_path / "dpn.jpg").write_bytes(b"")
    with pytest.raises(EngineRejected, match="is not a mosaic"):
        golden.batches("dpn", tmp_path)
    shutil.copy(golden.GOLDEN / "rin.jpg", tmp_path / "dpn.jpg")
    with pytest.raises(EngineRejected, match="is not a mosaic"):
        golden.batches("dpn", tmp_path)
    cv2.imwrite(str(tmp_path / "dpn.jpg"), np.zeros((224, 224, 3), np.uint8))
    with pytest.raises(EngineRejected, match="1 pictures are too few for 31"):
        golden.batches("dpn", tmp_path)


def test_mosaic_is_cut_in_reading_order(tmp_path):
    shades = np.arange(9).reshape(3, 3) * 20
    image = np.kron(shades, np.ones((224, 224))).astype(np.uint8)
    colour = np.stack([image, np.zeros_like(image), 255 - image], axis=2)  # BGR on the disk
    cv2.imwrite(str(tmp_path / "dpn.jpg"), colour, [cv2.IMWRITE_JPEG_QUALITY, 100])
    batch = golden.batches("dpn", tmp_path)[1]
    np.testing.assert_allclose(batch[:, 100, 100, 2], shades.reshape(-1), atol=3)
    np.testing.assert_allclose(batch[:, 100, 100, 0], 255 - shades.reshape(-1), atol=3)


def test_a_wide_mosaic_is_cut_in_reading_order(tmp_path):
    image = np.zeros((512, 1024, 3), np.uint8)
    image[:, 512:] = 200
    cv2.imwrite(str(tmp_path / "rin.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 100])
    first, second = golden.batches("rin", tmp_path)
    assert first.max() < 10
    assert second.min() > 190


def test_a_badly_converted_network_never_reaches_tensorrt(tmp_path, monkeypatch):
    model = Manifest.read(write_dpn(tmp_path))
    proto = onnx.load_from_string(model.model_bytes())
    middle = next(each for each in proto.graph.initializer if each.name == "mid")
    middle.CopyFrom(onnx.numpy_helper.from_array(np.array(129, np.float32), "mid"))
    monkeypatch.setattr(fp16, "prepare", lambda data, precision: proto.SerializeToString())
    no_tensorrt, host = None, Host("11.4.0", "Orin", (8, 7))
    with pytest.raises(PlanInaccurate, match=r"dpn as prepared for TensorRT.* by 0\.25 um"):
        _build_one(no_tensorrt, model, host, TYPED, Wishes(out=tmp_path))
