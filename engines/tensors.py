"""Whether a loaded network has the inputs and outputs that its manifest names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.errors import EngineRejected
from engines.manifest import INPUTS_ARE, Input, Output

Shape = tuple["int | str", ...]


@dataclass(frozen=True, slots=True)
class Tensor:
    """As a runtime tells it: `dtype` as NumPy names it, "k" in `shape` for what is not told."""

    name: str
    dtype: str
    shape: Shape


def agree(model: Path, actual: Iterable[Tensor], wanted: Sequence[Input | Output]) -> None:
    """EngineRejected when names, types or shapes are not the manifest's."""
    tensors = {tensor.name: tensor for tensor in actual}
    if set(tensors) != {spec.name for spec in wanted}:
        raise EngineRejected(f"{model}: has {sorted(tensors)}, manifest {wanted}")
    for spec in wanted:
        tensor = tensors[spec.name]
        dtype = INPUTS_ARE["dtype"] if isinstance(spec, Input) else "float32"
        if tensor.dtype != dtype or not _compatible(tensor.shape, spec.shape):
            raise EngineRejected(
                f"{model}: {spec.name} is {tensor.dtype}{list(tensor.shape)}, "
                f"its manifest says {dtype}{list(spec.shape)}"
            )


def fits(shape: tuple[int, ...], want: Shape, k: int | None = None) -> bool:
    """Whether a real shape is the manifest's; free dimensions take anything, or `k` if given."""
    return len(shape) == len(want) and all(
        (k is None or s == k) if w in (-1, "k") else s == w
        for s, w in zip(shape, want, strict=True)
    )


def _compatible(shape: Shape, want: Shape) -> bool:
    """Whether a declared shape (unknown dimensions as "k") does not contradict the manifest's."""
    return len(shape) == len(want) and all(
        s == "k" or (s == w and w not in (-1, "k")) for s, w in zip(shape, want, strict=True)
    )
