"""What a firmware does with numbers: new, old, copied and refused ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from firmware_bridge import messages as m
from firmware_bridge.conformance.test_host import ConformanceHost
from firmware_bridge.conformance.verdicts import need, refused_for


def copies(host: ConformanceHost) -> None:
    """A copy is answered again and moves nothing, also when the axis is elsewhere by then."""
    copy = host.a_move(1, host.origin_nm + host.travel_nm * 9 // 10)
    for _ in range(2):
        answer = host.ask(copy, m.Accepted, m.Refused)
        need(isinstance(answer, m.Accepted), "a copy of the move under way was refused")
    host.listen()
    ended = any(isinstance(heard.message, m.Done) for heard in host.heard)
    need(not ended, "a copy of the move under way brought a DONE")
    host.ask(m.Stop(host.session), m.Stopping)
    rested = host.settled()
    host.ask(m.Clear(host.session, rested.latch_count), m.Cleared)
    answer = host.ask(copy, m.Accepted, m.Refused)
    need(isinstance(answer, m.Accepted), "a copy of an ended move was refused")
    done = host.wait(m.Done)
    need(done.result == m.Result.STOPPED, f"a copy of a stopped move: {done}")
    host.clock.sleep(0.1)
    moved = host.status().commanded_nm - rested.commanded_nm
    need(moved == 0, f"a copy of an ended move moved the axis by {moved} nm")


def move_numbers(host: ConformanceHost) -> None:
    """Numbers only grow; a number with other contents is refused; HELLO forgets none."""
    here = host.status().commanded_nm
    need(isinstance(host.move(5, here), m.Accepted), "move 5 was refused")
    host.settled()
    refused_for(host.move(5, here + host.step_nm), m.Reason.REUSED_ID, "number 5, other contents")
    refused_for(host.move(4, here), m.Reason.STALE, "number 4 after 5")
    refused_for(host.move(0, here), m.Reason.STALE, "number 0")
    host.hello()
    refused_for(host.move(4, here), m.Reason.STALE, "number 4 after 5 and a repeated HELLO")


def refusal_is_final(host: ConformanceHost) -> None:
    """A number once refused stays refused, though its move would fit by now."""
    here = host.status().commanded_nm
    there = here + host.travel_nm // 4 // host.step_nm * host.step_nm
    first = host.a_move(1, here, assumed_nm=there, tolerance_nm=host.step_nm)
    last = host.a_move(3, here, assumed_nm=there, tolerance_nm=host.step_nm)
    refused_for(host.ask(first, m.Accepted, m.Refused), m.Reason.ASSUMED_DIFFERS, "a wrong place")
    need(isinstance(host.move(2, there), m.Accepted), "a good move was refused")
    refused_for(host.ask(last, m.Accepted, m.Refused), m.Reason.ASSUMED_DIFFERS, "a wrong place")
    host.settled()
    for copy in (first, last):
        answer = host.ask(copy, m.Accepted, m.Refused)
        need(isinstance(answer, m.Refused), f"a late copy of refused move {copy.move_id} was made")


def newest_wins(host: ConformanceHost) -> None:
    """A newer move takes over at once; the older one is told as superseded."""
    host.move(1, host.origin_nm + host.travel_nm * 9 // 10)
    newer = host.a_move(2, host.origin_nm, tolerance_nm=host.travel_nm)
    need(isinstance(host.ask(newer, m.Accepted, m.Refused), m.Accepted), "the newer was refused")
    host.heard.clear()
    status = host.settled()
    need((status.last_move_id, status.last_result) == (2, m.Result.REACHED), f"{status}")
    need(abs(status.commanded_nm - host.origin_nm) <= host.step_nm, "it went elsewhere")


def superseded_is_told(host: ConformanceHost) -> None:
    """The older of two moves ends with DONE(SUPERSEDED)."""
    host.move(1, host.origin_nm + host.travel_nm * 9 // 10)
    newer = host.a_move(2, host.origin_nm, tolerance_nm=host.travel_nm)
    host.forget()
    host.send(newer)
    done = host.wait(m.Done)
    need((done.move_id, done.result) == (1, m.Result.SUPERSEDED), f"{done}")


def contents_count(host: ConformanceHost) -> None:
    """Target, assumed position and tolerance all belong to a number, made or refused."""
    here = host.status().commanded_nm
    made = host.a_move(5, here + host.step_nm)
    need(isinstance(host.ask(made, m.Accepted, m.Refused), m.Accepted), "move 5 was refused")
    host.settled()
    elsewhere = here + host.travel_nm // 2
    wrong = host.a_move(7, here, assumed_nm=elsewhere, tolerance_nm=host.step_nm)
    refused_for(host.ask(wrong, m.Accepted, m.Refused), m.Reason.ASSUMED_DIFFERS, "a wrong place")
    for move in (made, wrong):
        for other in (
            replace(move, target_nm=move.target_nm + host.step_nm),
            replace(move, assumed_nm=move.assumed_nm + 1),
            replace(move, tolerance_nm=move.tolerance_nm + 1),
        ):
            answer = host.ask(other, m.Accepted, m.Refused)
            refused_for(answer, m.Reason.REUSED_ID, f"{other} after {move}")
    again = host.ask(wrong, m.Accepted, m.Refused)
    refused_for(again, m.Reason.ASSUMED_DIFFERS, "a copy of a refused move")


def older_than_a_refused_one(host: ConformanceHost) -> None:
    """A number below one that was refused is as old as one below a move that was made."""
    here = host.status().commanded_nm
    refused = host.move(8, here, assumed_nm=here + host.travel_nm // 2, tolerance_nm=0)
    refused_for(refused, m.Reason.ASSUMED_DIFFERS, "a wrong place")
    refused_for(host.move(7, here), m.Reason.STALE, "number 7 after 8 was refused")
    need(isinstance(host.move(9, here), m.Accepted), "number 9 after 8 was refused")


def wide_numbers(host: ConformanceHost) -> None:
    """Numbers have 32 bits, up to the last."""
    here = host.status().commanded_nm
    for number in (5, 2**16 + 5, 2**32 - 2):
        copy = host.a_move(number, here)
        for _ in range(2):
            answer = host.ask(copy, m.Accepted, m.Refused)
            need(answer == m.Accepted(number, here), f"move {number}: {answer}")
        host.settled()
    last = host.move(2**32 - 1, here, assumed_nm=here + host.travel_nm // 2, tolerance_nm=0)
    refused_for(last, m.Reason.ASSUMED_DIFFERS, "a wrong place")
    need(last.move_id == 2**32 - 1, f"move {2**32 - 1} is refused as {last.move_id}")


def start_is_told_first(host: ConformanceHost) -> None:
    """STATUS says that the axis moves before ACCEPTED does."""
    move = host.a_move(1, host.origin_nm + host.travel_nm // 2)
    host.forget()
    host.send(move)
    first = host.find(
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


def event_numbers(host: ConformanceHost) -> None:
    """Frames nobody asked for count on their own, none left out, none twice."""
    move = host.a_move(1, host.origin_nm + host.travel_nm // 10)
    host.forget()
    host.send(move)
    numbers: list[int] = []
    settled = False
    deadline = host.clock.monotonic() + 5.0
    while not settled:
        need(host.clock.monotonic() < deadline, "never at rest")
        host.keep_alive()
        host.listen()
        for heard in host.heard:
            if isinstance(heard.message, m.Status | m.Done):
                numbers.append(heard.seq)
                now = heard.message
                settled = isinstance(now, m.Status) and bool(now.flags & m.Flag.SETTLED)
        host.heard.clear()
    gaps = [(a, b) for a, b in pairwise(numbers) if b != (a + 1) % 256]
    need(not gaps, f"events are numbered {gaps}")
