/* What the firmware says of X and Y. */
#include "xy_parts.h"

/* What nobody asked for is numbered on its own. */
static void send_event(struct af_protocol *p, uint8_t type, uint8_t length, struct af_frame *frame)
{
    af_send(type, p->event_seq, length, frame);
    p->event_seq = (uint8_t)(p->event_seq + 1U);
}

static int32_t at_nm(const struct af_protocol *p, uint32_t axis)
{
    return af_motion_position_nm(&p->xy.axis[axis]);
}

void af_xy_send_status(struct af_protocol *p)
{
    const struct af_xy *xy = &p->xy;
    const bool rest = (xy->axis[AF_X].phase == AF_AT_REST) && (xy->axis[AF_Y].phase == AF_AT_REST);
    struct af_frame out;
    uint32_t flags = 0U;
    flags |= af_xy_moves(p) ? AF_FLAG_MOVING : 0U;
    flags |= rest ? AF_FLAG_SETTLED : 0U;
    const struct af_xy_status status = {
        .time_us = p->tick_us,
        .settled_us = xy->settled_us,
        .x_nm = at_nm(p, AF_X),
        .y_nm = at_nm(p, AF_Y),
        .session = p->session,
        .last_move_id = xy->last_move.move_id,
        .pulses = xy->trigger.given,
        .latch_count = xy->latch_count,
        .flags = (uint8_t)flags,
        .latch_x = xy->latch[AF_X],
        .latch_y = xy->latch[AF_Y],
        .last_result = xy->last_result,
    };
    af_put_xy_status(out.payload, &status);
    send_event(p, AF_TYPE_XY_STATUS, AF_LEN_XY_STATUS, &out);
    p->xy.status_in_ms = AF_XY_STATUS_PERIOD_MS;
}

void af_xy_send_done(const struct af_protocol *p, uint8_t seq, uint64_t now_us)
{
    struct af_frame out;
    const struct af_xy_done done = {
        .move_id = p->xy.last_move.move_id,
        .x_nm = at_nm(p, AF_X),
        .y_nm = at_nm(p, AF_Y),
        .time_us = now_us,
        .pulses = p->xy.trigger.given,
        .result = p->xy.last_result,
    };
    af_put_xy_done(out.payload, &done);
    af_send(AF_TYPE_XY_DONE, seq, AF_LEN_XY_DONE, &out);
}

void af_xy_send_accepted(const struct af_protocol *p, uint8_t seq)
{
    struct af_frame out;
    const struct af_xy_accepted accepted = {
        p->xy.last_move.move_id, p->xy.target_nm[AF_X], p->xy.target_nm[AF_Y]};
    af_put_xy_accepted(out.payload, &accepted);
    af_send(AF_TYPE_XY_ACCEPTED, seq, AF_LEN_XY_ACCEPTED, &out);
}

void af_xy_send_refused(const struct af_protocol *p, uint8_t seq, uint32_t id, uint8_t reason)
{
    struct af_frame out;
    const struct af_xy_refused refused = {
        id, reason, at_nm(p, AF_X), at_nm(p, AF_Y), p->xy.last_move.move_id};
    af_put_xy_refused(out.payload, &refused);
    af_send(AF_TYPE_XY_REFUSED, seq, AF_LEN_XY_REFUSED, &out);
}

void af_xy_send_triggered(struct af_protocol *p, const struct af_triggered *triggered)
{
    struct af_frame out;
    af_put_triggered(out.payload, triggered);
    send_event(p, AF_TYPE_TRIGGERED, AF_LEN_TRIGGERED, &out);
}
