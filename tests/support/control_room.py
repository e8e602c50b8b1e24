"""A control socket with its loop on a clock that is advanced by hand: nobody waits for anybody."""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge.appliance.control.desk import Desk
from edge.appliance.control.listening import Listening
from edge.appliance.control.server import TURN_NS, Server
from edge.loop import Outcome, step
from tests.support.fake_microscope import microscope


class Peer:
    """A client. What it has not asked for, it does not read."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(room.path))
        self.socket.setblocking(False)
        self._read = b""

    def send(self, *requests: Any) -> None:
        """Bytes as they are, else as a line of JSON each."""
        for request in requests:
            line = request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n"
            self.socket.sendall(line)

    def lines(self) -> list[dict[str, Any]]:
        """What has come until now."""
        try:
            while data := self.socket.recv(1 << 20):
                self._read += data
        except (BlockingIOError, ConnectionError):
            pass
        *whole, self._read = self._read.split(b"\n")
        return [json.loads(line) for line in whole]

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request, a frame, and its answer."""
        self.send(request)
        self.room.turns()
        self.room.frame()
        self.room.turns()
        return [line for line in self.lines() if "event" not in line][-1]

    def hung_up(self) -> bool:
        """Whether the server has closed the line."""
        try:
            return not self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except ConnectionError:
            return True


class Room:
    """The server, the loop, and as many clients as are asked for."""

    def __init__(self, folder: Path, uids: tuple[int, ...] = (), **eye: Any) -> None:
        self.path = folder / "s"
        self.peers: list[Peer] = []
        self.rig, self.eye = microscope(**eye)
        self.desk = Desk(self.rig)
        status = lambda: {"state": self.rig.state.name, "held": self.rig.guard.held}  # noqa: E731
        self.listening = Listening(self.path)
        self.server = Server(self.listening, uids, self.desk.put, status, self.rig.clock)
        self.desk.tell = self.server.tell

    def peer(self) -> Peer:
        """Another client, and the server has seen it."""
        peer = Peer(self)
        self.peers.append(peer)
        self.turns(1)
        return peer

    def turns(self, count: int = 3) -> None:
        """So many looks round of the server, each when every client's turn has come."""
        for _ in range(count):
            self.rig.clock.now_ns += TURN_NS  # type: ignore[attr-defined]
            self.server.turn(0)

    def frame(self) -> Outcome:
        """One frame, as `run` steps."""
        if self.desk.before_a_frame().new_field:
            self.rig.controller.new_field()
        outcome = step(self.rig)
        self.desk.after_a_frame(outcome)
        return outcome


@contextmanager
def control_room(**options: Any) -> Iterator[Room]:
    """In a folder of its own: the path of a socket must be short."""
    with tempfile.TemporaryDirectory() as folder:
        room = Room(Path(folder), **options)
        try:
            yield room
        finally:
            room.server.close()
            for peer in room.peers:
                peer.socket.close()
