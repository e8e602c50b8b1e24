"""ONNX Runtime on the CPU: the reference engine, and the fallback where TensorRT is not usable."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from engines.engine import Engine
from engines.manifest import EngineRejected, Manifest, OutputNotFinite


class OnnxEngine(Engine):
    """One ONNX network on the CPU.

    `threads` = 0 takes one thread per physical core. `data` = None reads the manifest's file;
    a builder hands in the network it made of that file. Raises EngineRejected when the file's
    hash, names, types or shapes are not the manifest's.
    """

    def __init__(self, manifest: Manifest, threads: int = 0, data: bytes | None = None) -> None:
        self.manifest = manifest
        self._model = manifest.folder / manifest.file
        data = manifest.model_bytes() if data is None else data
        try:
            session = ort.InferenceSession(data, _options(threads), ["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no public base
            reason = str(error).splitlines()[0][:200]
            raise EngineRejected(f"{self._model}: ONNX Runtime refuses it: {reason}") from error
        if len(manifest.inputs) != 1:
            raise EngineRejected(f"{self._model}: {len(manifest.inputs)} inputs; engines take 1")
        self._check_interface(session)
        self._session = session
        self._input = manifest.inputs[0]
        self._outputs = [output.name for output in manifest.outputs]

    def infer(self, batch: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], ...]:
        """See Engine.infer. Inputs that are not C-contiguous are copied by ONNX Runtime."""
        want = self._input.shape
        if batch.dtype != np.uint8 or not _fits(batch.shape, want) or 0 in batch.shape:
            raise EngineRejected(
                f"{self._model}: input {batch.dtype}{batch.shape} is not uint8{want}"
            )
        results = self._session.run(self._outputs, {self._input.name: batch})
        for output, result in zip(self.manifest.outputs, results, strict=True):
            if not _fits(result.shape, output.shape, k=batch.shape[0]):
                raise EngineRejected(
                    f"{self._model}: {output.name} has shape {result.shape}, not {output.shape}"
                )
            if not np.isfinite(result).all():
                raise OutputNotFinite(f"{self._model}: {output.name} is not finite")
        return tuple(results)

    def _check_interface(self, session: Any) -> None:
        for got, want, kind in (
            (session.get_inputs(), self.manifest.inputs, "tensor(uint8)"),
            (session.get_outputs(), self.manifest.outputs, "tensor(float)"),
        ):
            found = {tensor.name: tensor for tensor in got}
            if set(found) != {spec.name for spec in want}:
                raise EngineRejected(f"{self._model}: has {sorted(found)}, manifest {want}")
            for spec in want:
                tensor = found[spec.name]
                # an output whose shape the exporter did not infer (None, a name) is checked on use
                shape = tuple(d if isinstance(d, int) else "k" for d in tensor.shape)
                if tensor.type != kind or not _compatible(shape, spec.shape):
                    raise EngineRejected(
                        f"{self._model}: {spec.name} is {tensor.type}{list(tensor.shape)}, "
                        f"its manifest says {kind}{list(spec.shape)}"
                    )


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


def _fits(shape: tuple[int, ...], want: tuple[int | str, ...], k: int | None = None) -> bool:
    """Whether a real shape is the manifest's; free dimensions take anything, or `k` if given."""
    return len(shape) == len(want) and all(
        (k is None or s == k) if w in (-1, "k") else s == w
        for s, w in zip(shape, want, strict=True)
    )


def _compatible(shape: tuple[int | str, ...], want: tuple[int | str, ...]) -> bool:
    """Whether a declared shape (unknown dimensions as "k") does not contradict the manifest's."""
    return len(shape) == len(want) and all(
        s == "k" or (s == w and w not in (-1, "k")) for s, w in zip(shape, want, strict=True)
    )
