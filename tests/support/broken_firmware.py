"""Firmwares that are wrong in one place each, and the check that must notice.

Every row is a mistake that somebody porting the protocol could make. The sources are copied, the
text is exchanged (it must be there exactly once), and the copy is built for this computer.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from firmware_bridge.firmware.build import CORE, FAULTS, HERE, compile_c
from firmware_bridge.firmware.host import HOST
from tests.support.core_bed import Bed


@dataclass(frozen=True)
class Mistake:
    """What is wrong, where, and which check of the suite tells."""

    name: str
    file: str
    right: str
    wrong: str
    caught_by: str


MISTAKES = (
    Mistake("takes any message table", "session.c",
            "if (hello->table_hash != AF_TABLE_HASH) {",
            "if ((hello->table_hash ^ AF_TABLE_HASH) > 0xFFFFFFF0U) {", "hash_mismatch"),
    Mistake("takes any version", "protocol.c",
            "if (in->version != AF_PROTOCOL_VERSION) {", "if (in->version > 77U) {",
            "foreign_version"),
    Mistake("does not check the CRC", "framing.c",
            "if (crc != af_crc16(body, content)) {",
            "if ((crc != af_crc16(body, content)) && (content > 200U)) {", "corrupt_frame"),
    Mistake("does not count damaged frames", "protocol.c",
            "p->crc_errors += 1U;", "p->crc_errors += 0U;", "corrupt_frame"),
    Mistake("stays deaf after junk without a zero", "framing.c",
            "    rx->overflow = false;\n", "", "resync"),
    Mistake("answers without the number it was asked under", "replies.c",
            "frame->seq = seq;", "frame->seq = (uint8_t)(seq & 0U);", "handshake"),
    Mistake("lets the window exceed the hard limits", "motion.c",
            "(settings->z_max_nm <= limits->hard_max_nm)", "(settings->z_max_nm >= 0)",
            "impossible_settings"),
    Mistake("takes a speed that it rounds to none", "session.c",
            "(speed < (uint32_t)AF_SPEED_NM_S_MIN)", "(speed == 0U)", "impossible_settings"),
    Mistake("reads the window back from HELLO, not from what is in force", "session.c",
            "ack.backlash_nm = s->backlash_nm;", "ack.backlash_nm = 0;", "handshake"),
    Mistake("does not check the upper end of the window", "motion.c",
            "(turn <= s->z_max_nm) && (target_nm >= s->z_min_nm)\n"
            "        && (target_nm <= s->z_max_nm);",
            "(target_nm >= s->z_min_nm);", "window"),
    Mistake("does not check the dip past the target", "motion.c",
            "turn -= s->backlash_nm;", "turn -= 0;", "window"),
    Mistake("does not ask where the host believes the axis is", "moves.c",
            "return AF_REASON_ASSUMED_DIFFERS;", "(void)tolerance;", "assumed_position"),
    Mistake("makes a copied move again", "moves.c",
            "    } else if (last) {\n",
            "    } else if (last) {\n        af_motion_start(&p->motion, p->last_target_nm);\n",
            "copies"),
    Mistake("refuses a copied move", "moves.c",
            "    } else if (last) {\n", "    } else if (last && (id == 0U)) {\n", "copies"),
    Mistake("takes a used number for another move", "moves.c",
            "if ((last && !same_move(move, &p->last_move))",
            "if ((last && !same_move(move, &p->last_move) && (id == 0U))", "move_numbers"),
    Mistake("forgets the numbers when HELLO is repeated", "session.c",
            "    if (!same) { /*", "    if (!same || alive) { /*", "move_numbers"),
    Mistake("judges a refused move again", "moves.c",
            "    p->refused_move = move;\n", "", "refusal_is_final"),
    Mistake("does not tell that a move was superseded", "moves.c",
            "af_end_move(p, AF_RESULT_SUPERSEDED, now_us);", "p->last_result = 4U; (void)now_us;",
            "superseded_is_told"),
    Mistake("approaches from above", "motion.c",
            "return (m->approach_q8 + ahead_q8) < backlash_q8(m);",
            "return (ahead_q8 >= 0) && ((m->approach_q8 + ahead_q8) < backlash_q8(m));",
            "approach"),
    Mistake("approaches from below whatever it is asked", "motion.c",
            "return (m->settings.backlash_nm < 0) ? -1 : 1;",
            "return (m->settings.backlash_nm < 0) ? 1 : 1;", "approach_from_above"),
    Mistake("says settled as soon as it arrives", "motion.c",
            "m->settle_ticks = m->settings.settle_ms;", "m->settle_ticks = 0;", "move"),
    Mistake("lets the window change in mid-move", "session.c",
            "same_settings(&wanted, &m->settings) ? AF_REASON_OK : AF_REASON_BUSY",
            "same_settings(&wanted, &m->settings) ? AF_REASON_OK : AF_REASON_OK", "settings_hold"),
    Mistake("stops without a latch", "moves.c",
            "af_latch(p, AF_LATCH_STOPPED);", "af_motion_brake(&p->motion);", "stop"),
    Mistake("takes STOP only from its own host", "protocol.c",
            "return (type == AF_TYPE_SYNC) ||",
            "return (type == AF_TYPE_STOP) || (type == AF_TYPE_SYNC) ||", "anyone_may_stop"),
    Mistake("clears while it brakes", "moves.c",
            "    if (af_motion_moves(&p->motion)) {\n        af_send_nack",
            "    if (af_motion_moves(&p->motion) && (p->latch == 0U)) {\n        af_send_nack",
            "clear_while_braking"),
    Mistake("lets an old CLEAR open a newer latch", "moves.c",
            "if (clear.latch_count == p->latch_count) {", "if (clear.latch_count != 0xFFFFU) {",
            "old_clear"),
    Mistake("forgets the latch at BYE", "session.c",
            "    p->has_session = false;\n", "    p->has_session = false;\n    p->latch = 0U;\n",
            "latch_outlives_session"),
    Mistake("has no watchdog", "protocol.c",
            "now_us, AF_WATCHDOG_MS)", "now_us, 100U * AF_WATCHDOG_MS)", "watchdog"),
    Mistake("has a watchdog that is late", "protocol.c",
            "now_us, AF_WATCHDOG_MS)", "now_us, AF_WATCHDOG_MS + 100U)", "watchdog"),
    Mistake("feeds its watchdog with anybody's frames", "protocol.c",
            "    if (reason == AF_REASON_OK) {\n",
            "    if (in->length > 0U) {\n        af_watchdog_feed(&p->watchdog, now_us);\n    }\n"
            "    if (reason == AF_REASON_OK) {\n", "watchdog_is_not_fed_by_others"),
    Mistake("stops at rest too", "protocol.c",
            "if (af_motion_moves(&p->motion) && (p->latch == AF_LATCH_NONE)",
            "if ((p->latch == AF_LATCH_NONE)", "silence_at_rest"),
    Mistake("lets a second host take over at once", "session.c",
            "if (p->has_session && !same && alive) {",
            "if (p->has_session && !same && alive && (hello->session == 0U)) {", "other_session"),
    Mistake("moves without a session", "session.c",
            "        return AF_REASON_NO_SESSION;\n", "        return AF_REASON_OK;\n",
            "no_session"),
    Mistake("has a clock that stands between two tenths of a second", "session.c",
            "= {sync.token, now_us};", "= {sync.token, now_us - (now_us % 100000U)};", "sync_time"),
    Mistake("tells another boot id in STATUS than in HELLO", "replies.c",
            "status.boot_id = p->boot_id;", "status.boot_id = p->boot_id ^ 1U;", "status_stream"),
    Mistake("goes on when a limit switch is pressed", "protocol.c",
            "if ((pressed & ahead) != 0U) {", "if ((pressed & ahead) > 7U) {", "limit_switch"),
    Mistake("tells of an exposure where the axis is when it ends", "protocol.c",
            "p->lit_us, now_us, p->lit_nm, here_nm,", "p->lit_us, now_us, here_nm, here_nm,",
            "exposure"),
    Mistake("keeps its boot id over a restart", "ports/bench/bench.c",
            "p->boot_id + 1U,", "p->boot_id + 0U,", "reboot"),
    Mistake("forgets that a refused number is used up", "moves.c",
            "|| (id < p->refused_move.move_id)) {", ") {", "older_than_a_refused_one"),
    Mistake("takes a move of another tolerance for a copy", "moves.c",
            "&& (a->assumed_nm == b->assumed_nm) && (a->tolerance_nm == b->tolerance_nm)",
            "&& (a->assumed_nm == b->assumed_nm)", "contents_count"),
    Mistake("takes a move from another place for a copy", "moves.c",
            "(a->assumed_nm == b->assumed_nm) && ", "", "contents_count"),
    Mistake("answers a used number of a refused move as if it were a copy", "moves.c",
            "|| (refused && !same_move(move, &p->refused_move))) {", ") {", "contents_count"),
    Mistake("has numbers of 16 bits", "moves.c",
            "const uint32_t id = move->move_id;", "const uint16_t id = (uint16_t)move->move_id;",
            "wide_numbers"),
    Mistake("says DONE of a move under way", "moves.c",
            "if (p->last_result != AF_RESULT_MOVING) {", "if (p->last_result != 77U) {", "copies"),
    Mistake("tells of a move's beginning after it was accepted", "moves.c",
            "        af_send_status(p); /* before ACCEPTED: the host then knows that it moves */\n"
            "        send_accepted(p, in->seq);\n",
            "        send_accepted(p, in->seq);\n        af_send_status(p);\n",
            "start_is_told_first"),
    Mistake("does not count its events", "replies.c",
            "    p->event_seq = (uint8_t)(p->event_seq + 1U);\n    p->status_in_ms",
            "    p->status_in_ms", "event_numbers"),
    Mistake("lets STOP take the place of SAFE_STOP", "moves.c",
            "if (p->latch == AF_LATCH_NONE) {", "if (p->latch != AF_LATCH_STOPPED) {",
            "stop_keeps_a_latch"),
    Mistake("ends the way to a pressed switch by a ramp", "protocol.c",
            "af_motion_halt(&p->motion);", "af_motion_brake(&p->motion);", "limit_switch"),
    Mistake("knows the upper switch only", "protocol.c",
            "((v < 0) ? AF_SWITCH_LOW : 0U)", "0U", "limit_switch"),
    Mistake("moves down onto a pressed switch", "moves.c",
            "if ((((pressed & AF_SWITCH_LOW) != 0U) && af_motion_descends(&p->motion, rounded))\n"
            "        || ", "if (", "limit_switch"),
    Mistake("brakes on past a switch once it is latched", "protocol.c",
            "if ((pressed & ahead) != 0U) {",
            "if (((pressed & ahead) != 0U) && (p->latch == AF_LATCH_NONE)) {", "limit_outweighs"),
    Mistake("measures silence in 32 bits", "watchdog.c",
            "return (now_us - dog->fed_us) > ", "return ((uint32_t)now_us - dog->fed_us) > ",
            "watchdog"),
    Mistake("counts the time of a SYNC in 32 bits", "session.c",
            "= {sync.token, now_us};", "= {sync.token, (uint32_t)now_us};", "sync_time"),
    Mistake("adds up positions in 32 bits", "moves.c",
            "const int64_t error = (int64_t)move->assumed_nm - af_motion_position_nm(&p->motion);",
            "const int64_t error = (int32_t)((uint32_t)move->assumed_nm\n"
            "        - (uint32_t)af_motion_position_nm(&p->motion));", "assumed_position"),
    Mistake("takes a tolerance for a number with a sign", "moves.c",
            "(int64_t)move->tolerance_nm;", "(int64_t)(int32_t)move->tolerance_nm;",
            "assumed_position"),
    Mistake("settles as long as it is told to", "session.c",
            "(hello->settle_ms > SETTLE_MS_MAX) ||", "", "impossible_settings"),
    Mistake("opens a session to another version", "session.c",
            "if (hello->protocol != AF_PROTOCOL_VERSION) {", "if (hello->protocol > 77U) {",
            "impossible_settings"),
    Mistake("lets the speed change in mid-move", "session.c",
            " && (a->speed_nm_s == b->speed_nm_s)", "", "settings_hold"),
    Mistake("refuses its own host's repeated HELLO in mid-move", "session.c",
            "if (!same && any_moves(p)) {", "if (any_moves(p)) {",
            "settings_hold"),
)  # fmt: skip


@lru_cache(maxsize=1)
def _bed() -> Bed:
    folder = tempfile.mkdtemp(prefix="broken-")
    atexit.register(shutil.rmtree, folder)
    return Bed(Path(folder))


def spoilt(mistake: Mistake) -> str:
    """The file's text with the mistake in it."""
    text = (HERE / mistake.file).read_text(encoding="utf-8")
    assert text.count(mistake.right) == 1, f"{mistake.name}: its place is gone"
    return text.replace(mistake.right, mistake.wrong)


def broken_core(mistake: Mistake) -> Path:
    """The broken firmware for a VirtualBoard."""
    library = _bed().build(mistake.file, spoilt(mistake))
    assert library is not None, f"{mistake.name}: does not compile"
    return library


def build_broken(mistake: Mistake, scratch: Path) -> Path:
    """The broken firmware's executable."""
    folder = scratch / "firmware"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("build", "*.py", "__pycache__"))
    (folder / mistake.file).write_text(spoilt(mistake), encoding="utf-8")
    return compile_c("z-firmware-broken", (*CORE, *HOST), ("-O0", FAULTS), folder=folder)
