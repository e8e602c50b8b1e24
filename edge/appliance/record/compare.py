"""Two values in a record's form, compared to the last bit, and the first difference in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge.appliance.record.doors import CLOCK, FRAME, MEASURED, PATH, SECOND, STAGE
from edge.appliance.record.values import value_of


def first_difference(
    then: Any, now: Any, where: str, tolerance: float = 0.0
) -> tuple[str, str, str] | None:
    """Where two values in JSON's form differ first: the field's name, then and now."""
    if isinstance(then, dict) and isinstance(now, dict) and then.get("!") == now.get("!"):
        if then.get("!") in ("array", "float", "path"):
            return None if then == now else _named(then, now, where)
        for key in [*then, *(key for key in now if key not in then)]:
            if key not in then or key not in now:
                return f"{where}.{key}".lstrip("."), shown(then.get(key)), shown(now.get(key))
            here = f"{where}.{key}" if key != "v" else where
            difference = first_difference(then[key], now[key], here, tolerance)
            if difference is not None:
                return difference
        return None
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for at, pair in enumerate(zip(then, now, strict=True)):
            difference = first_difference(*pair, f"{where}[{at}]", tolerance)
            if difference is not None:
                return difference
        return None
    return None if same(then, now, tolerance) else (where.lstrip("."), shown(then), shown(now))


def _named(then: dict[str, Any], now: dict[str, Any], where: str) -> tuple[str, str, str]:
    old, new = value_of(then), value_of(now)
    if isinstance(old, np.ndarray) and old.shape == new.shape and old.dtype == new.dtype:
        at = int(
            np.flatnonzero(old.reshape(-1).view(np.uint8) != new.reshape(-1).view(np.uint8))[0]
        )
        at //= old.itemsize
        return f"{where}[{at}]".lstrip("."), repr(old.flat[at]), repr(new.flat[at])
    return where.lstrip("."), shown(then), shown(now)


def same(then: Any, now: Any, tolerance: float = 0.0) -> bool:
    """Equal, and of one kind: 1 is not 1.0, and 0.0 is not -0.0; or floats within `tolerance`,
    relative above 1."""
    if isinstance(then, float) and isinstance(now, float) and tolerance:
        return abs(then - now) <= tolerance * max(1.0, abs(then))
    return type(then) is type(now) and repr(then) == repr(now)


def shown(value: Any) -> str:
    """For a person, in one line."""
    if isinstance(value, list) and value and value[0] == STAGE:
        return call_of(
            value[1], value[2] if len(value) > 2 and isinstance(value[2], list) else value[2:]
        )
    if isinstance(value, list) and value and value[0] in (CLOCK, FRAME, MEASURED, PATH, SECOND):
        return str(value[0])
    if isinstance(value, dict) and "v" in value:
        return f"{value['v']}"[:80]
    if isinstance(value, dict) and "!" in value:
        return f"{value['!']}"
    return "nothing" if value is None else f"{value!r}"[:120]


def call_of(name: str, words: Sequence[Any]) -> str:
    return f"stage.{name}({', '.join(f'{each!r}' for each in words)})"
