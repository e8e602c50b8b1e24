"""How a key of the config file is declared: as a field of a settings class, with its bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Key:
    """How a key is read. `kind` is the reader's method (edge.appliance.config.strict_yaml), `low`
    and `high` its bounds, both allowed, `choices` the words, `text` its line in the reference."""

    kind: str
    text: str
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] = ()
    more: Callable[[], tuple[str, ...]] = tuple  # words that what is installed here adds


def key(
    kind: str,
    text: str,
    low: float = 0,
    high: float = 0,
    *,
    choices: tuple[str, ...] = (),
    default: Any = MISSING,
    more: Callable[[], tuple[str, ...]] = tuple,
) -> Any:
    """A field that the config file may give; without a default it must."""
    usual = {} if default is MISSING else {"default": default}
    return field(metadata={"key": Key(kind, text, low, high, choices, more)}, **usual)


def options(text: str) -> Any:
    """A field for what goes to a driver as keyword arguments."""
    return field(default_factory=dict, metadata={"key": Key("options", text)})
