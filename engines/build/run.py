"""From a wish to a plan in place: prepare, build, try, compare, store; each network in turn."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines import golden
from engines.build import fp16
from engines.build.builder import Built, Order, build_plan
from engines.build.plan_files import plan_file, store
from engines.build.progress import Bar
from engines.build.timing_cache import TimingCache, power_mode
from engines.build.trial import Trial
from engines.engine import MODELS
from engines.errors import BuildFailed, EngineRejected, GpuUnusable, OutOfMemory
from engines.gpu.device import Gpu, find_gpu
from engines.gpu.plan import PLANS, PROFILES, TYPED, Host, PlanManifest, PlanRefused, load_plan
from engines.gpu.tensorrt_library import import_tensorrt
from engines.manifest import Manifest
from engines.onnx_engine import OnnxEngine

#: below it TensorRT 10 has no support; Orin is 8.7, Thor 11.0
LEAST_CAPABILITY = (7, 5)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person asks of `build-engines`; `precision` None = by TensorRT's version."""

    models: Path = MODELS
    out: Path = PLANS
    networks: tuple[str, ...] = tuple(PROFILES)
    precision: str | None = None
    workspace_bytes: int = 1 << 30
    force: bool = False
    quiet: bool = False


def describe(wishes: Wishes) -> Iterator[str]:
    """What `build_all` would do, one line per fact; needs neither TensorRT nor a GPU."""
    trt, gpu = _if_there(import_tensorrt), _if_there(find_gpu)
    yield f"TensorRT: {trt.__version__ if trt else 'not on this machine'}"
    yield f"GPU:      {f'{gpu.name}, {gpu.architecture}' if gpu else 'none on this machine'}"
    for model in _models(wishes):
        given = model.inputs[0]
        rest = " x ".join(map(str, given.shape[1:]))
        sizes = ", ".join(map(str, PROFILES[model.name]))
        yield f"{model.name}: {wishes.models / model.file}, {model.sha256[:12]}..., as promised"
        yield f"{model.name}:   input {given.name} uint8 k x {rest}, profiles k = {sizes}"
        if trt is not None:
            yield f"{model.name}:   precision {_precision(trt, wishes)}"
        else:
            yield f"{model.name}:   precision {wishes.precision or 'by the version of TensorRT'}"
        yield f"{model.name}:   memory limit {wishes.workspace_bytes >> 20} MiB"
        yield f"{model.name}:   {_state(model, trt, gpu, wishes)}"


def build_all(wishes: Wishes) -> Iterator[str]:
    """Build what is not up to date; one line per network when it is in place.

    Raises BuildFailed (see `build_errors`), EngineRejected for a bad model, OSError for the disk.
    """
    models = list(_models(wishes))  # a bad model is known before anything is built
    trt, gpu = import_tensorrt(), find_gpu()
    if gpu.compute_capability < LEAST_CAPABILITY:
        raise GpuUnusable(
            f"{gpu.name} has compute capability {'{}.{}'.format(*gpu.compute_capability)}; "
            f"TensorRT needs {'{}.{}'.format(*LEAST_CAPABILITY)} or above"
        )
    if wishes.workspace_bytes > gpu.memory_bytes:
        raise OutOfMemory(
            f"{gpu.name} has {gpu.memory_bytes >> 20} MiB: --workspace-mib must be below that"
        )
    host, precision = Host.of(trt, gpu), _precision(trt, wishes)
    wishes.out.mkdir(mode=0o755, parents=True, exist_ok=True)
    with _alone(wishes.out):
        for model in models:
            if not wishes.force and _is_current(model, host, precision, wishes.out):
                yield f"{model.name}: up to date"
                continue
            yield _build_one(trt, model, host, precision, wishes)


def _build_one(trt: Any, model: Manifest, host: Host, precision: str, wishes: Wishes) -> str:
    start = time.monotonic()
    given = golden.batches(model.name, shape=model.inputs[0].shape)
    onnx = fp16.prepare(model.model_bytes(), precision)
    expected = golden.reference(model, given)
    estimate = _check_onnx(model, onnx, given, expected)
    cache = TimingCache(wishes.out, host)
    order = Order(model, onnx, precision, wishes.workspace_bytes)
    built = build_plan(trt, order, Bar(model.name, wishes.quiet), cache.read())
    cache.write(built.timing_cache)
    with Trial(trt, model, PROFILES[model.name], built.plan) as trial:
        record = golden.examine(f"{model.name} plan", model, trial.run, given, expected)
        in_half = trial.half_layers()
    seconds = time.monotonic() - start
    facts = _facts(built, in_half, estimate, seconds, wishes)
    manifest = store(
        _manifest(model, host, precision, record, facts, built), built.plan, wishes.out
    )
    worst = ", ".join(f"{name} within {value:g}" for name, value in record["worst"].items())
    return f"{model.name}: {wishes.out / manifest.file}, {seconds:.0f} s, {worst} of the CPU"


def _check_onnx(
    model: Manifest, onnx: bytes, given: list[golden.U8], expected: list[golden.Answers]
) -> dict[str, float]:
    """Run the prepared network in ONNX Runtime: converters have written what only it refuses."""
    engine = OnnxEngine(model, data=onnx)
    names = [output.name for output in model.outputs]
    answers = [dict(zip(names, engine.infer(batch), strict=True)) for batch in given]
    what = f"{model.name} as prepared for TensorRT"
    worst = golden.compare(what, model, expected, answers)
    return {name: float(f"{value:.3g}") for name, value in worst.items()}


def _manifest(
    model: Manifest, host: Host, precision: str, record: Any, facts: Any, built: Built
) -> PlanManifest:
    return PlanManifest(
        name=model.name,
        file=plan_file(model.name, built.plan),
        sha256="",  # `store` fills in what depends on the bytes
        size_bytes=0,
        onnx_sha256=model.sha256,
        host=host,
        precision=precision,
        profiles=PROFILES[model.name],
        inputs=tuple(spec.name for spec in model.inputs),
        outputs=tuple(spec.name for spec in model.outputs),
        golden=record,
        build=facts,
    )


def _facts(
    built: Built, in_half: tuple[int, int], estimate: dict[str, float], seconds: float,
    wishes: Wishes,
) -> dict[str, Any]:  # fmt: skip
    return {
        "seconds": round(seconds, 1),
        "workspace_mib": wishes.workspace_bytes >> 20,
        "power_mode": power_mode(),
        "network_layers": [built.half_layers, built.layers],  # FP16, all
        "plan_layers": list(in_half),
        "onnx_minus_cpu": estimate,
    }


def _models(wishes: Wishes) -> Iterator[Manifest]:
    for name in wishes.networks:
        model = Manifest.read(wishes.models / f"{name}.json")
        if model.name != name:
            raise EngineRejected(f"{wishes.models / f'{name}.json'}: describes {model.name}")
        model.model_bytes()
        yield model


def _precision(trt: Any, wishes: Wishes) -> str:
    precision = wishes.precision or fp16.choose(trt)
    if precision != TYPED and not hasattr(trt.BuilderFlag, "FP16"):
        raise BuildFailed(f"TensorRT {trt.__version__} has no FP16 flag: use --fp16 typed")
    return precision


def _is_current(model: Manifest, host: Host, precision: str, folder: Path) -> bool:
    try:
        return load_plan(model, host, folder).manifest.precision == precision
    except PlanRefused:
        return False


def _state(model: Manifest, trt: Any, gpu: Gpu | None, wishes: Wishes) -> str:
    if trt is None or gpu is None:
        return f"would be built into {wishes.out}, on a machine with TensorRT and a GPU"
    host, precision = Host.of(trt, gpu), _precision(trt, wishes)
    if not wishes.force and _is_current(model, host, precision, wishes.out):
        return "up to date: would not be built"
    try:
        load_plan(model, host, wishes.out)
    except PlanRefused as refusal:
        return f"would be built: {refusal.reason}"
    return "would be built again"


def _if_there(find: Any) -> Any:
    try:
        return find()
    except BuildFailed:
        return None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One builder per folder; the lock dies with the process."""
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BuildFailed(f"{folder}: another build is running") from error
        yield
    finally:
        os.close(handle)


__all__ = ["Wishes", "build_all", "describe"]
