"""A `tensorrt` for a machine without a GPU: TensorRT-RTX compiles, ONNX Runtime runs the plan.

Parsing and compiling are NVIDIA's own. What needs a GPU is replaced: a plan is run by the ONNX
it was compiled from, over the memory of the stand-in driver, when the stream is synchronised.
Environment: STAND_IN_TENSORRT = version to answer; STAND_IN_FAULT = oom | defocus | nan | shape |
unreadable | slow, what is to go wrong.
"""

import atexit
import ctypes
import hashlib
import json
import os

import numpy as np
import onnxruntime
import tensorrt_rtx_bindings as rtx
from tensorrt_rtx_bindings import *  # noqa: F403 - it stands for the whole module

__version__ = os.environ.get("STAND_IN_TENSORRT", "11.4.0")
FAULT = os.environ.get("STAND_IN_FAULT", "")
_driver = ctypes.CDLL("libcuda.so.1")
_compiled: dict[str, bytes] = {}  # SHA-256 of a plan -> ONNX
_parsed: list[bytes] = []


class OnnxParser(rtx.OnnxParser):
    def parse(self, model):
        _parsed.append(model)
        return super().parse(model)


class Builder(rtx.Builder):
    def __init__(self, log):
        super().__init__(log)
        self.log = log

    def build_serialized_network(self, network, config):
        if FAULT == "oom":
            words = "Error Code 2: OutOfMemory (Requested size was 123 bytes.)"
            self.log.log(rtx.ILogger.Severity.ERROR, words)
            return None
        if hasattr(rtx.BuilderFlag, "FP16") and config.get_flag(rtx.BuilderFlag.FP16):
            # the flag has arrived; RTX itself compiles only what says its own types
            config.clear_flag(rtx.BuilderFlag.FP16)
        plan = super().build_serialized_network(network, config)
        _compiled[hashlib.sha256(bytes(plan)).hexdigest()] = _parsed[-1]
        return plan


class Runtime:
    def __init__(self, log):
        self.log = log

    def deserialize_cuda_engine(self, plan):
        if FAULT == "unreadable":
            self.log.log(rtx.ILogger.Severity.ERROR, "Error Code 1: Serialization (version tag)")
            return None
        return _Engine(_compiled[hashlib.sha256(plan).hexdigest()])


class _Engine:
    def __init__(self, onnx):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(onnx, options, ["CPUExecutionProvider"])

    def create_execution_context(self):
        return _Context(self.session)

    def get_tensor_dtype(self, name):
        return rtx.DataType.FLOAT

    def create_engine_inspector(self):
        return self

    def get_engine_information(self, kind):
        half = {"Name": "conv", "Outputs": [{"Format/Datatype": "FP16 NCHW"}]}
        return json.dumps({"Layers": [half, {"Name": "log", "Outputs": []}]})


class _Context:
    def __init__(self, session):
        self.session, self.addresses, self.shape = session, {}, None

    def set_optimization_profile_async(self, index, stream):
        return stream != 0 and 0 <= index < 3

    def set_input_shape(self, name, shape):
        self.shape = tuple(shape)
        return name == self.session.get_inputs()[0].name

    def get_tensor_shape(self, name):
        for output in self.session.get_outputs():
            if output.name == name:
                shape = [n if isinstance(n, int) else self.shape[0] for n in output.shape]
                return [*shape, 1] if FAULT == "shape" else shape
        raise ValueError(name)

    def set_tensor_address(self, name, memory):
        self.addresses[name] = memory
        # the star import above brings a `bool` of TensorRT's
        return _driver.stand_in_inside(ctypes.c_uint64(memory), ctypes.c_size_t(1)) == 1

    def execute_async_v3(self, stream_handle):
        self.work = ctypes.CFUNCTYPE(None)(self._run)
        _driver.stand_in_queue(self.work)
        return True

    def _run(self):
        given = self.session.get_inputs()[0].name
        size = int(np.prod(self.shape))
        pixels = (ctypes.c_uint8 * size).from_address(self.addresses[given])
        names = [output.name for output in self.session.get_outputs()]
        batch = np.frombuffer(pixels, np.uint8).reshape(self.shape)
        for name, answer in zip(names, self.session.run(names, {given: batch}), strict=True):
            if FAULT == "defocus" and name == "defocus_um":
                answer[-1] += 0.15
            if FAULT == "nan" and name == "spread_um":
                answer[0] = np.nan
            ctypes.memmove(self.addresses[name], answer.ctypes.data, answer.nbytes)


@atexit.register
def _leaks():
    if _driver.stand_in_live():
        print(f"LEAKED {_driver.stand_in_live()}", flush=True)
