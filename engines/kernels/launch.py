"""How each kernel is called: its arguments in order, its blocks, and which one a frame needs.

The table is the host's side of the prototypes in the `.cu` files. A test compiles it against them
and reads the offsets back from the compiled code.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, int, int]

SMALL_PX, PATCH_PX, GRID, MOST = 512, 224, 9, 31

#: C type of a parameter -> what pycuda's `prepare` and `struct` call it
LETTERS: Mapping[str, str] = {
    "const u8 *": "P",
    "u8 *": "P",
    "const float *": "P",
    "float *": "P",
    "const int *": "P",
    "Result *": "P",
    "const Result *": "P",
    "int": "i",
    "float": "f",
}
_CTYPES: Mapping[str, Any] = {"P": ctypes.c_void_p, "i": ctypes.c_int, "f": ctypes.c_float}


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel. `parameters`: (C type, name) in order; `block`: its threads; `covers`: threads
    in x and y that have work; `per_slot`: z counts patches. No thread waits for another."""

    name: str
    parameters: tuple[tuple[str, str], ...]
    block: Shape
    covers: tuple[int, int]
    per_slot: bool = False

    @property
    def letters(self) -> str:
        """The argument types as pycuda's `Function.prepare` wants them."""
        return "".join(LETTERS[c_type] for c_type, _ in self.parameters)

    def grid(self, slots: int = 1, block: Shape | None = None) -> Shape:
        """Blocks that cover the work; ValueError outside 1..31 slots, or 1 where slots mean
        nothing."""
        most = MOST if self.per_slot else 1
        if not 1 <= slots <= most:
            raise ValueError(f"{self.name}: {slots} slots, must be 1..{most}")
        x, y, _ = block or self.block
        return -(-self.covers[0] // x), -(-self.covers[1] // y), slots

    def arguments(self, **values: int | float | None) -> tuple[Any, ...]:
        """The arguments as C values in the prototype's order; pointers as addresses, None = null.

        TypeError for a missing or unknown name, or for a number of the wrong kind.
        """
        names = {name for _, name in self.parameters}
        if names != set(values):
            wrong = ", ".join(sorted(names ^ set(values)))
            raise TypeError(f"{self.name}: arguments missing or unknown: {wrong}")
        return tuple(_CTYPES[LETTERS[c_type]](values[name]) for c_type, name in self.parameters)


_VIEW = (
    ("const u8 *", "frame"),
    ("int", "width"),
    ("int", "height"),
    ("int", "pitch"),
    ("int", "left"),
    ("int", "top"),
    ("int", "red"),
)
_KINDS = ("mono8", "mono10p", "mono12p", "rgb8", "bayer8", "bayer10p", "bayer12p")


def _prepare(kind: str) -> Kernel:
    parameters = (*_VIEW, ("u8 *", "small"), ("Result *", "result"))
    return Kernel(f"prepare_{kind}", parameters, (32, 8, 1), (SMALL_PX, SMALL_PX))


def _gather(kind: str) -> Kernel:
    parameters = (*_VIEW, ("const Result *", "result"), ("u8 *", "patches"))
    return Kernel(f"gather_{kind}", parameters, (32, 8, 1), (PATCH_PX, PATCH_PX), True)


_RESAMPLED_VIEW = (
    *(each for each in _VIEW if each[1] not in ("left", "top")),
    ("const int *", "rows"),
    ("int", "row_taps"),
    ("const int *", "columns"),
    ("int", "column_taps"),
)


def _prepare_resampled(kind: str) -> Kernel:
    parameters = (*_RESAMPLED_VIEW, ("u8 *", "small"), ("Result *", "result"))
    covers = (SMALL_PX, SMALL_PX)
    return Kernel(f"prepare_resampled_{kind}", parameters, (32, 8, 1), covers)


def _gather_resampled(kind: str) -> Kernel:
    parameters = (*_RESAMPLED_VIEW, ("const Result *", "result"), ("u8 *", "patches"))
    covers = (PATCH_PX, PATCH_PX)
    return Kernel(f"gather_resampled_{kind}", parameters, (32, 8, 1), covers, True)


MASK = Kernel(
    "mask_scores",
    (
        ("float *", "scores"),
        ("int", "top"),
        ("int", "bottom"),
        ("int", "left"),
        ("int", "right"),
    ),
    (96, 1, 1),
    (GRID * GRID, 1),
)
SELECT = Kernel(
    "select_patches",
    (
        ("const float *", "scores"),
        ("float", "threshold"),
        ("int", "dense"),
        ("int", "sparse"),
        ("int", "ex_sparse"),
        ("Result *", "result"),
    ),
    (96, 1, 1),
    (GRID * GRID, 1),
)
COLLECT = Kernel(
    "collect",
    (
        ("const float *", "defocus_um"),
        ("const float *", "spread_um"),
        ("const float *", "optics"),
        ("const float *", "novelty"),
        ("int", "slots"),
        ("Result *", "result"),
    ),
    (32, 1, 1),
    (MOST, 1),
)

_WAYS = (_prepare, _gather, _prepare_resampled, _gather_resampled)
KERNELS: Mapping[str, Kernel] = {
    kernel.name: kernel
    for kernel in (*(way(kind) for way in _WAYS for kind in _KINDS), SELECT, COLLECT, MASK)
}


@dataclass(frozen=True, slots=True)
class PixelKernels:
    """The kernels of a pixel format, those for frames of another pixel size or size, and their
    `red` argument (pixels.cuh, struct Frame)."""

    prepare: Kernel
    gather: Kernel
    prepare_resampled: Kernel
    gather_resampled: Kernel
    red: int


def _pair(kind: str, red: int = 0) -> PixelKernels:
    return PixelKernels(
        KERNELS[f"prepare_{kind}"],
        KERNELS[f"gather_{kind}"],
        KERNELS[f"prepare_resampled_{kind}"],
        KERNELS[f"gather_resampled_{kind}"],
        red,
    )


#: GenICam pixel format -> its kernels
FORMATS: Mapping[str, PixelKernels] = {
    "Mono8": _pair("mono8"),
    "Mono10p": _pair("mono10p"),
    "Mono12p": _pair("mono12p"),
    "RGB8": _pair("rgb8"),
    "BGR8": _pair("rgb8", red=2),
    **{
        f"Bayer{phase}{depth}": _pair(f"bayer{depth}", red)
        for red, phase in enumerate(("RG", "GR", "GB", "BG"))
        for depth in ("8", "10p", "12p")
    },
}

__all__ = [
    "COLLECT",
    "FORMATS",
    "KERNELS",
    "LETTERS",
    "MASK",
    "SELECT",
    "Kernel",
    "PixelKernels",
    "Shape",
]
