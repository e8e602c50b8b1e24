"""The firmware's own C inside this process, on a clock that passes only when somebody waits.

A second of a move takes a millisecond, and a busy machine changes nothing: what tests of stops,
watchdogs and whole conformance runs need. The C is built once per content (virtual_core.c beside
this file, the core, the pins of ports/bench).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from firmware_bridge.conformance.test_host import ConformanceHost
from firmware_bridge.firmware.build import CORE, FAULTS, HERE, compile_c
from firmware_bridge.firmware.pins import BoardPins

SHIM = Path(__file__).with_name("virtual_core.c")
BENCH = "ports/bench/bench.c"
LIMITS = (0, 10_000_000, 50, 2_000_000, 20_000_000)  # hard min, max, step; speed, acceleration
XY_LIMITS = (0, 75_000_000, 100, 20_000_000, 200_000_000,
             0, 25_000_000, 100, 20_000_000, 200_000_000)  # fmt: skip
LINE_US = 1_000  # what a frame takes on its way to the board
TICK_US = 1_000


def build_virtual(folder: Path = HERE, options: tuple[str, ...] = ()) -> Path:
    """The library, built when needed; `folder` is where the firmware's sources are.

    VIRTUAL_CORE in the environment names another one that is used instead of the right one: how
    the mutation run asks these tests about a changed core.
    """
    if folder == HERE and os.environ.get("VIRTUAL_CORE"):
        return Path(os.environ["VIRTUAL_CORE"])
    words = ("-O1", "-g", "-shared", "-fPIC", f"-I{folder}", FAULTS, *options)
    sources = (str(SHIM), *CORE, BENCH)
    return compile_c("virtual-core.so", sources, words, SHIM.read_bytes(), folder=folder)


class VirtualBoard:
    """One board of one library: its line, its pins and the clock that they live by.

    It is a `Link` (`write`, `read`, `close`) and a clock (`monotonic`, `monotonic_ns`, `sleep`)
    at once, as `ConformanceHost` wants them.
    """

    def __init__(
        self,
        library: Path | None = None,
        *,
        start_nm: int = 5_000_000,
        limits: tuple[int, int, int, int, int] = LIMITS,
        boot_id: int = 11,
        clock_us: int = 0,
        xy_limits: tuple[int, ...] = (),
        xy_start_nm: tuple[int, int] = (10_000_000, 10_000_000),
    ) -> None:
        """Boot; `clock_us` is what the board's clock shows by then. `xy_limits`: as `limits`, of X
        and then of Y (XY_LIMITS); () = the board has Z alone."""
        core = self._core = ctypes.CDLL(str(library or build_virtual()))
        for name in ("core_take", "core_take_bench"):
            getattr(core, name).restype = ctypes.c_size_t
        core.core_now.restype = ctypes.c_uint64
        core.core_motor_move.restype = ctypes.c_uint32
        core.core_approach.restype = ctypes.c_int64
        self._room = ctypes.create_string_buffer(1 << 16)
        axis = (ctypes.c_int32 * 5)(*limits)
        core.core_boot(axis, start_nm, ctypes.c_uint32(boot_id), ctypes.c_uint64(clock_us))
        if xy_limits:
            core.core_boot_xy((ctypes.c_int32 * 10)(*xy_limits), (ctypes.c_int32 * 2)(*xy_start_nm))
        core.core_xy_motor_move.restype = ctypes.c_uint32
        core.core_take_pulses.restype = ctypes.c_size_t
        self._boot_us = clock_us
        self.bench = BoardPins(_Pins(self))

    # ---- the line -----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Arrives a millisecond later, all at once."""
        self.wait_us(LINE_US)
        self.receive(data)

    def receive(self, data: bytes) -> None:
        """Arrives now."""
        self._core.core_receive(data, ctypes.c_size_t(len(data)))

    def read(self) -> bytes:
        """What was sent, at once or within 50 ms."""
        self._core.core_pass(ctypes.c_uint64(50_000), True)
        return self.take()

    def take(self) -> bytes:
        """What was sent so far; no time passes."""
        length = self._core.core_take(self._room, ctypes.c_size_t(len(self._room)))
        return self._room.raw[:length]

    def close(self) -> None:
        """Nothing to do."""

    # ---- time ---------------------------------------------------------------------------------

    @property
    def now_us(self) -> int:
        """The board's own clock."""
        return int(self._core.core_now())

    def wait_us(self, microseconds: int) -> None:
        """Ticks run as they come due."""
        self._core.core_pass(ctypes.c_uint64(microseconds), False)

    def run_us(self, microseconds: int) -> None:
        """As `wait_us`, no longer than until something is sent."""
        self._core.core_pass(ctypes.c_uint64(microseconds), True)

    def ticks(self, count: int) -> Iterator[int]:
        """The motor's position (nm) after each of the next `count` ticks."""
        for _ in range(count):
            self.wait_us(TICK_US)
            yield self.motor_nm

    def skip_us(self, microseconds: int) -> None:
        """Time passes and nothing runs; for an axis at rest."""
        self._core.core_skip(ctypes.c_uint64(microseconds))

    def tick_at(self, tick_us: int) -> None:
        """One tick more, under a time of its own: what a late board does."""
        self._core.core_tick_at(ctypes.c_uint64(tick_us))

    def monotonic_ns(self) -> int:
        """As time.monotonic_ns: the host's clock, as fast as the board's, from its boot on."""
        return (self.now_us - self._boot_us) * 1_000

    def monotonic(self) -> float:
        """As time.monotonic."""
        return self.monotonic_ns() / 1e9

    def sleep(self, seconds: float) -> None:
        """As time.sleep."""
        self.wait_us(round(seconds * 1e6))

    # ---- the axis -----------------------------------------------------------------------------

    @property
    def motor_nm(self) -> int:
        """Where the core told the motor to be."""
        return int(self._core.core_motor())

    @property
    def xy_nm(self) -> tuple[int, int]:
        """Where the core told the motors under the slide to be."""
        return int(self._core.core_xy_motor(0)), int(self._core.core_xy_motor(1))

    @property
    def xy_moves(self) -> tuple[int, int]:
        """The numbers that their last orders belong to."""
        return int(self._core.core_xy_motor_move(0)), int(self._core.core_xy_motor_move(1))

    @property
    def xy_velocity_q8(self) -> tuple[int, int]:
        """nm * 256 per tick."""
        return int(self._core.core_xy_velocity(0)), int(self._core.core_xy_velocity(1))

    def pulses(self) -> list[tuple[int, int, int, int]]:
        """Pulses since the last call: step of X told to the board, X at the tick before, where
        within the tick (us), width (us)."""
        room = (ctypes.c_int64 * (4 * 4096))()
        count = self._core.core_take_pulses(room, ctypes.c_size_t(4096))
        return [tuple(room[4 * n : 4 * n + 4]) for n in range(count)]  # type: ignore[misc]

    @property
    def motor_move(self) -> int:
        """The number of the move that the motor's last order belongs to."""
        return int(self._core.core_motor_move())

    @property
    def velocity_q8(self) -> int:
        """nm * 256 per tick."""
        return int(self._core.core_velocity())

    @property
    def approach_q8(self) -> int:
        """How far it has come from its side, nm * 256."""
        return int(self._core.core_approach())

    def encoder(self, position_nm: int | None) -> None:
        """What the encoder measures from now on; None: there is none."""
        self._core.core_encoder(position_nm is not None, position_nm or 0)

    def strobe(self, lit: bool, since_now_us: int = 0) -> None:
        """An edge of the camera's line, `since_now_us` after now."""
        self._core.core_strobe(lit, ctypes.c_int64(since_now_us))

    def flash(self, count: int) -> None:
        """The camera's line goes on and off so many times, now."""
        self._core.core_flash(ctypes.c_uint32(count))

    def host(self, travel_nm: int = 300_000) -> ConformanceHost:
        """The conformance suite's side of this line."""
        return ConformanceHost(self, travel_nm, self.bench, self)

    # ---- the pins -----------------------------------------------------------------------------

    def pins(self, data: bytes) -> None:
        """Bytes to the bench's line."""
        for byte in data:
            self._core.core_bench(ctypes.c_uint8(byte))

    def pins_told(self) -> bytes:
        """What the bench's line said."""
        length = self._core.core_take_bench(self._room, ctypes.c_size_t(len(self._room)))
        return self._room.raw[:length]


class _Pins:
    """The bench's line as a Link."""

    def __init__(self, board: VirtualBoard) -> None:
        self._board = board

    def write(self, data: bytes) -> None:
        self._board.wait_us(LINE_US)
        self._board.pins(data)

    def read(self) -> bytes:
        return self._board.pins_told()

    def close(self) -> None:
        pass
