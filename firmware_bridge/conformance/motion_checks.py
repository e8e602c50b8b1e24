"""What a firmware does with its axis: the way of a move, its ends, its approach."""

from __future__ import annotations

from firmware_bridge import messages as m
from firmware_bridge.conformance.test_host import SETTLE_MS, ConformanceHost
from firmware_bridge.conformance.verdicts import nacked_for, need, refused_for


def move(host: ConformanceHost) -> None:
    """A move is accepted, made, reported as done and as settled, in this order and place."""
    target = host.origin_nm + host.travel_nm // 3 // host.step_nm * host.step_nm
    answer = host.move(1, target + host.step_nm // 4)
    need(answer == m.Accepted(1, target), f"a good move: {answer}")
    done = host.done()
    need((done.move_id, done.result) == (1, m.Result.REACHED), f"{done}")
    need(done.position_nm == target, f"done at {done.position_nm} instead of {target} nm")
    status = host.settled()
    settle_ms = (status.settled_us - done.time_us) / 1e3
    need(20 <= settle_ms <= 25, f"settled {settle_ms:.1f} ms after rest instead of 20")
    need(status.commanded_nm == target, "the axis crept after DONE")


def _positions_to(host: ConformanceHost, target_nm: int) -> list[int]:
    """The positions told until the axis has settled, which must be on the target."""
    positions: list[int] = []

    def at_rest(status: m.Status) -> bool:
        positions.append(status.commanded_nm)
        return bool(status.flags & m.Flag.SETTLED)

    end_nm = host.until(at_rest, "at rest").commanded_nm
    need(end_nm == target_nm, f"ended at {end_nm} instead of {target_nm} nm")
    return positions


def approach(host: ConformanceHost) -> None:
    """Every move ends coming up: one that goes down dips below its target first."""
    target = host.origin_nm - host.travel_nm // 3 // host.step_nm * host.step_nm
    need(isinstance(host.move(1, target), m.Accepted), "a move down was refused")
    positions = _positions_to(host, target)
    need(min(positions) == target - host.backlash_nm, f"dipped {target - min(positions)} nm below")


def approach_from_above(host: ConformanceHost) -> None:
    """A negative backlash: every move ends coming down, one that goes up overshoots first."""
    host.reopen(backlash_nm=-host.backlash_nm)
    ack = host.hello()
    need(ack.backlash_nm == -host.backlash_nm, f"backlash {ack.backlash_nm} nm")
    target = host.origin_nm + host.travel_nm // 3 // host.step_nm * host.step_nm
    need(isinstance(host.move(1, target), m.Accepted), "a move up was refused")
    positions = _positions_to(host, target)
    need(max(positions) == target + host.backlash_nm, f"went {max(positions) - target} nm above")
    high = host.origin_nm + host.travel_nm
    answer = host.move(2, high - host.backlash_nm + host.step_nm)
    refused_for(answer, m.Reason.WINDOW, "an overshoot outside the window")


def window(host: ConformanceHost) -> None:
    """No target and no dip outside the window, to the nanometre."""
    low, high = host.origin_nm - host.travel_nm, host.origin_nm + host.travel_nm
    dips = low + host.backlash_nm - host.step_nm
    for number, target in enumerate((low - 1, high + 1, -(2**31), 2**31 - 1, dips), 1):
        refused_for(host.move(number, target), m.Reason.WINDOW, f"a move to {target} nm")
    need(host.status().last_move_id == 0, "a refused move counts as made")


def assumed_position(host: ConformanceHost) -> None:
    """A host that is wrong about the position moves nothing."""
    here = host.status().commanded_nm
    for number, off in enumerate((1_001, -1_001, 2**31 - 1 - here), 1):
        answer = host.move(number, here, assumed_nm=here + off, tolerance_nm=1_000)
        refused_for(answer, m.Reason.ASSUMED_DIFFERS, f"a position assumed {off} nm off")
    far = -(2**31) if here >= 0 else 2**31 - 1  # farther away than 32 bits with a sign can tell
    away = abs(here - far)
    answer = host.move(4, here, assumed_nm=far, tolerance_nm=away - 1)
    refused_for(answer, m.Reason.ASSUMED_DIFFERS, f"a position assumed {away} nm off")
    for number, off in enumerate((1_000, -1_000), 9):
        answer = host.move(number, here, assumed_nm=here + off, tolerance_nm=1_000)
        need(isinstance(answer, m.Accepted), "a position within the tolerance was refused")
        host.settled()
    for number, tolerance in ((11, away), (12, 2**32 - 1)):
        answer = host.move(number, here, assumed_nm=far, tolerance_nm=tolerance)
        need(isinstance(answer, m.Accepted), f"a tolerance of {tolerance} nm was not taken")
        host.settled()


def settings_hold(host: ConformanceHost) -> None:
    """While the axis moves, window and session stay; the same settings may be said again."""
    host.move(1, host.origin_nm + host.travel_nm * 9 // 10)
    low, high = host.origin_nm - host.travel_nm, host.origin_nm + host.travel_nm
    for changes in (
        {"z_max_nm": high - host.step_nm},
        {"z_min_nm": low + host.step_nm},
        {"backlash_nm": 0},
        {"speed_nm_s": 0},
        {"settle_ms": SETTLE_MS + 1},
    ):
        result = host.hello(**changes).result
        need(result == m.Reason.BUSY, f"{changes} in mid-move: result {result}")
    result = host.hello().result
    need(result == m.Reason.OK, f"the same HELLO in mid-move: result {result}")
    nacked_for(host.ask(m.Bye(host.session), m.Nack, m.ByeAck), m.Reason.BUSY, "BYE in mid-move")
