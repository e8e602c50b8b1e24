"""The CUDA kernels of the GPU path: frame to RIN input, choice, patches, medians.

The C is here (`*.cu`, `pixels.cuh`); `launch` says how each kernel is called, `result` what comes
back, `compile` makes cubins of it. Nothing here needs a GPU or imports CUDA. docs/kernels.md.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve().parent
HEADER = "pixels.cuh"
FILES = ("preprocess.cu", "gather.cu", "select.cu", "collect.cu")


def source(folder: Path = HERE) -> str:
    """All kernels as one translation unit without #include, for nvcc, NVRTC and pycuda alike."""
    include, once = f'#include "{HEADER}"\n', "#pragma once\n"
    parts = []
    for name in (HEADER, *FILES):
        text = (folder / name).read_text(encoding="utf-8")
        # an empty line each, so that an error names the right one
        text = text.replace(include, "\n").replace(once, "\n")
        parts.append(f'#line 1 "{name}"\n{text}')
    return "".join(parts)


__all__ = ["FILES", "HEADER", "HERE", "source"]
