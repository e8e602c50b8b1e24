"""What controllers that speak lines of text share: collecting a line, nothing said unasked."""

from __future__ import annotations

from abc import ABC, abstractmethod

_LONGEST = 256  # what a controller's buffer holds; the rest of a longer line is lost


class LineController(ABC):
    """Calls `answer` for every line; `single` sees each byte first, for those that need no end."""

    def __init__(self, end: bytes) -> None:
        self._end = end
        self._line = bytearray()

    def receive(self, data: bytes) -> bytes:
        """What the lines and single bytes in `data` are answered with."""
        out = b""
        for value in data:
            byte = bytes([value])
            answer = self.single(byte) if self.takes(byte) else None
            if answer is not None:
                out += answer
            elif byte == self._end:
                text, self._line = self._line.decode("latin-1").strip(), bytearray()
                out += self.answer(text) if text else b""
            elif len(self._line) < _LONGEST:
                self._line += byte
        return out

    def due(self) -> bytes:
        """Nothing is said unasked."""
        return b""

    def takes(self, byte: bytes) -> bool:
        """Whether this byte acts at once, wherever in a line it comes."""
        return False

    def single(self, byte: bytes) -> bytes | None:
        """The answer to a byte that acts at once."""
        return None

    @abstractmethod
    def answer(self, text: str) -> bytes:
        """The bytes that a line is answered with, b"" for silence."""
