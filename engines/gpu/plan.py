"""A plan and the manifest beside it: nothing reaches TensorRT before it is known to belong here.

A TensorRT plan is a program for one network, one TensorRT and one GPU model. `load_plan` reads it
once, from the fixed folder, and checks the very bytes that it hands out. What it cannot promise:
whoever can write the folder can write both files; hence the check of the permissions.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engines.errors import EngineRejected
from engines.gpu.device import Gpu
from engines.manifest import Manifest
from engines.own_cache import state_folder
from engines.strict_json import (
    Keys,
    is_bare_name,
    is_dict,
    is_int,
    is_list,
    is_sha256,
    is_size,
    is_text,
    parse,
)

PLANS = state_folder("plans")  # of the user who runs the loop
SCHEMA = 1
PLAN_LIMIT = 1 << 30  # these networks make some ten MB
#: batch sizes a plan is built for, one optimisation profile each, in this order
PROFILES: dict[str, tuple[int, ...]] = {"rin": (1,), "dpn": (3, 9, 31)}
AGAIN = "run `sparsefocus build-engines`"
FLAG, TYPED = "fp16-flag", "fp16-typed"


class PlanRefused(EngineRejected):
    """A plan must not be used here.

    `reason`: missing | malformed | unsafe | truncated | tampered | stale | foreign.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Host:
    """What a plan is tied to: TensorRT's version and the GPU's name and compute capability."""

    tensorrt: str
    gpu: str
    compute_capability: tuple[int, int]

    @classmethod
    def of(cls, trt: Any, gpu: Gpu) -> Host:
        """This machine, given the imported `tensorrt` and its GPU."""
        return cls(str(trt.__version__), gpu.name, gpu.compute_capability)


@dataclass(frozen=True, slots=True)
class PlanManifest:
    """What `<name>.plan.json` says.

    `golden`: worst difference to the CPU reference per output, the limits, and the plan's own
    answers; `build`: how it was built (memory limit, power mode, seconds). Both are records.
    """

    name: str  # "rin" | "dpn"
    file: str  # bare file name, in the manifest's folder
    sha256: str  # of the plan, lower-case hex
    size_bytes: int
    onnx_sha256: str  # of the shipped model it was built from
    host: Host
    precision: str  # FLAG | TYPED
    profiles: tuple[int, ...]  # batch sizes, in the order of the optimisation profiles
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    golden: Mapping[str, Any] = field(default_factory=dict)
    build: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    @classmethod
    def read(cls, path: Path) -> PlanManifest:
        """Read and check; EngineRejected names the file and the key."""
        top = Keys(path, "", parse(path))
        schema = top.take("schema", is_int)
        if schema != SCHEMA:
            top.reject("schema", f"{schema} is not {SCHEMA}, the one this release reads")
        manifest = cls(
            name=top.take("name", lambda v: v in tuple(PROFILES)),
            file=top.take("file", is_bare_name),
            sha256=top.take("sha256", is_sha256),
            size_bytes=top.take("size_bytes", lambda v: is_int(v) and 0 < v <= PLAN_LIMIT),
            onnx_sha256=top.take("onnx_sha256", is_sha256),
            host=_host(top.object("host")),
            precision=top.take("precision", lambda v: v in (FLAG, TYPED)),
            profiles=tuple(top.take("profiles", lambda v: _few(v, is_size))),
            inputs=tuple(top.take("inputs", lambda v: _few(v, is_text))),
            outputs=tuple(top.take("outputs", lambda v: _few(v, is_text))),
            golden=top.take("golden", is_dict),
            build=top.take("build", is_dict),
        )
        top.done()
        return manifest

    def to_json(self) -> bytes:
        """The JSON that `read` accepts."""
        values = asdict(self)
        ordered = {"schema": values.pop("schema"), **values}
        return (json.dumps(ordered, indent=2, allow_nan=False) + "\n").encode()


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan that may be deserialised here: exactly these bytes."""

    manifest: PlanManifest
    data: bytes

    def profile(self, k: int) -> tuple[int, int]:
        """(index, batch size) of the smallest profile that holds `k` patches.

        Profiles have fixed shapes: fewer patches are padded. Raises ValueError for too many.
        """
        fitting = [(size, i) for i, size in enumerate(self.manifest.profiles) if size >= k >= 1]
        if not fitting:
            raise ValueError(f"no profile of {self.manifest.profiles} holds {k} patches")
        size, index = min(fitting)
        return index, size


def manifest_path(name: str, folder: Path = PLANS) -> Path:
    """Where the manifest of a network's plan lies."""
    return folder / f"{name}.plan.json"


def load_plan(model: Manifest, host: Host, folder: Path = PLANS) -> Plan:
    """The plan of `model` for `host`, checked on the bytes that are returned.

    This is the only way a plan should come to `Runtime.deserialize_cuda_engine`. Raises
    PlanRefused, whose `reason` says why, before TensorRT has seen anything.
    """
    path = manifest_path(model.name, folder)
    if not path.exists():
        raise PlanRefused("missing", f"{path}: there is no plan: {AGAIN}")
    try:
        _refuse_unsafe(folder, os.stat(folder), directory=True)
        _refuse_unsafe(path, os.lstat(path))
        manifest = PlanManifest.read(path)
    except PlanRefused:
        raise
    except EngineRejected as error:
        raise PlanRefused("malformed", str(error)) from error
    _refuse_misfit(path, manifest, model, host)
    plan = folder / manifest.file
    data = _read(plan, manifest.size_bytes)
    if len(data) < manifest.size_bytes:
        raise PlanRefused(
            "truncated", f"{plan}: {len(data)} of {manifest.size_bytes} bytes: build it again"
        )
    digest = hashlib.sha256(data).hexdigest()
    if digest != manifest.sha256:
        raise PlanRefused(
            "tampered",
            f"{plan}: SHA-256 is {digest[:12]}..., its manifest says {manifest.sha256[:12]}...",
        )
    return Plan(manifest, data)


def _refuse_misfit(path: Path, plan: PlanManifest, model: Manifest, host: Host) -> None:
    if plan.name != model.name:
        raise PlanRefused("foreign", f"{path}: is a plan of {plan.name}, not of {model.name}")
    if plan.onnx_sha256 != model.sha256:
        raise PlanRefused(
            "stale",
            f"{path}: was built from model {plan.onnx_sha256[:12]}..., "
            f"{model.file} is {model.sha256[:12]}...: {AGAIN}",
        )
    for what, built, here in (
        ("TensorRT", plan.host.tensorrt, host.tensorrt),
        ("GPU", _gpu(plan.host), _gpu(host)),
    ):
        if built != here:
            raise PlanRefused(
                "foreign",
                f"{path}: was built for {what} {built}, this is {here}: {AGAIN}",
            )
    wanted = (
        PROFILES[model.name],
        tuple(spec.name for spec in model.inputs),
        tuple(spec.name for spec in model.outputs),
    )
    if (plan.profiles, plan.inputs, plan.outputs) != wanted:
        raise PlanRefused(
            "stale",
            f"{path}: profiles or tensors are not {wanted}: {AGAIN}",
        )


def _read(path: Path, size_bytes: int) -> bytes:
    """At most one byte more than expected, so that a long file does not pass for a short one."""
    try:
        # neither a link out of the folder nor a pipe that blocks
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise PlanRefused("missing", f"{path}: there is no plan: {AGAIN}") from error
    except OSError as error:
        raise PlanRefused("unsafe", f"{path}: cannot be read: {error.strerror}") from error
    try:
        _refuse_unsafe(path, os.fstat(handle))
        with os.fdopen(handle, "rb", closefd=False) as stream:
            return stream.read(size_bytes + 1)
    finally:
        os.close(handle)


def _refuse_unsafe(path: Path, status: os.stat_result, directory: bool = False) -> None:
    if not (stat.S_ISDIR if directory else stat.S_ISREG)(status.st_mode):
        raise PlanRefused("unsafe", f"{path}: is not a plain {'folder' if directory else 'file'}")
    if status.st_mode & stat.S_IWOTH:
        raise PlanRefused("unsafe", f"{path}: anyone may write it: chmod o-w")


def _host(keys: Keys) -> Host:
    host = Host(
        tensorrt=keys.take("tensorrt", is_text),
        gpu=keys.take("gpu", is_text),
        compute_capability=tuple(
            keys.take("compute_capability", lambda v: is_list(v, 2, lambda n: is_int(n) and n >= 0))
        ),
    )
    keys.done()
    return host


def _few(value: Any, each: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= 8 and all(map(each, value))


def _gpu(host: Host) -> str:
    return "{} ({}.{})".format(host.gpu, *host.compute_capability)
