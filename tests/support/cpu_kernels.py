"""The kernels' own sources, compiled for this computer's CPU and called through ctypes.

The callers are made from engines.kernels.launch, and the compiler refuses them when a prototype
is another. Memory is NumPy's, so under AddressSanitizer (a process of its own, `sanitized`) a read
behind a frame is found.
"""

import ctypes
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from edge.measure.gpu_sensor import view
from edge.measure.preprocess import crop_origin
from edge.measure.raw_pixels import width_px
from engines import kernels
from engines.kernels.launch import COLLECT, FORMATS, KERNELS, MASK, SELECT
from engines.kernels.result import RESULT
from tests.support.patience import PATIENCE_S

HERE = Path(__file__).parent
SHIM = HERE / "cuda_on_cpu.h"
BUILD = HERE.parents[1] / "build" / "kernels"
COMPILER = os.environ.get("CXX", "g++")
STRICT = (
    "-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-ffp-contract=off", "-O1",
    "-shared", "-fPIC",
)  # fmt: skip
SANITIZERS = {
    "asan": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
}


def _caller(kernel):
    types = [c_type for c_type, _ in kernel.parameters]
    declared = ", ".join(f"{c_type} a{i}" for i, c_type in enumerate(types))
    given = ", ".join(f"a{i}" for i in range(len(types)))
    return _packed(kernel) + (
        f"static_assert(std::is_same<decltype({kernel.name}), void({', '.join(types)})>::value,"
        f' "{kernel.name} is not what launch.py says");\n'
        f'extern "C" void run_{kernel.name}(const Index *shape, {declared})\n'
        f"{{ walk(shape[0], shape[1], [&] {{ {kernel.name}({given}); }}); }}\n"
    )


#: bytes that a kernel may reach through a pointer, in terms of its other arguments
REACH = {
    "frame": "(size_t)p.height * p.pitch",
    "small": "SMALL * SMALL * 3",
    "result": "sizeof(Result)",
    "patches": "(size_t)shape[2] * PATCH * PATCH * 3",
    "scores": "CELLS * 4",
    "rows": "(size_t)CROP * (p.row_taps + 1) * 4",
    "columns": "(size_t)CROP * (p.column_taps + 1) * 4",
    "defocus_um": "p.slots * 4",
    "spread_um": "p.slots * 4",
    "optics": "p.slots * 16",
    "novelty": "p.slots * 4",
}
MAY_BE_NULL = ("optics", "novelty")


def _packed(kernel):
    """The kernel called as a CUDA driver does: by one buffer of packed arguments, in which
    addresses are the GPU's and `here` says where they lie; 1 + its place for a wrong one."""
    fields = " ".join(f"{c_type} {name};" for c_type, name in kernel.parameters)
    last = kernel.parameters[-1][1]
    places = ""
    for i, (c_type, name) in enumerate(kernel.parameters):
        if c_type.endswith("*"):
            null = f"p.{name} && " if name in MAY_BE_NULL else ""
            argument = f"p.{name} = ({c_type})here((unsigned long)p.{name}, {REACH[name]})"
            places += f"if ({null}!({argument})) return {i + 1};\n"
    given = ", ".join(f"p.{name}" for _, name in kernel.parameters)
    struct = f"Packed_{kernel.name}"
    return (
        f"struct {struct} {{ {fields} }};\n"
        f'extern "C" const size_t packed_size_{kernel.name} ='
        f" offsetof({struct}, {last}) + sizeof({struct}::{last});\n"
        f'extern "C" int packed_{kernel.name}'
        f"(const unsigned *shape, const char *bytes, void *(*here)(unsigned long, size_t)) {{\n"
        f"{struct} p; std::memcpy(&p, bytes, packed_size_{kernel.name});\n{places}"
        f"walk({{shape[0], shape[1], shape[2]}}, {{shape[3], shape[4], shape[5]}},"
        f" [&] {{ {kernel.name}({given}); }});\nreturn 0; }}\n"
    )


def _layout():
    fields = ", ".join(
        f"offsetof(Result, {name}), sizeof(Result::{name})" for name in RESULT.names or ()
    )
    return f'extern "C" const size_t result_layout[] = {{sizeof(Result), {fields}}};\n'


def build(changes=(), sanitize=None):
    """The library of the kernels, with (old, new) text `changes`, each of which must apply once.

    Compiled once per content into build/kernels; several processes may ask at a time.
    """
    text = kernels.source()
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    callers = "".join(_caller(kernel) for kernel in KERNELS.values())
    text = f'{SHIM.read_text()}{text}\n#line 1 "callers"\n{callers}{_layout()}'
    options = (*STRICT, *SANITIZERS.get(sanitize, ()))
    digest = hashlib.sha256("\0".join((COMPILER, *options, text)).encode()).hexdigest()[:16]
    BUILD.mkdir(parents=True, exist_ok=True)
    library = BUILD / f"kernels-{digest}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            fresh = Path(folder) / library.name
            command = [COMPILER, *options, "-o", str(fresh), "-x", "c++", "-"]
            done = subprocess.run(
                command, input=text, capture_output=True, text=True, timeout=PATIENCE_S, check=False
            )
            assert done.returncode == 0, done.stderr
            fresh.replace(library)
    return library


class CpuKernels:
    """The kernels in a library that `build` made."""

    def __init__(self, library):
        self._library = ctypes.CDLL(str(library))

    def layout(self):
        """(size of Result, [(offset, size) of each field])."""
        words = (ctypes.c_size_t * (1 + 2 * len(RESULT.names))).in_dll(
            self._library, "result_layout"
        )
        return words[0], [(words[i], words[i + 1]) for i in range(1, len(words), 2)]

    def launch(self, kernel, depth=1, block=None, **values):
        """Run a kernel, `depth` slots deep; arrays are passed by address."""
        given = {k: v.ctypes.data if isinstance(v, np.ndarray) else v for k, v in values.items()}
        shape = (ctypes.c_uint * 6)(*kernel.grid(depth, block), *(block or kernel.block))
        getattr(self._library, f"run_{kernel.name}")(shape, *kernel.arguments(**given))

    def prepare(self, frame, result, block=None):
        """(512, 512, 3) uint8 of an edge Frame; the sample goes to `result`."""
        small = np.zeros((512, 512, 3), np.uint8)
        used = FORMATS[frame.pixel_format.value]
        view = _view(frame, used.red)
        self.launch(used.prepare, block=block, small=small, result=result, **view)
        return small

    def gather(self, frame, result, slots, block=None):
        """(slots, 224, 224, 3) uint8, of result["cells"]."""
        patches = np.zeros((slots, 224, 224, 3), np.uint8)
        used = FORMATS[frame.pixel_format.value]
        view = _view(frame, used.red)
        self.launch(used.gather, slots, block, result=result, patches=patches, **view)
        return patches

    def prepare_resampled(self, frame, pixels, result):
        """As `prepare`, of a frame with `pixels` of the models for one of its own."""
        small = np.zeros((512, 512, 3), np.uint8)
        used = FORMATS[frame.pixel_format.value]
        view_of_frame = _resampled_view(frame, pixels, used.red)
        self.launch(used.prepare_resampled, small=small, result=result, **view_of_frame)
        return small

    def gather_resampled(self, frame, pixels, result, slots):
        """As `gather`, likewise."""
        patches = np.zeros((slots, 224, 224, 3), np.uint8)
        used = FORMATS[frame.pixel_format.value]
        view_of_frame = _resampled_view(frame, pixels, used.red)
        self.launch(used.gather_resampled, slots, result=result, patches=patches, **view_of_frame)
        return patches

    def mask(self, scores, inside):
        """Scores (9, 9) float32, those outside rows and columns of patches set to 0."""
        (top, bottom), (left, right) = inside
        out = np.ascontiguousarray(scores, np.float32).copy()
        self.launch(MASK, scores=out, top=top, bottom=bottom, left=left, right=right)
        return out

    def select(self, scores, rule, result):
        """Choose by an edge ClassRule."""
        dense, sparse, ex_sparse = rule.k_by_class
        self.launch(
            SELECT,
            scores=np.ascontiguousarray(scores, np.float32),
            threshold=rule.threshold,
            dense=dense,
            sparse=sparse,
            ex_sparse=ex_sparse,
            result=result,
        )

    def collect(self, result, defocus_um, spread_um, optics=None, novelty=None):
        """Medians of float32 arrays of as many slots as they have."""
        self.launch(
            COLLECT,
            defocus_um=defocus_um,
            spread_um=spread_um,
            optics=optics,
            novelty=novelty,
            slots=len(defocus_um),
            result=result,
        )


def new_result():
    """A Result of 0xAB bytes: what a kernel leaves out is seen."""
    return np.frombuffer(bytearray(b"\xab" * RESULT.itemsize), RESULT)


def _resampled_view(frame, pixels, red):
    view_of_frame = view(frame, pixels)
    return {
        "frame": view_of_frame.pixels,
        "width": view_of_frame.width,
        "height": view_of_frame.pixels.shape[0],
        "pitch": view_of_frame.pixels.strides[0],
        "red": red,
        "rows": view_of_frame.resampled.rows,
        "row_taps": view_of_frame.resampled.rows.shape[1] - 1,
        "columns": view_of_frame.resampled.columns,
        "column_taps": view_of_frame.resampled.columns.shape[1] - 1,
    }


def _view(frame, red):
    top, left = crop_origin(frame)
    pixels = frame.pixels
    return {
        "frame": pixels,
        "width": width_px(frame),
        "height": pixels.shape[0],
        "pitch": pixels.strides[0],
        "left": left,
        "top": top,
        "red": red,
    }


def sanitized(script, library, sanitizer, *arguments):
    """Run a Python script on a library with a sanitizer under it: (exit status, stdout, stderr)."""
    runtime = subprocess.run(
        [COMPILER, f"-print-file-name=lib{sanitizer}.so"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    environment = {
        **os.environ,
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "TSAN_OPTIONS": "exitcode=66",
        "PYTHONPATH": str(HERE.parents[1]),
    }
    command = [sys.executable, str(HERE / script), str(library), *arguments]
    done = _run(command, environment)
    if "unexpected memory mapping" in done.stderr:  # old sanitizers under kernels that scatter more
        done = _run(["setarch", "-R", *command], environment)
    return done.returncode, done.stdout, done.stderr


def _run(command, environment):
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
