"""Builds the reference firmware for a Cortex-M3 and runs it under QEMU behind two ptys.

The board is ARM's MPS2 with the AN385 image (`qemu-system-arm -M mps2-an385`): real Thumb-2 code,
a UART with a receive interrupt, a hardware timer. Its first serial line is the protocol's, the
second stands for the pins (ports/bench/bench.h). `python -m firmware_bridge.firmware.qemu` builds
it and prints the size; with `--run` it stays up until Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import select
import shutil
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Sequence
from pathlib import Path

from firmware_bridge.firmware.build import CORE, FAULTS, BuildError, compile_c
from firmware_bridge.firmware.process import START_S, FirmwareProcess
from firmware_bridge.framing import Frame, FrameReader, encode_frame
from firmware_bridge.messages import PROTOCOL_VERSION

GCC, QEMU = "arm-none-eabi-gcc", "qemu-system-arm"
INSTALL = "apt install qemu-system-arm gcc-arm-none-eabi"
TEXT_LIMIT = 12_288  # bytes
_PORT = "ports/mps2_an385"
SOURCES = (*CORE, "ports/bench/bench.c", f"{_PORT}/main.c", f"{_PORT}/startup.c")
OPTIONS = (
    "-mcpu=cortex-m3", "-mthumb", "-Os", "-g", "-ffreestanding", "-ffunction-sections",
    "-fdata-sections", "-fno-tree-loop-distribute-patterns", "-nostdlib", "-Wl,--gc-sections",
    "-T", f"{_PORT}/mps2.ld",
)  # fmt: skip
_LIBGCC = "-lgcc"  # 64-bit division, nothing else
_BOOT = 0x2000FC00  # ports/mps2_an385/mps2.ld, main.c
_BOOT_MAGIC = 0x5346424F
#: what no message has: the core answers it with a NACK, in any state, and changes nothing
_NO_MESSAGE = 0x7F
_ASK_AGAIN_S = 2.0


def missing_tools() -> str:
    """Why the board cannot be built and run here; empty when it can."""
    absent = [tool for tool in (GCC, QEMU) if not shutil.which(tool)]
    return f"{' and '.join(absent)} not found ({INSTALL})" if absent else ""


def build_qemu(faults: bool = False) -> Path:
    """The ELF file, built when needed; BuildError without the cross compiler."""
    if not shutil.which(GCC):
        raise BuildError(f"no {GCC}: {INSTALL}")
    more = (FAULTS,) if faults else ()
    sources = (*SOURCES, _LIBGCC)
    return compile_c("z-firmware-mps2.elf", sources, (*OPTIONS, *more), compiler=GCC)


def section_sizes(elf: Path) -> dict[str, int]:
    """Bytes of .text (with constants), .data, .bss."""
    listing = subprocess.run(
        ["arm-none-eabi-size", "-A", str(elf)], capture_output=True, text=True, check=True
    ).stdout
    rows = re.findall(r"^\.(text|data|bss) +(\d+)", listing, re.MULTILINE)
    return {f".{name}": int(size) for name, size in rows}


class QemuFirmware(FirmwareProcess):
    """A running board; a context manager. `port` and `bench_port` as with HostFirmware."""

    def __init__(self, *, start_nm: int = 0, boot_id: int = 1, faults: bool = False) -> None:
        """Build if needed and start; BuildError, or RuntimeError when it does not come up."""
        elf = build_qemu(faults)
        words = (_BOOT_MAGIC, boot_id, start_nm & 0xFFFFFFFF)
        boot = [
            f"loader,addr={_BOOT + 4 * n:#x},data={word:#x},data-len=4"
            for n, word in enumerate(words)
        ]
        # QEMU has no stdin to watch: the kernel ends it with whoever started it
        leash = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        command = [
            *leash, QEMU, "-M", "mps2-an385", "-display", "none", "-monitor", "none",
            "-serial", "pty", "-serial", "pty", "-kernel", str(elf),
            *(part for device in boot for part in ("-device", device)),
        ]  # fmt: skip
        self.boot_id = boot_id
        self._held: list[int] = []
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.port, self.bench_port = self._ports()

    def _ports(self) -> tuple[str, str]:
        out = self._process.stdout
        assert out is not None
        text = ""
        while line := out.readline().decode(errors="replace"):  # ends with the process at latest
            text += line
            ports = re.findall(r"char device redirected to (\S+)", text)
            if len(ports) == 2:
                self._hold(*ports)
                if self._answers():
                    return ports[0], ports[1]
                text = f"no answer from the board in {START_S:.0f} s"
                break
        self.close()
        raise RuntimeError(f"QEMU did not start: {text.strip()}")

    def _hold(self, *ports: str) -> None:
        """Keep the far sides open: QEMU looks only once a second whether somebody came."""
        for port in ports:
            far_side = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
            tty.setraw(far_side)
            self._held.append(far_side)

    def _answers(self) -> bool:
        """Wait until both lines are answered: QEMU names its ptys before the processor runs, and
        throws away what the board says before it has seen that somebody holds the far side."""
        line, bench = self._held
        frames = FrameReader()
        seq = 0

        def ask_line() -> None:
            nonlocal seq
            seq += 1
            os.write(line, encode_frame(Frame(PROTOCOL_VERSION, _NO_MESSAGE, seq, b"")))

        def line_answered(data: bytes) -> bool:  # the newest: no late answer is left in the line
            return any(frame.seq == seq for frame in frames.feed(data))

        return self._wait(line, ask_line, line_answered) and self._wait(
            bench, lambda: os.write(bench, b"?"), lambda data: data.endswith(b"\n")
        )

    def _wait(
        self, line: int, ask: Callable[[], object], answered: Callable[[bytes], bool]
    ) -> bool:
        ends = time.monotonic() + START_S
        while time.monotonic() < ends and self.running():
            ask()
            again = time.monotonic() + _ASK_AGAIN_S
            while (left := again - time.monotonic()) > 0.0 and self.running():
                if select.select([line], [], [], left)[0] and answered(os.read(line, 4096)):
                    return True
        return False

    def close(self) -> None:
        """End it; safe to call twice."""
        self._process.terminate()
        try:
            self._process.wait(START_S)
        except subprocess.TimeoutExpired:
            self.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        while self._held:
            os.close(self._held.pop())


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the sizes, and run on request; 1 when .text is over its limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", action="store_true", help="stay up and print the ports")
    options = parser.parse_args(arguments)
    sizes = section_sizes(build_qemu())
    print(f"Cortex-M3 firmware: {sizes}, limit of .text {TEXT_LIMIT}")
    if options.run:
        with QemuFirmware(start_nm=5_000_000, boot_id=int(time.time())) as board:
            print(f"line {board.port}, bench {board.bench_port}; Ctrl-C ends it", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                board._process.wait()
    return 0 if sizes[".text"] <= TEXT_LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
