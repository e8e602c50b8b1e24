"""X and Y of a board that moves the slide, too, and the pulses for its camera."""

from __future__ import annotations

from dataclasses import replace

from firmware_bridge import messages as m
from firmware_bridge import messages_xy as xy
from firmware_bridge.conformance.test_host import SETTLE_MS, ConformanceHost
from firmware_bridge.conformance.verdicts import need
from firmware_bridge.messages_xy import TRIGGER_PERIOD_MS, XyReason

_LINE_S = 0.6  # for the way of one line: longer than the watchdog's silence
_PULSES = 6


class Slide:
    """X and Y of one board, of which it uses the host's travel around where they stand."""

    def __init__(self, host: ConformanceHost) -> None:
        """Say where they may go; Failed when that is refused."""
        self.host = host
        self._id = 0
        probe = self.say(self._hello(0, 0, 1, 1, 0))
        self.hard = probe
        wide = self.say(self._hello(
            probe.hard_x_min_nm, probe.hard_y_min_nm, probe.hard_x_max_nm, probe.hard_y_max_nm, 0
        ))  # fmt: skip
        need(wide.result == m.Reason.OK, f"XY_HELLO of all there is: {wide.result}")
        status = self.status(wide)
        self._open(status)
        self.x0, self.y0 = status.x_nm, status.y_nm
        self.speed = min(round(host.travel_nm / _LINE_S), wide.speed_nm_s)
        travel = host.travel_nm
        self.usual = self._hello(
            self.x0 - travel, self.y0 - travel, self.x0 + travel, self.y0 + travel, self.speed
        )
        ack = self.say(self.usual)
        need(ack.result == m.Reason.OK, f"X and Y have no room: {ack}")
        self.step = ack.nm_per_step

    def _hello(self, x0: int, y0: int, x1: int, y1: int, speed: int) -> xy.XyHello:
        session = self.host.session
        return xy.XyHello(session, m.XY_TABLE_HASH, x0, x1, y0, y1, speed, SETTLE_MS)

    def say(self, hello: xy.XyHello) -> xy.XyHelloAck:
        """XY_HELLO and its answer."""
        return self.host.ask(hello, xy.XyHelloAck)

    def status(self, _: xy.XyHelloAck | None = None) -> xy.XyStatus:
        """The next XY_STATUS, kept alive."""
        self.host.keep_alive()
        return self.host.wait(xy.XyStatus)

    def _open(self, status: xy.XyStatus) -> None:
        """Leave a latch of an earlier check, of Z, too: that holds X and Y."""
        z = self.host.status()
        if z.latch:
            self.host.ask(m.Clear(self.host.session, z.latch_count), m.Cleared)
        if status.latch_x or status.latch_y:
            self.clear(status.latch_count)

    def clear(self, latch_count: int) -> xy.XyCleared:
        """XY_CLEAR and its answer."""
        return self.host.ask(xy.XyClear(self.host.session, latch_count), xy.XyCleared)

    def a_move(self, x_nm: int, y_nm: int, **changes: int) -> xy.XyMove:
        """The next number, from where they are; not sent."""
        here = self.status()
        self._id = max(self._id, here.last_move_id) + 1
        move = xy.XyMove(self.host.session, self._id, x_nm, y_nm, here.x_nm, here.y_nm, 1_000, 0)
        return replace(move, **changes)

    def ask(self, move: xy.XyMove) -> xy.XyAccepted | xy.XyRefused:
        """A move and its answer."""
        answer = self.host.ask(move, xy.XyAccepted, xy.XyRefused)
        assert isinstance(answer, xy.XyAccepted | xy.XyRefused)
        return answer

    def go(self, x_nm: int, y_nm: int) -> xy.XyMove:
        """A move that must be accepted."""
        move = self.a_move(x_nm, y_nm)
        answer = self.ask(move)
        need(isinstance(answer, xy.XyAccepted), f"a fair move of X and Y was refused: {answer}")
        return move

    def refused(self, move: xy.XyMove, reason: int, what: str) -> None:
        """A move that must be refused for this reason."""
        answer = self.ask(move)
        need(isinstance(answer, xy.XyRefused), f"{what} was accepted")
        assert isinstance(answer, xy.XyRefused)
        need(answer.reason == reason, f"{what}: reason {answer.reason} instead of {reason}")

    def done(self, alive: bool = True) -> tuple[xy.XyDone, list[xy.Triggered]]:
        """XY_DONE and the pulses told before it."""
        deadline = self.host.clock.monotonic() + 5.0
        pulses: list[xy.Triggered] = []
        while self.host.clock.monotonic() < deadline:
            while self.host.heard:
                message = self.host.heard.pop(0).message
                if isinstance(message, xy.XyDone):
                    return message, pulses
                if isinstance(message, xy.Triggered):
                    pulses.append(message)
            if alive:
                self.host.keep_alive()
            self.host.listen()
        need(False, "no XY_DONE")
        raise AssertionError

    def home(self) -> None:
        """Back to where the check began, settled."""
        self.go(self.x0, self.y0)
        self.done()
        deadline = self.host.clock.monotonic() + 5.0
        while not self.status().flags & m.Flag.SETTLED:
            need(self.host.clock.monotonic() < deadline, "X and Y never settle")

    def arm(self, move_id: int, start_nm: int, pitch_nm: int, count: int = _PULSES) -> int:
        """The reason in TRIGGER_ARMED."""
        arm = xy.TriggerArm(self.host.session, move_id, start_nm, pitch_nm, count, 10)
        return self.host.ask(arm, xy.TriggerArmed).reason


def has_xy(host: ConformanceHost) -> bool:
    """Whether the board knows XY_HELLO at all."""
    asked = xy.XyHello(host.session, 0, 0, 0, 0, 0, 0, 0)
    return isinstance(host.ask(asked, xy.XyHelloAck, m.Nack), xy.XyHelloAck)


def xy_handshake(host: ConformanceHost) -> None:
    """XY_HELLO: its own hash, the window whole or not at all, told back; no move without it."""
    unconfigured = xy.XyMove(host.session, 1, 0, 0, 0, 0, 2**32 - 1, 0)
    answer = host.ask(unconfigured, xy.XyRefused, xy.XyAccepted)
    need(getattr(answer, "reason", 0) == XyReason.UNCONFIGURED, f"moved unasked: {answer}")
    slide = Slide(host)
    usual, hard = slide.usual, slide.hard
    wrong = slide.say(replace(usual, table_hash=m.XY_TABLE_HASH ^ 1))
    need(wrong.result == m.Reason.HASH, "another table was taken")
    outside = (
        {"x_min_nm": hard.hard_x_min_nm - 1}, {"x_max_nm": hard.hard_x_max_nm + 1},
        {"y_min_nm": hard.hard_y_min_nm - 1}, {"y_max_nm": hard.hard_y_max_nm + 1},
        {"x_max_nm": usual.x_max_nm - 1, "y_min_nm": hard.hard_y_min_nm - 1},
    )  # fmt: skip
    for changes in outside:
        ack = slide.say(replace(usual, **changes))
        need(ack.result == m.Reason.WINDOW, f"{changes} was taken")
        window = (ack.x_min_nm, ack.x_max_nm, ack.y_min_nm, ack.y_max_nm)
        need(window == (usual.x_min_nm, usual.x_max_nm, usual.y_min_nm, usual.y_max_nm),
             f"a refused window changed the one in force: {window}")  # fmt: skip


def xy_move(host: ConformanceHost) -> None:
    """XY_MOVE brings both axes there; a copy is answered again and moves nothing."""
    slide = Slide(host)
    step = slide.step
    target = slide.x0 // step * step + 100 * step, slide.y0 // step * step - 50 * step
    move = slide.go(*target)
    done, _ = slide.done()
    need((done.x_nm, done.y_nm, done.result) == (*target, m.Result.REACHED), f"{done}")
    need(isinstance(slide.ask(move), xy.XyAccepted), "a copy was refused")
    again, _ = slide.done()
    need((again.move_id, again.x_nm, again.y_nm) == (move.move_id, *target), f"{again}")
    other = slide.ask(replace(move, y_nm=slide.y0))
    need(getattr(other, "reason", 0) == m.Reason.REUSED_ID, "a used number with other contents")
    slide.home()


def xy_window(host: ConformanceHost) -> None:
    """Each end of each axis' window is kept, and an assumed place must be right."""
    slide = Slide(host)
    far = host.travel_nm + slide.step
    for dx, dy in ((far, 0), (-far, 0), (0, far), (0, -far)):
        move = slide.a_move(slide.x0 + dx, slide.y0 + dy)
        slide.refused(move, m.Reason.WINDOW, f"{dx}, {dy} nm away")
    for changes in ({"assumed_x_nm": slide.x0 + 5_000}, {"assumed_y_nm": slide.y0 - 5_000}):
        move = slide.a_move(slide.x0, slide.y0, **changes)
        slide.refused(move, m.Reason.ASSUMED_DIFFERS, f"{changes}")


def xy_stop(host: ConformanceHost) -> None:
    """STOP stops X and Y, too, and latches them; XY_CLEAR opens the latch that it names."""
    slide = Slide(host)
    far = host.travel_nm * 9 // 10
    slide.go(slide.x0 + far, slide.y0 + far)
    slide.refused(slide.a_move(slide.x0, slide.y0), m.Reason.BUSY, "a second move")
    host.ask(m.Stop(host.session), m.Stopping)
    done, _ = slide.done()
    need(done.result == m.Result.STOPPED, f"{done}")
    need(done.x_nm < slide.x0 + far, "X went to its target all the same")
    need(done.y_nm < slide.y0 + far, "Y went to its target all the same")
    slide.refused(slide.a_move(slide.x0, slide.y0), m.Reason.LATCHED, "a move of stopped axes")
    count = slide.status().latch_count
    need(slide.clear(count + 1).latch_x == m.Latch.STOPPED, "another latch's XY_CLEAR opened it")
    need(slide.clear(count).latch_x == m.Latch.NONE, "XY_CLEAR did not clear")
    slide.refused(slide.a_move(slide.x0, slide.y0), XyReason.Z_LATCHED, "a move below a latched Z")
    host.ask(m.Clear(host.session, host.status().latch_count), m.Cleared)
    slide.home()
    host.ask(m.Stop(host.session), m.Stopping)
    need(slide.status().latch_y == m.Latch.STOPPED, "a STOP at rest does not hold X and Y")


def xy_watchdog(host: ConformanceHost) -> None:
    """A host that falls silent while X and Y move: they brake and latch."""
    slide = Slide(host)
    far = host.travel_nm * 9 // 10
    slide.go(slide.x0 + far, slide.y0)
    done, _ = slide.done(alive=False)
    need(done.result == m.Result.WATCHDOG, f"{done}")
    need(done.x_nm < slide.x0 + far, "it went to the target all the same")
    status = slide.status()
    need(status.latch_x == m.Latch.SAFE_STOP, f"latch {status.latch_x}")
    slide.clear(status.latch_count)
    slide.home()


def pulses(host: ConformanceHost) -> None:
    """Pulses come with the first step at or past each place, are counted, and come once."""
    slide = Slide(host)
    pitch = max(slide.step, slide.speed * TRIGGER_PERIOD_MS // 1000 + 1)
    for sign in (1, -1):
        here = slide.status().x_nm
        start, last = here + sign * 3 * slide.step, here + sign * (3 * slide.step + 5 * pitch)
        move = slide.a_move(last + sign * slide.step, slide.y0)
        need(slide.arm(move.move_id, start, sign * pitch) == m.Reason.OK, "not armed")
        need(isinstance(slide.ask(move), xy.XyAccepted), "the line was refused")
        done, reported = slide.done()
        need(done.pulses == _PULSES, f"{done.pulses} pulses instead of {_PULSES}")
        need([one.count for one in reported] == list(range(_PULSES)), f"counts of {reported}")
        for n, one in enumerate(reported):
            past = sign * (one.position_nm - start) - n * pitch
            need(0 <= past < slide.step, f"pulse {n} is {past} nm past its place")
        need(slide.arm(move.move_id, start, sign * pitch) == m.Reason.OK, "a copy is not answered")
        need(slide.arm(move.move_id, start + sign, sign * pitch) == m.Reason.STALE,
             "pulses for a move that was made")  # fmt: skip
    slide.home()


def pulses_off_the_way(host: ConformanceHost) -> None:
    """Pulses that are not all on the way, or too close, and what a stop leaves of them."""
    slide = Slide(host)
    slow = slide.speed * TRIGGER_PERIOD_MS // 1000 + 1
    far = host.travel_nm * 9 // 10
    for start, pitch in ((slide.x0, slow), (slide.x0 + far, slow), (slide.x0 + 1, slow // 2)):
        move = slide.a_move(slide.x0 + far, slide.y0)
        need(slide.arm(move.move_id, start, pitch, 3) in (m.Reason.OK, m.Reason.WINDOW), "arm")
        if start != slide.x0 + far:
            slide.refused(move, XyReason.TRIGGER, f"pulses from {start - slide.x0} nm on")
    move = slide.a_move(slide.x0 + far, slide.y0)
    slide.arm(move.move_id, slide.x0 + slide.step, slow, far // slow - 1)
    slide.ask(move)
    host.ask(m.Stop(host.session), m.Stopping)
    done, reported = slide.done()
    need(done.pulses <= 2, f"{done.pulses} pulses of a line that was stopped at once")
    need(len(reported) <= done.pulses, "more pulses told than given")
    host.ask(m.Clear(host.session, host.status().latch_count), m.Cleared)
    slide.clear(slide.status().latch_count)
    slide.home()
