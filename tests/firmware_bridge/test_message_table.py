"""One table, three users: the Python codec, the C header, the handshake's hash."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import c_header, messages
from firmware_bridge.firmware import host
from firmware_bridge.framing import MAX_PAYLOAD
from firmware_bridge.messages_xy import XY_CONSTANTS, XY_TABLE

EVERY = {**messages.TABLE, **XY_TABLE}

RANGE = {
    "u8": st.integers(0, 2**8 - 1),
    "u16": st.integers(0, 2**16 - 1),
    "u32": st.integers(0, 2**32 - 1),
    "u64": st.integers(0, 2**64 - 1),
    "i32": st.integers(-(2**31), 2**31 - 1),
}


def of_type(message: type) -> st.SearchStrategy[messages.Message]:
    return st.builds(message, **{name: RANGE[wire] for name, wire in messages.layout(message)})


@given(st.one_of([of_type(message) for message in EVERY.values()]))
def test_round_trip(message: messages.Message) -> None:
    code, payload = messages.encode(message)
    assert len(payload) == messages.payload_length(type(message)) <= MAX_PAYLOAD
    assert messages.decode(code, payload) == message


@given(st.integers(0, 255), st.binary(max_size=MAX_PAYLOAD))
def test_any_bytes_are_a_message_or_a_message_error(code: int, payload: bytes) -> None:
    """And what is a message has only one way to be written."""
    try:
        message = messages.decode(code, payload)
    except messages.MessageError:
        known = EVERY.get(code)
        assert known is None or len(payload) != messages.payload_length(known)
        return
    assert messages.encode(message) == (code, payload)


@given(st.sampled_from(sorted(EVERY)), st.data())
def test_every_payload_of_the_right_length_is_a_message(code: int, data: st.DataObject) -> None:
    length = messages.payload_length(EVERY[code])
    payload = data.draw(st.binary(min_size=length, max_size=length))
    assert messages.encode(messages.decode(code, payload)) == (code, payload)


def test_unknown_type_and_wrong_length() -> None:
    with pytest.raises(messages.MessageError, match="unknown"):
        messages.decode(0x7F, b"")
    with pytest.raises(messages.MessageError, match="4 bytes, not 3"):
        messages.decode(0x04, bytes(3))


def test_every_host_message_starts_with_its_session() -> None:
    """The firmware reads the session before it looks at the type."""
    for code, message in EVERY.items():
        if code < 0x80:
            assert fields(message)[0].name == "session"


def test_committed_header_is_the_generated_one() -> None:
    generated = subprocess.run(
        [sys.executable, "-m", "firmware_bridge.c_header"],
        cwd=host.HERE.parent.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert generated == c_header.c_header()
    assert (host.HERE / "messages.h").read_text() == generated, (
        "run: python -m firmware_bridge.c_header > firmware_bridge/firmware/messages.h"
    )


def test_hash_sees_names_widths_codes_and_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    before = messages.canonical_table()
    assert "const WATCHDOG_MS 190\n" in before
    assert "enum Reason.WINDOW 5\n" in before
    assert "message Stop 0x04 session:u32\n" in before
    monkeypatch.setitem(messages.CONSTANTS, "WATCHDOG_MS", 300)
    assert messages.canonical_table() != before


def test_xy_has_a_hash_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the axes under the slide is none for a host that knows Z alone."""
    before, xy_before = messages.canonical_table(), messages.canonical_xy_table()
    assert not set(messages.TABLE) & set(XY_TABLE)
    assert "enum XyReason.TRIGGER 34\n" in xy_before
    assert "message Triggered 0x9b count:u32 time_us:u64 position_nm:i32\n" in xy_before
    monkeypatch.setitem(XY_CONSTANTS, "TRIGGER_PERIOD_MS", 5)
    assert messages.canonical_table() == before
    assert messages.canonical_xy_table() != xy_before


def test_the_table_that_old_hosts_know_is_the_same() -> None:
    """The hash of the Z axis' table, as firmwares and hosts in use carry it."""
    assert messages.TABLE_HASH == 0xA6B1508C
