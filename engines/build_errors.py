"""Why no plan was built; each is one line for a person, with what to do about it."""

from __future__ import annotations


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
