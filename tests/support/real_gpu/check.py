"""The kernels and the frame's way on this machine's NVIDIA GPU against the CPU path.

    make gpu-check
    python check.py OUT.json [kernels]      exit 1 where anything differs

Needs a GPU, pycuda, NVRTC or nvcc, and this folder first on the path: its `tensorrt` runs the
networks on the host, so that this works where no TensorRT is. "kernels" alone for
compute-sanitizer, which is slow.
"""

import json
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from edge.camera import PixelFormat
from edge.measure.gpu_sensor import view
from edge.measure.importance import ClassRule, Importance
from edge.measure.preprocess import CpuPreprocessor
from engines.errors import GpuUnusable
from engines.gpu.cuda import Cuda
from engines.gpu.device import find_gpu
from engines.gpu.open_gpu import compile_kernels
from engines.kernels.launch import FORMATS, SELECT
from engines.kernels.result import RESULT
from simulator.microscope import Microscope
from tests.support import gpu_scenarios
from tests.support.pixel_reference import random_frame
from tests.support.tiny_models import write_dpn, write_rin

SHIPPED = Path(__file__).parents[3] / "engines" / "models"
CELLS = [(i // 9, i % 9) for i in range(81)]
FIELDS = (
    ("cell", "ex-sparse", 4.0), ("tissue", "dense", -9.0), ("cell", "sparse", 12.0),
    ("cell", "blank", 2.0),
)  # fmt: skip
FRAMES = 2000


def kernels_equal_the_cpu(cuda):
    """Every format at three sizes: pictures and patches byte for byte; and every choice."""
    small, patches, result = (
        cuda.allocate(n) for n in (512 * 512 * 3, 31 * 224 * 224 * 3, RESULT.itemsize)
    )
    back, report = cuda.pin(31 * 224 * 224 * 3), cuda.pin(RESULT.itemsize)
    checked = 0
    for pixel_format in PixelFormat:
        width = {"10p": 2020, "12p": 2018}.get(pixel_format.value[-3:], 2019)
        for size in ((2448, 2048), (2016, 2016), (width, 2017)):
            frame = random_frame(pixel_format, *size)
            shot, reference = view(frame), CpuPreprocessor()
            want, chosen = reference(frame), CELLS[50:81]
            pinned = cuda.pin(shot.pixels.nbytes)
            memory = cuda.allocate(shot.pixels.nbytes)
            pinned.array[:] = shot.pixels.reshape(-1)
            cuda.copy_in(memory, pinned.array)
            record = np.zeros(1, RESULT)
            record[0]["cells"] = range(50, 81)
            report.array[:] = np.frombuffer(record.tobytes(), np.uint8)
            cuda.copy_in(result, report.array)
            kernel = FORMATS[shot.pixel_format]
            given = {
                "frame": memory, "width": shot.width, "height": shot.pixels.shape[0],
                "pitch": shot.pixels.strides[0], "left": shot.left, "top": shot.top,
                "red": kernel.red,
            }  # fmt: skip
            cuda.launch(kernel.prepare, **given, small=small, result=result)
            cuda.launch(kernel.gather, 31, **given, result=result, patches=patches)
            cuda.copy_out(back.array[: 512 * 512 * 3], small)
            cuda.synchronize()
            picture = back.array[: 512 * 512 * 3].reshape(512, 512, 3)
            assert np.array_equal(picture, want.small[0]), (pixel_format, size, "picture")
            cuda.copy_out(back.array, patches)
            cuda.synchronize()
            cut = back.array.reshape(31, 224, 224, 3)
            assert np.array_equal(cut, reference.gather(want, chosen)), (pixel_format, size)
            cuda.release(pinned, memory)
            checked += 1
    scores, pinned, rule = cuda.allocate(81 * 4), cuda.pin(81 * 4), ClassRule()
    rng = np.random.default_rng(2)
    for n in (0, 1, 2, 3, 8, 9, 10, 30, 31, 32, 80, 81):
        drawn = rng.choice(np.float32([0, 0.1, 0.3, 0.8]), 81)
        drawn[rng.permutation(81)[:n]] = rng.choice(np.float32([0.81, 0.9, 0.9001, 1]), n)
        pinned.array[:] = drawn.view(np.uint8)
        cuda.copy_in(scores, pinned.array)
        dense, sparse, ex_sparse = rule.k_by_class
        cuda.launch(SELECT, scores=scores, threshold=rule.threshold, dense=dense,
                    sparse=sparse, ex_sparse=ex_sparse, result=result)  # fmt: skip
        cuda.copy_out(report.array, result)
        cuda.synchronize()
        answer = np.frombuffer(report.array.tobytes(), RESULT)[0]
        wanted = Importance(None, rule).rank(drawn.reshape(9, 9))
        assert answer["k"] == wanted.k, n
        assert [CELLS[i] for i in answer["cells"][: wanted.k]] == list(wanted.cells), n
        checked += 1
    return checked


def slides(folder):
    """Frames of the simulated microscope, patches from none to 31."""
    microscope, pictures = Microscope(3, workers=1), {}
    for kind, sparsity, defocus_um in FIELDS:
        truth = microscope.load_field(kind, sparsity, 1)
        picture = microscope.picture(truth.z_focus_um - defocus_um)
        pictures[f"RGB8 {kind} {sparsity}"] = picture
    np.savez(folder / "slides.npz", **pictures)
    return folder / "slides.npz"


def painted(folder):
    """Frames of several formats and sizes for the tiny networks."""
    pictures = {}
    for name in ("RGB8", "BGR8", "Mono8", "BayerRG8", "BayerGR8"):
        for number, size in enumerate(((2448, 2048), (2019, 2017))):
            frame = random_frame(PixelFormat(name), *size, seed=number)
            pictures[f"{name} {number}"] = frame.pixels
    np.savez(folder / "painted.npz", **pictures)
    return folder / "painted.npz"


def worst(result):
    """By how much the GPU's way differs from the CPU's, over all frames and rounds."""
    differ = {"um": 0.0, "patches_um": 0.0, "cells": 0, "frames": 0}
    for answers in result["gpu"]:
        for cpu, gpu in zip(result["cpu"], answers, strict=True):
            differ["frames"] += 1
            differ["cells"] += sorted(cpu["cells"]) != sorted(gpu["cells"])
            if cpu["um"] is not None and np.isfinite(cpu["um"]):
                differ["um"] = max(differ["um"], abs(cpu["um"] - gpu["um"]))
            for one, other in zip(
                sorted(cpu["patches_um"]), sorted(gpu["patches_um"]), strict=True
            ):
                differ["patches_um"] = max(differ["patches_um"], abs(one - other))
    return differ


def whole_way(result):
    """One comparison's verdict; AssertionError where the two ways differ."""
    differ = worst(result)
    assert not differ["cells"], differ
    assert differ["patches_um"] < 0.02, differ
    return differ | {"graph": result["graph"]}


def graph_and_plain(models, frames):
    """The same bytes with and without captured graphs, and ms by stage."""
    from engines.gpu.frame import ChoiceRule, GpuFrame

    _, (rin, dpn) = gpu_scenarios.opened(models)
    held = [frame for _, frame in gpu_scenarios.frames_of(frames)] * 3
    answers, modes, spent = [], [], {}
    for graphs in (True, False):
        gpu = GpuFrame(rin._cuda, rin, dpn, ChoiceRule(0.8, 31, 9, 3), graphs=graphs)
        answers.append([gpu_scenarios.meant(gpu(view(frame))) for frame in held])
        modes.append(gpu.graph)
    timed = [gpu.timed(view(frame))[1] for frame in held * 5]
    for stage in timed[0]:
        spent[stage] = round(statistics.median(each[stage] for each in timed), 4)
    assert answers[0] == answers[1]
    return {"modes": modes, "stage_ms": spent}


def many(models, frames):
    """FRAMES frames: free memory of the GPU and resident memory of the host, after 200 and after
    all."""
    import pycuda.driver

    sensor, nets = gpu_scenarios.opened(models)
    held, results = list(gpu_scenarios.frames_of(frames)), []
    start = time.monotonic()
    for number in range(FRAMES):
        if number in (200, FRAMES - 1):
            kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            results.append({"gpu_free_bytes": pycuda.driver.mem_get_info()[0], "host_kib": kib})
        gpu_scenarios.measured(sensor, held[number % len(held) :][:1])
    spent = (time.monotonic() - start) / FRAMES
    for net in nets:
        net.close()
    return {"frames": FRAMES, "ms_per_frame": round(1e3 * spent, 2), "after": results}


def main():
    out, words = Path(sys.argv[1]), sys.argv[2:]
    try:
        gpu = find_gpu()
    except GpuUnusable as error:
        sys.exit(f"gpu-check: {error}")
    report = {"gpu": gpu.name, "architecture": gpu.architecture}
    cuda = Cuda(compile_kernels(gpu.architecture))
    report["kernels_checked"] = kernels_equal_the_cpu(cuda)
    cuda.close()
    if "kernels" not in words:
        gpu_scenarios.live = list
        gpu_scenarios.driver = lambda: type("Real", (), {"stand_in_graph_launches": lambda: None})
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            gpu_scenarios.os.environ["STAND_IN_SCRATCH"] = scratch
            write_rin(folder)
            write_dpn(folder, witnesses=True)
            fields, noise = slides(folder), painted(folder)
            report["shipped"] = whole_way(gpu_scenarios.copied(SHIPPED, fields))
            report["shipped_mapped"] = whole_way(gpu_scenarios.mapped(SHIPPED, fields))
            report["tiny"] = whole_way(gpu_scenarios.three_times(folder, noise))
            report["graphs"] = graph_and_plain(SHIPPED, fields)
            report["many"] = many(folder, noise)
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
