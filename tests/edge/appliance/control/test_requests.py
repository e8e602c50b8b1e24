"""What a line may be; everything else is refused before it means anything."""

from __future__ import annotations

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.appliance.control.desk import Desk
from edge.appliance.control.requests import (
    BY_THE_LOOP,
    REQUESTS,
    BadRequest,
    line_of,
    read_request,
)


def test_what_is_understood() -> None:
    request = read_request(b'{"do": "hold", "id": 7, "reason": "a z-stack"}')
    assert (request.do, request.id, request.arguments) == ("hold", 7, {"reason": "a z-stack"})
    assert read_request(b'{"do":"offset","um":-10}').arguments == {"um": -10}
    for do in ("status", "subscribe", "new_field", "resume", "focus"):
        assert read_request(json.dumps({"do": do, "id": "a"}).encode()).id == "a"


BAD = {
    b"": "is no JSON",
    b"hold": "is no JSON",
    b"\xff\xfe": "is no JSON",
    b'{"do": "hold"': "is no JSON",
    b'{"do": "hold", "do": "resume"}': "key 'do' twice",
    b'{"do": "offset", "um": NaN}': "NaN is not a number",
    b"[" * 5000: "is no JSON",
    b'["hold"]': "must be a JSON object",
    b"{}": "do must be one of status, subscribe, new_field",
    b'{"do": 3}': "do must be one of",
    b'{"do": ["hold"]}': "do must be one of",
    b'{"do": "move"}': "do must be one of",
    b'{"do": "hold", "id": []}': "id must be a number or a text",
    b'{"do": "hold", "id": true}': "id must be a number or a text",
    b'{"do": "resume", "um": 3}': "'um' is no part of resume, which takes nothing",
    b'{"do": "hold", "um": 3}': "'um' is no part of hold, which takes reason",
    b'{"do": "hold", "reason": ""}': "reason must be a text of 1 to 200 characters",
    b'{"do": "offset"}': "offset needs um: a number -10 to 10",
    b'{"do": "offset", "um": 10.1}': "um must be a number -10 to 10",
    b'{"do": "offset", "um": "1"}': "um must be a number -10 to 10",
    b'{"do": "offset", "um": 1e999}': "um must be a number -10 to 10",
    b'{"do": "offset", "um": true}': "um must be a number -10 to 10",
}


@pytest.mark.parametrize("line", BAD)
def test_what_is_not(line: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        read_request(line)
    assert BAD[line] in str(caught.value)
    line_of({"error": str(caught.value)})  # the reason can be told


@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_refused(line: bytes) -> None:
    with contextlib.suppress(BadRequest):
        assert read_request(line).do in REQUESTS


def test_whatever_the_loop_is_asked_it_does() -> None:
    assert all(callable(getattr(Desk, f"_{do}")) for do in BY_THE_LOOP)


def test_an_answer_is_one_line_of_json() -> None:
    line = line_of({"z_um": math.nan, "last": {"age_ms": math.inf}, "error": "two\nlines"})
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"z_um": None, "last": {"age_ms": None}, "error": "two\nlines"}
