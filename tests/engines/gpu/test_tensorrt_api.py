"""Every use of TensorRT in engines/ exists, with that signature, in every release on a Jetson."""

import json

import pytest

from engines.build.fp16 import choose
from tests.support import stand_ins

SOURCES = sorted(
    path for path in (stand_ins.ROOT / "engines").rglob("*.py") if "trt" in path.read_text("utf-8")
)
#: what only some releases have -> the first that no longer does; used only where it is there
GONE = {"BuilderFlag.FP16": 11}
#: a sample of what must have been seen: a checker that sees nothing finds no problem
SEEN = {
    "Builder.build_serialized_network",
    "BuilderFlag.FP16",
    "IBuilderConfig.set_timing_cache",
    "IBuilderConfig.progress_monitor =",
    "IExecutionContext.execute_async_v3",
    "IExecutionContext.set_tensor_address",
    "IProgressMonitor.step_complete",
    "ITensor.dtype",
    "ITimingCache.serialize",
    "OnnxParser.parse",
    "ParserError.node_operator",
    "Runtime.deserialize_cuda_engine",
}


def _release(version, stubs):
    """(version, folder of bindings, folder of stub libraries); the bindings import with these."""
    folder = stand_ins.fetched(f"bindings-{version}")
    for name in ("libnvinfer", "libnvonnxparser", "libnvinfer_plugin"):
        file = f"{name}.so.{version.split('.')[0]}"
        stand_ins.compile_library(stand_ins.HERE / "stub_nvinfer.c", stubs / file, file)
    return version, folder, stubs


@pytest.fixture(scope="module", params=stand_ins.BINDINGS)
def release(request, tmp_path_factory):
    return _release(request.param, tmp_path_factory.mktemp("stubs"))


@pytest.fixture(scope="module", params=[stand_ins.BINDINGS[0], stand_ins.BINDINGS[-1]])
def oldest_or_newest(request, tmp_path_factory):
    return _release(request.param, tmp_path_factory.mktemp("stubs"))


def _contract(release, *sources):
    version, folder, stubs = release
    script = stand_ins.HERE / "api_contract.py"
    done = stand_ins.run([script, "tensorrt_bindings", *sources], folder, libraries=stubs)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["version"] == version
    return facts


def test_what_our_source_uses_is_there(release):
    facts = _contract(release, *SOURCES)
    major = int(release[0].split(".")[0])
    gone = [use for use, first in GONE.items() if major >= first]
    problems = [problem.split(": ", 1)[1] for problem in facts["problems"]]
    assert problems == [f"{use} does not exist" for use in gone]
    assert set(facts["uses"]) >= SEEN


@pytest.mark.parametrize(
    ("file", "ours", "wrong", "result"),
    [
        ("build/builder.py", "set_memory_pool_limit", "set_memory_limit", "does not exist"),
        ("build/builder.py", "MemoryPoolType.WORKSPACE", "MemoryPoolType.WORK", "does not exist"),
        (
            "build/builder.py",
            "set_timing_cache(timings, False)",
            "set_timing_cache(timings)",
            "fits",
        ),
        ("build/builder.py", "given.name, shape, shape, shape", "given.name, shape, shape", "fits"),
        ("build/builder.py", "get_output(0).dtype", "get_output(0).precision", "does not exist"),
        ("build/builder.py", "error.node_operator()", "error.operator()", "does not exist"),
        ("build/builder.py", "config.progress_monitor =", "config.monitor =", "cannot be set"),
        ("build/builder.py", "timings.serialize()", "timings.save()", "does not exist"),
        ("build/trial.py", "execute_async_v3(stream)", "execute_async_v3()", "fits"),
        ("build/trial.py", "execute_async_v3", "execute_async_v2", "does not exist"),
        ("build/trial.py", "async(index, stream)", "async(index, handle=stream)", "fits"),
        ("gpu/tensorrt_engine.py", "execute_async_v3(self._cuda.stream)", "enqueue_v3(0)", "exist"),
        (
            "gpu/tensorrt_engine.py",
            "set_tensor_address(name, address)",
            "set_tensor_address()",
            "fits",
        ),
        ("gpu/tensorrt_engine.py", "async(index, self._cuda.stream)", "async(index)", "fits"),
        ("gpu/tensorrt_engine.py", "set_input_shape(given.name, shape)", "set_shape()", "exist"),
        ("gpu/tensorrt_engine.py", "get_tensor_dtype", "get_dtype", "does not exist"),
        ("build/progress.py", "def step_complete", "def step_completed", "overridden"),
        ("build/progress.py", "phase_name: str, step: int", "step: int", "is called as"),
    ],
)
def test_a_wrong_use_is_noticed(tmp_path, oldest_or_newest, file, ours, wrong, result):
    source = (stand_ins.ROOT / "engines" / file).read_text("utf-8")
    assert ours in source
    changed = tmp_path / "changed.py"
    changed.write_text(source.replace(ours, wrong), "utf-8")
    problems = _contract(oldest_or_newest, changed)["problems"]
    assert any(result in problem and "FP16" not in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("version", "has_flag", "policy"),
    [
        ("10.3.0", True, "fp16-flag"),
        ("10.11.0.33", True, "fp16-flag"),
        ("10.12.0.36", True, "fp16-typed"),
        ("10.16.2", True, "fp16-typed"),
        ("11.4.1", False, "fp16-typed"),
        ("1.4.0.76", True, "fp16-flag"),
        ("1.7.1.116", False, "fp16-typed"),
    ],
)
def test_policy_by_version(version, has_flag, policy):
    class Release:
        __version__ = version

        class BuilderFlag:
            pass

    if has_flag:
        Release.BuilderFlag.FP16 = 0
    assert choose(Release) == policy
