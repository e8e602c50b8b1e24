"""The manifest beside every ONNX file: what the network is, for which optics, and its hash.

A model file is a program, so it is used only with a manifest that names its SHA-256, its
inputs and outputs, how its input was made and for which optics it was trained. The hash is
checked on the very bytes that are handed to the runtime, not on a second read of the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engines.errors import EngineRejected, OutputNotFinite
from engines.strict_json import (
    Keys,
    is_bare_name,
    is_dict,
    is_int,
    is_list,
    is_number,
    is_positive,
    is_sha256,
    is_shape,
    is_size,
    is_text,
    parse,
)
from engines.whole_file import leads_outside, replace_file

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Input:
    """One input, uint8 pixels as NHWC, RGB: `shape` with "k" or -1 where the batch size is free."""

    name: str
    shape: tuple[int | str, ...]


#: what every input is. Earlier manifests say it of each; one that says anything else is refused
INPUTS_ARE = {"dtype": "uint8", "layout": "NHWC", "channels": "RGB"}


@dataclass(frozen=True, slots=True)
class Output:
    """One float32 output and its unit ("um", "1")."""

    name: str
    shape: tuple[int | str, ...]
    unit: str


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a frame becomes network input (paper section 4.1): `grid` patches of `patch_px`, cut from
    its centre; `crop_px`, and `resize_px` for the RIN, (height, width) where that is no square."""

    crop_px: int | tuple[int, int] = 2016
    resize_px: int | tuple[int, int] = 512
    patch_px: int = 224
    grid: tuple[int, int] = (9, 9)


Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Family:
    """Other instruments whose pictures, brought to the same lambda/NA a pixel, these models may
    measure; from..to, both allowed. `pixel`: um per pixel times NA over the wavelength, that is,
    in lambda/NA."""

    na: Range
    pixel: Range
    refractive_index: Range


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
    family: Family | None = None  # None: this instrument only


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
    family=Family(na=(0.28, 0.8), pixel=(0.2, 0.7), refractive_index=(1.0, 1.0)),
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
        top = Keys(path, "", parse(path))
        schema = top.take("schema", is_int)
        if schema != SCHEMA:
            top.reject("schema", f"{schema} is not {SCHEMA}, the one this release reads")
        manifest = cls(
            name=top.take("name", lambda v: v in ("rin", "dpn")),
            file=top.take("file", is_bare_name),
            sha256=top.take("sha256", is_sha256),
            inputs=tuple(_input(k) for k in top.objects("inputs")),
            outputs=tuple(_output(k) for k in top.objects("outputs")),
            optics=_optics(top.object("optics")),
            preprocessing=_preprocessing(top.object("preprocessing")),
            calibration=top.take("calibration", is_dict),
            accuracy=top.take("accuracy", is_dict),
            training=top.take("training", is_dict),
            folder=Path(path).parent,
        )
        top.done()
        return manifest

    def write(self, path: Path) -> None:
        """Write the JSON that `read` accepts, whole (UTF-8, sorted as declared here); OSError."""
        values = asdict(self)
        del values["folder"]
        if values["optics"]["family"] is None:
            del values["optics"]["family"]
        ordered = {"schema": values.pop("schema"), **values}
        replace_file(Path(path), json.dumps(ordered, indent=2, allow_nan=False) + "\n")

    def model_bytes(self) -> bytes:
        """The ONNX file's bytes after their hash was checked; hand exactly these to the runtime."""
        path = self.folder / self.file
        if leads_outside(path, self.folder):
            raise EngineRejected(f"{path}: is a link out of its manifest's folder")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise EngineRejected(f"{path}: cannot be read: {error.strerror}") from error
        digest = hashlib.sha256(data).hexdigest()
        if digest != self.sha256:
            raise EngineRejected(
                f"{path}: SHA-256 is {digest[:12]}..., its manifest says {self.sha256[:12]}..."
            )
        return data


def _input(keys: Keys) -> Input:
    spec = Input(keys.take("name", is_text), tuple(keys.take("shape", is_shape)))
    for key, value in INPUTS_ARE.items():
        if keys.has(key) and keys.take(key, lambda _: True) != value:
            keys.reject(key, f'every input is "{value}"; leave this out')
    keys.done()
    return spec


def _output(keys: Keys) -> Output:
    name, shape = keys.take("name", is_text), tuple(keys.take("shape", is_shape))
    spec = Output(name, shape, keys.take("unit", is_text))
    keys.done()
    return spec


def _preprocessing(keys: Keys) -> Preprocessing:
    spec = Preprocessing(
        crop_px=_side(keys.take("crop_px", _is_side)),
        resize_px=_side(keys.take("resize_px", _is_side)),
        patch_px=keys.take("patch_px", is_size),
        grid=tuple(keys.take("grid", lambda v: is_list(v, 2, is_size))),
    )
    keys.done()
    return spec


def _is_side(v: Any) -> bool:
    return is_size(v) or is_list(v, 2, is_size)


def _side(v: Any) -> Any:
    return tuple(v) if isinstance(v, list) else v


def _optics(keys: Keys) -> Optics:
    spec = Optics(
        objective=keys.take("objective", is_text),
        na=keys.take("na", is_positive),
        magnification=keys.take("magnification", is_positive),
        um_per_px=keys.take("um_per_px", is_positive),
        wavelength_um=tuple(keys.take("wavelength_um", lambda v: is_list(v, 3, is_positive))),
        w040_waves=tuple(keys.take("w040_waves", lambda v: is_list(v, 2, is_number))),
        condenser_sigma=keys.take("condenser_sigma", is_positive),
        range_um=keys.take("range_um", is_positive),
        family=_family(keys.object("family")) if keys.has("family") else None,
    )
    keys.done()
    return spec


def _family(keys: Keys) -> Family:
    spec = Family(*(tuple(keys.take(name, _is_range)) for name in _FAMILY))
    keys.done()
    return spec


_FAMILY = ("na", "pixel", "refractive_index")


def _is_range(v: Any) -> bool:
    return is_list(v, 2, is_positive) and v[0] <= v[1]


__all__ = [
    "NOMINAL_OPTICS",
    "EngineRejected",
    "Family",
    "Input",
    "Manifest",
    "Optics",
    "Output",
    "OutputNotFinite",
    "Preprocessing",
]
