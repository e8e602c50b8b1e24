"""Clients that are deaf, slow, flood, or send garbage: told or let go, and the loop never waits."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

import pytest

from edge.appliance.control import server as server_module
from edge.appliance.control.client import MOST_PENDING
from edge.appliance.control.requests import LONGEST
from edge.appliance.control.server import MOST_CLIENTS, MOST_NEWS, MOST_UNREAD
from tests.support.control_room import control_room

GARBAGE = [b"\n", b"hold\n", b"\x00\xff\n", b'{"do":"hold"\n', b"[]\n", b'{"do":"jump"}\n']


@pytest.mark.parametrize("line", GARBAGE)
def test_garbage_is_told_and_let_go_and_moves_nothing(line: bytes) -> None:
    with control_room() as room:
        peer, sound = room.peer(), room.peer()
        peer.send(line + b'{"do":"hold"}\n')
        room.turns()
        room.frame()
        (answer,) = peer.lines()
        assert (answer["ok"], answer["refused"]) == (False, "bad")
        assert peer.hung_up()
        assert room.rig.guard.held == ""  # what follows garbage is garbage
        assert sound.ask(do="status")["ok"]


def test_half_a_line_is_no_request() -> None:
    with control_room() as room:
        peer, sound = room.peer(), room.peer()
        peer.send(b'{"do":"ho')
        room.turns()
        room.frame()
        assert room.rig.guard.held == ""
        peer.send(b'ld"}\n')
        room.turns()
        room.frame()
        assert room.rig.guard.held
        room.turns()
        assert peer.lines()[-1]["ok"]
        sound.send(b'{"do":"new_field"}')  # and it goes, without a newline
        sound.socket.close()
        room.turns()
        assert not room.desk._waiting
        assert len(room.server._clients) == 1


def test_bytes_one_by_one_are_a_request_in_the_end() -> None:
    with control_room() as room:
        peer = room.peer()
        for byte in b'{"do":"status"}\n':
            peer.send(bytes([byte]))
            room.turns(1)
        assert peer.lines()[0]["ok"]


def test_a_line_without_end_is_let_go() -> None:
    with control_room() as room:
        peer = room.peer()
        peer.send(b"x" * (LONGEST + 1))
        room.turns()
        assert peer.lines()[0]["error"] == f"a line is longer than {LONGEST} bytes"
        assert peer.hung_up()
        longest = room.peer()
        line = b'{"do":"status"}'
        longest.send(b" " * (LONGEST - len(line)) + line + b"\n")
        room.turns()
        assert longest.lines()[0]["ok"]


def test_a_flood_waits_for_its_turn_and_others_do_not() -> None:
    with control_room() as room:
        flood, sound = room.peer(), room.peer()
        with contextlib.suppress(BlockingIOError):  # its own pipe is full: it waits, nobody else
            for _ in range(100_000):
                flood.send({"do": "status"})
        room.server.turn(0)
        room.server.turn(0)
        for _ in range(50):  # no time passes: no turn
            room.server.turn(0)
        assert len(flood.lines()) == 1
        sound.send({"do": "status"})
        room.turns(1)
        assert len(sound.lines()) == 1
        room.turns(10)
        assert 9 <= len(flood.lines()) <= 11
        assert len(room.server._clients[1].read) <= LONGEST + 1


def test_requests_that_the_loop_has_not_done_are_few() -> None:
    with control_room() as room:
        flood = room.peer()
        flood.send(*[{"do": "new_field"}] * 100)
        room.turns(50)
        assert len(room.desk._waiting) == MOST_PENDING


def test_when_too_many_wait_the_rest_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.appliance.control.desk.MOST_WAITING", 2)
    with control_room() as room:
        peer = room.peer()
        peer.send(*[{"do": "new_field"}] * 3)
        room.turns(5)
        (answer,) = peer.lines()
        assert (answer["ok"], answer["refused"]) == (False, "busy")


def test_a_deaf_subscriber_misses_and_is_told_how_much() -> None:
    with control_room() as room:
        deaf, awake = room.peer(), room.peer()
        for peer in (deaf, awake):
            assert peer.ask(do="subscribe")["ok"]
        deaf.lines()
        frames = 0
        while not room.server._clients[1].missed:
            room.frame()
            room.turns(1)
            frames += 1
            awake.lines()
            assert frames < 10_000
        assert len(room.server._clients[1].unread) < 2 * MOST_UNREAD
        assert room.server._clients[2].missed == 0
        events: list[dict[str, Any]] = []
        for _ in range(200):
            events += deaf.lines()
            room.turns(1)
        events += deaf.lines()
        room.frame()
        room.turns()
        (last,) = deaf.lines()
        assert last["missed"] == frames - len(events)
        assert last["event"] == "frame"


def test_a_client_that_reads_no_answers_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MOST_OWED", 4096)
    with control_room() as room:
        deaf = room.peer()
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for _ in range(2000):
            if not room.server._clients:
                break
            with contextlib.suppress(BlockingIOError):
                deaf.send({"do": "status"})
            room.turns(1)
        assert not room.server._clients


def test_the_loop_is_not_held_up_by_a_server_that_stands_still() -> None:
    """Its thread may not get a turn for long: news are dropped, and counted."""
    with control_room() as room:
        peer = room.peer()
        peer.ask(do="subscribe")
        room.turns()
        peer.lines()
        for _ in range(MOST_NEWS + 36):
            room.frame()
        assert len(room.server._news) == MOST_NEWS
        room.turns()
        events = peer.lines()
        assert len(events) == MOST_NEWS
        assert events[0]["missed"] == 36


def test_events_are_outcomes() -> None:
    with control_room(focus_um=6.0) as room:
        peer = room.peer()
        peer.ask(do="subscribe")
        room.turns()
        peer.lines()
        outcome = room.frame()
        room.turns()
        (event,) = peer.lines()
        assert (event["event"], event["decision"]) == ("frame", outcome.decision.value)
        assert event["frame_id"] == outcome.frame_id
        assert event["estimate"]["patches"] >= 0
        assert "z_um" in event


def test_nobody_asks_nothing_is_made() -> None:
    with control_room() as room:
        room.peer()
        room.frame()
        assert not room.server._news


def test_more_than_so_many_are_not_let_in() -> None:
    with control_room() as room:
        peers = [room.peer() for _ in range(MOST_CLIENTS)]
        late = room.peer()
        assert late.lines()[0]["error"] == f"{MOST_CLIENTS} clients are here already"
        assert late.hung_up()
        peers[0].socket.close()
        room.turns()
        assert room.peer().ask(do="status")["ok"]


def test_another_user_is_not_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "peer_of", lambda _: (4711, 5005))
    with control_room() as room:
        stranger = room.peer()
        assert stranger.lines()[0]["error"] == "user 5005 may not use this socket (control.uids)"
        assert stranger.hung_up()
    with control_room(uids=(5005,)) as room:
        peer = room.peer()
        assert peer.ask(do="status")["ok"]
        assert room.server._clients[1].name == "process 4711 of user 5005"


def test_the_kernel_says_who_it_is() -> None:
    with control_room() as room:
        room.peer()
        assert room.server._clients[1].name == f"process {os.getpid()} of user {os.geteuid()}"


def test_who_sends_no_more_still_gets_the_answer() -> None:
    """`echo | socat` closes its half of the line at once."""
    with control_room() as room:
        peer = room.peer()
        peer.send({"do": "hold"}, {"do": "status"})
        peer.socket.shutdown(socket.SHUT_WR)
        room.turns()
        assert not room.server._is_there(1)
        room.frame()
        room.turns()
        assert {line["do"] for line in peer.lines()} == {"hold", "status"}
        assert peer.hung_up()


def test_a_fault_of_ours_lets_all_go_and_the_door_stays(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with control_room() as room:
        peer = room.peer()
        looks: list[int] = []

        def turn(wait_s: float) -> None:
            looks.append(1)
            if len(looks) == 2:
                room.server._ends.set()
                return
            raise RuntimeError("unforeseen")

        with monkeypatch.context() as patched:
            patched.setattr(room.server, "turn", turn)
            room.server._serve()
        assert len(looks) == 2
        assert "all clients are let go: unforeseen" in caplog.text
        assert peer.hung_up()
        assert room.peer().ask(do="status")["ok"]
