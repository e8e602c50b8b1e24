"""What a firmware does with its axis: moves, copies, refusals, stops, latches, the watchdog."""

from __future__ import annotations

import time

from firmware_bridge import messages as m
from firmware_bridge.conformance.probe import Probe, nacked_for, need, refused_for

_FOREIGN = 0x7FFFFFF1
WATCHDOG_LIMIT_MS = 240  # from the last frame to braking


def move(probe: Probe) -> None:
    """A move is accepted, made, reported as done and as settled, in this order and place."""
    target = probe.origin_nm + probe.travel_nm // 3 // probe.step_nm * probe.step_nm
    answer = probe.move(1, target + probe.step_nm // 4)
    need(answer == m.Accepted(1, target), f"a good move: {answer}")
    done = _done(probe)
    need((done.move_id, done.result) == (1, m.Result.REACHED), f"{done}")
    need(done.position_nm == target, f"done at {done.position_nm} instead of {target} nm")
    status = probe.settled()
    settle_ms = (status.settled_us - done.time_us) / 1e3
    need(20 <= settle_ms <= 25, f"settled {settle_ms:.1f} ms after rest instead of 20")
    need(status.commanded_nm == target, "the axis crept after DONE")


def _way_to(probe: Probe, target_nm: int) -> list[int]:
    """The positions told until the axis has settled, which must be on the target."""
    seen: list[int] = []

    def at_rest(status: m.Status) -> bool:
        seen.append(status.commanded_nm)
        return bool(status.flags & m.Flag.SETTLED)

    end_nm = probe.until(at_rest, "at rest").commanded_nm
    need(end_nm == target_nm, f"ended at {end_nm} instead of {target_nm} nm")
    return seen


def approach(probe: Probe) -> None:
    """Every move ends coming up: one that goes down dips below its target first."""
    target = probe.origin_nm - probe.travel_nm // 3 // probe.step_nm * probe.step_nm
    need(isinstance(probe.move(1, target), m.Accepted), "a move down was refused")
    seen = _way_to(probe, target)
    need(min(seen) == target - probe.backlash_nm, f"dipped {target - min(seen)} nm below")


def approach_from_above(probe: Probe) -> None:
    """A negative backlash: every move ends coming down, one that goes up overshoots first."""
    probe.reopen(backlash_nm=-probe.backlash_nm)
    ack = probe.hello()
    need(ack.backlash_nm == -probe.backlash_nm, f"backlash {ack.backlash_nm} nm")
    target = probe.origin_nm + probe.travel_nm // 3 // probe.step_nm * probe.step_nm
    need(isinstance(probe.move(1, target), m.Accepted), "a move up was refused")
    seen = _way_to(probe, target)
    need(max(seen) == target + probe.backlash_nm, f"went {max(seen) - target} nm above")
    high = probe.origin_nm + probe.travel_nm
    answer = probe.move(2, high - probe.backlash_nm + probe.step_nm)
    refused_for(answer, m.Reason.WINDOW, "an overshoot outside the window")


def window(probe: Probe) -> None:
    """No target and no dip outside the window, to the nanometre."""
    low, high = probe.origin_nm - probe.travel_nm, probe.origin_nm + probe.travel_nm
    dips = low + probe.backlash_nm - probe.step_nm
    for number, target in enumerate((low - 1, high + 1, -(2**31), 2**31 - 1, dips), 1):
        refused_for(probe.move(number, target), m.Reason.WINDOW, f"a move to {target} nm")
    need(probe.status().last_move_id == 0, "a refused move counts as made")


def assumed_position(probe: Probe) -> None:
    """A host that is wrong about the position moves nothing."""
    here = probe.status().commanded_nm
    for number, off in enumerate((1_001, -1_001, 2**31 - 1 - here), 1):
        answer = probe.move(number, here, assumed_nm=here + off, tolerance_nm=1_000)
        refused_for(answer, m.Reason.ASSUMED_DIFFERS, f"a position assumed {off} nm off")
    answer = probe.move(9, here, assumed_nm=here + 1_000, tolerance_nm=1_000)
    need(isinstance(answer, m.Accepted), "a position within the tolerance was refused")


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
    time.sleep(0.1)
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


def settings_hold(probe: Probe) -> None:
    """While the axis moves, window and session stay."""
    probe.move(1, probe.origin_nm + probe.travel_nm * 9 // 10)
    result = probe.hello(z_max_nm=probe.origin_nm + probe.travel_nm - probe.step_nm).result
    need(result == m.Reason.BUSY, f"another window in mid-move: result {result}")
    nacked_for(probe.ask(m.Bye(probe.session), m.Nack, m.ByeAck), m.Reason.BUSY, "BYE in mid-move")


def stop(probe: Probe) -> None:
    """STOP brakes short of the target, latches, and refuses moves until CLEAR."""
    target = probe.origin_nm + probe.travel_nm * 9 // 10
    probe.move(1, target)
    stopping = probe.ask(m.Stop(probe.session), m.Stopping)
    done = _done(probe)
    need(done.result == m.Result.STOPPED, f"{done}")
    way = done.position_nm - stopping.position_nm
    need(0 <= way <= probe.travel_nm // 2, f"went on for {way} nm")
    status = probe.settled()
    need(status.latch == m.Latch.STOPPED, f"latch {status.latch} after STOP")
    refused_for(probe.move(2, probe.origin_nm), m.Reason.LATCHED, "a move of a stopped axis")
    cleared = probe.ask(m.Clear(probe.session, status.latch_count), m.Cleared)
    need(cleared.latch == m.Latch.NONE, "CLEAR did not clear")
    need(isinstance(probe.move(3, probe.origin_nm), m.Accepted), "no move after CLEAR")


def anyone_may_stop(probe: Probe) -> None:
    """STOP is obeyed whoever sends it."""
    probe.move(1, probe.origin_nm + probe.travel_nm * 9 // 10)
    answer = probe.ask(m.Stop(_FOREIGN), m.Stopping, m.Nack)
    need(isinstance(answer, m.Stopping), "a stranger's STOP was refused")
    need(_done(probe).result == m.Result.STOPPED, "a stranger's STOP was not obeyed")


def clear_while_braking(probe: Probe) -> None:
    """CLEAR is refused until the axis rests."""
    probe.move(1, probe.origin_nm + probe.travel_nm * 9 // 10)
    probe.until(lambda s: s.commanded_nm > probe.origin_nm + probe.travel_nm // 10, "moving")
    count = probe.status().latch_count + 1
    probe.forget()
    wires = [
        probe.wire(message) for message in (m.Stop(probe.session), m.Clear(probe.session, count))
    ]
    probe.write(b"".join(wires))  # one write: the second frame arrives before the next tick or two
    nacked_for(probe.wait(m.Nack, m.Cleared), m.Reason.BUSY, "CLEAR of a braking axis")


def old_clear(probe: Probe) -> None:
    """A late copy of CLEAR does not open a newer latch."""
    probe.ask(m.Stop(probe.session), m.Stopping)
    clear = m.Clear(probe.session, probe.status().latch_count)
    probe.ask(clear, m.Cleared)
    probe.ask(m.Stop(probe.session), m.Stopping)
    need(probe.ask(clear, m.Cleared).latch == m.Latch.STOPPED, "an old CLEAR opened a newer latch")


def latch_outlives_session(probe: Probe) -> None:
    """A stop is not forgotten because its host left."""
    probe.ask(m.Stop(probe.session), m.Stopping)
    probe.bye()
    probe._session += 1
    probe.hello()
    need(probe.status().latch == m.Latch.STOPPED, "BYE and HELLO opened a latch")


def watchdog(probe: Probe) -> None:
    """Silence in mid-move: braking begins 190 to 240 ms after the last frame, and latches."""
    target = probe.origin_nm + probe.travel_nm * 9 // 10
    probe.move(1, target)
    last_us = probe.ask(m.Sync(probe.session, 1), m.SyncAck).time_us
    is_latched = lambda h: isinstance(h.message, m.Status) and h.message.latch != 0  # noqa: E731
    latched = probe.find(is_latched, "latched STATUS", 2.0).message
    assert isinstance(latched, m.Status)
    need(latched.latch == m.Latch.SAFE_STOP, f"latch {latched.latch}")
    after_ms = (latched.time_us - last_us) / 1e3
    limits = m.WATCHDOG_MS - 2, WATCHDOG_LIMIT_MS  # a tick is stamped with its nominal time
    need(
        limits[0] <= after_ms <= limits[1], f"braking began {after_ms:.0f} ms after the last frame"
    )
    done = probe.wait(m.Done)
    need(done.result == m.Result.WATCHDOG, f"{done}")
    need(done.position_nm < target, "it went to the target all the same")


def watchdog_is_not_fed_by_others(probe: Probe) -> None:
    """Frames of another session, and damaged ones, are silence."""
    probe.move(1, probe.origin_nm + probe.travel_nm * 9 // 10)
    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline:
        probe.write(probe.wire(m.Sync(_FOREIGN, 1)) + b"\x03\x55\x55\0")
        probe.listen()
        time.sleep(0.01)
        done = next((h.message for h in probe.heard if isinstance(h.message, m.Done)), None)
        if done is not None:
            need(done.result == m.Result.WATCHDOG, f"another host's frames fed it: {done}")
            return
    need(False, "the move never ended")


def silence_at_rest(probe: Probe) -> None:
    """At rest silence stops nothing."""
    time.sleep(m.WATCHDOG_MS / 1e3 + 0.1)
    need(probe.status().latch == m.Latch.NONE, "silence at rest latched")


def exposure(probe: Probe) -> None:
    """EXPOSURE tells when the strobe was on and where the axis was, and counts."""
    bench = probe.bench
    assert bench is not None
    probe.move(1, probe.origin_nm + probe.travel_nm * 9 // 10)
    probe.until(lambda s: s.commanded_nm > probe.origin_nm + probe.travel_nm // 10, "moving")
    begin = bench.report()
    bench.strobe(True)
    while bench.report().time_us < begin.time_us + 5_000:
        probe.keep_alive()
    bench.strobe(False)
    end = bench.report()
    told = probe.wait(m.Exposure)
    need(begin.time_us <= told.start_us < told.end_us <= end.time_us, f"times of {told}")
    slack = probe.step_nm + probe.travel_nm // 300  # a tick's way
    need(begin.motor_nm - slack <= told.start_nm < told.end_nm <= end.motor_nm + slack,
         f"places of {told}")  # fmt: skip
    for lit in (True, False):
        bench.strobe(lit)
    need(probe.wait(m.Exposure).count == told.count + 1, "exposures are not counted")


def limit_switch(probe: Probe) -> None:
    """A pressed switch ends the way to it at once, latches LIMIT, and lets the axis only away."""
    bench = probe.bench
    assert bench is not None
    try:
        probe.move(1, probe.origin_nm + probe.travel_nm * 9 // 10)
        probe.until(lambda s: s.commanded_nm > probe.origin_nm + probe.travel_nm // 10, "moving")
        bench.upper_switch(True)
        done = _done(probe)
        need(done.result == m.Result.LIMIT, f"{done}")
        status = probe.settled()
        need(status.latch == m.Latch.LIMIT, f"latch {status.latch}")
        probe.ask(m.Clear(probe.session, status.latch_count), m.Cleared)
        further = probe.move(2, done.position_nm + 10 * probe.step_nm)
        refused_for(further, m.Reason.LIMIT, "a move onto a pressed switch")
        need(isinstance(probe.move(3, probe.origin_nm), m.Accepted), "the way back was refused")
    finally:
        bench.upper_switch(False)
        bench.report()


def _done(probe: Probe) -> m.Done:
    """The next DONE, with the session kept alive."""
    deadline = time.monotonic() + 5.0
    while True:
        for index, heard in enumerate(probe.heard):
            if isinstance(heard.message, m.Done):
                del probe.heard[: index + 1]
                return heard.message
        need(time.monotonic() < deadline, "no DONE")
        probe.keep_alive()
        probe.listen()
