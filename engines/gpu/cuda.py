"""CUDA for the frame's way: the primary context, one stream, memory, kernels, graphs.

pycuda is imported when a `Cuda` is made, so nothing else needs it. All of it belongs to the thread
that made it. Everything is allocated here and given back by `close`, so that a count of what lives
on the GPU is a count of what this module forgot. pycuda has no graphs: those are called through
ctypes (CUDA driver API, "Graph Management" and "Stream Management").
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.errors import GpuFailed
from engines.gpu.device import DRIVER
from engines.kernels.launch import KERNELS, Kernel

U8 = npt.NDArray[np.uint8]

_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may allocate meanwhile


class Pinned:
    """Page-locked memory of the host. `array`: uint8, flat; `address`: for kernels, 0 if they
    cannot reach it."""

    def __init__(self, array: U8, address: int) -> None:
        self.array, self.address = array, address


class Cuda:
    """The first GPU of this machine. GpuFailed when it, its driver or pycuda is not usable.

    `cubin` holds the kernels, compiled for this GPU. Whoever uses it says so by `hold`; after the
    last `drop` everything is given back.
    """

    def __init__(self, cubin: bytes) -> None:
        self._driver = import_pycuda()
        self._users, self._open = 0, True
        self._held: list[Any] = []
        self._graphs: list[Repeated] = []
        self._stream: Any = None
        self._module: Any = None
        self._functions: dict[str, Any] = {}
        with self._asked("open the GPU"):
            self._driver.init()
            device = self._driver.Device(0)
            # TensorRT works in the primary context
            self._context = device.retain_primary_context()
            self._context.push()
        atexit.register(self.close)  # pycuda aborts a process that ends with a context
        try:
            with self._asked("load the kernels"):
                can_map = self._driver.device_attribute.CAN_MAP_HOST_MEMORY
                self._can_map = bool(device.get_attribute(can_map))
                self._stream = self._driver.Stream()
                self._module = self._driver.module_from_buffer(cubin)
                self._functions.update(map(self._function, KERNELS.values()))
        except BaseException:
            self.close()
            raise

    @property
    def stream(self) -> int:
        """Handle of the one stream, for TensorRT."""
        return int(self._stream.handle)

    def hold(self) -> None:
        """One user more."""
        self._users += 1

    def drop(self) -> None:
        """One user less; the last one closes."""
        self._users -= 1
        if self._users <= 0:
            self.close()

    def allocate(self, size_bytes: int) -> int:
        """Memory of the GPU until `close`; its address."""
        with self._asked(f"allocate {size_bytes} bytes"):
            held = self._driver.mem_alloc(size_bytes)
        self._held.append(held)
        return int(held)

    def pin(self, size_bytes: int, mapped: bool = False) -> Pinned:
        """Page-locked memory until `close`; with `mapped`, kernels read it where it lies."""
        if mapped and not self._can_map:
            raise GpuFailed("this GPU cannot map the host's memory: use frame memory copy")
        flags = self._driver.host_alloc_flags.DEVICEMAP if mapped else 0
        with self._asked(f"pin {size_bytes} bytes"):
            array = self._driver.pagelocked_empty(size_bytes, np.uint8, mem_flags=flags)
            address = int(array.base.get_device_pointer()) if mapped else 0
        self._held.append(array.base)
        return Pinned(array, address)

    def release(self, *memory: int | Pinned) -> None:
        """Give memory back before `close`: a frame of another size needs other memory."""
        gone = [each.array.base if isinstance(each, Pinned) else each for each in memory]
        with self._asked("free memory"):
            for held in list(self._held):
                if any(held is each or _is_at(held, each) for each in gone):
                    held.free()
                    self._held.remove(held)

    def copy_in(self, to: int, source: U8) -> None:
        """Enqueue: pinned memory of the host to the GPU."""
        with self._asked("copy to the GPU"):
            self._driver.memcpy_htod_async(to, source, self._stream)

    def copy_out(self, to: U8, source: int) -> None:
        """Enqueue: the GPU to pinned memory of the host; there after `synchronize`."""
        with self._asked("copy from the GPU"):
            self._driver.memcpy_dtoh_async(to, source, self._stream)

    def launch(self, kernel: Kernel, depth: int = 1, **values: int | float | None) -> None:
        """Enqueue a kernel, `depth` slots deep; arguments by name as in its prototype."""
        arguments = [each.value or 0 for each in kernel.arguments(**values)]
        with self._asked(f"launch {kernel.name}"):
            self._functions[kernel.name].prepared_async_call(
                kernel.grid(depth), kernel.block, self._stream, *arguments
            )

    def synchronize(self) -> None:
        """Wait for all that was enqueued; what failed on the GPU is reported here at the latest."""
        with self._asked("finish"):
            self._stream.synchronize()

    def event(self) -> Any:
        """An event of the stream, recorded now; `b.time_since(a)` in ms after `synchronize`."""
        with self._asked("record an event"):
            event = self._driver.Event()
            event.record(self._stream)
        return event

    def repeated(self, enqueue: Callable[[], None], graph: bool = True) -> Repeated:
        """`enqueue` made ready to be run for every frame, as a graph where that works."""
        made = Repeated(self, enqueue, graph)
        self._graphs.append(made)
        return made

    def forget(self, work: Sequence[Repeated]) -> None:
        """Destroy graphs: the memory they name is about to go."""
        for each in work:
            each.close()
            self._graphs.remove(each)

    def close(self) -> None:
        """Give everything back, the context last; safe to call twice and after a failure."""
        if not self._open:
            return
        self._open = False
        atexit.unregister(self.close)
        # a GPU that has failed refuses this too: then the driver cleans up when the process ends
        with suppress(self._driver.Error):
            self.forget(list(self._graphs))
            for held in reversed(self._held):
                held.free()
        self._held.clear()
        self._functions.clear()
        self._stream = self._module = None
        with suppress(self._driver.Error):
            self._context.pop()
            self._context.detach()

    def _function(self, kernel: Kernel) -> tuple[str, Any]:
        function = self._module.get_function(kernel.name)
        function.prepare(kernel.letters)
        return kernel.name, function

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        try:
            yield
        except self._driver.Error as error:
            reason = " ".join(str(error).split())[:200]
            raise GpuFailed(f"the GPU did not {what}: {reason}") from error


class Repeated:
    """A sequence of enqueued work. Plainly the first time, which also lets TensorRT settle; then
    captured into a graph, and launched as one. Where capture fails, plainly for good, and
    `refused` says why."""

    def __init__(self, cuda: Cuda, enqueue: Callable[[], None], graph: bool) -> None:
        self._cuda, self._enqueue = cuda, enqueue
        self._library = ctypes.CDLL(DRIVER)
        self._graph = ctypes.c_void_p()
        self._settled = False
        self.refused = "" if graph else "not asked for"

    @property
    def is_graph(self) -> bool:
        """Whether the next call launches a graph."""
        return bool(self._graph.value)

    def __call__(self) -> None:
        """Enqueue the work once."""
        if self._settled and not self.is_graph and not self.refused:
            self.refused = self._capture()
        if self.is_graph:
            status = self._library.cuGraphLaunch(self._graph, self._stream())
            if status:
                raise GpuFailed(f"the GPU did not launch a graph: error {status}")
            return
        self._enqueue()
        self._settled = True

    def close(self) -> None:
        """Destroy the graph."""
        if self.is_graph:
            self._library.cuGraphExecDestroy(self._graph)
            self._graph.value = None

    def _stream(self) -> ctypes.c_void_p:
        return ctypes.c_void_p(self._cuda.stream)

    def _capture(self) -> str:
        """Why there is no graph; empty when there is one."""
        self._cuda.synchronize()
        library, stream, captured = self._library, self._stream(), ctypes.c_void_p()
        status = library.cuStreamBeginCapture_v2(stream, ctypes.c_int(_THREAD_LOCAL))
        if status:
            return f"cuStreamBeginCapture_v2: error {status}"
        reason = ""
        try:
            self._enqueue()
        except GpuFailed as error:  # the capture is void, and must still be ended
            reason = str(error)
        status = library.cuStreamEndCapture(stream, ctypes.byref(captured))
        if status or reason:
            self._destroy(captured)
            return reason or f"cuStreamEndCapture: error {status}"
        status = library.cuGraphInstantiateWithFlags(
            ctypes.byref(self._graph), captured, ctypes.c_ulonglong(0)
        )
        self._destroy(captured)
        if status:
            self._graph.value = None
            return f"cuGraphInstantiateWithFlags: error {status}"
        return ""

    def _destroy(self, captured: ctypes.c_void_p) -> None:
        if captured.value:
            self._library.cuGraphDestroy(captured)


def import_pycuda() -> Any:
    """`pycuda.driver`; GpuFailed says how to get it."""
    try:
        return importlib.import_module("pycuda.driver")
    except (ImportError, OSError) as error:  # without libcuda.so.1 it is an ImportError, too
        reason = " ".join(str(error).split())[:120]
        raise GpuFailed(
            f"pycuda is not here ({reason}): on a Jetson, pip install '.[jetson]'"
        ) from error


def _is_at(held: Any, address: Any) -> bool:
    return isinstance(address, int) and hasattr(held, "__int__") and int(held) == address


__all__ = ["Cuda", "Pinned", "Repeated", "import_pycuda"]
