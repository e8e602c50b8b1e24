"""Depthwise convolution with a faster weight gradient on the CPU.

oneDNN's weight gradient of a depthwise convolution is up to thirty times slower than a small C
loop (24 ms against 0.8 ms for 64 x 128 x 4 x 4 with a 7 x 7 kernel; AVX2, one thread). The loop
is compiled on first use with the system's C compiler; without one, PyTorch's own is used and
training only takes longer. The exported network is an ordinary convolution.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engines.compiled_c import load

SOURCE = Path(__file__).with_suffix(".c")
CHANNELS = 8  # side by side in one register
#: sums in any order. Not -ffast-math: a library linked with it makes whoever loads it flush
#: subnormal numbers to zero, also in what has nothing to do with it
OPTIONS = ("-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math")


@lru_cache(maxsize=1)
def compiled() -> Any:
    """The C function, or None where there is no compiler or it fails."""
    library = load(SOURCE, OPTIONS)
    if library is None:
        return None
    function = library.depthwise_weight_gradient
    function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_ssize_t] * 6
    return function


_padded: dict[tuple[int, ...], Tensor] = {}


def _pad(x: Tensor, height: int, width: int, margin: int) -> Tensor:
    """(n, c, h, w) -> (n, height, width, c) with a zero margin, in a buffer that is kept."""
    n, c, h, w = x.shape
    shape = (n, height, width, c)
    buffer = _padded.get(shape)
    if buffer is None:
        if len(_padded) > 64:  # crops change during a run: forget the old ones
            _padded.clear()
        buffer = _padded[shape] = torch.zeros(shape)
    rows, columns = min(h, height - margin), min(w, width - margin)
    inside = buffer[:, margin : margin + rows, margin : margin + columns]
    inside.copy_(x.permute(0, 2, 3, 1)[:, :rows, :columns])
    return buffer


def weight_gradient(x: Tensor, grad: Tensor, kernel: int, stride: int) -> Tensor:
    """d loss / d weight, (c, 1, kernel, kernel), for input x and output gradient `grad`.

    Both (n, c, h, w) float32, padding kernel // 2. Raises ValueError for shapes that the C
    loop does not cover.
    """
    grad = grad.permute(0, 2, 3, 1).contiguous()
    n, h, w, c = grad.shape
    padded = _pad(x, (h - 1) * stride + kernel, (w - 1) * stride + kernel, kernel // 2)
    out = torch.empty(max(c // CHANNELS, 1), kernel, kernel, CHANNELS)
    pointers = padded.data_ptr(), grad.data_ptr(), out.data_ptr()
    if c % CHANNELS or compiled()(*pointers, n, h, w, c, kernel, stride):
        raise ValueError(f"no fast gradient for {c} channels and kernel {kernel}")
    return out.permute(0, 3, 1, 2).reshape(c, 1, kernel, kernel)


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return nn.functional.conv2d(
            x, weight, None, stride, weight.shape[2] // 2, groups=weight.shape[0]
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:
        x, weight = ctx.saved_tensors
        kernel, stride = weight.shape[2], ctx.stride
        below: Tensor | None = None
        if ctx.needs_input_grad[0]:
            below = torch.ops.aten.convolution_backward(
                grad, x, weight, None, (stride, stride), (kernel // 2, kernel // 2), (1, 1),
                False, (0, 0), weight.shape[0], (True, False, False),
            )[0]  # fmt: skip
        return below, weight_gradient(x, grad, kernel, stride), None


class DepthwiseConv2d(nn.Conv2d):
    """nn.Conv2d with groups = channels, no bias, padding kernel // 2; same parameters."""

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, h / stride, w / stride)."""
        fast = (
            self.training
            and torch.is_grad_enabled()
            and x.device.type == "cpu"
            and x.dtype == torch.float32
            and self.in_channels % CHANNELS == 0
            and self.kernel_size[0] in (3, 5, 7)
            and compiled() is not None
        )
        if fast:
            return _Function.apply(x, self.weight, self.stride[0])
        return super().forward(x)
