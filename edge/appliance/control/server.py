"""The clients of the control socket, in a thread of their own. Whatever they do, the loop waits for
none of them: a client is read a line at a time and not before its turn, what it does not read is
dropped and counted, and one that sends what is no request is told so and let go.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from time import monotonic_ns

from edge.appliance.control.client import Client
from edge.appliance.control.desk import Answer, Asked
from edge.appliance.control.listening import Listening, peer_of
from edge.appliance.control.requests import (
    AT_ONCE,
    LONGEST,
    BadRequest,
    Request,
    line_of,
    read_request,
)
from edge.appliance.plain_results import Outcome as PlainOutcome
from edge.loop import Outcome

_log = logging.getLogger(__name__)

MOST_CLIENTS = 8
TURN_NS = 20_000_000  # between two requests of a client: a flood waits in its own pipe
MOST_NEWS = 64  # outcomes that the loop is ahead of us
MOST_UNREAD = 1 << 16  # bytes; a client that reads no further misses events
MOST_OWED = 1 << 18  # bytes; one that reads no answers is let go


class Server:
    """Answers clients. `turn` is one look round; `start` lets a thread do that for ever."""

    def __init__(
        self,
        listening: Listening,
        uids: Collection[int],
        put: Callable[[Asked], bool],
        status: Callable[[], Answer],
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        """`uids` may connect, beside root and this user; `put` takes what the loop must do."""
        self._listening, self._put, self._status, self._clock = listening, put, status, clock
        self._uids = {*uids, 0, os.geteuid()}
        self._clients: dict[int, Client] = {}
        self._count = 0
        self._answers: deque[tuple[int, Answer]] = deque()
        self._news: deque[tuple[Outcome, float | None]] = deque()
        self._lost = 0
        self._last: tuple[Outcome, float | None, int] | None = None
        self._ends = threading.Event()
        self._woken, self._wakes = socket.socketpair()
        for end in (self._woken, self._wakes):
            end.setblocking(False)
        self._thread: threading.Thread | None = None

    def tell(self, outcome: Outcome, z_um: float | None) -> None:
        """What the loop did; from its thread, and it waits for nothing."""
        self._last = outcome, z_um, self._clock()
        if any(client.listens for client in tuple(self._clients.values())):
            if len(self._news) >= MOST_NEWS:
                self._lost += 1
                return
            self._news.append((outcome, z_um))
            self._wake()

    def start(self) -> None:
        """Look round in a thread of its own until `close`."""
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Give what is left to give, without waiting, and let everybody go."""
        self._ends.set()
        self._wake()
        if self._thread is not None:
            self._thread.join(5)
        self.turn(0)
        for client in list(self._clients.values()):
            self._drop(client)
        self._listening.close()
        self._woken.close()
        self._wakes.close()

    def turn(self, wait_s: float) -> None:
        """One look round: whoever comes, one request of each whose turn it is, what is owed."""
        wait_s = self._until_due(wait_s)
        askers = [c for c in self._clients.values() if c.may_send()]
        owed = [c for c in self._clients.values() if c.unread]
        readable, _, _ = select.select(
            [self._listening.socket, self._woken, *(c.socket for c in askers)],
            [c.socket for c in owed], [], wait_s,
        )  # fmt: skip
        if self._woken in readable:
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
        if self._listening.socket in readable:
            self._accept()
        for client in askers:
            if client.socket in readable:
                self._read(client)
        for client in list(self._clients.values()):
            self._ask(client)
        self._pass_on()
        for client in list(self._clients.values()):
            self._write(client)

    def _serve(self) -> None:
        while not self._ends.is_set():
            try:
                self.turn(1.0)
            except Exception as error:  # noqa: BLE001 - no client takes the door from the others
                _log.warning("control: all clients are let go: %s", error)
                for client in list(self._clients.values()):
                    self._drop(client)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake; closed: nobody needs to be
            self._wakes.send(b"x")

    def _until_due(self, wait_s: float) -> float:
        """No longer than until a request that was read may be looked at."""
        now_ns = self._clock()
        due = [c.due_ns for c in self._clients.values() if c.has_line and c.may_ask()]
        return min([wait_s, *(max(0.0, (each - now_ns) / 1e9) for each in due)])

    def _accept(self) -> None:
        try:
            connection, _ = self._listening.socket.accept()
        except OSError:  # it has gone again
            return
        connection.setblocking(False)
        pid, uid = peer_of(connection)
        self._count += 1
        client = Client(connection, self._count, f"process {pid} of user {uid}")
        refusal = ""
        if uid not in self._uids:
            refusal = f"user {uid} may not use this socket (control.uids)"
        elif len(self._clients) >= MOST_CLIENTS:
            refusal = f"{MOST_CLIENTS} clients are here already"
        self._clients[client.who] = client
        if refusal:
            self._let_go(client, refusal)
            self._write(client)

    def _read(self, client: Client) -> None:
        try:
            data = client.socket.recv(LONGEST + 1 - len(client.read))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        client.ended = not data  # half a line is no request
        client.read += data
        if not client.has_line and len(client.read) > LONGEST:
            self._let_go(client, f"a line is longer than {LONGEST} bytes")

    def _ask(self, client: Client) -> None:
        """One request, if there is one and it is this client's turn."""
        now_ns = self._clock()
        if not client.may_ask() or now_ns < client.due_ns or not client.has_line:
            return
        client.due_ns = now_ns + TURN_NS
        line, _, rest = bytes(client.read).partition(b"\n")
        client.read = bytearray(rest)
        try:
            request = read_request(line)
        except BadRequest as bad:
            self._let_go(client, str(bad))
            return
        if request.do in AT_ONCE:
            self._owe(client, self._at_once(client, request), request)
            return
        client.pending += 1
        answer = partial(self._answer, client.who, request)
        there = partial(self._is_there, client.who)
        if not self._put(Asked(request, client.who, client.name, answer, there)):
            answer({"ok": False, "refused": "busy", "error": "too many requests wait"})

    def _is_there(self, who: int) -> bool:
        """Also from the loop's thread."""
        client = self._clients.get(who)
        return client is not None and not client.ended

    def _at_once(self, client: Client, request: Request) -> Answer:
        if request.do == "subscribe":
            client.listens = True
            return {"ok": True}
        last, now_ns = self._last, self._clock()
        since: Answer = {"z_um": None, "last": None, "age_ms": None}
        if last is not None:
            since = {"z_um": last[1], "last": PlainOutcome.of(last[0]).as_dict(),
                     "age_ms": (now_ns - last[2]) / 1e6}  # fmt: skip
        return {"ok": True, **self._status(), **since}

    def _answer(self, who: int, request: Request, answer: Answer) -> None:
        """From the loop's thread."""
        self._answers.append((who, {"id": request.id, "do": request.do, **answer}))
        self._wake()

    def _pass_on(self) -> None:
        """The loop's answers and news to whom they belong."""
        for _ in range(len(self._answers)):
            who, answer = self._answers.popleft()
            client = self._clients.get(who)
            if client is not None:
                client.pending -= 1
                self._send(client, answer)
        for _ in range(len(self._news)):
            outcome, z_um = self._news.popleft()
            event = {"event": "frame", "z_um": z_um, **PlainOutcome.of(outcome).as_dict()}
            lost, self._lost = self._lost, 0
            for client in list(self._clients.values()):
                if client.listens and not client.leaves:
                    client.missed += lost
                    self._send_event(client, event)

    def _send_event(self, client: Client, event: Answer) -> None:
        if len(client.unread) > MOST_UNREAD:
            client.missed += 1
            return
        client.unread += line_of({**event, "missed": client.missed})
        client.missed = 0

    def _owe(self, client: Client, answer: Answer, request: Request) -> None:
        self._send(client, {"id": request.id, "do": request.do, **answer})

    def _send(self, client: Client, answer: Answer) -> None:
        client.unread += line_of(answer)
        if len(client.unread) > MOST_OWED:
            self._drop(client)

    def _let_go(self, client: Client, why: str) -> None:
        client.unread += line_of({"ok": False, "refused": "bad", "error": why})
        client.leaves = True
        client.read.clear()

    def _write(self, client: Client) -> None:
        if client.unread:
            try:
                sent = client.socket.send(client.unread)
                del client.unread[:sent]
            except BlockingIOError:
                pass
            except OSError:  # it has gone
                self._drop(client)
                return
        if client.is_done():  # it was told, or does not listen
            self._drop(client)

    def _drop(self, client: Client) -> None:
        self._clients.pop(client.who, None)
        client.socket.close()
