"""Protocol Buffers on the wire, as much as taking an ONNX file apart needs.

The device has no `onnx` package. A message is a list of fields in file order; what is not
understood is kept byte for byte. Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its number, its wire type, and an int for a varint, else the bytes."""

    number: int
    kind: int
    value: int | bytes

    @property
    def data(self) -> bytes:
        """The bytes of a string, a message or a packed list; ValueError for a number."""
        if not isinstance(self.value, bytes):
            raise ValueError(f"field {self.number} is a number")
        return self.value


Message = list[Field]


def parse(data: bytes) -> Message:
    """All fields of a message; ValueError when it is cut short or no message at all."""
    fields, at = [], 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            fields.append(Field(number, kind, value))
            continue
        if kind == BYTES:
            size, at = _varint(data, at)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > len(data):
            raise ValueError("cut short")
        fields.append(Field(number, kind, data[at : at + size]))
        at += size
    return fields


def write(message: Iterable[Field]) -> bytes:
    """The bytes that `parse` reads."""
    out = bytearray()
    for field in message:
        out += _written(field.number << 3 | field.kind)
        if isinstance(field.value, int):
            out += _written(field.value)
            continue
        if field.kind == BYTES:
            out += _written(len(field.value))
        out += field.value
    return bytes(out)


def all_of(message: Message, number: int) -> list[bytes]:
    """The bytes of every field `number`, in order."""
    return [field.data for field in message if field.number == number]


def one_of(message: Message, number: int) -> bytes:
    """The bytes of field `number`, the last one where it is repeated; empty when missing."""
    values = all_of(message, number)
    return values[-1] if values else b""


def numbers(message: Message, number: int) -> list[int]:
    """The integers of field `number`, whether packed or not."""
    values: list[int] = []
    for field in message:
        if field.number != number:
            continue
        if isinstance(field.value, int):
            values.append(field.value)
            continue
        at = 0
        while at < len(field.value):
            value, at = _varint(field.value, at)
            values.append(value)
    return values


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number that does not end")


def _written(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
