"""What a firmware does with numbers: new, old, copied and refused ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from firmware_bridge import messages as m
from firmware_bridge.conformance.probe import Probe
from firmware_bridge.conformance.verdicts import need, refused_for


def copies(probe: Probe) -> None:
    """A copy is answered again and moves nothing, also when the axis is elsewhere by then."""
    copy = probe.a_move(1, probe.origin_nm + probe.travel_nm * 9 // 10)
    for _ in range(2):
        answer = probe.ask(copy, m.Accepted, m.Refused)
        need(isinstance(answer, m.Accepted), "a copy of the move under way was refused")
    probe.listen()
    ended = any(isinstance(heard.message, m.Done) for heard in probe.heard)
    need(not ended, "a copy of the move under way brought a DONE")
    probe.ask(m.Stop(probe.session), m.Stopping)
    rested = probe.settled()
    probe.ask(m.Clear(probe.session, rested.latch_count), m.Cleared)
    answer = probe.ask(copy, m.Accepted, m.Refused)
    need(isinstance(answer, m.Accepted), "a copy of an ended move was refused")
    done = probe.wait(m.Done)
    need(done.result == m.Result.STOPPED, f"a copy of a stopped move: {done}")
    probe.clock.sleep(0.1)
    moved = probe.status().commanded_nm - rested.commanded_nm
    need(moved == 0, f"a copy of an ended move moved the axis by {moved} nm")


def move_numbers(probe: Probe) -> None:
    """Numbers only grow; a number with other contents is refused; HELLO forgets none."""
    here = probe.status().commanded_nm
    need(isinstance(probe.move(5, here), m.Accepted), "move 5 was refused")
    probe.settled()
    refused_for(probe.move(5, here + probe.step_nm), m.Reason.REUSED_ID, "number 5, other contents")
    refused_for(probe.move(4, here), m.Reason.STALE, "number 4 after 5")
    refused_for(probe.move(0, here), m.Reason.STALE, "number 0")
    probe.hello()
    refused_for(probe.move(4, here), m.Reason.STALE, "number 4 after 5 and a repeated HELLO")


def refusal_is_final(probe: Probe) -> None:
    """A number once refused stays refused, though its move would fit by now."""
    here = probe.status().commanded_nm
    there = here + probe.travel_nm // 4 // probe.step_nm * probe.step_nm
    first = probe.a_move(1, here, assumed_nm=there, tolerance_nm=probe.step_nm)
    last = probe.a_move(3, here, assumed_nm=there, tolerance_nm=probe.step_nm)
    refused_for(probe.ask(first, m.Accepted, m.Refused), m.Reason.ASSUMED_DIFFERS, "a wrong place")
    need(isinstance(probe.move(2, there), m.Accepted), "a good move was refused")
    refused_for(probe.ask(last, m.Accepted, m.Refused), m.Reason.ASSUMED_DIFFERS, "a wrong place")
    probe.settled()
    for copy in (first, last):
        answer = probe.ask(copy, m.Accepted, m.Refused)
        need(isinstance(answer, m.Refused), f"a late copy of refused move {copy.move_id} was made")


def newest_wins(probe: Probe) -> None:
    """A newer move takes over at once; the older one is told as superseded."""
    probe.move(1, probe.origin_nm + probe.travel_nm * 9 // 10)
    newer = probe.a_move(2, probe.origin_nm, tolerance_nm=probe.travel_nm)
    need(isinstance(probe.ask(newer, m.Accepted, m.Refused), m.Accepted), "the newer was refused")
    probe.heard.clear()
    status = probe.settled()
    need((status.last_move_id, status.last_result) == (2, m.Result.REACHED), f"{status}")
    need(abs(status.commanded_nm - probe.origin_nm) <= probe.step_nm, "it went elsewhere")


def superseded_is_told(probe: Probe) -> None:
    """The older of two moves ends with DONE(SUPERSEDED)."""
    probe.move(1, probe.origin_nm + probe.travel_nm * 9 // 10)
    newer = probe.a_move(2, probe.origin_nm, tolerance_nm=probe.travel_nm)
    probe.forget()
    probe.send(newer)
    done = probe.wait(m.Done)
    need((done.move_id, done.result) == (1, m.Result.SUPERSEDED), f"{done}")


def contents_count(probe: Probe) -> None:
    """Target, assumed position and tolerance all belong to a number, made or refused."""
    here = probe.status().commanded_nm
    made = probe.a_move(5, here + probe.step_nm)
    need(isinstance(probe.ask(made, m.Accepted, m.Refused), m.Accepted), "move 5 was refused")
    probe.settled()
    elsewhere = here + probe.travel_nm // 2
    wrong = probe.a_move(7, here, assumed_nm=elsewhere, tolerance_nm=probe.step_nm)
    refused_for(probe.ask(wrong, m.Accepted, m.Refused), m.Reason.ASSUMED_DIFFERS, "a wrong place")
    for move in (made, wrong):
        for other in (
            replace(move, target_nm=move.target_nm + probe.step_nm),
            replace(move, assumed_nm=move.assumed_nm + 1),
            replace(move, tolerance_nm=move.tolerance_nm + 1),
        ):
            answer = probe.ask(other, m.Accepted, m.Refused)
            refused_for(answer, m.Reason.REUSED_ID, f"{other} after {move}")
    again = probe.ask(wrong, m.Accepted, m.Refused)
    refused_for(again, m.Reason.ASSUMED_DIFFERS, "a copy of a refused move")


def older_than_a_refused_one(probe: Probe) -> None:
    """A number below one that was refused is as old as one below a move that was made."""
    here = probe.status().commanded_nm
    refused = probe.move(8, here, assumed_nm=here + probe.travel_nm // 2, tolerance_nm=0)
    refused_for(refused, m.Reason.ASSUMED_DIFFERS, "a wrong place")
    refused_for(probe.move(7, here), m.Reason.STALE, "number 7 after 8 was refused")
    need(isinstance(probe.move(9, here), m.Accepted), "number 9 after 8 was refused")


def wide_numbers(probe: Probe) -> None:
    """Numbers have 32 bits, up to the last."""
    here = probe.status().commanded_nm
    for number in (5, 2**16 + 5, 2**32 - 2):
        copy = probe.a_move(number, here)
        for _ in range(2):
            answer = probe.ask(copy, m.Accepted, m.Refused)
            need(answer == m.Accepted(number, here), f"move {number}: {answer}")
        probe.settled()
    last = probe.move(2**32 - 1, here, assumed_nm=here + probe.travel_nm // 2, tolerance_nm=0)
    refused_for(last, m.Reason.ASSUMED_DIFFERS, "a wrong place")
    need(last.move_id == 2**32 - 1, f"move {2**32 - 1} is refused as {last.move_id}")


def start_is_told_first(probe: Probe) -> None:
    """STATUS says that the axis moves before ACCEPTED does."""
    move = probe.a_move(1, probe.origin_nm + probe.travel_nm // 2)
    probe.forget()
    probe.send(move)
    first = probe.find(
        lambda heard: (
            isinstance(heard.message, m.Accepted | m.Refused)
            or (isinstance(heard.message, m.Status) and heard.message.last_move_id == 1)
        ),
        "STATUS or ACCEPTED",
    ).message
    need(isinstance(first, m.Status), f"{type(first).__name__} came before STATUS")
    assert isinstance(first, m.Status)
    need(bool(first.flags & m.Flag.MOVING), "the first STATUS of a move says that it does not move")
    need(first.last_result == m.Result.MOVING, f"the first STATUS of a move: {first}")


def event_numbers(probe: Probe) -> None:
    """Frames nobody asked for count on their own, none left out, none twice."""
    move = probe.a_move(1, probe.origin_nm + probe.travel_nm // 10)
    probe.forget()
    probe.send(move)
    told: list[int] = []
    settled = False
    deadline = probe.clock.monotonic() + 5.0
    while not settled:
        need(probe.clock.monotonic() < deadline, "never at rest")
        probe.keep_alive()
        probe.listen()
        for heard in probe.heard:
            if isinstance(heard.message, m.Status | m.Done):
                told.append(heard.seq)
                now = heard.message
                settled = isinstance(now, m.Status) and bool(now.flags & m.Flag.SETTLED)
        probe.heard.clear()
    gaps = [(a, b) for a, b in pairwise(told) if b != (a + 1) % 256]
    need(not gaps, f"events are numbered {gaps}")
