"""A GPU that fails, plans that do not belong here, code that is broken: seen, and nothing leaks."""

import json
import re

import pytest

from tests.support.gpu_answers import NOTHING, problems_of


def test_a_gpu_that_fails_is_an_error_each_time_and_can_be_closed(gpu, tiny, grey):
    result = gpu.run("broken", tiny, grey)
    assert result["good"] == 3
    assert len(result["messages"]) == 2
    assert all("illegal memory access" in message for message in result["messages"])
    assert result["live"][1] == 0  # the context


def test_without_plans_auto_takes_the_cpu_and_says_so(gpu, tiny, tmp_path):
    result = gpu.run("ready", tiny, tmp_path / "nothing")
    assert result["before"] is False
    assert (
        "no plan of rin, dpn: running on the CPU; run `sparsefocus build-engines`"
        in result["messages"]
    )
    assert result["after"] is True


@pytest.mark.parametrize(
    ("harm", "reason"), [("tampered", "SHA-256 is"), ("truncated", "of"), ("foreign", "built for")]
)
def test_a_plan_that_does_not_belong_here_never_reaches_tensorrt(gpu, tiny, tmp_path, harm, reason):
    result = gpu.run("harmed", tiny, tmp_path / "nothing", STAND_IN_HARM=harm)
    assert reason in result["messages"]
    assert result["alive"] == 0
    assert result["live"] == [0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "method",
    [
        "deserialize_cuda_engine",
        "create_execution_context",
        "get_tensor_dtype",
        "set_optimization_profile_async",
        "set_input_shape",
        "get_tensor_shape",
        "set_tensor_address",
        "execute_async_v3",
    ],
)
def test_what_tensorrt_refuses_is_an_error_and_leaks_nothing(gpu, tiny, grey, method):
    result = gpu.run("refused", tiny, grey, STAND_IN_FAULT=method)
    assert result["messages"].split(":")[0] in ("EngineRejected", "GpuFailed")
    assert ".onnx" in result["messages"]
    assert result["live"] == NOTHING


#: one argument packed as if it were of another type
WRONG = 'for c_type, _ in self.parameters).replace("{}", "{}", 1)'
FRAME, CUDA, LAUNCH = "engines.gpu.frame", "engines.gpu.cuda", "engines.kernels.launch"


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        (FRAME, 'run("frame", self._slots)\n        self._cuda.synchronize()', 'run("frame", 9)'),
        (FRAME, 'run("patches", slots)\n            self._cuda.synchronize()',
         'run("patches", slots)'),
        (FRAME, "cuda.copy_in(self._device, self._pinned.array)", "pass"),
        (FRAME, "        cuda.copy_out(self._back.array, self._result)\n", ""),
        (FRAME, "if wanted > self._slots:", "if False:"),
        (FRAME, "slots=slots,", "slots=3,"),
        (FRAME, "dpn.enqueue(slots)", "dpn.enqueue(3)"),
        (FRAME, "patches=dpn.given", "patches=self._rin.given"),
        (FRAME, '"width": view.width', '"width": view.pixels.shape[0]'),
        (FRAME, '"pitch": view.pixels.strides[0]', '"pitch": view.width'),
        (FRAME, '"left": view.left', '"left": view.left + 1'),
        (FRAME, '"red": self._format.red', '"red": 0'),
        (FRAME, "dense=rule.dense", "dense=9"),
        (FRAME, "threshold=rule.threshold", "threshold=0.5"),
        (FRAME, 'optics=dpn.answers.get("optics")', 'optics=dpn.answers.get("novelty")'),
        (FRAME, "self._cuda.forget(list(self._work.values()))\n        self._work.clear()", "pass"),
        (CUDA, "memcpy_htod_async(to, source, self._stream)", "memcpy_htod_async(to, source)"),
        (CUDA, "memcpy_dtoh_async(to, source, self._stream)", "memcpy_dtoh_async(to, source)"),
        (CUDA, "            self._stream.synchronize()", "            pass"),
        (LAUNCH, '("int", "left"),\n    ("int", "top")', '("int", "top"),\n    ("int", "left")'),
        (LAUNCH, '("int", "width"),\n    ("int", "height")',
         '("int", "height"),\n    ("int", "width")'),
        (LAUNCH, "for c_type, _ in self.parameters)", WRONG.format("i", "q")),
        (LAUNCH, "for c_type, _ in self.parameters)", WRONG.format("f", "d")),
        (LAUNCH, "for c_type, _ in self.parameters)", WRONG.format("P", "i")),
    ],
)  # fmt: skip
def test_what_is_broken_is_seen(gpu, tiny, painted, module, old, new):
    done = gpu.attempt("twice", tiny, painted, module, old, new)
    if done.returncode == 0:
        assert problems_of(json.loads(done.stdout)) != []
    elif done.returncode > 0:  # below 0: the memory fault that a GPU would report
        last = done.stderr.strip().splitlines()[-1]
        assert re.match(r".*(GpuFailed|EngineRejected|struct\.error): ", last), done.stderr
