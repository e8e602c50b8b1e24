"""A `tensorrt` for a real GPU where the genuine one is not: a plan is b"PLAN" and its ONNX.

`execute_async_v3` enqueues what TensorRT would, three things on the caller's stream: the input to
the host, a host function in which ONNX Runtime computes, the answers back. All three go into a
captured graph too (CUDA driver API, "cuLaunchHostFunc"). What is real: the GPU, its driver, pycuda,
streams, captures, and our kernels; not real: TensorRT's numbers and its speed.
"""

import ctypes

import numpy as np
import onnxruntime

__version__ = "10.3.0"
MOST = 31
_driver = ctypes.CDLL("libcuda.so.1")
_HOST_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def _ask(call, *arguments):
    status = getattr(_driver, call)(*arguments)
    if status:
        raise RuntimeError(f"{call}: error {status}")


def _pinned(size):
    place = ctypes.c_void_p()
    _ask("cuMemHostAlloc", ctypes.byref(place), ctypes.c_size_t(size), 0)
    return (ctypes.c_uint8 * size).from_address(place.value)


class ILogger:
    class Severity:
        ERROR, INTERNAL_ERROR = "error", "internal"

    def __init__(self):
        pass


class DataType:
    FLOAT, HALF = "float", "half"


class Runtime:
    def __init__(self, log):
        self.log = log

    def deserialize_cuda_engine(self, plan):
        return _Engine(plan[4:]) if plan[:4] == b"PLAN" else None


class _Engine:
    def __init__(self, onnx):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(onnx, options, ["CPUExecutionProvider"])
        self.failures = []

    def create_execution_context(self):
        return _Context(self)

    def get_tensor_dtype(self, name):
        return DataType.FLOAT


class _Context:
    def __init__(self, engine):
        self.engine, self.session, self.shape = engine, engine.session, None
        self.addresses, self.memory = {}, {}
        self.function = _HOST_FUNCTION(self._compute)
        for tensor in (*self.session.get_inputs(), *self.session.get_outputs()):
            # before any capture, in which nothing may be allocated
            self.memory[tensor.name] = _pinned(4 * self._count(tensor.shape, MOST))

    def set_optimization_profile_async(self, index, stream):
        return stream != 0 and 0 <= index < 3

    def set_input_shape(self, name, shape):
        self.shape = tuple(shape)
        return name == self.session.get_inputs()[0].name

    def get_tensor_shape(self, name):
        (output,) = (each for each in self.session.get_outputs() if each.name == name)
        return [n if isinstance(n, int) else self.shape[0] for n in output.shape]

    def set_tensor_address(self, name, memory):
        self.addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle):
        if self.engine.failures:
            return False
        stream, given = ctypes.c_void_p(stream_handle), self.session.get_inputs()[0]
        size = ctypes.c_size_t(int(np.prod(self.shape)))
        _ask("cuMemcpyDtoHAsync_v2", self.memory[given.name],
             ctypes.c_uint64(self.addresses[given.name]), size, stream)  # fmt: skip
        _ask("cuLaunchHostFunc", stream, self.function, None)
        for output in self.session.get_outputs():
            size = ctypes.c_size_t(4 * self._count(output.shape, self.shape[0]))
            _ask("cuMemcpyHtoDAsync_v2", ctypes.c_uint64(self.addresses[output.name]),
                 self.memory[output.name], size, stream)  # fmt: skip
        return True

    def _compute(self, _):
        try:
            given = self.session.get_inputs()[0].name
            pixels = np.frombuffer(self.memory[given], np.uint8)[: int(np.prod(self.shape))]
            names = [output.name for output in self.session.get_outputs()]
            answers = self.session.run(names, {given: pixels.reshape(self.shape)})
            for name, answer in zip(names, answers, strict=True):
                place = np.frombuffer(self.memory[name], np.float32)
                place[: answer.size] = answer.reshape(-1)
        except Exception as error:  # noqa: BLE001 - nothing may leave a driver's thread
            self.engine.failures.append(error)

    def _count(self, shape, k):
        return int(np.prod([n if isinstance(n, int) else k for n in shape]))
