"""One connection to the control socket, as the server knows it."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

MOST_PENDING = 4  # of a client's requests that the loop has not answered


@dataclass(slots=True)
class Client:
    """One connection."""

    socket: socket.socket
    who: int
    name: str
    read: bytearray = field(default_factory=bytearray)
    unread: bytearray = field(default_factory=bytearray)  # by it
    due_ns: int = 0  # its next request is not looked at before
    pending: int = 0
    listens: bool = False
    missed: int = 0
    leaves: bool = False  # as soon as it has been told why
    ended: bool = False  # it sends nothing more, and may still read

    @property
    def has_line(self) -> bool:
        """Whether a whole request was read from it."""
        return b"\n" in self.read

    def may_ask(self) -> bool:
        """Whether it may have another request done."""
        return not self.leaves and self.pending < MOST_PENDING

    def may_send(self) -> bool:
        """Whether anything more is read from it now."""
        return self.may_ask() and not self.ended and not self.has_line

    def is_done(self) -> bool:
        """Whether nobody will miss it."""
        owed = self.unread or self.pending or self.has_line
        return self.leaves or (self.ended and not owed)
