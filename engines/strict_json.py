"""JSON read without mercy: unknown, missing, doubled and misshapen keys are named and refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from engines.errors import EngineRejected
from engines.whole_file import read_bounded

SIZE_LIMIT = 1 << 20  # a manifest is a few KiB; more is not a manifest


class Keys:
    """One JSON object whose keys are taken one by one; what is left over is unknown."""

    def __init__(self, path: Path, where: str, values: Any) -> None:
        self.path, self.where = path, where
        if not isinstance(values, dict):
            raise EngineRejected(f"{path}: {where.rstrip('.') or 'the file'} must be a JSON object")
        self.left = dict(values)

    def reject(self, key: str, why: str) -> NoReturn:
        """Raise EngineRejected with file, key and reason."""
        raise EngineRejected(f"{self.path}: {self.where}{key}: {why}")

    def has(self, key: str) -> bool:
        """Whether it is there and was not taken yet."""
        return key in self.left

    def take(self, key: str, valid: Callable[[Any], bool]) -> Any:
        """The value of `key`, which must be there and valid."""
        if key not in self.left:
            self.reject(key, "is missing")
        value = self.left.pop(key)
        if not valid(value):
            self.reject(key, f"{json.dumps(value)[:60]} is not valid here")
        return value

    def object(self, key: str) -> Keys:
        """The JSON object under `key`."""
        return Keys(self.path, f"{self.where}{key}.", self.take(key, is_dict))

    def objects(self, key: str) -> list[Keys]:
        """The 1 to 8 JSON objects in the list under `key`."""
        items = self.take(key, lambda v: isinstance(v, list) and 0 < len(v) <= 8)
        return [Keys(self.path, f"{self.where}{key}[{i}].", v) for i, v in enumerate(items)]

    def done(self) -> None:
        """Reject what nobody took."""
        for key in self.left:
            self.reject(key, "is unknown")


def parse(path: Path) -> Any:
    """The JSON of a file of at most SIZE_LIMIT bytes; EngineRejected names the file."""
    try:
        return loads(read_bounded(Path(path), SIZE_LIMIT))
    except OSError as error:
        raise EngineRejected(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise EngineRejected(f"{path}: is not the JSON of a manifest: {error}") from error


def loads(data: bytes) -> Any:
    """JSON without doubled keys, NaN and bottomless nesting; ValueError for anything else."""
    try:
        return json.loads(data, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        keys: set[str] = set()
        raise ValueError(f"key {next(k for k, _ in pairs if k in keys or keys.add(k))!r} twice")  # type: ignore[func-returns-value]
    return values


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")


def is_int(v: Any) -> bool:
    return isinstance(v, int) and not isinstance(v, bool)


def is_number(v: Any) -> bool:
    return (is_int(v) and abs(v) < 1 << 53) or (isinstance(v, float) and math.isfinite(v))


def is_positive(v: Any) -> bool:
    return is_number(v) and v > 0


def is_size(v: Any) -> bool:
    return is_int(v) and 0 < v <= 65536


def is_text(v: Any) -> bool:
    return isinstance(v, str) and 0 < len(v) <= 200


def is_dict(v: Any) -> bool:
    return isinstance(v, dict)


def is_list(v: Any, length: int, each: Callable[[Any], bool]) -> bool:
    return isinstance(v, list) and len(v) == length and all(map(each, v))


def is_shape(v: Any) -> bool:
    return isinstance(v, list) and len(v) <= 4 and all(d in (-1, "k") or is_size(d) for d in v)


def is_bare_name(v: Any) -> bool:
    return is_text(v) and Path(v).name == v and "\\" not in v and "\0" not in v


def is_sha256(v: Any) -> bool:
    return isinstance(v, str) and len(v) == 64 and set(v) <= set("0123456789abcdef")
