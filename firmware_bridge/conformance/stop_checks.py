"""What ends a move early: STOP, silence, a switch; and what is seen at the pins."""

from __future__ import annotations

from firmware_bridge import messages as m
from firmware_bridge.conformance.test_host import ConformanceHost
from firmware_bridge.conformance.verdicts import nacked_for, need, refused_for
from firmware_bridge.firmware.pins import BoardPins, PinsReport

_FOREIGN = 0x7FFFFFF1
WATCHDOG_LIMIT_MS = 240  # from the last frame to braking


def stop(host: ConformanceHost) -> None:
    """STOP brakes short of the target, latches, and refuses moves until CLEAR."""
    target = host.origin_nm + host.travel_nm * 9 // 10
    host.move(1, target)
    stopping = host.ask(m.Stop(host.session), m.Stopping)
    done = host.done()
    need(done.result == m.Result.STOPPED, f"{done}")
    travel_nm = done.position_nm - stopping.position_nm
    need(0 <= travel_nm <= host.travel_nm // 2, f"went on for {travel_nm} nm")
    status = host.settled()
    need(status.latch == m.Latch.STOPPED, f"latch {status.latch} after STOP")
    refused_for(host.move(2, host.origin_nm), m.Reason.LATCHED, "a move of a stopped axis")
    cleared = host.ask(m.Clear(host.session, status.latch_count), m.Cleared)
    need(cleared.latch == m.Latch.NONE, "CLEAR did not clear")
    need(isinstance(host.move(3, host.origin_nm), m.Accepted), "no move after CLEAR")


def anyone_may_stop(host: ConformanceHost) -> None:
    """STOP is obeyed whoever sends it."""
    host.move(1, host.origin_nm + host.travel_nm * 9 // 10)
    answer = host.ask(m.Stop(_FOREIGN), m.Stopping, m.Nack)
    need(isinstance(answer, m.Stopping), "a stranger's STOP was refused")
    need(host.done().result == m.Result.STOPPED, "a stranger's STOP was not obeyed")


def clear_while_braking(host: ConformanceHost) -> None:
    """CLEAR is refused until the axis rests."""
    host.move(1, host.origin_nm + host.travel_nm * 9 // 10)
    host.until(lambda s: s.commanded_nm > host.origin_nm + host.travel_nm // 10, "moving")
    count = host.status().latch_count + 1
    host.forget()
    wires = [host.wire(message) for message in (m.Stop(host.session), m.Clear(host.session, count))]
    host.write(b"".join(wires))  # one write: the second frame arrives before the next tick or two
    nacked_for(host.wait(m.Nack, m.Cleared), m.Reason.BUSY, "CLEAR of a braking axis")


def old_clear(host: ConformanceHost) -> None:
    """A late copy of CLEAR does not open a newer latch."""
    host.ask(m.Stop(host.session), m.Stopping)
    clear = m.Clear(host.session, host.status().latch_count)
    host.ask(clear, m.Cleared)
    host.ask(m.Stop(host.session), m.Stopping)
    need(host.ask(clear, m.Cleared).latch == m.Latch.STOPPED, "an old CLEAR opened a newer latch")


def latch_outlives_session(host: ConformanceHost) -> None:
    """A stop is not forgotten because its host left."""
    host.ask(m.Stop(host.session), m.Stopping)
    host.bye()
    host._session += 1
    host.hello()
    need(host.status().latch == m.Latch.STOPPED, "BYE and HELLO opened a latch")


def watchdog(host: ConformanceHost) -> None:
    """Silence in mid-move: braking begins 190 to 240 ms after the last frame, and latches."""
    target = host.origin_nm + host.travel_nm * 9 // 10
    host.move(1, target)
    last_us = host.ask(m.Sync(host.session, 1), m.SyncAck).time_us
    is_latched = lambda h: isinstance(h.message, m.Status) and h.message.latch != 0  # noqa: E731
    latched = host.find(is_latched, "latched STATUS", 2.0).message
    assert isinstance(latched, m.Status)
    need(latched.latch == m.Latch.SAFE_STOP, f"latch {latched.latch}")
    after_ms = (latched.time_us - last_us) / 1e3
    limits = m.WATCHDOG_MS - 2, WATCHDOG_LIMIT_MS  # a tick is stamped with its nominal time
    need(
        limits[0] <= after_ms <= limits[1], f"braking began {after_ms:.0f} ms after the last frame"
    )
    done = host.wait(m.Done)
    need(done.result == m.Result.WATCHDOG, f"{done}")
    need(done.position_nm < target, "it went to the target all the same")


def watchdog_is_not_fed_by_others(host: ConformanceHost) -> None:
    """Frames of another session, and damaged ones, are silence."""
    host.move(1, host.origin_nm + host.travel_nm * 9 // 10)
    deadline = host.clock.monotonic() + 2.0
    while host.clock.monotonic() < deadline:
        host.write(host.wire(m.Sync(_FOREIGN, 1)) + b"\x03\x55\x55\0")
        host.listen()
        host.clock.sleep(0.01)
        done = next((h.message for h in host.heard if isinstance(h.message, m.Done)), None)
        if done is not None:
            need(done.result == m.Result.WATCHDOG, f"another host's frames fed it: {done}")
            return
    need(False, "the move never ended")


def silence_at_rest(host: ConformanceHost) -> None:
    """At rest silence stops nothing."""
    host.clock.sleep(m.WATCHDOG_MS / 1e3 + 0.1)
    need(host.status().latch == m.Latch.NONE, "silence at rest latched")


def exposure(host: ConformanceHost) -> None:
    """EXPOSURE tells when the strobe was on and where the axis was, and counts."""
    pins = host.pins
    assert pins is not None
    host.move(1, host.origin_nm + host.travel_nm * 9 // 10)
    host.until(lambda s: s.commanded_nm > host.origin_nm + host.travel_nm // 10, "moving")
    begin = pins.report()
    pins.strobe(True)
    while pins.report().time_us < begin.time_us + 5_000:
        host.keep_alive()
    pins.strobe(False)
    end = pins.report()
    exposed = host.wait(m.Exposure)
    need(begin.time_us <= exposed.start_us < exposed.end_us <= end.time_us, f"times of {exposed}")
    slack = host.step_nm + host.travel_nm // 300  # a tick's way
    need(begin.motor_nm - slack <= exposed.start_nm < exposed.end_nm <= end.motor_nm + slack,
         f"places of {exposed}")  # fmt: skip
    for lit in (True, False):
        pins.strobe(lit)
    need(host.wait(m.Exposure).count == exposed.count + 1, "exposures are not counted")


def limit_switch(host: ConformanceHost) -> None:
    """A pressed switch ends the way to it at once, latches LIMIT, and lets the axis only away."""
    for up in (True, False):
        _runs_into(host, up)
        host.fresh()


def _runs_into(host: ConformanceHost, up: bool) -> None:
    pins = host.pins
    assert pins is not None
    sign, press = (1, pins.upper_switch) if up else (-1, pins.lower_switch)
    try:
        at = _pressed_on_the_way(host, pins, up)
        done = host.done()
        need(done.result == m.Result.LIMIT, f"{done}")
        _stood_at_once(host, sign * (done.position_nm - at.motor_nm))
        status = host.settled()
        need(status.latch == m.Latch.LIMIT, f"latch {status.latch}")
        need(status.commanded_nm == done.position_nm, "it went on after DONE")
        host.ask(m.Clear(host.session, status.latch_count), m.Cleared)
        further = host.move(2, done.position_nm + sign * 10 * host.step_nm)
        refused_for(further, m.Reason.LIMIT, "a move onto a pressed switch")
        need(isinstance(host.move(3, host.origin_nm), m.Accepted), "the way back was refused")
        host.settled()
    finally:
        press(False)
        pins.report()


def _pressed_on_the_way(host: ConformanceHost, pins: BoardPins, up: bool) -> PinsReport:
    """Move 1 as fast as the axis can, and the switch ahead pressed on the way: what the board says
    right after that."""
    sign = 1 if up else -1
    host.reopen(speed_nm_s=0)
    host.move(1, host.origin_nm + sign * host.travel_nm * 9 // 10)
    far = host.travel_nm // 3
    host.until(lambda s: sign * (s.commanded_nm - host.origin_nm) > far, "on its way")
    (pins.upper_switch if up else pins.lower_switch)(True)
    return pins.report()


def _stood_at_once(host: ConformanceHost, way_nm: int) -> None:
    """No further than a tick's way: a ramp would take a hundred."""
    slack_nm = host.ack.speed_nm_s // 1000 + host.step_nm
    need(way_nm <= slack_nm, f"went on for {way_nm} nm after the switch was pressed")


def limit_outweighs(host: ConformanceHost) -> None:
    """A switch that is pressed while the axis brakes ends that too, and LIMIT is the latch."""
    pins = host.pins
    assert pins is not None
    try:
        host.reopen(speed_nm_s=0)
        host.move(1, host.origin_nm + host.travel_nm * 9 // 10)
        far = host.origin_nm + host.travel_nm // 3
        host.until(lambda s: s.commanded_nm > far, "on its way")
        host.write(host.wire(m.Stop(host.session)))
        pins.upper_switch(True)
        at = pins.report()
        done = host.done()
        if done.result == m.Result.STOPPED:  # the pins' line was late: it stood by then
            need(done.time_us <= at.time_us, f"braked on past a pressed switch: {done}")
            return
        need(done.result == m.Result.LIMIT, f"{done}")
        _stood_at_once(host, done.position_nm - at.motor_nm)
        status = host.settled()
        need(status.latch == m.Latch.LIMIT, f"latch {status.latch} after STOP and a switch")
    finally:
        pins.upper_switch(False)
        pins.report()


def stop_keeps_a_latch(host: ConformanceHost) -> None:
    """STOP does not take the place of a latch that is there: SAFE_STOP stays, under its count."""
    host.move(1, host.origin_nm + host.travel_nm * 9 // 10)
    done = host.wait(m.Done, timeout_s=5.0)  # silent: the watchdog acts
    need(done.result == m.Result.WATCHDOG, f"{done}")
    before = host.settled()
    need(before.latch == m.Latch.SAFE_STOP, f"latch {before.latch} after silence")
    host.ask(m.Stop(host.session), m.Stopping)
    after = host.status()
    need(after.latch == m.Latch.SAFE_STOP, f"latch {after.latch} after SAFE_STOP and STOP")
    cleared = host.ask(m.Clear(host.session, before.latch_count), m.Cleared)
    need(cleared.latch == m.Latch.NONE, "the CLEAR of the latch that was shown did not clear it")
