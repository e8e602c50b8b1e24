"""Jetson modules by their data sheets, in each power mode that nvpmodel has for them.

Sources: module data sheets (2022 to 2025); Jetson Linux Developer Guide r36.4, "Platform Power and
Performance", supported modes: which texture processing clusters (TPC) are on, the GPU's and the
memory's highest clock. An Orin's TPC has 256 CUDA cores and 8 tensor cores. A board's own modes
are in its /etc/nvpmodel.conf and may differ: then `--gpu-mhz`.
"""

from __future__ import annotations

from dataclasses import dataclass

CORES_PER_TPC, TENSOR_CORES_PER_TPC = 256, 8


@dataclass(frozen=True, slots=True)
class Board:
    """A GPU and its memory. An Ampere tensor core does 256 fused multiply-adds of FP16 in a clock,
    a CUDA core 2."""

    name: str
    cuda_cores: int
    tensor_cores: int
    gpu_mhz: float  # highest in the mode
    memory_gb_s: float
    mode: str = ""

    def operations_per_s(self, on_tensor_cores: bool, gpu_mhz: float | None = None) -> float:
        """Peak of FP16 operations; a multiply-add is two."""
        per_clock = 256 * self.tensor_cores if on_tensor_cores else 2 * self.cuda_cores
        return 2.0 * per_clock * (gpu_mhz or self.gpu_mhz) * 1e6


def _modes(name: str, *rows: tuple[str, int, float, float]) -> tuple[Board, ...]:
    """`rows`: mode, TPCs, GPU MHz, GB/s."""
    return tuple(
        Board(name, CORES_PER_TPC * tpcs, TENSOR_CORES_PER_TPC * tpcs, mhz, gb_s, mode)
        for mode, tpcs, mhz, gb_s in rows
    )


#: the fastest mode of each board comes first
BOARDS = (
    *_modes("Orin Nano 8GB", ("15W", 4, 624.75, 68.0), ("7W", 2, 408.0, 68.0)),
    *_modes(
        "Orin Nano 8GB Super",
        ("MAXN_SUPER", 4, 1020.0, 102.4), ("25W", 4, 918.0, 102.4), ("15W", 4, 612.0, 68.0),
    ),
    *_modes(
        "Orin NX 16GB",
        ("MAXN", 4, 918.0, 102.4), ("25W", 4, 408.0, 102.4), ("15W", 4, 612.0, 102.4),
        ("10W", 2, 612.0, 68.0),
    ),
    *_modes(
        "AGX Orin 64GB",
        ("MAXN", 8, 1301.0, 204.8), ("50W", 8, 828.75, 204.8), ("30W", 4, 624.75, 204.8),
        ("15W", 3, 420.75, 136.5),
    ),
)  # fmt: skip
NAMES = tuple(dict.fromkeys(board.name for board in BOARDS))


def chosen(name: str | None = None, mode: str | None = None) -> list[Board]:
    """The boards of that name and power mode; ValueError when there is no such mode."""
    boards = [board for board in BOARDS if name in (None, board.name)]
    modes = list(dict.fromkeys(board.mode for board in boards))
    if mode is not None and mode not in modes:
        raise ValueError(f"power mode {mode!r} must be one of {', '.join(modes)}")
    return [board for board in boards if mode in (None, board.mode)]
