"""Mistakes in the parts of the firmware that move the slide, and the check that notices each."""

from __future__ import annotations

from tests.support.broken_firmware import Mistake

XY_MISTAKES = (
    Mistake("takes any table of X and Y", "xy.c",
            "if (hello->table_hash != AF_XY_TABLE_HASH) {", "if (hello->table_hash == 77U) {",
            "xy_handshake"),
    Mistake("keeps half of a refused window", "xy.c",
            "        (void)af_motion_configure(&xy->axis[AF_X], &before); "
            "/* all of it or nothing */\n", "", "xy_handshake"),
    Mistake("moves X and Y before it knows a window", "xy_moves.c",
            "if (!xy->configured) {\n        return AF_XY_REASON_UNCONFIGURED;\n    }\n"
            "    if ((xy->latch", "if ((xy->latch", "xy_handshake"),
    Mistake("leaves Y where it is", "xy_moves.c",
            "{move->x_nm, move->y_nm};", "{move->x_nm, move->assumed_y_nm};", "xy_move"),
    Mistake("makes a copy of a move of X and Y again", "xy_moves.c",
            "if (xy_answered_before(p, in, &move, now_us)) {",
            "if ((move.move_id < p->xy.last_move.move_id)\n"
            "        && xy_answered_before(p, in, &move, now_us)) {", "xy_move"),
    Mistake("moves X past its window", "xy_moves.c",
            "if (!af_motion_allows(m, target_nm) || !af_motion_allows(m, rounded)) {",
            "if ((axis == AF_Y) && !af_motion_allows(m, target_nm)) {", "xy_window"),
    Mistake("does not look where Y is", "xy_moves.c",
            "if ((error > tolerance) || (error < -tolerance)) {",
            "if ((axis == AF_X) && ((error > tolerance) || (error < -tolerance))) {", "xy_window"),
    Mistake("stops Z alone", "moves.c", "    af_xy_stop(p);\n", "", "xy_stop"),
    Mistake("lets one move of X and Y take over another", "xy_moves.c",
            "    if (af_xy_moves(p)) {\n        return AF_REASON_BUSY;\n    }\n"
            "    if ((move->speed",
            "    if ((move->speed", "xy_stop"),
    Mistake("clears any latch of X and Y", "xy.c",
            "if (clear.latch_count == xy->latch_count) {", "if (clear.session != 0U) {", "xy_stop"),
    Mistake("lets the slide move on while Z is latched", "xy_moves.c",
            "if (p->latch != AF_LATCH_NONE) {", "if (p->latch == 77U) {", "xy_stop"),
    Mistake("watches over Z alone", "xy.c",
            "const bool silent = af_watchdog_silent(&p->watchdog, now_us, AF_WATCHDOG_MS);",
            "const bool silent = false;", "xy_watchdog"),
    Mistake("gives a pulse a step early", "trigger.c",
            "return (whole + ((rest > 0) ? step : 0)) * sign;",
            "return (whole + ((rest > 0) ? step : 0) - step) * sign;", "pulses"),
    Mistake("forgets to count the pulses", "xy.c",
            "xy->trigger.given - 1U, now_us", "0U, now_us", "pulses"),
    Mistake("arms pulses for a move that was made", "xy_moves.c",
            "if ((arm->move_id <= xy->last_move.move_id) ||", "if (", "pulses"),
    Mistake("takes pulses that are behind it", "trigger.c",
            "return (t->start_nm > here_nm) && (last_nm <= target_nm);", "return true;",
            "pulses_off_the_way"),
)  # fmt: skip
#: what the short lines of the suite do not show: a slide that brakes over several places
LONG_WAYS = (
    Mistake("gives pulses on after a stop", "xy.c",
            "    xy->trigger.move_id = 0U;\n}\n\nstatic bool is_latched",
            "}\n\nstatic bool is_latched",
            "no check"),
)  # fmt: skip
