"""Everything on the GPU that a frame needs, opened in the order in which it can be refused.

Plans come from the fixed folder and are checked before TensorRT sees them. The kernels are compiled
here, by the toolkit that JetPack has: half a second, and no file that would have to be trusted.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from engines.errors import BuildFailed, GpuFailed
from engines.gpu.cuda import Cuda, import_pycuda
from engines.gpu.device import find_gpu
from engines.gpu.frame import ChoiceRule, GpuFrame
from engines.gpu.plan import PLANS, Host, load_plan
from engines.gpu.tensorrt_engine import TensorRtEngine
from engines.gpu.tensorrt_library import import_tensorrt
from engines.kernels import source
from engines.kernels.compile import CompileError, Compiler, Nvcc, Nvrtc
from engines.manifest import Manifest


def open_gpu(
    rin: Manifest, dpn: Manifest, plans: Path = PLANS
) -> tuple[Cuda, TensorRtEngine, TensorRtEngine]:
    """The GPU and both networks on it; closing both engines closes all.

    PlanRefused when a plan does not belong here, GpuFailed when anything of TensorRT, pycuda, the
    driver, the GPU or the kernels' compiler is missing or fails.
    """
    try:
        trt, gpu = import_tensorrt(), find_gpu()
    except BuildFailed as error:
        raise GpuFailed(str(error)) from error
    host = Host.of(trt, gpu)
    loaded = [(model, load_plan(model, host, plans)) for model in (rin, dpn)]
    import_pycuda()  # before the compiler works in vain
    cuda = Cuda(compile_kernels(gpu.architecture))
    cuda.hold()  # until both engines hold it
    with contextlib.ExitStack() as opened:
        opened.callback(cuda.drop)
        engines = []
        for model, plan in loaded:
            engines.append(TensorRtEngine(trt, cuda, model, plan))
            opened.callback(engines[-1].close)
        opened.pop_all()
    cuda.drop()
    return cuda, engines[0], engines[1]


def compile_kernels(architecture: str) -> bytes:
    """Machine code of the kernels, by NVRTC or nvcc; GpuFailed where there is neither."""
    reasons = []
    for make in (lambda: Nvrtc(13), lambda: Nvrtc(12), Nvcc):
        try:
            compiler: Compiler = make()
            return compiler.cubin(architecture, source())
        except CompileError as error:
            reasons.append(str(error).splitlines()[-1][:160])
    raise GpuFailed(f"the kernels were not compiled: {'; '.join(dict.fromkeys(reasons))}")


__all__ = ["GpuFrame", "ChoiceRule", "compile_kernels", "open_gpu"]
