"""Run a plan once on the GPU, plainly: the builder's check, not the runtime.

Memory, context and stream come from the CUDA driver by ctypes; TensorRT uses the device's primary
context, so that one is made current. Every call's answer is checked.
"""

from __future__ import annotations

import ctypes
import json
import re
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.errors import BuildFailed
from engines.golden import Answers
from engines.gpu.device import DRIVER, ask, open_driver
from engines.gpu.tensorrt_library import make_log
from engines.manifest import Manifest


class Trial:
    """A deserialised plan with a context and a stream of its own; use it in a `with`."""

    def __init__(
        self, trt: Any, model: Manifest, profiles: tuple[int, ...], plan: bytes,
        library: str = DRIVER,
    ) -> None:  # fmt: skip
        self._trt, self._model, self._profiles, self._plan = trt, model, profiles, plan
        self._driver = open_driver(library)
        self._stack = ExitStack()
        self._stream = ctypes.c_void_p()

    def __enter__(self) -> Trial:
        with ExitStack() as stack:
            self._take_context(stack)
            # a blocking stream: it waits for the copies, which go by the default stream
            ask(self._driver, "cuStreamCreate", ctypes.byref(self._stream), 0)
            stack.callback(ask, self._driver, "cuStreamDestroy_v2", self._stream)
            self._log = make_log(self._trt)
            self._runtime = self._trt.Runtime(self._log)
            engine = self._runtime.deserialize_cuda_engine(self._plan)
            self._engine = self._made(engine, "cannot read its own plan back")
            self._context = self._made(engine.create_execution_context(), "makes no context")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        del self._context, self._engine, self._runtime  # before the CUDA context they live in
        self._stack.close()

    def run(self, batch: npt.NDArray[np.uint8]) -> Answers:
        """The plan's answer to (k, h, w, 3) uint8, k one of the profiles. BuildFailed if none."""
        trt, context = self._trt, self._context
        stream = int(self._stream.value or 0)
        index = self._profiles.index(batch.shape[0])
        if not context.set_optimization_profile_async(index, stream):
            raise BuildFailed(f"{self._model.file}: TensorRT has no profile {index}")
        given = self._model.inputs[0].name
        if not context.set_input_shape(given, tuple(batch.shape)):
            raise BuildFailed(f"{self._model.file}: TensorRT refuses input {batch.shape}")
        with ExitStack() as memory:
            self._place(given, self._upload(memory, np.ascontiguousarray(batch)))
            places: dict[str, tuple[int, npt.NDArray[np.float32]]] = {}
            for output in self._model.outputs:
                if self._engine.get_tensor_dtype(output.name) != trt.DataType.FLOAT:
                    raise BuildFailed(f"{self._model.file}: {output.name} is not float32")
                shape = tuple(int(n) for n in context.get_tensor_shape(output.name))
                if min(shape, default=0) < 1:
                    raise BuildFailed(f"{self._model.file}: {output.name} has no shape {shape}")
                answer = np.full(shape, np.nan, np.float32)
                places[output.name] = (self._upload(memory, answer), answer)
                self._place(output.name, places[output.name][0])
            if not context.execute_async_v3(stream):
                raise BuildFailed(f"{self._model.file}: TensorRT does not run its plan")
            ask(self._driver, "cuStreamSynchronize", self._stream)
            for address, answer in places.values():
                to = ctypes.c_void_p(answer.ctypes.data)
                size = ctypes.c_size_t(answer.nbytes)
                ask(self._driver, "cuMemcpyDtoH_v2", to, ctypes.c_uint64(address), size)
        return {name: answer for name, (_, answer) in places.items()}

    def half_layers(self) -> tuple[int, int]:
        """(layers that the inspector describes with an FP16 tensor, all layers) of the plan."""
        inspector = self._engine.create_engine_inspector()
        text = inspector.get_engine_information(self._trt.LayerInformationFormat.JSON)
        try:
            layers = json.loads(text)["Layers"]
        except (ValueError, KeyError):  # a record only; its form is TensorRT's affair
            return 0, 0
        half = [each for each in layers if re.search(r"\b(FP16|Half)\b", json.dumps(each))]
        return len(half), len(layers)

    def _take_context(self, stack: ExitStack) -> None:
        device, context = ctypes.c_int(), ctypes.c_void_p()
        ask(self._driver, "cuDeviceGet", ctypes.byref(device), 0)
        ask(self._driver, "cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        stack.callback(ask, self._driver, "cuDevicePrimaryCtxRelease_v2", device)
        ask(self._driver, "cuCtxSetCurrent", context)

    def _upload(self, memory: ExitStack, values: npt.NDArray[Any]) -> int:
        """Device memory with these values, freed with `memory`; its address."""
        address, size = ctypes.c_uint64(), ctypes.c_size_t(values.nbytes)
        ask(self._driver, "cuMemAlloc_v2", ctypes.byref(address), size)
        memory.callback(ask, self._driver, "cuMemFree_v2", address)
        ask(self._driver, "cuMemcpyHtoD_v2", address, ctypes.c_void_p(values.ctypes.data), size)
        return address.value

    def _place(self, name: str, address: int) -> None:
        if not self._context.set_tensor_address(name, address):
            raise BuildFailed(f"{self._model.file}: TensorRT has no tensor {name}")

    def _made(self, thing: Any, problem: str) -> Any:
        if thing is None:
            reason = self._log.errors[0][:200] if self._log.errors else "no reason given"
            raise BuildFailed(f"{self._model.file}: TensorRT {problem}: {reason}")
        return thing
