"""The engine contract: one network, u8 image in, float32 numbers out, on whatever runs it best.

An engine runs exactly one network. Everything that can live inside the network does
(normalisation, colour to density, the median over the distance bins), so an engine takes raw
uint8 pixels and returns final units.

rin: (1, 512, 512, 3) uint8 RGB        -> importance (1, 9, 9) float32 in 0..1
dpn: (k, 224, 224, 3) uint8 RGB, k >= 1 -> defocus_um (k,) float32, positive = raise the
     objective; spread_um (k,) float32, half-width of the network's own 68 % interval
"""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.manifest import EngineRejected, Manifest

MODELS = Path(__file__).parent / "models"

#: what can run a network -> where its engine lives ("module:class")
ENGINES: dict[str, str] = {
    "onnxruntime": "engines.onnx_engine:OnnxEngine",
    "openvino": "engines.openvino_engine:OpenVinoEngine",
}


class Engine(ABC):
    """One loaded network. Not thread-safe: one engine belongs to one loop."""

    manifest: Manifest

    @abstractmethod
    def infer(self, batch: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], ...]:
        """Run the network on `batch` (shapes in the module docstring), outputs in manifest order.

        Raises EngineRejected when the batch's shape or dtype is not the manifest's, or when an
        output is not finite.
        """

    def close(self) -> None:  # noqa: B027 - engines without resources need nothing here
        """Release what the engine holds; safe to call twice."""


def open_engine(manifest_path: Path, threads: int = 0, runtime: str = "onnxruntime") -> Engine:
    """Open the network described by a manifest.

    `threads` = 0 lets the engine choose. `runtime`: one of ENGINES; a network with a free batch
    size is ONNX Runtime's in any case, which is as fast there (docs/speed.md). Raises
    EngineRejected when the file does not match its manifest (hash, shapes, input type), or for a
    runtime that is not installed.
    """
    manifest = Manifest.read(manifest_path)
    module, _, attribute = ENGINES[runtime_for(manifest, runtime)].partition(":")
    driver = getattr(importlib.import_module(module), attribute)  # on use: it costs 0.2 s
    engine: Engine = driver(manifest, threads=threads)
    return engine


def runtime_for(manifest: Manifest, wanted: str) -> str:
    """Which of ENGINES runs this network. EngineRejected: the one asked for is not installed."""
    if wanted == "openvino" and importlib.util.find_spec("openvino") is None:
        raise EngineRejected(
            "models.runtime = openvino: it is not installed: "
            "pip install 'sparsefocus-edge[openvino]'"
        )
    free = any(not isinstance(size, int) or size < 1 for i in manifest.inputs for size in i.shape)
    return "onnxruntime" if free else wanted


__all__ = ["ENGINES", "MODELS", "Engine", "EngineRejected", "open_engine", "runtime_for"]
