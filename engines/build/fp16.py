"""Which of TensorRT's two ways to FP16, and the ONNX that it wants.

Below TensorRT 10.12 the float32 network is parsed and `BuilderFlag.FP16` lets the builder choose;
from 10.12 on, where the flag is deprecated, and in 11, where it is gone, the network itself is
written in FP16 and parsed as strongly typed. Never both. Source: TensorRT release notes 10.12, 11.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

from engines.errors import BuildFailed, TensorRtMissing
from engines.gpu.plan import FLAG, TYPED

TYPED_FROM = (10, 12)
_UINT8, _FLOAT = 2, 1  # onnx.TensorProto.DataType


def choose(trt: Any) -> str:
    """FLAG or TYPED for the imported `tensorrt`, by its version and what it still has."""
    numbers = tuple(int(n) for n in re.findall(r"\d+", str(trt.__version__))[:2])
    old = numbers < TYPED_FROM and hasattr(trt.BuilderFlag, "FP16")
    return FLAG if old else TYPED


def prepare(model: bytes, precision: str) -> bytes:
    """The shipped float32 ONNX as TensorRT takes it, in FP16 where `precision` is TYPED.

    Inputs stay uint8 and outputs float32. Raises TensorRtMissing without the `onnx` package and
    BuildFailed for what is not an ONNX network.
    """
    onnx = _onnx()
    try:
        proto = onnx.load_from_string(model)
        cast_first(proto)
        if precision == TYPED:
            proto = _float16().convert_float_to_float16(proto, keep_io_types=True)
        onnx.checker.check_model(proto, full_check=True)
    except Exception as error:  # protobuf, checker and converter share no base
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise BuildFailed(f"the network cannot be prepared: {first[0][:200]}") from error
    return bytes(proto.SerializeToString())


def _float16() -> Any:
    """ONNX Runtime's converter, by way of the module that tells it to keep to itself."""
    importlib.import_module("engines.onnx_runtime")
    return importlib.import_module("onnxruntime.transformers.float16")


def cast_first(proto: Any) -> None:
    """Turn uint8 inputs to float32 before anything else touches them, in place; exact.

    TensorRT takes uint8 only as a network input that goes straight into a Cast, while the
    exporter transposes first.
    """
    onnx, graph = _onnx(), proto.graph
    for given in graph.input:
        readers = [node for node in graph.node if given.name in node.input]
        as_is = all(node.op_type == "Cast" for node in readers)
        if given.type.tensor_type.elem_type != _UINT8 or as_is:
            continue
        name = f"{given.name}_as_float"
        for node in readers:
            for i, read in enumerate(node.input):
                if read == given.name:
                    node.input[i] = name
        cast = onnx.helper.make_node("Cast", [given.name], [name], name=name, to=_FLOAT)
        graph.node.insert(0, cast)
        del graph.value_info[:]  # says uint8 of what is now float32


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise TensorRtMissing("the `onnx` package is missing: pip install '.[jetson]'") from error
    return onnx
