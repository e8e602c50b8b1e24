"""The CPU engine runs what the manifest describes and nothing else."""

import dataclasses
import json

import numpy as np
import pytest

from engines.engine import open_engine
from engines.manifest import EngineRejected, Manifest, OutputNotFinite
from engines.onnx_engine import OnnxEngine
from tests.support.tiny_models import write_dpn, write_rin


def _patches(*reds, blue=50):
    batch = np.zeros((len(reds), 224, 224, 3), np.uint8)
    batch[..., 0] = np.array(reds)[:, None, None]
    batch[..., 2] = blue
    return batch


@pytest.mark.parametrize("k", [1, 3, 9, 31])
def test_dpn_answers_one_value_per_patch_in_order(tmp_path, k):
    engine = open_engine(write_dpn(tmp_path), threads=1)
    reds = np.arange(k) * 8
    defocus, spread = engine.infer(_patches(*reds))
    assert defocus.dtype == spread.dtype == np.float32
    np.testing.assert_allclose(defocus, (reds - 128) / 4)
    np.testing.assert_allclose(spread, np.full(k, 0.5))
    engine.close()
    engine.close()


def test_outputs_come_in_manifest_order(tmp_path):
    path = write_dpn(tmp_path)
    manifest = Manifest.read(path)
    turned = dataclasses.replace(manifest, outputs=manifest.outputs[::-1])
    spread, defocus = OnnxEngine(turned, threads=1).infer(_patches(228))
    assert (defocus[0], spread[0]) == (25.0, 0.5)


def test_rin_reads_rgb_rows_and_columns(tmp_path):
    engine = open_engine(write_rin(tmp_path), threads=1)
    image = np.full((1, 512, 512, 3), 255, np.uint8)
    image[0, 2 * 56 : 3 * 56, 7 * 56 : 8 * 56, 1] = 0
    (importance,) = engine.infer(image)
    assert importance.shape == (1, 9, 9)
    assert np.argwhere(importance[0] > 0.5).tolist() == [[2, 7]]


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((0, 224, 224, 3), np.uint8),
        np.zeros((1, 224, 224), np.uint8),
        np.zeros((1, 223, 224, 3), np.uint8),
        np.zeros((1, 3, 224, 224), np.uint8),
        np.zeros((1, 224, 224, 3), np.float32),
    ],
)
def test_wrong_input_is_rejected_before_inference(tmp_path, batch):
    engine = open_engine(write_dpn(tmp_path), threads=1)
    with pytest.raises(EngineRejected, match="input"):
        engine.infer(batch)


def test_an_output_that_is_not_finite_is_its_own_error(tmp_path):
    engine = open_engine(write_dpn(tmp_path, poison=True), threads=1)
    with pytest.raises(OutputNotFinite, match="defocus_um is not finite"):
        engine.infer(_patches(100, 0))
    assert engine.infer(_patches(100))[0].shape == (1,)  # the engine itself is sound


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        ("inputs", "name", "image"),
        ("inputs", "shape", ["k", 512, 512, 3]),
        ("inputs", "shape", ["k", 224, 224]),
        ("outputs", "name", "depth"),
        ("outputs", "shape", ["k", 2]),
    ],
)
def test_manifest_that_describes_another_network(tmp_path, where, key, value):
    path = write_dpn(tmp_path)
    values = json.loads(path.read_text())
    values[where][0][key] = value
    path.write_text(json.dumps(values))
    with pytest.raises(EngineRejected, match=r"dpn\.onnx"):
        open_engine(path)


def test_free_batch_in_the_manifest_needs_one_in_the_network(tmp_path):
    path = write_rin(tmp_path)
    values = json.loads(path.read_text())
    values["inputs"][0]["shape"][0] = "k"
    path.write_text(json.dumps(values))
    with pytest.raises(EngineRejected, match="manifest says"):
        open_engine(path)


def test_hash_that_fits_a_file_that_is_no_network(tmp_path):
    import hashlib

    path = write_dpn(tmp_path)
    (tmp_path / "dpn.onnx").write_bytes(b"not a network")
    values = json.loads(path.read_text())
    values["sha256"] = hashlib.sha256(b"not a network").hexdigest()
    path.write_text(json.dumps(values))
    with pytest.raises(EngineRejected, match="ONNX Runtime refuses it"):
        open_engine(path)
