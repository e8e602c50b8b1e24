"""What a client may ask, one JSON object a line; everything else is refused.

    {"do": "hold", "id": 7, "reason": "a z-stack"}

`id` (a number or a text, may be left out) comes back with the answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge.appliance.files import json_safe
from engines.strict_json import is_number, is_text, loads

LONGEST = 4096  # bytes of a line
OFFSET_UM = 10.0  # as loop.focus_offset_um


@dataclass(frozen=True, slots=True)
class Argument:
    """`valid`, and what it must be in words."""

    valid: Callable[[Any], bool]
    says: str
    needed: bool = False


#: what is asked for -> its arguments. The loop does these, between two frames
BY_THE_LOOP: dict[str, dict[str, Argument]] = {
    "new_field": {},
    "hold": {"reason": Argument(is_text, "a text of 1 to 200 characters")},
    "resume": {},
    "focus": {},
    "offset": {
        "um": Argument(
            lambda v: is_number(v) and abs(v) <= OFFSET_UM,
            f"a number -{OFFSET_UM:g} to {OFFSET_UM:g} (um)",
            needed=True,
        )
    },
}
#: what the server answers by itself
AT_ONCE: dict[str, dict[str, Argument]] = {"status": {}, "subscribe": {}}
REQUESTS = {**AT_ONCE, **BY_THE_LOOP}


class BadRequest(Exception):
    """A line that is no request; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """One line that was understood."""

    do: str
    id: str | int | float | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


def read_request(line: bytes) -> Request:
    """The request in a line, without its newline; BadRequest."""
    try:
        values = loads(line)
    except ValueError as error:
        raise BadRequest(f"is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise BadRequest("must be a JSON object")
    do = values.pop("do", None)
    if not isinstance(do, str) or do not in REQUESTS:
        raise BadRequest(f"do must be one of {', '.join(REQUESTS)}")
    number = values.pop("id", None)
    if number is not None and not is_number(number) and not is_text(number):
        raise BadRequest("id must be a number or a text of 1 to 200 characters")
    known = REQUESTS[do]
    for key, value in values.items():
        if key not in known:
            takes = f", which takes {', '.join(known)}" if known else ", which takes nothing"
            raise BadRequest(f"{key[:40]!r} is no part of {do}{takes}")
        if not known[key].valid(value):
            raise BadRequest(f"{key} must be {known[key].says}")
    for key, argument in known.items():
        if argument.needed and key not in values:
            raise BadRequest(f"{do} needs {key}: {argument.says}")
    return Request(do, number, values)


def line_of(values: Mapping[str, Any]) -> bytes:
    """An answer or an event, as it goes down the line; what is no number in JSON is null."""
    return json.dumps(json_safe(dict(values)), separators=(",", ":")).encode() + b"\n"
