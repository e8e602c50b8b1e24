"""OpenVINO on the CPU, for a network of fixed input shape: the RIN. An extra (`pip install
'sparsefocus-edge[openvino]'`): on two x86 cores its RIN takes 2.1 ms where ONNX Runtime's takes
3.6, in turn (docs/speed.md). Float32 only: bf16 moves a patch by tens of micrometres.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from engines.engine import Engine
from engines.manifest import EngineRejected, Manifest, OutputNotFinite
from engines.openvino_runtime import import_openvino
from engines.pixel_table import split
from engines.tensors import Tensor, agree

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]


class OpenVinoEngine(Engine):
    """One network of fixed shape; a free batch size is EngineRejected, as is whatever OnnxEngine
    rejects. `threads` = 0 takes one per core that the process may use."""

    def __init__(self, manifest: Manifest, threads: int = 0) -> None:
        self.manifest = manifest
        self._model = manifest.folder / manifest.file
        if len(manifest.inputs) != 1 or not _fixed(manifest):
            raise EngineRejected(f"{self._model}: OpenVINO takes one input of fixed shape")
        self._input = manifest.inputs[0]
        data = manifest.model_bytes()
        parts = split(data)
        self._table = None if parts is None else parts.table
        try:
            self._request = _compiled(data if parts is None else parts.model, threads)
        except Exception as error:  # OpenVINO's errors share no public base
            reason = " ".join(str(error).split())[-200:]
            raise EngineRejected(f"{self._model}: OpenVINO refuses it: {reason}") from error
        self._outputs = self._checked()
        self._values = np.empty(self._shape, np.float32)

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(int(size) for size in self._input.shape)

    def infer(self, batch: U8) -> tuple[F32, ...]:
        """See Engine.infer."""
        if batch.dtype != np.uint8 or batch.shape != self._shape:
            raise EngineRejected(
                f"{self._model}: input {batch.dtype}{batch.shape} is not uint8{self._shape}"
            )
        given: Any = batch
        if self._table is not None:
            rows = batch.reshape(-1, batch.shape[2] * batch.shape[3])
            cv2.LUT(rows, self._table, dst=self._values.reshape(rows.shape))
            given = self._values
        self._request.infer([given], share_inputs=True)
        results = tuple(self._request.get_output_tensor(i).data.copy() for i in self._outputs)
        for output, result in zip(self.manifest.outputs, results, strict=True):
            if not np.isfinite(result).all():
                raise OutputNotFinite(f"{self._model}: {output.name} is not finite")
        return results

    def _checked(self) -> list[int]:
        """Where each output of the manifest is; EngineRejected where they are others."""
        compiled = self._request.get_compiled_model()
        # of a network that was split, `split` saw that it takes uint8
        taken = "f32" if self._table is not None else "u8"
        wanted = [spec.name for spec in self.manifest.inputs]
        wanted += [spec.name for spec in self.manifest.outputs]
        given = [_tensor(each, {taken: "uint8"}, wanted) for each in compiled.inputs]
        agree(self._model, given, self.manifest.inputs)
        answers = [_tensor(each, {"f32": "float32"}, wanted) for each in compiled.outputs]
        agree(self._model, answers, self.manifest.outputs)
        names = [answer.name for answer in answers]
        return [names.index(output.name) for output in self.manifest.outputs]


def _fixed(manifest: Manifest) -> bool:
    """Whether every input has a fixed shape."""
    return all(isinstance(size, int) and size > 0 for i in manifest.inputs for size in i.shape)


def _tensor(given: Any, dtypes: Mapping[str, str], wanted: Sequence[str]) -> Tensor:
    """A tensor may go by several names: the wanted one counts."""
    names = given.get_names()
    type_name = given.get_element_type().get_type_name()
    shape = tuple(d.get_length() if d.is_static else "k" for d in given.get_partial_shape())
    name = next((name for name in wanted if name in names), given.get_any_name())
    return Tensor(name, dtypes.get(type_name, type_name), shape)


def _compiled(data: bytes, threads: int) -> Any:
    ov = import_openvino()
    settings = {
        "INFERENCE_NUM_THREADS": threads or len(os.sched_getaffinity(0)),
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    core = ov.Core()
    return core.compile_model(core.read_model(data), "CPU", settings).create_infer_request()
