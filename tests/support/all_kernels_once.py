"""Every kernel on exactly as much memory as it may touch: run by `cpu_kernels.sanitized`.

Frames end with their last byte, the blocks do not divide the work, and the frames without a
margin reach for the border. A sanitizer ends the process with what it found.
"""

import sys

import numpy as np

from edge.camera import PixelFormat
from edge.measure.importance import ClassRule
from tests.support.cpu_kernels import CpuKernels, new_result
from tests.support.pixel_reference import random_frame

ROWS = {"10p": 2020, "12p": 2018}


def frames_way(cpu):
    """All kernels that work on pixels."""
    for pixel_format in PixelFormat:
        width = ROWS.get(pixel_format.value[-3:], 2017)
        for size in ((width, 2017), (2016, 2016)):
            frame = random_frame(pixel_format, *size)
            result = new_result()
            cpu.prepare(frame, result, (48, 5, 1))
            result[0]["cells"][:3] = 0, 80, 8
            cpu.gather(frame, result, 3, (48, 5, 1))


def choice_and_medians(cpu):
    """The small kernels, with every k."""
    rng = np.random.default_rng(4)
    for slots in (3, 9, 31):
        for k in range(slots + 1):
            result = new_result()
            cpu.select(rng.random((9, 9), np.float32), ClassRule(0.5), result)
            result[0]["k"] = k
            optics = rng.random((slots, 4), np.float32)
            cpu.collect(result, *rng.random((2, slots), np.float32), optics, optics[:, 0].copy())


if __name__ == "__main__":
    kernels = CpuKernels(sys.argv[1])
    choice_and_medians(kernels)
    if "pixels" in sys.argv[2:]:
        frames_way(kernels)
    print("done")
