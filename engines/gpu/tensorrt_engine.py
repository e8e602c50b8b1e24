"""TensorRT on the GPU: a plan that was checked, its memory and one context per batch size.

Everything is allocated when the engine is opened. A frame's way calls `enqueue` on the engine's own
memory; `infer` is the Engine contract for whoever has pixels in the host's memory. TensorRT answers
booleans where Python would raise: each is looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engines.engine import Engine
from engines.errors import EngineRejected, GpuFailed, OutputNotFinite
from engines.gpu.cuda import Cuda
from engines.gpu.plan import Plan
from engines.gpu.tensorrt_library import make_log
from engines.manifest import Manifest, Output

F32 = npt.NDArray[np.float32]


class TensorRtEngine(Engine):
    """One network on the stream of `cuda`. `plan` comes from `engines.gpu.plan.load_plan`, whose
    checks are the reason why its bytes may be given to TensorRT.

    `given`: address of the input, uint8, room for the largest batch; `answers`: address of each
    output, float32, by name. GpuFailed when TensorRT refuses anything.
    """

    def __init__(self, trt: Any, cuda: Cuda, manifest: Manifest, plan: Plan) -> None:
        self.manifest, self._cuda, self._profile = manifest, cuda, plan.profile
        self._contexts: dict[int, Any] = {}
        self._engine: Any = None
        self._runtime: Any = None
        self._open = True
        self._log = make_log(trt)
        cuda.hold()
        try:
            runtime = trt.Runtime(self._log)
            self._runtime = runtime
            engine = self._made(runtime.deserialize_cuda_engine(plan.data), "cannot read the plan")
            self._engine = engine
            self.sizes = plan.manifest.profiles
            self.given = cuda.allocate(self._input_bytes(max(self.sizes)))
            self.answers = {
                output.name: cuda.allocate(self._output_bytes(output, max(self.sizes)))
                for output in manifest.outputs
            }
            for output in manifest.outputs:
                if engine.get_tensor_dtype(output.name) != trt.DataType.FLOAT:
                    raise GpuFailed(f"{self._name}: {output.name} is not float32")
            for index, size in enumerate(self.sizes):
                self._contexts[size] = self._context(index, size)
            self._host = self._host_memory()
            cuda.synchronize()
        except BaseException:
            self.close()
            raise

    def size_for(self, k: int) -> int:
        """The least batch size that holds `k` patches; ValueError for too many."""
        return self._profile(max(k, 1))[1]

    def enqueue(self, size: int) -> None:
        """Run on the first `size` of `given`; the answers are there when the stream is."""
        self._execute(self._contexts[size])

    def _execute(self, context: Any) -> None:
        if not context.execute_async_v3(self._cuda.stream):
            raise GpuFailed(f"{self._name}: TensorRT did not run it: {self._messages()}")

    def infer(self, batch: npt.NDArray[np.uint8]) -> tuple[F32, ...]:
        """See Engine.infer; a batch between two sizes is filled up with its first picture."""
        want, k = self.manifest.inputs[0].shape, len(batch)
        if batch.dtype != np.uint8 or batch.shape[1:] != want[1:] or not 1 <= k <= max(self.sizes):
            raise EngineRejected(
                f"{self._name}: input {batch.dtype}{batch.shape} is not uint8{want}"
            )
        size = self.size_for(k)
        pinned, places = self._host
        pixels = pinned.array[: self._input_bytes(size)].reshape(size, *batch.shape[1:])
        pixels[:k], pixels[k:] = batch, batch[0]
        self._cuda.copy_in(self.given, pixels.reshape(-1))
        self.enqueue(size)
        for output in self.manifest.outputs:
            self._cuda.copy_out(places[output.name].array, self.answers[output.name])
        self._cuda.synchronize()
        return tuple(self._answer(output, places[output.name].array, k) for output in self._outs)

    def close(self) -> None:
        """Let TensorRT go before the CUDA context in which it lives."""
        if not self._open:
            return
        self._open = False
        self._contexts.clear()
        self._engine = self._runtime = None
        self._cuda.drop()

    @property
    def _name(self) -> str:
        return self.manifest.file

    @property
    def _outs(self) -> tuple[Output, ...]:
        return self.manifest.outputs

    def _context(self, index: int, size: int) -> Any:
        context = self._made(self._engine.create_execution_context(), "makes no context")
        given = self.manifest.inputs[0]
        shape = (size, *(int(n) for n in given.shape[1:]))
        if not context.set_optimization_profile_async(index, self._cuda.stream):
            raise GpuFailed(f"{self._name}: TensorRT has no profile {index}: {self._messages()}")
        if not context.set_input_shape(given.name, shape):
            raise GpuFailed(f"{self._name}: TensorRT refuses input {shape}: {self._messages()}")
        for output in self._outs:
            actual, wanted = tuple(context.get_tensor_shape(output.name)), _shape(output, size)
            if actual != wanted:
                raise GpuFailed(f"{self._name}: {output.name} has shape {actual}, not {wanted}")
        for name, address in ((given.name, self.given), *self.answers.items()):
            if not context.set_tensor_address(name, address):
                raise GpuFailed(f"{self._name}: TensorRT has no tensor {name}: {self._messages()}")
        return context

    def _host_memory(self) -> Any:
        pinned = self._cuda.pin(self._input_bytes(max(self.sizes)))
        size = max(self.sizes)
        return pinned, {o.name: self._cuda.pin(self._output_bytes(o, size)) for o in self._outs}

    def _answer(self, output: Output, held: npt.NDArray[np.uint8], k: int) -> F32:
        shape = _shape(output, k)
        answer = held.view(np.float32)[: int(np.prod(shape))].reshape(shape).copy()
        if not np.isfinite(answer).all():
            raise OutputNotFinite(f"{self._name}: {output.name} is not finite")
        return answer

    def _input_bytes(self, size: int) -> int:
        return size * int(np.prod([int(n) for n in self.manifest.inputs[0].shape[1:]]))

    def _output_bytes(self, output: Output, size: int) -> int:
        return 4 * int(np.prod(_shape(output, size)))

    def _made(self, thing: Any, problem: str) -> Any:
        if thing is None:
            raise GpuFailed(f"{self._name}: TensorRT {problem}: {self._messages()}")
        return thing

    def _messages(self) -> str:
        return self._log.errors[0][:200] if self._log.errors else "no reason given"


def _shape(output: Output, k: int) -> tuple[int, ...]:
    """The output's shape for a batch of `k`."""
    return tuple(k if n in ("k", -1) else int(n) for n in output.shape)
