"""The control socket that a config asks for, or none, behind the same desk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edge.appliance.control.desk import Desk
from edge.appliance.control.listening import Listening
from edge.appliance.control.server import Server
from edge.rig import Rig
from edge.settings import ControlSettings


@contextmanager
def control_door(settings: ControlSettings | None, rig: Rig) -> Iterator[Desk]:
    """The control socket that the config names, while the loop runs."""
    desk = Desk(rig)
    if settings is None:
        yield desk
        return
    listening = Listening(settings.socket, int(settings.mode, 8))
    status = lambda: {"state": rig.state.name, "held": rig.guard.held}  # noqa: E731
    server = Server(listening, settings.uids, desk.put, status)
    desk.tell = server.tell
    server.start()
    try:
        yield desk
    finally:
        desk.close(rig.state.reason or "run has ended")
        server.close()
