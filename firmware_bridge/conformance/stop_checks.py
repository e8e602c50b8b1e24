"""What ends a move early: STOP, silence, a switch; and what is seen at the pins."""

from __future__ import annotations

from firmware_bridge import messages as m
from firmware_bridge.conformance.probe import Probe
from firmware_bridge.conformance.verdicts import nacked_for, need, refused_for
from firmware_bridge.firmware.bench import Bench, BenchReport

_FOREIGN = 0x7FFFFFF1
WATCHDOG_LIMIT_MS = 240  # from the last frame to braking


def stop(probe: Probe) -> None:
    """STOP brakes short of the target, latches, and refuses moves until CLEAR."""
    target = probe.origin_nm + probe.travel_nm * 9 // 10
    probe.move(1, target)
    stopping = probe.ask(m.Stop(probe.session), m.Stopping)
    done = probe.done()
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
    need(probe.done().result == m.Result.STOPPED, "a stranger's STOP was not obeyed")


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
    deadline = probe.clock.monotonic() + 2.0
    while probe.clock.monotonic() < deadline:
        probe.write(probe.wire(m.Sync(_FOREIGN, 1)) + b"\x03\x55\x55\0")
        probe.listen()
        probe.clock.sleep(0.01)
        done = next((h.message for h in probe.heard if isinstance(h.message, m.Done)), None)
        if done is not None:
            need(done.result == m.Result.WATCHDOG, f"another host's frames fed it: {done}")
            return
    need(False, "the move never ended")


def silence_at_rest(probe: Probe) -> None:
    """At rest silence stops nothing."""
    probe.clock.sleep(m.WATCHDOG_MS / 1e3 + 0.1)
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
    for up in (True, False):
        _runs_into(probe, up)
        probe.fresh()


def _runs_into(probe: Probe, up: bool) -> None:
    bench = probe.bench
    assert bench is not None
    sign, press = (1, bench.upper_switch) if up else (-1, bench.lower_switch)
    try:
        at = _pressed_on_the_way(probe, bench, up)
        done = probe.done()
        need(done.result == m.Result.LIMIT, f"{done}")
        _stood_at_once(probe, sign * (done.position_nm - at.motor_nm))
        status = probe.settled()
        need(status.latch == m.Latch.LIMIT, f"latch {status.latch}")
        need(status.commanded_nm == done.position_nm, "it went on after DONE")
        probe.ask(m.Clear(probe.session, status.latch_count), m.Cleared)
        further = probe.move(2, done.position_nm + sign * 10 * probe.step_nm)
        refused_for(further, m.Reason.LIMIT, "a move onto a pressed switch")
        need(isinstance(probe.move(3, probe.origin_nm), m.Accepted), "the way back was refused")
        probe.settled()
    finally:
        press(False)
        bench.report()


def _pressed_on_the_way(probe: Probe, bench: Bench, up: bool) -> BenchReport:
    """Move 1 as fast as the axis can, and the switch ahead pressed on the way: what the board says
    right after that."""
    sign = 1 if up else -1
    probe.reopen(speed_nm_s=0)
    probe.move(1, probe.origin_nm + sign * probe.travel_nm * 9 // 10)
    far = probe.travel_nm // 3
    probe.until(lambda s: sign * (s.commanded_nm - probe.origin_nm) > far, "on its way")
    (bench.upper_switch if up else bench.lower_switch)(True)
    return bench.report()


def _stood_at_once(probe: Probe, way_nm: int) -> None:
    """No further than a tick's way: a ramp would take a hundred."""
    slack_nm = probe.ack.speed_nm_s // 1000 + probe.step_nm
    need(way_nm <= slack_nm, f"went on for {way_nm} nm after the switch was pressed")


def limit_outweighs(probe: Probe) -> None:
    """A switch that is pressed while the axis brakes ends that too, and LIMIT is the latch."""
    bench = probe.bench
    assert bench is not None
    try:
        probe.reopen(speed_nm_s=0)
        probe.move(1, probe.origin_nm + probe.travel_nm * 9 // 10)
        far = probe.origin_nm + probe.travel_nm // 3
        probe.until(lambda s: s.commanded_nm > far, "on its way")
        probe.write(probe.wire(m.Stop(probe.session)))
        bench.upper_switch(True)
        at = bench.report()
        done = probe.done()
        if done.result == m.Result.STOPPED:  # the pins' line was late: it stood by then
            need(done.time_us <= at.time_us, f"braked on past a pressed switch: {done}")
            return
        need(done.result == m.Result.LIMIT, f"{done}")
        _stood_at_once(probe, done.position_nm - at.motor_nm)
        status = probe.settled()
        need(status.latch == m.Latch.LIMIT, f"latch {status.latch} after STOP and a switch")
    finally:
        bench.upper_switch(False)
        bench.report()


def stop_keeps_a_latch(probe: Probe) -> None:
    """STOP does not take the place of a latch that is there: SAFE_STOP stays, under its count."""
    probe.move(1, probe.origin_nm + probe.travel_nm * 9 // 10)
    done = probe.wait(m.Done, timeout_s=5.0)  # silent: the watchdog acts
    need(done.result == m.Result.WATCHDOG, f"{done}")
    before = probe.settled()
    need(before.latch == m.Latch.SAFE_STOP, f"latch {before.latch} after silence")
    probe.ask(m.Stop(probe.session), m.Stopping)
    after = probe.status()
    need(after.latch == m.Latch.SAFE_STOP, f"latch {after.latch} after SAFE_STOP and STOP")
    cleared = probe.ask(m.Clear(probe.session, before.latch_count), m.Cleared)
    need(cleared.latch == m.Latch.NONE, "the CLEAR of the latch that was shown did not clear it")
