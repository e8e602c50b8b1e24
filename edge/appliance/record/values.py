"""The loop's values as JSON and back, bit for bit: what a record is made of.

Plain values stand as they are. A float that JSON cannot say, an array, a tuple, an enum or one of
our own classes is a table whose "!" names what it is. Only classes of the loop's own modules are
ever made again, by their names in a list: a record is data, and runs nothing. What a running loop
holds (its state) is put back into objects that a rig has built; what the world gave it (a clock, a
stage, a lock) and what comes from the config stays as it was built.
"""

from __future__ import annotations

import base64
import importlib
import math
import pkgutil
import re
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import edge.decide
import edge.errors
import edge.guard
import engines.errors
import firmware_bridge.errors
from edge.errors import ConfigError

MARK = "!"
KEPT = {MARK: "kept"}  # of a state: as the rig was built
#: what comes from the config, and is in the record as such
OF_THE_CONFIG = ("ControllerSettings", "TrackingSettings", "GuardLimits", "TrackingLimits",
                 "SurfaceNoise", "SteadyScan")  # fmt: skip
_MODULES = (
    "edge.camera", "edge.guard", "edge.loop", "edge.optics", "edge.settings",
    "edge.settings.surroundings", "edge.state",
    "edge.measure.aggregate", "edge.measure.defocus", "edge.measure.importance",
    "edge.measure.sensor", "edge.measure.training_range", "firmware_bridge.stage",
)  # fmt: skip
_ERRORS = (edge.errors, firmware_bridge.errors, engines.errors)
_OF_THE_SYSTEM = {
    each.__name__: each
    for each in (OSError, TimeoutError, BlockingIOError, BrokenPipeError, ConnectionResetError,
                 FileNotFoundError, PermissionError)
}  # fmt: skip
SECRET = "(?:password|passwd|secret|token|api[_-]?key|credential)"  # in a key's name
_SECRET = re.compile(SECRET, re.I)
_IN_AN_ADDRESS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
HIDDEN = "***"


def plain(value: Any) -> Any:
    """As JSON has it. TypeError for what no record holds."""
    if value is None or (isinstance(value, (bool, int)) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return {MARK: type(value).__name__, "v": value.value}
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {MARK: "float", "v": repr(float(value))}
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value)
        text = base64.b64encode(data.tobytes()).decode()
        return {MARK: "array", "t": data.dtype.str, "n": list(data.shape), "v": text}
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, tuple):
        return {MARK: "tuple", "v": [plain(each) for each in value]}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and key != MARK for key in value):
            return {key: plain(each) for key, each in value.items()}
        return {MARK: "table", "v": [[plain(k), plain(v)] for k, v in value.items()]}
    if isinstance(value, Path):
        return {MARK: "path", "v": str(value)}
    return _plain_class(value)


def _plain_class(value: Any) -> Any:
    name = type(value).__name__
    if not is_dataclass(value) or _classes().get(name) is not type(value):
        raise TypeError(f"no record holds a {name}")
    table: dict[str, Any] = {MARK: name}
    kind: Any = type(value)
    for key in _fields(kind):
        table[key] = plain(getattr(value, key))
    return table


def value_of(given: Any) -> Any:
    """The value that `plain` made this of. ConfigError where it is none of ours."""
    if isinstance(given, list):
        return [value_of(each) for each in given]
    if not isinstance(given, dict):
        return given
    name = given.get(MARK)
    if name is None:
        return {key: value_of(each) for key, each in given.items()}
    if name in _MAKERS:
        return _MAKERS[name](given)
    kind = _classes().get(str(name))
    if kind is None:
        raise ConfigError(f"the record holds a {name!r:.60}, which this release does not know")
    try:
        if issubclass(kind, Enum):
            return kind(given["v"])
        return kind(**{key: value_of(each) for key, each in given.items() if key != MARK})
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"the record's {name} is none of this release: {error}") from error


def _array(given: dict[str, Any]) -> Any:
    try:
        data = base64.b64decode(given["v"])
        return np.frombuffer(data, np.dtype(given["t"])).reshape(given["n"]).copy()
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"the record holds a broken array: {error}") from error


_MAKERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "float": lambda given: float(given["v"]),
    "array": _array,
    "tuple": lambda given: tuple(value_of(each) for each in given["v"]),
    "table": lambda given: {value_of(key): value_of(each) for key, each in given["v"]},
    "path": lambda given: Path(given["v"]),
}


def error_of(error: Exception) -> dict[str, Any]:
    """An error that passed a door: its class, its words, and what it carries."""
    more = {key: plain(each) for key, each in vars(error).items() if _is_plain(each)}
    return {MARK: type(error).__name__, "words": [str(each) for each in error.args], "more": more}


def error_again(given: Mapping[str, Any]) -> Exception:
    """The error as it was raised; ConfigError for one that this release does not know."""
    name = given[MARK]
    kind = next((getattr(m, name) for m in _ERRORS if hasattr(m, name)), None)
    kind = _OF_THE_SYSTEM.get(name, kind)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        raise ConfigError(f"the record holds an error {name!r:.60}, which is none of ours")
    error: Exception = kind.__new__(kind, *given["words"])
    error.args = tuple(given["words"])
    for key, each in given["more"].items():
        setattr(error, key, value_of(each))
    return error


def _is_plain(value: Any) -> bool:
    try:
        plain(value)
    except TypeError:
        return False
    return True


def state_of(value: Any) -> Any:
    """What an object of the running loop holds, to be put back by `put_back`."""
    return _held(value, {})


def _held(value: Any, visited: dict[int, int]) -> Any:
    if type(value).__name__ in OF_THE_CONFIG:
        return KEPT
    if isinstance(value, (Counter, set, deque)):
        items = value.items() if isinstance(value, Counter) else value
        return {MARK: type(value).__name__, "v": [_held(each, visited) for each in items]}
    if isinstance(value, tuple):
        return {MARK: "tuple", "v": [_held(each, visited) for each in value]}
    if isinstance(value, Mapping):
        return {MARK: "table", "v": [[plain(k), _held(v, visited)] for k, v in value.items()]}
    if _is_frozen(value) or not _is_ours(value):
        try:
            return plain(value)
        except TypeError:
            return KEPT
    if id(value) in visited:
        return {MARK: "same", "v": visited[id(value)]}
    number = visited[id(value)] = len(visited)
    held = {key: _held(each, visited) for key, each in _attributes(value).items()}
    return {MARK: type(value).__name__, "#": number, "has": held}


def put_back(state: Any, into: Any) -> None:
    """What `state_of` an object said, into an object of the same class that a rig has built.
    ConfigError where the record is none of this release."""
    made = _back(state, into, {})
    if made is not into:
        raise ConfigError(f"the record holds no state of a {type(into).__name__}")


def _back(state: Any, built: Any, made: dict[int, Any]) -> Any:
    name = state.get(MARK) if isinstance(state, dict) else None
    if name == "kept":
        return built
    if name == "same":
        return made[state["v"]]
    if name == "Counter":
        return Counter(dict(_back(each, None, made) for each in state["v"]))
    if name == "set":
        return {_back(each, None, made) for each in state["v"]}
    if name == "deque":
        most = built.maxlen if isinstance(built, deque) else None
        return deque((_back(each, None, made) for each in state["v"]), most)
    if name == "tuple":
        return tuple(_back(each, None, made) for each in state["v"])
    if name == "table":
        return {value_of(key): _back(each, None, made) for key, each in state["v"]}
    if not isinstance(state, dict) or "#" not in state:
        return value_of(state)
    kind: Any = _classes().get(str(name))
    if kind is None:
        raise ConfigError(f"the record holds a {name!r:.60}, which this release does not know")
    target = built if type(built) is kind else kind.__new__(kind)
    made[state["#"]] = target
    for key, each in state["has"].items():
        setattr(target, key, _back(each, getattr(target, key, None), made))
    return target


def without_secrets(value: Any) -> Any:
    """The same without what only the owner may know: passwords, tokens, names in addresses."""
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if _SECRET.search(str(key)) and each not in (None, "") else
            without_secrets(each)
            for key, each in value.items()
        }  # fmt: skip
    if isinstance(value, list):
        return [without_secrets(each) for each in value]
    if isinstance(value, str):
        return without_addresses(value)
    return value


def without_addresses(text: str) -> str:
    """A text without who logs in where: rtsp://***@camera."""
    return _IN_AN_ADDRESS.sub(HIDDEN, text)


@cache
def _classes() -> dict[str, type]:
    """Every class of the loop's own modules, by its name."""
    names = [*_MODULES]
    names += [f"edge.decide.{each.name}" for each in pkgutil.iter_modules(edge.decide.__path__)]
    classes: dict[str, type] = {}
    for module in map(importlib.import_module, names):
        for name, each in vars(module).items():
            if isinstance(each, type) and each.__module__ == module.__name__:
                assert classes.setdefault(name, each) is each, f"two classes are called {name}"
    return classes


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind) if each.init)


def _is_ours(value: Any) -> bool:
    return _classes().get(type(value).__name__) is type(value) and not isinstance(value, Enum)


def _is_frozen(value: Any) -> bool:
    parameters = getattr(type(value), "__dataclass_params__", None)
    return bool(parameters is not None and parameters.frozen)


def _attributes(value: Any) -> dict[str, Any]:
    if is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return dict(vars(value))
