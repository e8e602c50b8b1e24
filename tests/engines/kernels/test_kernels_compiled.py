"""Real CUDA compilers on the kernels: no spills, and arguments as the launch table packs them."""

import functools
import platform
import struct
from pathlib import Path

import pytest

from engines import kernels
from engines.kernels import compile as kernel_compile
from engines.kernels.compile import CompileError, Nvcc, Nvrtc, table
from engines.kernels.launch import KERNELS

# elsewhere PyPI has no such compilers; a machine with CUDA's own still runs these tests
HERE = platform.machine() == "x86_64" or Path("/usr/local/cuda/bin/nvcc").exists()
pytestmark = pytest.mark.skipif(not HERE, reason="no CUDA compiler for this processor on PyPI")

ORIN_6, ORIN_7, THOR = ("nvrtc", "sm_87"), ("nvcc", "sm_87"), ("nvcc", "sm_110")


@functools.cache
def _compiler(name):
    return Nvcc() if name == "nvcc" else Nvrtc(12)


@functools.cache
def _built(which):
    return _compiler(which[0]).build(which[1])


@pytest.mark.parametrize("which", [ORIN_6, ORIN_7, THOR], ids=" ".join)
def test_no_kernel_spills_and_every_block_fits(which):
    built = _built(which)
    assert set(built.usage) == set(KERNELS)
    assert built.spilling == ()
    for name, used in built.usage.items():
        x, y, z = KERNELS[name].block
        assert 0 < used.registers * x * y * z <= 65536, name
        assert used.shared == 0, name
    assert built.cubin.startswith(b"\x7fELF")
    assert f".target {built.arch}" in built.ptx


@pytest.mark.parametrize("which", [ORIN_6, ORIN_7, THOR], ids=" ".join)
def test_arguments_are_packed_as_compiled(which):
    parameters = _built(which).parameters()
    for name, kernel in KERNELS.items():
        assert parameters[name] == tuple(struct.calcsize(letter) for letter in kernel.letters)


def test_the_compilers_are_those_of_jetpack():
    """JetPack 6.2 has CUDA 12.6, JetPack 7 has 13."""
    assert _compiler("nvrtc").name == "nvrtc 12.6" or platform.machine() != "x86_64"
    assert _compiler("nvcc").name.startswith("nvcc 13.") or platform.machine() != "x86_64"


def _changed(old, new):
    text = kernels.source()
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize("name", ["nvcc", "nvrtc"])
def test_a_spill_is_seen(name, monkeypatch, capsys):
    """Half the registers that the Bayer kernel needs."""
    starved = _changed(
        'extern "C" __global__ void name(',
        'extern "C" __global__ __maxnreg__(24) void name(',
    )
    built = _compiler(name).build("sm_87", starved)
    assert "prepare_bayer8" in built.spilling
    assert any("SPILLS" in line for line in table(built))
    monkeypatch.setattr(kernel_compile, "source", lambda: starved)
    assert kernel_compile.main(["--arch", "sm_87"]) == 1
    assert "SPILLS" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["nvcc", "nvrtc"])
def test_a_wrong_argument_is_seen(name):
    built = _compiler(name).build("sm_87", _changed("float threshold", "double threshold"))
    want = tuple(struct.calcsize(letter) for letter in KERNELS["select_patches"].letters)
    assert built.parameters()["select_patches"] != want


@pytest.mark.parametrize("name", ["nvcc", "nvrtc"])
def test_an_error_names_file_and_line(name):
    lines = (kernels.HERE / "gather.cu").read_text().splitlines()
    line = next(i for i, text in enumerate(lines, 1) if "int slot = blockIdx.z" in text)
    with pytest.raises(CompileError, match=rf"gather\.cu\({line}\): error"):
        _compiler(name).build("sm_87", _changed("int slot = blockIdx.z", "int slot = nothing"))


def test_the_verb_writes_cubins(tmp_path, capsys):
    assert kernel_compile.main(["--arch", "sm_87", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "kernels-sm_87.cubin").read_bytes() == _built(ORIN_7).cubin
    out = capsys.readouterr().out
    assert all(name in out for name in KERNELS)


def test_a_missing_compiler_is_told(monkeypatch, tmp_path, capsys):
    with pytest.raises(CompileError, match="nowhere"):
        Nvcc(tmp_path / "nowhere")
    monkeypatch.setattr(kernel_compile, "_packages", lambda: tmp_path)
    with pytest.raises(CompileError, match="libnvrtc"):
        Nvrtc(99)
    monkeypatch.setattr(kernel_compile.shutil, "which", lambda name: None)
    monkeypatch.setattr(kernel_compile.Path, "exists", lambda path: False)
    assert kernel_compile.main([]) == 2
    assert "no nvcc" in capsys.readouterr().err
