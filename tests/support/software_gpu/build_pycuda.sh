#!/usr/bin/env bash
# pycuda into build/pycuda/site, its wheel kept beside it: PYTHON VERSION CONSTRAINTS
# Compiled from PyPI's source against the genuine headers and a libcuda that is only a name; the
# driver is found when it is imported. Two minutes, once per Python.
set -euo pipefail
python=$(realpath -s "$1") version=$2 constraints=$(realpath "$3") out=$PWD/build/pycuda
pip=("$python" -m pip -q --disable-pip-version-check)
tag=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
wheel=$(find "$out" -name "pycuda-$version-$tag-*.whl" 2>/dev/null || true)

if [ -z "$wheel" ]; then
  work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
  "${pip[@]}" install --no-deps --target "$work" -c "$constraints" \
    "nvidia-cuda-profiler-api>=13.0,<13.1"
  headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/nvidia/cu13/include
  # one symbol that pycuda wants, or the linker would leave the library out
  echo 'int cuInit(unsigned flags) { return flags ? 1 : 100; }' |
    cc -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$work/libcuda.so" -xc -
  cat >"$work/.aksetup-defaults.py" <<END
CUDA_INC_DIR = ["$headers", "$work/nvidia/cu13/include"]
CUDADRV_LIB_DIR = ["$work"]
CUDADRV_LIBNAME = ["cuda"]
CUDA_ENABLE_CURAND = False
CXXFLAGS = ["-O1", "-g0", "-w"]
LDFLAGS = ["-Wl,-z,lazy"]
END
  XDG_CONFIG_HOME=${XDG_CONFIG_HOME:-$HOME/.config} HOME=$work \
    "${pip[@]}" wheel --no-deps --no-cache-dir --no-binary pycuda -w "$out" "pycuda==$version"
  wheel=$(find "$out" -name "pycuda-$version-$tag-*.whl")
fi
rm -rf "$out/site"
"${pip[@]}" install -c "$constraints" --target "$out/site" "$wheel"
