"""Which GPU is here, asked of the CUDA driver alone.

A plan is good for one GPU model, so builder and loader must name it, also where neither pycuda
nor TensorRT is installed. Source: CUDA driver API, cuDeviceGetAttribute and CUdevice_attribute.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from engines.errors import GpuUnusable

DRIVER = "libcuda.so.1"
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: its marketing name ("Orin"), compute capability (8, 7) and memory in bytes."""

    name: str
    compute_capability: tuple[int, int]
    memory_bytes: int

    @property
    def architecture(self) -> str:
        """As the compiler calls it, such as "sm_87"."""
        return "sm_{}{}".format(*self.compute_capability)


def open_driver(library: str = DRIVER) -> Any:
    """The CUDA driver, initialised. GpuUnusable where there is none or no GPU answers."""
    try:
        driver = ctypes.CDLL(library)
    except OSError as error:
        raise GpuUnusable(
            f"no NVIDIA driver ({library}): build on the device itself, plans are not portable"
        ) from error
    ask(driver, "cuInit", ctypes.c_uint(0))
    return driver


def ask(driver: Any, call: str, *arguments: Any) -> None:
    """One driver call. GpuUnusable with the call's name and number when it does not succeed."""
    status = int(getattr(driver, call)(*arguments))
    if status:
        raise GpuUnusable(f"the NVIDIA driver answers {call} with error {status}")


def find_gpu(library: str = DRIVER) -> Gpu:
    """The first GPU of this machine, the one the runtime uses. GpuUnusable where there is none."""
    driver = open_driver(library)
    count, device = ctypes.c_int(), ctypes.c_int()
    ask(driver, "cuDeviceGetCount", ctypes.byref(count))
    if count.value < 1:
        raise GpuUnusable("the NVIDIA driver finds no GPU")
    ask(driver, "cuDeviceGet", ctypes.byref(device), 0)
    name = ctypes.create_string_buffer(128)
    ask(driver, "cuDeviceGetName", name, len(name), device)
    parts = []
    for attribute in (_MAJOR, _MINOR):
        value = ctypes.c_int()
        ask(driver, "cuDeviceGetAttribute", ctypes.byref(value), attribute, device)
        parts.append(value.value)
    memory = ctypes.c_size_t()
    ask(driver, "cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    return Gpu(name.value.decode("utf-8", "replace"), (parts[0], parts[1]), memory.value)
