"""Networks of a few nodes with the shapes of the real ones, and their manifests.

rin: importance = 1 - green / 255, averaged over each cell of the 512 image.
dpn: defocus_um = (mean red - 128) / 4; spread_um = mean blue / 100.
with witnesses: W040 = mean blue / 100 +- 0.05 waves, axial colour 1 +- 0.1 um, novelty = mean
blue / 30; the outputs are in another order, since names count.
"""

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.manifest import NOMINAL_OPTICS, Input, Manifest, Output

#: as wide as the defaults of IntervalModel, and bounds that nothing leaves
CALIBRATED = {
    "interval": {
        "single_patch_um": 999.0, "single_patch_relative": 0.0,
        "disagree_um": 4.0, "disagree_relative": 0.25,
    },
    "envelope": {
        "action": "warn", "combine": "weighted", "bounds": {"contrast": [-999.0, 999.0]},
    },
}  # fmt: skip


def _constant(name, values, dtype=np.float32):
    return numpy_helper.from_array(np.array(values, dtype), name)


def _save(folder: Path, name: str, nodes, given, answers, constants) -> Path:
    graph = helper.make_graph(nodes, name, [given], answers, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    path = folder / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _manifest(path: Path, inputs, outputs, **changes) -> Path:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest = Manifest(
        **{
            "name": path.stem,
            "file": path.name,
            "sha256": sha256,
            "inputs": inputs,
            "outputs": outputs,
            "optics": NOMINAL_OPTICS,
            **changes,
        }
    )
    manifest.write(path.with_suffix(".json"))
    return path.with_suffix(".json")


def write_rin(folder: Path, size=(512, 512), grid=(9, 9), **changes) -> Path:
    """Write rin.onnx and rin.json; returns the manifest's path."""
    cell = [px // count for px, count in zip(size, grid, strict=True)]
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Gather", ["nchw", "one"], ["green"], axis=1),
        helper.make_node("AveragePool", ["green"], ["p"], kernel_shape=cell, strides=cell),
        helper.make_node("Reshape", ["p", "shape"], ["cells"]),
        helper.make_node("Div", ["cells", "full"], ["x"]),
        helper.make_node("Sub", ["unit", "x"], ["importance"]),
    ]
    constants = [
        _constant("one", [1], np.int64),
        _constant("shape", [1, *grid], np.int64),
        _constant("full", 255.0),
        _constant("unit", 1.0),
    ]
    given = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, *size, 3])
    answer = helper.make_tensor_value_info("importance", TensorProto.FLOAT, [1, *grid])
    path = _save(folder, "rin", nodes, given, [answer], constants)
    return _manifest(
        path,
        (Input("image", (1, *size, 3)),),
        (Output("importance", (1, *grid), "1"),),
        **changes,
    )


def write_dpn(folder: Path, poison: bool = False, witnesses: bool = False, **changes) -> Path:
    """Write dpn.onnx and dpn.json; with `poison`, a patch without red answers NaN."""
    nodes = [
        helper.make_node("Cast", ["patches"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f"], ["rgb"], axes=[1, 2], keepdims=0),
        helper.make_node("Gather", ["rgb", "i0"], ["red"], axis=1),
        helper.make_node("Gather", ["rgb", "i2"], ["blue"], axis=1),
        helper.make_node("Sub", ["red", "mid"], ["centred"]),
        helper.make_node("Div", ["red", "red"], ["unit"]),
        helper.make_node("Mul", ["centred", "unit"], ["maybe_nan"]),
        helper.make_node("Div", ["maybe_nan" if poison else "centred", "four"], ["defocus_um"]),
        helper.make_node("Div", ["blue", "hundred"], ["spread_um"]),
    ]
    constants = [
        _constant("i0", 0, np.int64),
        _constant("i2", 2, np.int64),
        _constant("mid", 128.0),
        _constant("four", 4.0),
        _constant("hundred", 100.0),
    ]
    outputs = [Output("defocus_um", ("k",), "um"), Output("spread_um", ("k",), "um")]
    if witnesses:
        nodes += [
            helper.make_node("MatMul", ["rgb", "mix"], ["mixed"]),
            helper.make_node("Add", ["mixed", "fixed"], ["optics"]),
            helper.make_node("Div", ["blue", "thirty"], ["novelty"]),
        ]
        constants += [
            _constant("mix", [[0, 0, 0, 0], [0, 0, 0, 0], [0.01, 0, 0, 0]]),
            _constant("fixed", [0.0, 0.05, 1.0, 0.1]),
            _constant("thirty", 30.0),
        ]
        novelty, optics = Output("novelty", ("k",), "1"), Output("optics", ("k", 4), "waves, um")
        outputs = [novelty, outputs[1], optics, outputs[0]]
    given = helper.make_tensor_value_info("patches", TensorProto.UINT8, ["k", 224, 224, 3])
    answers = [
        helper.make_tensor_value_info(each.name, TensorProto.FLOAT, each.shape) for each in outputs
    ]
    path = _save(folder, "dpn", nodes, given, answers, constants)
    values = {
        "inputs": (Input("patches", ("k", 224, 224, 3)),),
        "outputs": tuple(outputs),
        "calibration": CALIBRATED,
    }
    return _manifest(path, **{**values, **changes})
