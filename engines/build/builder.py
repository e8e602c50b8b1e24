"""One network through TensorRT's builder: parsed, given its profiles and its precision, compiled.

Every answer of TensorRT is checked: parse errors, a profile that is refused by returning -1, a
cache that does not fit, a builder that returns nothing. `trt` is the imported `tensorrt`, handed
in so that this module needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engines.build.progress import Bar, make_monitor
from engines.errors import BuildFailed, OperatorUnsupported, OutOfMemory
from engines.gpu.plan import FLAG, PROFILES, TYPED
from engines.gpu.tensorrt_library import make_log
from engines.manifest import Manifest

MEMORY_WORDS = ("outofmemory", "out of memory", "insufficient memory", "insufficient workspace")


@dataclass(frozen=True, slots=True)
class Order:
    """What to build: the model's manifest, its ONNX as `fp16.prepare` made it, how, how large."""

    model: Manifest
    onnx: bytes
    precision: str  # FLAG | TYPED
    workspace_bytes: int


@dataclass(frozen=True, slots=True)
class Built:
    """A serialised plan, the timing cache after it, and how many layers were asked for in FP16."""

    plan: bytes
    timing_cache: bytes
    half_layers: int
    layers: int


def build_plan(trt: Any, order: Order, bar: Bar, timing_cache: bytes = b"") -> Built:
    """Compile. Raises OperatorUnsupported, OutOfMemory or BuildFailed with TensorRT's own words.

    KeyboardInterrupt when Ctrl-C was pressed: TensorRT stops at its next step.
    """
    log = make_log(trt)
    builder = trt.Builder(log)
    network = _parse(trt, builder, log, order)
    half, layers = _half_layers(trt, network)
    if order.precision == TYPED and not half:
        raise BuildFailed(f"{order.model.file}: no layer is FP16 in a network that should be")
    config = builder.create_builder_config()
    _configure(trt, config, order)
    _add_profiles(builder, config, network, order)
    timings = _give_timing_cache(config, timing_cache)
    monitor = make_monitor(trt, bar)
    config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if monitor.interrupted:
        raise KeyboardInterrupt
    if plan is None:
        raise _failure(order.model.file, log.errors)
    return Built(bytes(plan), bytes(timings.serialize()), half, layers)


def _parse(trt: Any, builder: Any, log: Any, order: Order) -> Any:
    flags = trt.NetworkDefinitionCreationFlag
    typed = 1 << int(flags.STRONGLY_TYPED) if order.precision == TYPED else 0
    network = builder.create_network(typed)
    parser = trt.OnnxParser(network, log)
    if parser.parse(order.onnx):
        return network
    if not parser.num_errors:
        raise BuildFailed(f"{order.model.file}: TensorRT cannot read it and gives no reason")
    raise _parse_failure(trt, parser, order.model.file)


def _parse_failure(trt: Any, parser: Any, file: str) -> BuildFailed:
    """What the parser's first error means; which code it gives for a missing operator varies."""
    error = parser.get_error(0)
    operator, description = str(error.node_operator()), _short(error.desc())
    here = f"TensorRT {trt.__version__}"
    if error.code() == trt.ErrorCode.MEM_ALLOC_FAILED:
        return OutOfMemory(
            f"{file}: out of memory while it is read: close other programs: {description}"
        )
    unknown = bool(operator) and not parser.supports_operator(operator)
    if unknown or "UNSUPPORTED" in str(error.code()):
        node = error.node_name() or f"number {error.node()}"
        return OperatorUnsupported(
            f"{file}: {here} does not take operator {operator} of node {node}: {description}"
        )
    return BuildFailed(f"{file}: {here} cannot read it: {description}")


def _configure(trt: Any, config: Any, order: Order) -> None:
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, order.workspace_bytes)
    # the inspector then names the precision of every layer; costs nothing at run time
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if order.precision == FLAG:
        config.set_flag(trt.BuilderFlag.FP16)


def _add_profiles(builder: Any, config: Any, network: Any, order: Order) -> None:
    """One profile of fixed shapes per batch size; a network of fixed shape needs none."""
    given = network.get_input(0)
    if -1 not in tuple(given.shape):
        return
    for size in PROFILES[order.model.name]:
        shape = (size, *tuple(given.shape)[1:])
        profile = builder.create_optimization_profile()
        try:
            profile.set_shape(given.name, shape, shape, shape)
            added = config.add_optimization_profile(profile)
        except RuntimeError:  # pybind's, for shapes that contradict each other
            added = -1
        if added < 0:
            raise BuildFailed(f"{order.model.file}: TensorRT refuses the profile {shape}")


def _give_timing_cache(config: Any, data: bytes) -> Any:
    """The cache in use; one from another TensorRT or GPU is replaced by an empty one."""
    for content in (data, b""):
        timings = config.create_timing_cache(content)
        if config.set_timing_cache(timings, False):
            return timings
    raise BuildFailed("TensorRT refuses an empty timing cache")


def _half_layers(trt: Any, network: Any) -> tuple[int, int]:
    """Layers whose first output is FP16 in the parsed network, and all of its layers."""
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    half = [each for each in layers if each.get_output(0).dtype == trt.DataType.HALF]
    return len(half), len(layers)


def _failure(file: str, errors: Sequence[str]) -> BuildFailed:
    """The failure that TensorRT's error lines describe."""
    # a CUDA call that failed is the echo of the reason, not the reason, if there is another
    telling = [line for line in errors if "catchCudaError" not in line] or list(errors)
    for line in telling:
        if any(words in line.lower() for words in MEMORY_WORDS):
            return OutOfMemory(
                f"{file}: out of memory: close other programs or change --workspace-mib: "
                f"{_short(line)}"
            )
    return BuildFailed(f"{file}: {_short(telling[0]) if telling else 'TensorRT built no plan'}")


def _short(text: str) -> str:
    return " ".join(text.split())[:240]
