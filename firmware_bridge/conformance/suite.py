"""The list of checks, and what running them gave."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from firmware_bridge.conformance import motion_checks as motion
from firmware_bridge.conformance import number_checks as numbers
from firmware_bridge.conformance import stop_checks as stops
from firmware_bridge.conformance import wire_checks as wire
from firmware_bridge.conformance import xy_checks as xy
from firmware_bridge.conformance.stalls import STALL_S
from firmware_bridge.conformance.test_host import ConformanceHost
from firmware_bridge.conformance.verdicts import Failed
from firmware_bridge.errors import LinkLost, StageError

Check = Callable[[ConformanceHost], None]
CHECKS: tuple[Check, ...] = (
    wire.handshake, wire.hash_mismatch, wire.foreign_version, wire.impossible_settings,
    wire.no_session, wire.other_session, wire.corrupt_frame, wire.resync,
    wire.unknown_and_malformed, wire.sync_time, wire.status_stream,
    motion.move, motion.approach, motion.approach_from_above, motion.window,
    motion.assumed_position, numbers.copies, numbers.move_numbers,
    numbers.refusal_is_final, numbers.newest_wins, numbers.superseded_is_told,
    numbers.contents_count, numbers.older_than_a_refused_one, numbers.wide_numbers,
    numbers.start_is_told_first, numbers.event_numbers, motion.settings_hold,
    stops.stop, stops.anyone_may_stop, stops.clear_while_braking,
    stops.old_clear, stops.latch_outlives_session, stops.watchdog,
    stops.watchdog_is_not_fed_by_others, stops.silence_at_rest, stops.stop_keeps_a_latch,
    wire.take_over,
)  # fmt: skip
#: these need the pins of the board (and the last one a build with faults)
BENCH_CHECKS: tuple[Check, ...] = (
    stops.exposure,
    stops.limit_switch,
    stops.limit_outweighs,
    wire.reboot,
)
#: these need a board that has X and Y beside Z
XY_CHECKS: tuple[Check, ...] = (
    xy.xy_handshake, xy.xy_move, xy.xy_window, xy.xy_stop, xy.xy_watchdog, xy.pulses,
    xy.pulses_off_the_way,
)  # fmt: skip
ALL_CHECKS = (*CHECKS, *BENCH_CHECKS, *XY_CHECKS)
PASSED, FAILED, NOT_RUN, NOT_JUDGED = "passed", "FAILED", "not run", "not judged"
TRIES = 3  # of a check in which this computer stood still


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check: what it asks, how it went, and what the firmware did instead."""

    name: str
    question: str
    result: str
    detail: str
    seconds: float


def run(
    host: ConformanceHost,
    only: Sequence[str] = (),
    tell: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Run the checks called `only` (empty = all), each from rest in a session of its own.

    `tell` hears each outcome at once. LinkLost when the firmware stops answering altogether.
    """
    outcomes = []
    for check in ALL_CHECKS:
        if only and check.__name__ not in only:
            continue
        outcomes.append(_run_one(host, check))
        tell(outcomes[-1])
    return outcomes


def _run_one(host: ConformanceHost, check: Check) -> Outcome:
    began = time.monotonic()
    if check in BENCH_CHECKS and host.pins is None:
        result, detail = NOT_RUN, "needs the board's pins: --bench PORT"
    elif check in XY_CHECKS and not xy.has_xy(host):
        result, detail = NOT_RUN, "needs a board with X and Y"
    else:
        for _ in range(TRIES):
            result, detail = _judge(host, check)
            if result != NOT_JUDGED:
                break
    question = (check.__doc__ or "").strip().splitlines()[0]
    return Outcome(check.__name__, question, result, detail, round(time.monotonic() - began, 3))


def _judge(host: ConformanceHost, check: Check) -> tuple[str, str]:
    """PASSED, FAILED, or NOT_JUDGED: what failed while this computer stood still says nothing."""
    host.stalls.restart()
    try:
        host.fresh()
        check(host)
    except LinkLost:
        raise
    except (Failed, StageError) as failed:
        host.stalls.lap(STALL_S)
        stalled_s = host.stalls.longest_s
        if stalled_s < STALL_S:
            return FAILED, str(failed)
        return NOT_JUDGED, f"this computer stood still for {1e3 * stalled_s:.0f} ms: {failed}"
    return PASSED, ""


def as_json(host: ConformanceHost, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What `--json` writes."""
    ack = host.ack
    return {
        "firmware": {
            "protocol": ack.protocol, "table_hash": f"{ack.table_hash:#010x}",
            "device_id": ack.device_id, "boot_id": ack.boot_id, "nm_per_step": ack.nm_per_step,
            "hard_min_nm": ack.hard_min_nm, "hard_max_nm": ack.hard_max_nm,
        },
        "checks": [asdict(outcome) for outcome in outcomes],
        "passed": sum(outcome.result == PASSED for outcome in outcomes),
        "failed": sum(outcome.result == FAILED for outcome in outcomes),
        "not_judged": sum(outcome.result == NOT_JUDGED for outcome in outcomes),
        "not_run": sum(outcome.result == NOT_RUN for outcome in outcomes),
    }  # fmt: skip
