"""How a frame is said in a record: one table for its decision, pieces of bytes for its pixels.

A picture goes in pieces so small that copying one keeps nobody else from running.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.appliance.record.doors import CLOCK, FRAME, MEASURED, PATH, SECOND, STAGE
from edge.appliance.record.values import plain
from edge.camera import Frame, PixelFormat
from edge.errors import ConfigError
from edge.loop import Outcome

PIECE_BYTES = 256 << 10
PIXELS = "pixels"  # a frame's own; other names are what a network was shown of it
MOST_PIXELS = 1 << 28
_LENGTH = struct.Struct("<I")
_OF_AN_OUTCOME = tuple(each.name for each in fields(Outcome) if each.name != "measurement")


def frame_table(
    number: int, new_field: bool, notes: Sequence[tuple[Any, ...]], outcome: Outcome, state: str
) -> dict[str, Any]:
    """A decision and everything that led to it, as JSON has it."""
    return {
        "n": number, "new_field": new_field, "state": state,
        "notes": [_note(note) for note in notes], "outcome": outcome_table(outcome),
    }  # fmt: skip


def outcome_table(outcome: Outcome) -> dict[str, Any]:
    """An outcome without its measurement, which is among the notes."""
    return {name: plain(getattr(outcome, name)) for name in _OF_AN_OUTCOME}


def _note(note: tuple[Any, ...]) -> list[Any]:
    kind = note[0]
    if kind in (CLOCK, FRAME):
        return list(note)
    if kind == STAGE:
        _, name, words, answer, error = note
        return [kind, name, [plain(each) for each in words], plain(answer), error]
    if kind == PATH:
        return [kind, note[1], plain(note[2])]
    if kind == MEASURED:
        _, clocks, laps, measurement, error = note
        return [kind, clocks, laps, plain(measurement), error]
    assert kind == SECOND
    return [kind, plain(note[1])]


def as_bytes(table: dict[str, Any]) -> bytes:
    """A table as a message."""
    return json.dumps(table, allow_nan=False, separators=(",", ":")).encode()


def pieces(header: dict[str, Any], pixels: npt.NDArray[np.uint8]) -> Iterator[bytes]:
    """A picture as messages, each with what is said of it."""
    flat = pixels.reshape(-1)
    for first in range(0, flat.size, PIECE_BYTES):
        head = json.dumps({**header, "at": first}).encode()
        yield _LENGTH.pack(len(head)) + head + flat[first : first + PIECE_BYTES].tobytes()


class Pieces:
    """Puts pictures together again: `take` each piece, then ask for those `of` a frame."""

    def __init__(self) -> None:
        self._whole: dict[int, dict[str, npt.NDArray[np.uint8]]] = {}
        self._begun: dict[tuple[int, str], npt.NDArray[np.uint8]] = {}

    def of(self, frame_id: int) -> dict[str, npt.NDArray[np.uint8]]:
        """What is there of a frame, by its name; handed out once."""
        return self._whole.pop(frame_id, {})

    def take(self, data: bytes) -> None:
        """A piece; ConfigError for what is none."""
        try:
            (length,) = _LENGTH.unpack_from(data)
            header = json.loads(data[_LENGTH.size : _LENGTH.size + length])
            piece = np.frombuffer(data, np.uint8, offset=_LENGTH.size + length)
            shape, at = tuple(header["shape"]), int(header["at"])
            size, key = int(np.prod(shape)), (int(header["id"]), str(header.get("what", PIXELS)))
            if not (0 < size <= MOST_PIXELS and 0 <= at <= size - piece.size):
                raise ValueError(f"a piece of {piece.size} bytes at {at} of {size}")
            if at == 0:
                self._begun[key] = np.empty(size, np.uint8)
            flat = self._begun.get(key)
            if flat is None or flat.size != size:  # its beginning was lost
                return
            flat[at : at + piece.size] = piece
            if at + piece.size == size:
                self._whole.setdefault(key[0], {})[key[1]] = self._begun.pop(key).reshape(shape)
        except (KeyError, TypeError, ValueError, struct.error) as error:
            raise ConfigError(f"the record holds a broken picture: {error}") from error


def frame_of(header: dict[str, Any], pixels: npt.NDArray[np.uint8]) -> Frame:
    """The frame of which this was said (edge.appliance.record.doors.said_of)."""
    return Frame(
        pixels, PixelFormat(header["format"]), header["id"], header["start_ns"], header["end_ns"],
        header["uncertainty_ns"],
    )  # fmt: skip
