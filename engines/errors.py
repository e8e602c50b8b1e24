"""What the engines refuse: models, plans and answers that are not what they claim to be."""


class EngineRejected(Exception):
    """A model, its manifest or its outputs are not what they claim to be."""


class OutputNotFinite(EngineRejected):
    """A network answered NaN or infinity: this frame has no result; the engine itself is sound."""


class GpuFailed(EngineRejected):
    """The GPU, its driver or TensorRT did not do what was asked: nothing of this frame is known."""
