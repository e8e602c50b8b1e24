"""What a firmware does with numbers: new, old, copied and refused ones."""

from __future__ import annotations

from firmware_bridge import messages as m
from firmware_bridge.conformance.probe import Probe
from firmware_bridge.conformance.verdicts import need, refused_for


def copies(probe: Probe) -> None:
    """A copy is answered again and moves nothing, also when the axis is elsewhere by then."""
    copy = probe.a_move(1, probe.origin_nm + probe.travel_nm * 9 // 10)
    for _ in range(2):
        answer = probe.ask(copy, m.Accepted, m.Refused)
        need(isinstance(answer, m.Accepted), "a copy of the move under way was refused")
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
