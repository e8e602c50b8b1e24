"""The builder against NVIDIA's own compiler, TensorRT-RTX, shaped like TensorRT 10 and like 11.

Not provable without a GPU: numbers and kernels of a plan, and the flag's way beyond the point
where the flag reaches the builder (RTX compiles strongly typed networks only).
"""

import io
import json
import re

import numpy as np
import onnxruntime as ort
import pytest

from engines import golden
from engines.build import fp16
from engines.build.builder import _failure
from engines.build.progress import Bar
from engines.engine import MODELS
from engines.errors import BuildFailed, OutOfMemory
from engines.gpu.plan import FLAG, TYPED
from engines.manifest import Manifest
from tests.support import stand_ins
from tests.support.tiny_models import write_dpn

RELEASES = [stand_ins.RTX_10, stand_ins.RTX_11]


def _session(release, case):
    folder = stand_ins.fetched(f"rtx-{release}")
    done = stand_ins.run([stand_ins.HERE / "rtx_session.py", case], folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("release", "flag", "policy"),
    [(stand_ins.RTX_10, True, FLAG), (stand_ins.RTX_11, False, TYPED)],
)
def test_policy_goes_by_the_release(release, flag, policy):
    assert _session(release, "shape") == {"fp16_flag": flag, "policy": policy}


@pytest.mark.parametrize("release", RELEASES)
def test_typed_networks_compile_and_are_in_half(release):
    facts = _session(release, "typed")
    assert set(facts["dpn"]["in_half"]) == {"CONVOLUTION", "MATRIX_MULTIPLY", "REDUCE", "SOFTMAX"}
    assert set(facts["rin"]["in_half"]) == {"CONVOLUTION", "MATRIX_MULTIPLY", "REDUCE"}
    for name, outputs in (("rin", 1), ("dpn", 5)):
        fact = facts[name]
        assert fact["plan"] > 1_000_000
        assert fact["half"] == fact["kinds"]["HALF"] > 100
        # what is float32 only turns the answers back
        assert (fact["float_layers"], fact["kinds"]["FLOAT"]) == (["CAST"], outputs)
        assert fact["input"] == "DataType.UINT8"
        assert fact["outputs"] == ["DataType.FLOAT"] * outputs
        shown = [int(line.split()[1]) for line in fact["bar"]]
        assert shown == sorted(shown)
        assert shown[0] == 0
        assert shown[-1] == 100
        assert len(shown) > 5


def test_flag_reaches_the_builder_with_a_float_network():
    for fact in _session(stand_ins.RTX_10, "flag").values():
        assert fact["flag"]
        assert not fact["half_in_network"]  # never both
        assert fact["workspace"] == 256 << 20
        assert "kFP16" in fact["verdict"]["text"]  # RTX refuses just this, and only this
        assert fact["without_flag"]["plan"] > 1_000_000
        assert fact["without_flag"]["half"] == 0


@pytest.mark.parametrize("release", RELEASES)
def test_one_fixed_profile_per_k(release):
    facts = _session(release, "profiles")
    assert facts["count"] == 3
    assert facts["shapes"] == [[[k, 224, 224, 3]] * 3 for k in (3, 9, 31)]


@pytest.mark.parametrize("release", RELEASES)
def test_failures_say_what_is_wrong(release):
    facts = _session(release, "failures")
    unknown = facts["unknown operator"]
    assert unknown["reason"] == "unsupported-operator"
    assert f"TensorRT {release} does not take operator Sharpen of node /sharpen" in unknown["text"]
    for case, words in (
        ("uint8 into a transpose", "cannot read it: Invalid Node - /Transpose"),
        ("not a network", "cannot read it"),
        ("float network, half promised", "no layer is FP16"),
        ("no profile", "no optimization profile"),
        ("negative profile", "TensorRT refuses the profile (-9, 224, 224, 3)"),
    ):
        assert facts[case]["reason"] == "failed"
        assert words in facts[case]["text"], case
        assert "\n" not in facts[case]["text"]
    assert facts["foreign timing cache"]["plan"] > 1_000_000


def test_ctrl_c_ends_the_build_and_nothing_else():
    facts = _session(stand_ins.RTX_11, "interrupted")
    assert facts["interrupted"]
    assert facts["after"]["plan"] > 1_000_000


@pytest.mark.parametrize(
    "line",
    [
        "[virtualMemoryBuffer.cpp::resizePhysical::154] Error Code 2: OutOfMemory (Requested 1 GB)",
        "Error Code 10: Could not find any implementation for node x: insufficient workspace.",
        "Error Code 1: Cuda Runtime (out of memory)",
    ],
)
def test_memory_words_become_out_of_memory(line):
    failure = _failure("dpn.onnx", ["some other error", line])
    assert isinstance(failure, OutOfMemory)
    assert str(failure).startswith("dpn.onnx: out of memory")
    assert type(_failure("dpn.onnx", ["some other error"])) is BuildFailed


def test_the_echo_of_a_failed_cuda_call_is_not_the_reason():
    echo = "[checkMacros.cpp::catchCudaError::229] Error Code 1: Cuda Runtime"
    assert "the reason" in str(_failure("rin.onnx", [echo, "the reason"]))
    assert "catchCudaError" in str(_failure("rin.onnx", [echo]))
    assert "no plan" in str(_failure("rin.onnx", []))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bar_goes_forward_through_nested_phases():
    terminal = Terminal()
    bar = Bar("dpn", stream=terminal)
    bar.start("all", 2)
    bar.start("half of it", 4)
    bar.step("half of it", 1)
    assert bar.percent() == 25
    bar.finish("half of it")
    bar.step("all", 0)
    assert bar.percent() == 50
    bar.finish("all")
    lines = terminal.getvalue().split("\r")[1:]
    assert [int(re.search(r"(\d+) %", line)[1]) for line in lines] == [0, 25, 50, 100]
    assert "25 %  half of it" in lines[1]
    assert lines[-1].endswith("\n")
    assert "############################" in lines[-1]


def test_bar_is_silent_when_asked():
    stream = io.StringIO()
    bar = Bar("dpn", quiet=True, stream=stream)
    bar.start("all", 1)
    bar.finish("all")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("name", ["rin", "dpn"])
def test_cast_first_changes_no_bit(name):
    model = Manifest.read(MODELS / f"{name}.json")
    prepared = fp16.prepare(model.model_bytes(), FLAG)
    given = golden.batches(name)[0]
    want, got = (
        ort.InferenceSession(data, providers=["CPUExecutionProvider"]).run(
            None, {model.inputs[0].name: given}
        )
        for data in (model.model_bytes(), prepared)
    )
    for a, b in zip(want, got, strict=True):
        np.testing.assert_array_equal(a, b)
    assert fp16.prepare(prepared, FLAG) == prepared  # once is enough


def test_a_network_that_casts_first_is_left_alone(tmp_path):
    import onnx

    data = Manifest.read(write_dpn(tmp_path)).model_bytes()
    proto = onnx.load_from_string(data)
    fp16.cast_first(proto)
    assert proto == onnx.load_from_string(data)


def test_what_is_no_network_is_said():
    with pytest.raises(BuildFailed, match="cannot be prepared"):
        fp16.prepare(b"not a network", TYPED)
