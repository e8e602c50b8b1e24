"""ONNX Runtime on the CPU: the reference engine, and the fallback where TensorRT is not usable.

What a network does to single pixels is looked up (engines.pixel_table), and a batch goes through
in chunks that stay in a core's cache, one thread a chunk: docs/speed.md has the measurements.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from engines.engine import Engine
from engines.manifest import EngineRejected, Manifest, OutputNotFinite
from engines.onnx_runtime import ort
from engines.pixel_table import split
from engines.tensors import Tensor, agree, fits

# Patches of 224 x 224: more fall out of a core's cache, fewer do not pay for the thread.
MOST, LEAST = 5, 3
#: ONNX Runtime's names of what networks here take and answer
DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]


class OnnxEngine(Engine):
    """One ONNX network on the CPU.

    `threads` = 0 takes one thread per core that the process may use. A network with a free batch
    size runs one chunk per thread, another one every layer on all threads. `table` = False uses
    the file as it is; `data` = None reads the manifest's file, a builder hands in the network it
    made of that file. Raises EngineRejected when the file's hash, names, types or shapes are not
    the manifest's.
    """

    def __init__(
        self, manifest: Manifest, threads: int = 0, table: bool = True, data: bytes | None = None
    ) -> None:
        self.manifest = manifest
        self._model = manifest.folder / manifest.file
        if len(manifest.inputs) != 1:
            raise EngineRejected(f"{self._model}: {len(manifest.inputs)} inputs; engines take 1")
        self._input = manifest.inputs[0]
        self._outputs = [output.name for output in manifest.outputs]
        threads = threads or len(os.sched_getaffinity(0))
        self._free = free = self._input.shape[0] in (-1, "k")
        self._streams = threads if free else 1
        data = manifest.model_bytes() if data is None else data
        parts = split(data) if table else None
        self._table = None if parts is None else parts.table
        try:
            session = ort.InferenceSession(
                data if parts is None else parts.model,
                _options(1 if free else threads),
                ["CPUExecutionProvider"],
            )
        except Exception as error:  # ONNX Runtime's errors share no public base
            reason = str(error).splitlines()[0][:200]
            raise EngineRejected(f"{self._model}: ONNX Runtime refuses it: {reason}") from error
        self._check_interface(session)
        self._session = session
        self._pool = ThreadPoolExecutor(self._streams, "sparsefocus-engine")
        self._values = np.empty(0, np.float32)

    def infer(self, batch: U8) -> tuple[F32, ...]:
        """See Engine.infer. Inputs that are not C-contiguous are copied by ONNX Runtime."""
        want = self._input.shape
        if batch.dtype != np.uint8 or not fits(batch.shape, want) or 0 in batch.shape:
            raise EngineRejected(
                f"{self._model}: input {batch.dtype}{batch.shape} is not uint8{want}"
            )
        results = self._in_chunks(batch)
        for output, result in zip(self.manifest.outputs, results, strict=True):
            if not fits(result.shape, output.shape, k=batch.shape[0]):
                raise EngineRejected(
                    f"{self._model}: {output.name} has shape {result.shape}, not {output.shape}"
                )
            if not np.isfinite(result).all():
                raise OutputNotFinite(f"{self._model}: {output.name} is not finite")
        return results

    def close(self) -> None:
        """See Engine.close."""
        self._pool.shutdown()

    def _in_chunks(self, batch: U8) -> tuple[F32, ...]:
        """Run chunks of nearly equal size. Each is taken by whichever thread is free, the
        caller's among them: a core that other work holds up gets fewer."""
        values = self._room(batch.shape)
        chunks = _chunks(len(batch), self._streams) if self._free else [slice(None)]
        todo, done = deque(chunks), dict[int, list[F32]]()

        def work() -> None:
            while True:
                try:
                    each = todo.popleft()
                except IndexError:  # nothing is left to do
                    return
                done[each.start or 0] = self._run(batch[each], values[each])

        helpers = min(self._streams, len(chunks)) - 1
        started = [self._pool.submit(work) for _ in range(helpers)]
        work()
        for helper in started:
            if not helper.cancel():  # else it never got a core, and is not needed
                helper.result()
        parts = [done[at] for at in sorted(done)]
        if len(parts) == 1:
            return tuple(parts[0])
        return tuple(np.concatenate(pieces) for pieces in zip(*parts, strict=True))

    def _room(self, shape: tuple[int, ...]) -> F32:
        """Where the looked-up values go: reused, grown when a larger batch comes."""
        if self._table is None:
            return np.empty((shape[0], 0), np.float32)
        size = int(np.prod(shape))
        if self._values.size < size:
            self._values = np.empty(size, np.float32)
        return self._values[:size].reshape(shape)

    def _run(self, chunk: U8, values: F32) -> list[F32]:
        if self._table is None:
            return list(self._session.run(self._outputs, {self._input.name: chunk}))
        rows = chunk.reshape(-1, chunk.shape[2] * chunk.shape[3])  # one row of a picture each
        cv2.LUT(rows, self._table, dst=values.reshape(rows.shape))
        return list(self._session.run(self._outputs, {self._input.name: values}))

    def _check_interface(self, session: Any) -> None:
        agree(self._model, map(self._tensor, session.get_inputs()), self.manifest.inputs)
        agree(self._model, map(_tensor, session.get_outputs()), self.manifest.outputs)

    def _tensor(self, given: Any) -> Tensor:
        """An input. Of a network that was split, `split` saw that it takes uint8."""
        tensor = _tensor(given)
        if self._table is not None and tensor.dtype == "float32":
            return replace(tensor, dtype="uint8")
        return tensor


def _tensor(given: Any) -> Tensor:
    # an output whose shape the exporter did not infer (None, a name) is checked on use
    shape = tuple(d if isinstance(d, int) else "k" for d in given.shape)
    return Tensor(given.name, DTYPES.get(given.type, given.type), shape)


def _chunks(size: int, streams: int) -> list[slice]:
    """0..size in pieces as equal as can be, a whole number of them per thread where that fits."""
    count = max(1, min(size // LEAST, -(-size // (MOST * streams)) * streams))
    return [slice(i * size // count, (i + 1) * size // count) for i in range(count)]


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1  # both networks are chains: one pool is enough
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4
    # Spinning threads would take the cores from the other network, the camera and the stage.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options
