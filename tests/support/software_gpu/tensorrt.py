"""A `tensorrt` that runs plans of the stand-in GPU: a plan is b"PLAN" and the ONNX it was made of.

`execute_async_v3` only enqueues: ONNX Runtime runs when the stream is synchronised, on the memory
of driver.cpp. STAND_IN_FAULT: what TensorRT is to refuse, by method name. `alive` counts objects.
"""

import ctypes
import os
import weakref

import numpy as np
import onnxruntime

__version__ = os.environ.get("STAND_IN_TENSORRT", "10.3.0")
_driver = ctypes.CDLL("libcuda.so.1")
_driver.stand_in_here.restype = ctypes.c_void_p
alive = weakref.WeakSet()


def _refuses(method):
    return os.environ.get("STAND_IN_FAULT") == method


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
        alive.add(self)

    def deserialize_cuda_engine(self, plan):
        if _refuses("deserialize_cuda_engine") or plan[:4] != b"PLAN":
            self.log.log(ILogger.Severity.ERROR, "Error Code 1: Serialization (magic tag)")
            return None
        return _Engine(plan[4:])


class _Engine:
    def __init__(self, onnx):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(onnx, options, ["CPUExecutionProvider"])
        alive.add(self)

    def create_execution_context(self):
        return None if _refuses("create_execution_context") else _Context(self.session)

    def get_tensor_dtype(self, name):
        return DataType.HALF if _refuses("get_tensor_dtype") else DataType.FLOAT


class _Context:
    def __init__(self, session):
        self.session, self.addresses, self.shape = session, {}, None
        self.work = ctypes.CFUNCTYPE(None)(self._run)
        alive.add(self)

    def set_optimization_profile_async(self, index, stream):
        return not _refuses("set_optimization_profile_async") and stream != 0 and 0 <= index < 3

    def set_input_shape(self, name, shape):
        self.shape = tuple(shape)
        return not _refuses("set_input_shape") and name == self.session.get_inputs()[0].name

    def get_tensor_shape(self, name):
        (output,) = (each for each in self.session.get_outputs() if each.name == name)
        extra = [1] if _refuses("get_tensor_shape") else []
        return [n if isinstance(n, int) else self.shape[0] for n in output.shape] + extra

    def set_tensor_address(self, name, memory):
        self.addresses[name] = memory
        inside = _driver.stand_in_here(ctypes.c_uint64(memory), ctypes.c_size_t(1)) is not None
        return inside and not _refuses("set_tensor_address")

    def execute_async_v3(self, stream_handle):
        if _refuses("execute_async_v3"):
            return False
        return _driver.stand_in_queue(ctypes.c_void_p(stream_handle), self.work) == 0

    def _array(self, name, shape, dtype):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        place = _driver.stand_in_here(ctypes.c_uint64(self.addresses[name]), ctypes.c_size_t(size))
        if place is None:
            _driver.stand_in_break()
            return None
        memory = (ctypes.c_uint8 * size).from_address(place)
        return np.frombuffer(memory, dtype).reshape(shape)

    def _run(self):
        given = self._array(self.session.get_inputs()[0].name, self.shape, np.uint8)
        if given is None:
            return
        names = [output.name for output in self.session.get_outputs()]
        answers = self.session.run(names, {self.session.get_inputs()[0].name: given})
        for name, answer in zip(names, answers, strict=True):
            place = self._array(name, answer.shape, np.float32)
            if place is not None:
                place[...] = answer
