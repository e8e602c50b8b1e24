"""What clients ask of the loop, through a real socket, on a clock that is advanced by hand."""

from __future__ import annotations

from typing import Any

import pytest

from firmware_bridge.errors import LinkLost
from tests.support.control_room import Room, control_room


def until_answered(room: Room, peer: Any, frames: int = 100) -> dict[str, Any]:
    for _ in range(frames):
        room.frame()
        room.turns(1)
        answers = [line for line in peer.lines() if "event" not in line]
        if answers:
            return dict(answers[-1])
    raise AssertionError("no answer")


def test_status() -> None:
    with control_room(focus_um=6.0) as room:
        peer = room.peer()
        peer.send({"do": "status", "id": 1})
        room.turns(1)
        (first,) = peer.lines()
        assert first["ok"]
        assert (first["state"], first["held"], first["last"], first["z_um"]) == (
            "ready",
            "",
            None,
            None,
        )
        room.frame()
        status = peer.ask(do="status", id="x")
        assert (status["id"], status["state"], status["z_um"]) == (
            "x",
            "tracking",
            pytest.approx(6, abs=6),
        )
        assert status["last"]["decision"] in ("MOVE", "VERIFY", "HOLD")
        assert status["age_ms"] > 0


def test_a_focus_is_answered_when_the_field_is_done() -> None:
    with control_room(focus_um=6.0) as room:
        peer = room.peer()
        peer.send({"do": "focus", "id": 5})
        room.turns()
        assert peer.lines() == []  # not before the loop has done it
        answer = until_answered(room, peer)
        assert (answer["id"], answer["do"], answer["ok"]) == (5, "focus", True)
        assert answer["outcome"]["decision"] == "IN_FOCUS"
        assert answer["z_um"] == pytest.approx(6.0, abs=0.6)
        assert (answer["moves"] >= 1, answer["at_rest"]) == (True, True)


def test_one_focus_at_a_time() -> None:
    with control_room(focus_um=6.0) as room:
        first, second = room.peer(), room.peer()
        first.send({"do": "focus"})
        room.turns()
        room.frame()
        answer = second.ask(do="focus")
        assert (answer["ok"], answer["refused"]) == (False, "busy")
        assert "it focuses for process" in answer["error"]
        assert until_answered(room, first)["ok"]


def test_nothing_moves_while_it_is_held() -> None:
    with control_room(focus_um=6.0) as room:
        peer = room.peer()
        answer = peer.ask(do="hold", reason="a z-stack")
        assert (answer["ok"], answer["z_um"], answer["at_rest"]) == (True, 0.0, True)
        for _ in range(20):
            assert room.frame().decision.value == "REFUSE"
        assert room.rig.stage.moves == []
        status = peer.ask(do="status")
        assert status["held"].startswith("by process ")
        assert status["held"].endswith(": a z-stack")
        assert peer.ask(do="focus")["refused"] == "held"
        assert peer.ask(do="resume")["ok"]
        for _ in range(20):
            room.frame()
        assert room.rig.stage.glass_um == pytest.approx(6.0, abs=0.6)


def test_a_hold_that_is_answered_stands_before_the_next_frame() -> None:
    """A move that is under way goes on, and the answer says that it does."""
    with control_room(focus_um=6.0) as room:
        peer = room.peer()
        room.frame()
        assert len(room.rig.stage.moves) == 1
        peer.send({"do": "hold"})
        room.server.turn(0)
        room.desk.before_a_frame()
        room.server.turn(0)
        (answer,) = peer.lines()
        assert (answer["ok"], answer["at_rest"]) == (True, False)
        assert room.rig.stage.stops == 0


def test_a_hold_is_its_clients_while_that_is_there() -> None:
    with control_room(focus_um=6.0) as room:
        holder, other = room.peer(), room.peer()
        assert holder.ask(do="hold")["ok"]
        for do in ("resume", "hold"):
            answer = other.ask(do=do)
            assert (answer["ok"], answer["refused"]) == (False, "held")
        assert other.ask(do="new_field")["ok"]  # moves nothing
        assert holder.ask(do="hold", reason="still")["ok"]
        assert room.rig.guard.held.endswith(": still")


def test_a_hold_outlives_its_client_and_then_anybody_may_end_it() -> None:
    """Nobody knows what that client was doing to the glass."""
    with control_room(focus_um=6.0) as room:
        holder, other = room.peer(), room.peer()
        assert holder.ask(do="hold")["ok"]
        holder.socket.close()
        room.turns()
        for _ in range(20):
            room.frame()
        assert room.rig.stage.moves == []
        assert other.ask(do="resume")["ok"]
        assert room.rig.guard.held == ""


def test_a_hold_in_the_middle_of_a_focus_ends_it() -> None:
    with control_room(focus_um=6.0) as room:
        focuser, holder = room.peer(), room.peer()
        focuser.send({"do": "focus"})
        room.turns()
        holder.send({"do": "hold"})
        room.turns()
        answer = until_answered(room, focuser)
        assert (answer["ok"], answer["outcome"]["decision"]) == (True, "REFUSE")
        assert answer["outcome"]["reason"].startswith("held: by process")
        assert answer["moves"] == 0


def test_a_new_field_and_a_resume_forget_what_was_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with control_room() as room:
        fields: list[int] = []
        monkeypatch.setattr(room.rig.controller, "new_field", lambda: fields.append(1))
        peer = room.peer()
        assert peer.ask(do="new_field")["ok"]
        assert fields == [1]
        assert peer.ask(do="resume")["ok"]  # nothing is held: nothing is forgotten
        assert fields == [1]
        peer.ask(do="hold")
        peer.ask(do="resume")
        assert fields == [1, 1]


def test_an_offset_counts_from_the_next_frame_on() -> None:
    with control_room(focus_um=6.0) as room:
        peer = room.peer()
        for um, z_um in ((2.0, 8.0), (-1.0, 5.0), (0.0, 6.0)):
            answer = peer.ask(do="offset", um=um)
            assert (answer["ok"], answer["offset_um"]) == (True, um)
            for _ in range(20):
                room.frame()
            assert room.rig.stage.glass_um == pytest.approx(z_um, abs=0.6)
            assert room.rig.controller.offset_um == um


def test_a_stage_that_is_silent_answers_nothing_and_the_client_is_answered() -> None:
    with control_room() as room:
        peer = room.peer()
        room.rig.stage.fail_status = LinkLost("gone")
        peer.send({"do": "hold"})
        room.turns()
        room.desk.before_a_frame()
        room.turns()
        (answer,) = peer.lines()
        assert (answer["ok"], answer["z_um"], answer["at_rest"]) == (True, None, False)
        room.rig.stage.fail_status = None


def test_nobody_is_left_without_an_answer_at_the_end() -> None:
    with control_room(focus_um=6.0) as room:
        focuser, other = room.peer(), room.peer()
        focuser.send({"do": "focus"})
        room.turns()
        room.desk.before_a_frame()
        other.send({"do": "hold"})
        room.turns()
        room.desk.close("shutdown: focus sign")
        room.turns()
        for peer in (focuser, other):
            (answer,) = peer.lines()
            assert (answer["refused"], answer["error"]) == ("ended", "shutdown: focus sign")


def test_the_loop_does_only_so_many_between_two_frames() -> None:
    with control_room() as room:
        peers = [room.peer() for _ in range(8)]
        for peer in peers:
            peer.send(*[{"do": "new_field"}] * 4)
        room.turns(6)
        counts = []
        for _ in range(5):
            room.frame()
            room.turns(1)
            counts.append(sum(len(peer.lines()) for peer in peers))
        assert counts == [8, 8, 8, 8, 0]
