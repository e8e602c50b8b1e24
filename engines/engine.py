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
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.manifest import EngineRejected, Manifest

MODELS = Path(__file__).parent / "models"

#: what can run a network -> where its engine lives ("module:class")
ENGINES: dict[str, str] = {
    "onnxruntime": "engines.onnx_engine:OnnxEngine",
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


def open_engine(manifest_path: Path, threads: int = 0) -> Engine:
    """Open the network described by a manifest with the best engine on this machine.

    `threads` = 0 lets the engine choose. Raises EngineRejected when the file does not match
    its manifest (hash, shapes, input type).
    """
    module, _, attribute = ENGINES["onnxruntime"].partition(":")
    driver = getattr(importlib.import_module(module), attribute)  # on use: it costs 0.2 s
    engine: Engine = driver(Manifest.read(manifest_path), threads=threads)
    return engine


__all__ = ["ENGINES", "MODELS", "Engine", "EngineRejected", "open_engine"]
