"""What a firmware does with its axis: the way of a move, its ends, its approach."""

from __future__ import annotations

from firmware_bridge import messages as m
from firmware_bridge.conformance.probe import SETTLE_MS, Probe
from firmware_bridge.conformance.verdicts import nacked_for, need, refused_for


def move(probe: Probe) -> None:
    """A move is accepted, made, reported as done and as settled, in this order and place."""
    target = probe.origin_nm + probe.travel_nm // 3 // probe.step_nm * probe.step_nm
    answer = probe.move(1, target + probe.step_nm // 4)
    need(answer == m.Accepted(1, target), f"a good move: {answer}")
    done = probe.done()
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
    far = -(2**31) if here >= 0 else 2**31 - 1  # farther away than 32 bits with a sign can tell
    away = abs(here - far)
    answer = probe.move(4, here, assumed_nm=far, tolerance_nm=away - 1)
    refused_for(answer, m.Reason.ASSUMED_DIFFERS, f"a position assumed {away} nm off")
    for number, off in enumerate((1_000, -1_000), 9):
        answer = probe.move(number, here, assumed_nm=here + off, tolerance_nm=1_000)
        need(isinstance(answer, m.Accepted), "a position within the tolerance was refused")
        probe.settled()
    for number, tolerance in ((11, away), (12, 2**32 - 1)):
        answer = probe.move(number, here, assumed_nm=far, tolerance_nm=tolerance)
        need(isinstance(answer, m.Accepted), f"a tolerance of {tolerance} nm was not taken")
        probe.settled()


def settings_hold(probe: Probe) -> None:
    """While the axis moves, window and session stay; the same settings may be said again."""
    probe.move(1, probe.origin_nm + probe.travel_nm * 9 // 10)
    low, high = probe.origin_nm - probe.travel_nm, probe.origin_nm + probe.travel_nm
    for changes in (
        {"z_max_nm": high - probe.step_nm},
        {"z_min_nm": low + probe.step_nm},
        {"backlash_nm": 0},
        {"speed_nm_s": 0},
        {"settle_ms": SETTLE_MS + 1},
    ):
        result = probe.hello(**changes).result
        need(result == m.Reason.BUSY, f"{changes} in mid-move: result {result}")
    result = probe.hello().result
    need(result == m.Reason.OK, f"the same HELLO in mid-move: result {result}")
    nacked_for(probe.ask(m.Bye(probe.session), m.Nack, m.ByeAck), m.Reason.BUSY, "BYE in mid-move")
