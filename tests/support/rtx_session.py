"""Our builder against a real TensorRT compiler without a GPU: TensorRT-RTX, one release a process.

    python rtx_session.py CASE
Runs one case on the shipped models and prints its facts as JSON; the tests judge them.
"""

from __future__ import annotations

import io
import json
import sys
from collections import Counter

import onnx
import tensorrt_rtx_bindings as trt
from onnx import TensorProto, helper

from engines.build import builder, fp16
from engines.build.builder import Order, build_plan
from engines.build.progress import Bar
from engines.engine import MODELS
from engines.errors import BuildFailed
from engines.gpu.plan import FLAG, PROFILES, TYPED
from engines.gpu.tensorrt_library import make_log
from engines.manifest import Manifest


def _model(name):
    return Manifest.read(MODELS / f"{name}.json")


def _order(name, precision, data=None, workspace=256 << 20):
    model = _model(name)
    data = fp16.prepare(model.model_bytes(), precision) if data is None else data
    return Order(model, data, precision, workspace)


def _try(order, cache=b""):
    """What came of a build: sizes, or the failure in our words."""
    bar = io.StringIO()
    try:
        built = build_plan(trt, order, Bar(order.model.name, stream=bar), cache)
    except BuildFailed as error:
        return {"reason": error.reason, "text": str(error)}
    return {
        "plan": len(built.plan),
        "cache": len(built.timing_cache),
        "half": built.half_layers,
        "layers": built.layers,
        "bar": bar.getvalue().splitlines(),
    }


def _network(data, typed):
    log = make_log(trt)
    make = trt.Builder(log)
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED) if typed else 0
    network = make.create_network(flags)
    parser = trt.OnnxParser(network, log)
    assert parser.parse(data), log.errors
    return make, network, parser, log


def shape():
    """What this release is like, and the policy that it gets."""
    return {"fp16_flag": hasattr(trt.BuilderFlag, "FP16"), "policy": fp16.choose(trt)}


def typed():
    """Both networks the strongly typed way; which types their layers have."""
    facts = {}
    for name in PROFILES:
        order = _order(name, TYPED)
        make, network, parser, log = _network(order.onnx, True)
        layers = [network.get_layer(i) for i in range(network.num_layers)]
        kinds = Counter(str(each.get_output(0).dtype).rpartition(".")[2] for each in layers)
        floats = {each.type.name for each in layers if each.get_output(0).dtype == trt.float32}
        weighty = {"CONVOLUTION", "MATRIX_MULTIPLY", "SOFTMAX", "REDUCE"}
        facts[name] = {
            **_try(order),
            "kinds": kinds,
            "float_layers": sorted(floats),
            "in_half": sorted(
                {e.type.name for e in layers if e.get_output(0).dtype == trt.float16} & weighty
            ),
            "input": str(network.get_input(0).dtype),
            "outputs": [str(network.get_output(i).dtype) for i in range(network.num_outputs)],
        }
        del parser, network, make, log
    return facts


def flag():
    """The flag's way: the float32 network, and the flag that reaches the builder."""
    facts = {}
    for name in PROFILES:
        order = _order(name, FLAG)
        make, network, parser, log = _network(order.onnx, False)
        kinds = {str(network.get_layer(i).get_output(0).dtype) for i in range(network.num_layers)}
        config = make.create_builder_config()
        builder._configure(trt, config, order)
        facts[name] = {
            "half_in_network": any("HALF" in kind for kind in kinds),
            "flag": config.get_flag(trt.BuilderFlag.FP16),
            "workspace": config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE),
            "verdict": _try(order),
        }
        set_flag, builder.FLAG = builder.FLAG, "nothing sets it"
        facts[name]["without_flag"] = _try(order)
        builder.FLAG = set_flag
        del parser, config, network, make, log
    return facts


def profiles():
    """What TensorRT itself holds of the profiles that we add."""
    make, network, parser, log = _network(_order("dpn", TYPED).onnx, True)
    config = make.create_builder_config()
    added = []

    class Recorder:
        def create_optimization_profile(self):
            added.append(make.create_optimization_profile())
            return added[-1]

    builder._add_profiles(Recorder(), config, network, _order("dpn", TYPED, b""))
    shapes = [[list(s) for s in each.get_shape("patches")] for each in added]
    del parser, log
    return {"count": config.num_optimization_profiles, "shapes": shapes}


def failures():
    """Every way in which a build can go wrong here, in our words."""
    facts = {"unknown operator": _try(_order("rin", TYPED, _with_unknown_operator()))}
    facts["uint8 into a transpose"] = _try(_order("rin", FLAG, _model("rin").model_bytes()))
    facts["not a network"] = _try(_order("rin", TYPED, b"not a network"))
    facts["float network, half promised"] = _try(
        _order("rin", TYPED, fp16.prepare(_model("rin").model_bytes(), FLAG))
    )
    good, builder.PROFILES = builder.PROFILES, {"dpn": ()}
    facts["no profile"] = _try(_order("dpn", TYPED))
    builder.PROFILES = {"dpn": (3, -9)}
    facts["negative profile"] = _try(_order("dpn", TYPED))
    builder.PROFILES = {"dpn": (3, 0)}
    facts["empty profile"] = _try(_order("dpn", TYPED))
    builder.PROFILES = good
    facts["foreign timing cache"] = _try(_order("rin", TYPED), b"\x17" * 500)
    return facts


def interrupted():
    """Ctrl-C inside TensorRT's callback, and an order after it."""

    class Impatient(Bar):
        def step(self, phase, step):
            raise KeyboardInterrupt

    try:
        build_plan(trt, _order("rin", TYPED), Impatient("rin", quiet=True))
    except KeyboardInterrupt:
        return {"interrupted": True, "after": _try(_order("rin", TYPED))}
    return {"interrupted": False}


def _with_unknown_operator():
    nodes = [
        helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT16),
        helper.make_node("Sharpen", ["x"], ["importance"], name="/sharpen", domain="nobody"),
    ]
    given = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 512, 512, 3])
    answer = helper.make_tensor_value_info("importance", TensorProto.FLOAT16, [1, 512, 512, 3])
    graph = helper.make_graph(nodes, "rin", [given], [answer])
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("nobody", 1)]
    return onnx.helper.make_model(graph, opset_imports=sets, ir_version=8).SerializeToString()


if __name__ == "__main__":
    case = {f.__name__: f for f in (shape, typed, flag, profiles, failures, interrupted)}
    print(json.dumps(case[sys.argv[1]](), default=str))
