/* Numbered moves, stops and latches. */
#include "port.h"
#include "protocol_parts.h"
#include "xy_parts.h"

void af_end_move(struct af_protocol *p, uint8_t result, uint64_t now_us)
{
    p->last_result = result;
    af_send_done(p, p->event_seq, now_us);
    p->event_seq = (uint8_t)(p->event_seq + 1U);
}

void af_latch(struct af_protocol *p, uint8_t reason)
{
    p->latch = reason;
    p->latch_count = (uint16_t)(p->latch_count + 1U);
    af_motion_brake(&p->motion);
}

static bool same_move(const struct af_move *a, const struct af_move *b)
{
    return (a->session == b->session) && (a->target_nm == b->target_nm)
        && (a->assumed_nm == b->assumed_nm) && (a->tolerance_nm == b->tolerance_nm);
}

static void send_refused(const struct af_protocol *p, uint8_t seq, uint32_t id, uint8_t reason)
{
    struct af_frame out;
    const struct af_refused refused = {
        id, reason, af_motion_position_nm(&p->motion), p->last_move.move_id};
    af_put_refused(out.payload, &refused);
    af_send(AF_TYPE_REFUSED, seq, AF_LEN_REFUSED, &out);
}

static void send_accepted(const struct af_protocol *p, uint8_t seq)
{
    struct af_frame out;
    const struct af_accepted accepted = {p->last_move.move_id, p->last_target_nm};
    af_put_accepted(out.payload, &accepted);
    af_send(AF_TYPE_ACCEPTED, seq, AF_LEN_ACCEPTED, &out);
}

/* Why this new move must not be made; the same questions the host's guard asks. */
static uint8_t refusal(const struct af_protocol *p, const struct af_move *move)
{
    const int64_t error = (int64_t)move->assumed_nm - af_motion_position_nm(&p->motion);
    const int64_t tolerance = (int64_t)move->tolerance_nm;
    if (p->latch != AF_LATCH_NONE) {
        return AF_REASON_LATCHED;
    }
    if ((error > tolerance) || (error < -tolerance)) {
        return AF_REASON_ASSUMED_DIFFERS;
    }
    if (!af_motion_allows(&p->motion, move->target_nm)) {
        return AF_REASON_WINDOW;
    }
    const int32_t rounded = af_motion_round_nm(&p->motion, move->target_nm);
    const uint32_t pressed = port_switches();
    if ((((pressed & AF_SWITCH_LOW) != 0U) && af_motion_descends(&p->motion, rounded))
        || (((pressed & AF_SWITCH_HIGH) != 0U) && af_motion_ascends(&p->motion, rounded))) {
        return AF_REASON_LIMIT;
    }
    return af_motion_allows(&p->motion, rounded) ? AF_REASON_OK : AF_REASON_WINDOW;
}

/* True when this number was seen: says again how it stands, and moves nothing. */
static bool answered_before(struct af_protocol *p, const struct af_frame *in,
                            const struct af_move *move, uint64_t now_us)
{
    const uint32_t id = move->move_id;
    const bool last = (id != 0U) && (id == p->last_move.move_id);
    const bool refused = (id != 0U) && (id == p->refused_move.move_id);
    if ((last && !same_move(move, &p->last_move))
        || (refused && !same_move(move, &p->refused_move))) {
        send_refused(p, in->seq, id, AF_REASON_REUSED_ID);
    } else if (last) {
        send_accepted(p, in->seq);
        if (p->last_result != AF_RESULT_MOVING) {
            af_send_done(p, in->seq, now_us);
        }
    } else if (refused) {
        send_refused(p, in->seq, id, p->refused_reason);
    } else if ((id <= p->last_move.move_id) || (id < p->refused_move.move_id)) {
        send_refused(p, in->seq, id, AF_REASON_STALE);
    } else {
        return false;
    }
    return true;
}

static void start_move(struct af_protocol *p, const struct af_move *move, uint64_t now_us)
{
    if (af_motion_moves(&p->motion)) {
        af_end_move(p, AF_RESULT_SUPERSEDED, now_us); /* the newest wins */
    }
    p->last_move = *move;
    p->last_result = AF_RESULT_MOVING;
    p->last_target_nm = af_motion_round_nm(&p->motion, move->target_nm);
    p->moves_started += 1U;
    af_motion_start(&p->motion, p->last_target_nm);
}

void af_on_move(struct af_protocol *p, const struct af_frame *in, uint64_t now_us)
{
    struct af_move move;
    af_get_move(in->payload, &move);
    uint8_t reason = af_session_reason(p, move.session);
    if (reason != AF_REASON_OK) {
        send_refused(p, in->seq, move.move_id, reason);
        return;
    }
    if (answered_before(p, in, &move, now_us)) {
        return;
    }
    reason = refusal(p, &move);
    if (reason == AF_REASON_OK) {
        start_move(p, &move, now_us);
        af_send_status(p); /* before ACCEPTED: the host then knows that it moves */
        send_accepted(p, in->seq);
        return;
    }
    /* Remembered, so that a late copy is refused too, though it might fit by then. */
    p->refused_move = move;
    p->refused_reason = reason;
    send_refused(p, in->seq, move.move_id, reason);
}

void af_on_stop(struct af_protocol *p, const struct af_frame *in, uint64_t now_us)
{
    struct af_frame out;
    if (p->latch == AF_LATCH_NONE) {
        af_latch(p, AF_LATCH_STOPPED);
    }
    af_xy_stop(p);
    af_send_status(p);
    const struct af_stopping stopping = {af_motion_position_nm(&p->motion), now_us};
    af_put_stopping(out.payload, &stopping);
    af_send(AF_TYPE_STOPPING, in->seq, AF_LEN_STOPPING, &out);
}

void af_on_clear(struct af_protocol *p, const struct af_frame *in)
{
    struct af_frame out;
    struct af_clear clear;
    af_get_clear(in->payload, &clear);
    if (af_motion_moves(&p->motion)) {
        af_send_nack(p, in, AF_REASON_BUSY);
        return;
    }
    if (clear.latch_count == p->latch_count) {
        p->latch = AF_LATCH_NONE;
    }
    const struct af_cleared cleared = {p->latch, p->latch_count};
    af_put_cleared(out.payload, &cleared);
    af_send_status(p);
    af_send(AF_TYPE_CLEARED, in->seq, AF_LEN_CLEARED, &out);
}
