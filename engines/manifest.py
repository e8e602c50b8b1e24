"""The manifest beside every ONNX file: what the network is, for which optics, and its hash.

A model file is a program, so it is used only with a manifest that names its SHA-256, its
inputs and outputs, how its input was made and for which optics it was trained. The hash is
checked on the very bytes that are handed to the runtime, not on a second read of the file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

SCHEMA = 1
SIZE_LIMIT = 1 << 20  # a manifest is a few KiB; more is not a manifest


class EngineRejected(Exception):
    """A model, its manifest or its outputs are not what they claim to be."""


class OutputNotFinite(EngineRejected):
    """A network answered NaN or infinity: this frame has no result; the engine itself is sound."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input: `shape` with "k" or -1 where the batch size is free; NHWC, RGB, uint8."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str = "uint8"
    layout: str = "NHWC"
    channels: str = "RGB"


@dataclass(frozen=True, slots=True)
class Output:
    """One float32 output and its unit ("um", "1")."""

    name: str
    shape: tuple[int | str, ...]
    unit: str


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a frame becomes network input (paper section 4.1)."""

    crop_px: int = 2016
    resize_px: int = 512
    patch_px: int = 224
    grid: tuple[int, int] = (9, 9)


@dataclass(frozen=True, slots=True)
class Optics:
    """The optics the network was trained for, and the distance within which it was calibrated."""

    objective: str
    na: float
    magnification: float
    um_per_px: float  # in the object plane
    wavelength_um: tuple[float, float, float]  # effective, of R, G, B
    w040_waves: tuple[float, float]  # primary spherical aberration at green, from..to
    condenser_sigma: float
    range_um: float  # |defocus| up to this was trained and calibrated


#: the instrument of the shipped models
NOMINAL_OPTICS = Optics(
    objective="20x/0.75 dry",
    na=0.75,
    magnification=20.0,
    um_per_px=0.34,
    wavelength_um=(0.610, 0.535, 0.460),
    w040_waves=(0.27, 0.63),
    condenser_sigma=0.7,
    range_um=27.0,  # the 25 of the paper, and room for the error of an estimate there
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `<model>.json` says. The three free dicts are JSON objects of the training side."""

    name: str  # "rin" | "dpn"
    file: str  # bare file name, in the manifest's folder
    sha256: str  # of the ONNX file, lower-case hex
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    optics: Optics
    preprocessing: Preprocessing = Preprocessing()
    calibration: Mapping[str, Any] = field(default_factory=dict)
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA
    folder: Path = Path()  # where it was read from; not part of the file

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read and check a manifest; EngineRejected names the file and the key."""
        top = _Keys(path, "", _parse(path))
        schema = top.take("schema", _is_int)
        if schema != SCHEMA:
            top.reject("schema", f"{schema} is not {SCHEMA}, the one this release reads")
        manifest = cls(
            name=top.take("name", lambda v: v in ("rin", "dpn")),
            file=top.take("file", _is_bare_name),
            sha256=top.take("sha256", _is_sha256),
            inputs=tuple(_input(k) for k in top.objects("inputs")),
            outputs=tuple(_output(k) for k in top.objects("outputs")),
            optics=_optics(top.object("optics")),
            preprocessing=_preprocessing(top.object("preprocessing")),
            calibration=top.take("calibration", _is_dict),
            accuracy=top.take("accuracy", _is_dict),
            training=top.take("training", _is_dict),
            folder=Path(path).parent,
        )
        top.done()
        return manifest

    def write(self, path: Path) -> None:
        """Write the JSON that `read` accepts (UTF-8, sorted as declared here)."""
        values = asdict(self)
        del values["folder"]
        ordered = {"schema": values.pop("schema"), **values}
        Path(path).write_text(json.dumps(ordered, indent=2, allow_nan=False) + "\n", "utf-8")

    def model_bytes(self) -> bytes:
        """The ONNX file's bytes after their hash was checked; hand exactly these to the runtime."""
        path = self.folder / self.file
        try:
            data = path.read_bytes()
        except OSError as error:
            raise EngineRejected(f"{path}: cannot be read: {error.strerror}") from error
        found = hashlib.sha256(data).hexdigest()
        if found != self.sha256:
            raise EngineRejected(
                f"{path}: SHA-256 is {found[:12]}..., its manifest says {self.sha256[:12]}..."
            )
        return data


class _Keys:
    """One JSON object whose keys are taken one by one; what is left over is unknown."""

    def __init__(self, path: Path, where: str, values: Any) -> None:
        self.path, self.where = path, where
        if not isinstance(values, dict):
            raise EngineRejected(f"{path}: {where.rstrip('.') or 'the file'} must be a JSON object")
        self.left = dict(values)

    def reject(self, key: str, why: str) -> NoReturn:
        raise EngineRejected(f"{self.path}: {self.where}{key}: {why}")

    def take(self, key: str, valid: Callable[[Any], bool]) -> Any:
        if key not in self.left:
            self.reject(key, "is missing")
        value = self.left.pop(key)
        if not valid(value):
            self.reject(key, f"{json.dumps(value)[:60]} is not valid here")
        return value

    def object(self, key: str) -> _Keys:
        return _Keys(self.path, f"{self.where}{key}.", self.take(key, _is_dict))

    def objects(self, key: str) -> list[_Keys]:
        items = self.take(key, lambda v: isinstance(v, list) and 0 < len(v) <= 8)
        return [_Keys(self.path, f"{self.where}{key}[{i}].", v) for i, v in enumerate(items)]

    def done(self) -> None:
        for key in self.left:
            self.reject(key, "is unknown")


def _parse(path: Path) -> Any:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise EngineRejected(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > SIZE_LIMIT:
        raise EngineRejected(f"{path}: {len(data)} bytes is above the limit of {SIZE_LIMIT}")
    try:
        return json.loads(data, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise EngineRejected(f"{path}: is not the JSON of a manifest: {error}") from error


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        seen: set[str] = set()
        raise ValueError(f"key {next(k for k, _ in pairs if k in seen or seen.add(k))!r} twice")  # type: ignore[func-returns-value]
    return values


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")


def _input(keys: _Keys) -> Input:
    spec = Input(
        name=keys.take("name", _is_text),
        shape=tuple(keys.take("shape", _is_shape)),
        dtype=keys.take("dtype", lambda v: v == "uint8"),
        layout=keys.take("layout", lambda v: v == "NHWC"),
        channels=keys.take("channels", lambda v: v == "RGB"),
    )
    keys.done()
    return spec


def _output(keys: _Keys) -> Output:
    name, shape = keys.take("name", _is_text), tuple(keys.take("shape", _is_shape))
    spec = Output(name, shape, keys.take("unit", _is_text))
    keys.done()
    return spec


def _preprocessing(keys: _Keys) -> Preprocessing:
    spec = Preprocessing(
        crop_px=keys.take("crop_px", _is_size),
        resize_px=keys.take("resize_px", _is_size),
        patch_px=keys.take("patch_px", _is_size),
        grid=tuple(keys.take("grid", lambda v: _is_list(v, 2, _is_size))),
    )
    keys.done()
    return spec


def _optics(keys: _Keys) -> Optics:
    spec = Optics(
        objective=keys.take("objective", _is_text),
        na=keys.take("na", _is_positive),
        magnification=keys.take("magnification", _is_positive),
        um_per_px=keys.take("um_per_px", _is_positive),
        wavelength_um=tuple(keys.take("wavelength_um", lambda v: _is_list(v, 3, _is_positive))),
        w040_waves=tuple(keys.take("w040_waves", lambda v: _is_list(v, 2, _is_number))),
        condenser_sigma=keys.take("condenser_sigma", _is_positive),
        range_um=keys.take("range_um", _is_positive),
    )
    keys.done()
    return spec


def _is_int(v: Any) -> bool:
    return isinstance(v, int) and not isinstance(v, bool)


def _is_number(v: Any) -> bool:
    return (_is_int(v) and abs(v) < 1 << 53) or (isinstance(v, float) and math.isfinite(v))


def _is_positive(v: Any) -> bool:
    return _is_number(v) and v > 0


def _is_size(v: Any) -> bool:
    return _is_int(v) and 0 < v <= 65536


def _is_text(v: Any) -> bool:
    return isinstance(v, str) and 0 < len(v) <= 200


def _is_dict(v: Any) -> bool:
    return isinstance(v, dict)


def _is_list(v: Any, length: int, each: Callable[[Any], bool]) -> bool:
    return isinstance(v, list) and len(v) == length and all(map(each, v))


def _is_shape(v: Any) -> bool:
    return isinstance(v, list) and len(v) <= 4 and all(d in (-1, "k") or _is_size(d) for d in v)


def _is_bare_name(v: Any) -> bool:
    return _is_text(v) and Path(v).name == v and "\\" not in v and "\0" not in v


def _is_sha256(v: Any) -> bool:
    return isinstance(v, str) and len(v) == 64 and set(v) <= set("0123456789abcdef")
