"""What the engines refuse, and why no plan was built: each is one line for a person."""

from __future__ import annotations


class EngineRejected(Exception):
    """A model, its manifest or its outputs are not what they claim to be."""


class OutputNotFinite(EngineRejected):
    """A network answered NaN or infinity: this frame has no result; the engine itself is sound."""


class GpuFailed(EngineRejected):
    """The GPU, its driver or TensorRT did not do what was asked: nothing of this frame is known."""


class BuildFailed(Exception):
    """A plan was not built. `reason` is the short name by which tests and scripts tell why."""

    reason = "failed"


class TensorRtMissing(BuildFailed):
    """TensorRT or a package that the builder needs cannot be imported."""

    reason = "no-tensorrt"


class GpuUnusable(BuildFailed):
    """No NVIDIA GPU answers, or it is too old for these plans."""

    reason = "wrong-gpu"


class OutOfMemory(BuildFailed):
    """The builder found no memory for the network."""

    reason = "out-of-memory"


class OperatorUnsupported(BuildFailed):
    """This TensorRT does not take an operator of the network."""

    reason = "unsupported-operator"


class PlanInaccurate(BuildFailed):
    """A built plan answers the golden inputs differently from the CPU reference."""

    reason = "inaccurate"
