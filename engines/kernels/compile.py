"""The kernels as machine code, for a GPU that need not be here.

`Nvcc` and `Nvrtc` compile the same text; NVRTC comes as one library and needs no host compiler.
Both are looked for in the environment's own packages (nvidia-cuda-nvcc, nvidia-cuda-nvrtc-cu12),
then on the machine, where JetPack has them.

python -m engines.kernels.compile [--arch sm_87 ...] [--out FOLDER]     exit 1 on a spill
"""

from __future__ import annotations

import argparse
import ctypes
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.kernels import source
from engines.whole_file import replace_file

ARCHITECTURES = ("sm_87", "sm_110")  # Orin, Thor
#: no multiply-add: sums are rounded as on the CPU
OPTIONS = ("-std=c++17", "-fmad=false")

_ENTRY = re.compile(
    r"Compiling entry function '(\w+)'.*?"
    r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads.*?"
    r"Used (\d+) registers(?:, used \d+ barriers)?(?:, (\d+) bytes smem)?",
    re.DOTALL,
)
_PARAMETER = re.compile(r"\.param \.\w(\d+)")
_PROTOTYPE = re.compile(r"\.entry (\w+)\((.*?)\)", re.DOTALL)


class CompileError(RuntimeError):
    """There is no CUDA compiler here, or it refused the kernels; the text has what it said."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one kernel takes, as ptxas says: registers per thread, bytes of the rest."""

    registers: int
    stack: int
    spilled: int  # stores and loads
    shared: int


@dataclass(frozen=True, slots=True)
class Built:
    """All kernels for one architecture. `compiler` is its name and version; `ptx` is text."""

    compiler: str
    arch: str
    cubin: bytes
    ptx: str
    usage: Mapping[str, Usage]

    @property
    def spilling(self) -> tuple[str, ...]:
        """Kernels that keep values in memory for want of registers."""
        return tuple(name for name, used in self.usage.items() if used.spilled or used.stack)

    def parameters(self) -> Mapping[str, tuple[int, ...]]:
        """Bytes of each parameter of each kernel, in order, from the compiled code."""
        return {
            name: tuple(int(bits) // 8 for bits in _PARAMETER.findall(declared))
            for name, declared in _PROTOTYPE.findall(self.ptx)
        }


class Compiler(ABC):
    """A CUDA compiler. `name`: for the record, with its version."""

    name: str

    def build(self, arch: str, text: str | None = None) -> Built:
        """Compile `text` (the shipped kernels if None) for `arch` (sm_NN); CompileError."""
        text = source() if text is None else text
        cubin, log = self._cubin(arch, text)
        ptx = self._ptx(arch.replace("sm_", "compute_"), text)
        return Built(self.name, arch, cubin, ptx, _usage(log))

    def cubin(self, arch: str, text: str) -> bytes:
        """Machine code alone; CompileError."""
        return self._cubin(arch, text)[0]

    @abstractmethod
    def _cubin(self, arch: str, text: str) -> tuple[bytes, str]:
        """Machine code and what ptxas -v says."""

    @abstractmethod
    def _ptx(self, arch: str, text: str) -> str: ...


class Nvcc(Compiler):
    """nvcc; CompileError when there is none. It needs a host compiler."""

    def __init__(self, program: Path | None = None) -> None:
        self._program = str(program or _nvcc())
        output = self._run(["--version"])
        match = re.search(r"V(\d+\.\d+\.\d+)", output)
        self.name = f"nvcc {match[1] if match else '?'}"

    def _cubin(self, arch: str, text: str) -> tuple[bytes, str]:
        return self._compile(text, (f"-arch={arch}", "-cubin", "-Xptxas", "-v"))

    def _ptx(self, arch: str, text: str) -> str:
        return self._compile(text, (f"-arch={arch}", "-ptx"))[0].decode()

    def _compile(self, text: str, options: Sequence[str]) -> tuple[bytes, str]:
        with tempfile.TemporaryDirectory() as folder:
            given, made = Path(folder) / "kernels.cu", Path(folder) / "kernels.out"
            given.write_text(text, encoding="utf-8")
            more = ("-Werror", "all-warnings", "-o", str(made), str(given))
            log = self._run([*OPTIONS, *options, *more])
            return made.read_bytes(), log

    def _run(self, arguments: Sequence[str]) -> str:
        try:
            done = subprocess.run(
                [self._program, *arguments], capture_output=True, text=True, timeout=300
            )
        except OSError as error:
            raise CompileError(f"{self._program}: {error}") from error
        if done.returncode != 0:
            raise CompileError(f"{self._program} {' '.join(arguments)}\n{done.stderr}")
        return done.stdout + done.stderr


class Nvrtc(Compiler):
    """The run-time compiler's library of a CUDA major version; CompileError when there is none."""

    def __init__(self, major: int = 12) -> None:
        self._library = _nvrtc(major)
        version = (ctypes.c_int(), ctypes.c_int())
        self._library.nvrtcVersion(*map(ctypes.byref, version))
        self.name = f"nvrtc {version[0].value}.{version[1].value}"

    def _cubin(self, arch: str, text: str) -> tuple[bytes, str]:
        return self._compile(arch, text, "CUBIN", ("--ptxas-options=-v",))

    def _ptx(self, arch: str, text: str) -> str:
        return self._compile(arch, text, "PTX")[0].rstrip(b"\0").decode()

    def _compile(
        self, arch: str, text: str, kind: str, more: Sequence[str] = ()
    ) -> tuple[bytes, str]:
        program = ctypes.c_void_p()
        create = self._library.nvrtcCreateProgram
        create(ctypes.byref(program), text.encode(), b"kernels.cu", 0, None, None)
        try:
            words = [w.encode() for w in (*OPTIONS, f"--gpu-architecture={arch}", *more)]
            options = (ctypes.c_char_p * len(words))(*words)
            status = self._library.nvrtcCompileProgram(program, len(words), options)
            log = self._get(program, "ProgramLog").rstrip(b"\0").decode()
            if status != 0:
                raise CompileError(f"{self.name} {arch}: error {status}\n{log}")
            return self._get(program, kind), log
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def _get(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        getattr(self._library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        held = ctypes.create_string_buffer(size.value)
        getattr(self._library, f"nvrtcGet{what}")(program, held)
        return held.raw


def _usage(log: str) -> Mapping[str, Usage]:
    return {
        name: Usage(int(registers), int(stack), int(stores) + int(loads), int(shared or 0))
        for name, stack, stores, loads, registers, shared in _ENTRY.findall(log)
    }


def _packages() -> Path:
    return Path(sysconfig.get_path("purelib")) / "nvidia"


def _nvcc() -> Path:
    packaged = sorted(_packages().glob("cu*/bin/nvcc"))
    named = shutil.which("nvcc")
    usual = Path("/usr/local/cuda/bin/nvcc")  # JetPack does not put it on PATH
    for program in (*packaged, *([Path(named)] if named else ()), usual):
        if program.exists():
            return program
    raise CompileError("no nvcc: JetPack has it in cuda-toolkit, others pip install '.[cuda]'")


def _nvrtc(major: int) -> ctypes.CDLL:
    name = f"libnvrtc.so.{major}"
    for path in (*map(str, sorted(_packages().glob(f"*/lib/{name}"))), name):
        try:
            return ctypes.CDLL(path)
        except OSError:
            continue
    raise CompileError(f"no {name}: JetPack has it in cuda-toolkit, others pip install '.[cuda]'")


def table(built: Built) -> Iterable[str]:
    """Lines for a person."""
    ptx = len(built.ptx.encode())
    yield f"{built.arch} by {built.compiler}: cubin {len(built.cubin)} bytes, PTX {ptx} bytes"
    for name, used in built.usage.items():
        spill = f", SPILLS {used.spilled + used.stack} bytes" if name in built.spilling else ""
        yield f"  {name:18} {used.registers:3} registers, {used.shared} bytes shared{spill}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile and say what came of it; 1 when a kernel spills, 2 when nothing was compiled."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--arch", nargs="+", default=ARCHITECTURES)
    parser.add_argument("--out", type=Path, help="write kernels-ARCH.cubin into this folder")
    options = parser.parse_args(arguments)
    spilling = False
    try:
        nvcc = Nvcc()
        for built in map(nvcc.build, options.arch):
            print("\n".join(table(built)))
            spilling |= bool(built.spilling)
            if options.out:
                options.out.mkdir(parents=True, exist_ok=True)
                replace_file(options.out / f"kernels-{built.arch}.cubin", built.cubin)
    except CompileError as error:
        print(error, file=sys.stderr)
        return 2
    return int(spilling)


if __name__ == "__main__":
    sys.exit(main())
