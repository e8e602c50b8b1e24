/* X and Y: their settings, their latches, their milliseconds. */
#include "fault.h"
#include "port.h"
#include "xy_parts.h"

#define SETTLE_MS_MAX 10000U

void af_xy_init(struct af_protocol *p, const struct af_axis_limits limits[AF_XY_AXES],
                const int32_t start_nm[AF_XY_AXES])
{
    p->xy = (struct af_xy){0};
    p->xy.present = true;
    for (uint32_t i = 0U; i < AF_XY_AXES; i++) {
        af_motion_init(&p->xy.axis[i], &limits[i], start_nm[i]);
    }
}

bool af_xy_moves(const struct af_protocol *p)
{
    return af_motion_moves(&p->xy.axis[AF_X]) || af_motion_moves(&p->xy.axis[AF_Y]);
}

/* Another session begins: its numbers begin anew, and it must say where the slide may go. */
void af_xy_forget_session(struct af_protocol *p)
{
    p->xy.configured = false;
    p->xy.last_move.move_id = 0U;
    p->xy.refused_move.move_id = 0U;
    p->xy.last_result = AF_RESULT_NONE;
    p->xy.trigger.move_id = 0U;
}

/* ---- latches ------------------------------------------------------------------------------- */

/* Brakes both, whichever was named, and no pulse comes any more; a latch that is there stays. */
static void latch_both(struct af_protocol *p, uint8_t reason)
{
    struct af_xy *xy = &p->xy;
    for (uint32_t i = 0U; i < AF_XY_AXES; i++) {
        if (xy->latch[i] == AF_LATCH_NONE) {
            xy->latch[i] = reason;
        }
        af_motion_brake(&xy->axis[i]);
    }
    xy->latch_count = (uint16_t)(xy->latch_count + 1U);
    xy->trigger.move_id = 0U;
}

static bool is_latched(const struct af_xy *xy)
{
    return (xy->latch[AF_X] != AF_LATCH_NONE) || (xy->latch[AF_Y] != AF_LATCH_NONE);
}

void af_xy_stop(struct af_protocol *p)
{
    if (!is_latched(&p->xy)) {
        latch_both(p, AF_LATCH_STOPPED);
    }
    if (p->xy.configured) {
        af_xy_send_status(p);
    }
}

/* A pressed switch ends the way of its axis at once, and that of the other by its ramp. */
static void check_xy_switches(struct af_protocol *p, uint32_t axis)
{
    struct af_motion *m = &p->xy.axis[axis];
    const uint32_t pressed = port_xy_switches(axis);
    const int32_t v = m->velocity_q8;
    const uint32_t ahead = (v > 0) ? AF_SWITCH_HIGH : ((v < 0) ? AF_SWITCH_LOW : 0U);
    if ((pressed & ahead) != 0U) {
        p->xy.latch[axis] = AF_LATCH_LIMIT;
        latch_both(p, AF_LATCH_STOPPED);
        af_motion_halt(m);
    }
}

/* ---- frames -------------------------------------------------------------------------------- */

static uint8_t configure_xy(struct af_protocol *p, const struct af_xy_hello *hello)
{
    struct af_xy *xy = &p->xy;
    const int32_t x_fastest = xy->axis[AF_X].limits.speed_nm_s;
    const int32_t y_fastest = xy->axis[AF_Y].limits.speed_nm_s;
    const uint32_t fastest = (uint32_t)((x_fastest < y_fastest) ? x_fastest : y_fastest);
    const uint32_t speed = (hello->speed_nm_s == 0U) ? fastest : hello->speed_nm_s;
    if (hello->table_hash != AF_XY_TABLE_HASH) {
        return AF_REASON_HASH;
    }
    if (af_xy_moves(p)) {
        return AF_REASON_BUSY;
    }
    if ((hello->settle_ms > SETTLE_MS_MAX) || (speed > fastest)
        || (speed < (uint32_t)AF_SPEED_NM_S_MIN)) {
        return AF_REASON_CONFIG;
    }
    const struct af_axis_settings before = xy->axis[AF_X].settings;
    const struct af_axis_settings x = {
        hello->x_min_nm, hello->x_max_nm, 0, (int32_t)speed, (int32_t)hello->settle_ms};
    const struct af_axis_settings y = {
        hello->y_min_nm, hello->y_max_nm, 0, (int32_t)speed, (int32_t)hello->settle_ms};
    if (!af_motion_configure(&xy->axis[AF_X], &x)) {
        return AF_REASON_WINDOW;
    }
    if (!af_motion_configure(&xy->axis[AF_Y], &y)) {
        (void)af_motion_configure(&xy->axis[AF_X], &before); /* all of it or nothing */
        return AF_REASON_WINDOW;
    }
    xy->configured = true;
    return AF_REASON_OK;
}

static void on_hello(struct af_protocol *p, const struct af_frame *in)
{
    const struct af_motion *x = &p->xy.axis[AF_X];
    const struct af_motion *y = &p->xy.axis[AF_Y];
    const int32_t accel_um_s2 = x->limits.accel_nm_s2 / 1000;
    struct af_frame out;
    struct af_xy_hello hello;
    struct af_xy_hello_ack ack;
    af_get_xy_hello(in->payload, &hello);
    ack.result = configure_xy(p, &hello);
    ack.nm_per_step = (uint16_t)x->limits.nm_per_step;
    ack.hard_x_min_nm = x->limits.hard_min_nm;
    ack.hard_x_max_nm = x->limits.hard_max_nm;
    ack.hard_y_min_nm = y->limits.hard_min_nm;
    ack.hard_y_max_nm = y->limits.hard_max_nm;
    ack.x_min_nm = x->settings.z_min_nm;
    ack.x_max_nm = x->settings.z_max_nm;
    ack.y_min_nm = y->settings.z_min_nm;
    ack.y_max_nm = y->settings.z_max_nm;
    ack.speed_nm_s = (uint32_t)x->settings.speed_nm_s;
    ack.accel_um_s2 = (uint32_t)accel_um_s2;
    ack.settle_ms = (uint16_t)x->settings.settle_ms;
    af_put_xy_hello_ack(out.payload, &ack);
    af_send(AF_TYPE_XY_HELLO_ACK, in->seq, AF_LEN_XY_HELLO_ACK, &out);
    if (ack.result == AF_REASON_OK) {
        af_xy_send_status(p);
    }
}

static void on_clear(struct af_protocol *p, const struct af_frame *in)
{
    struct af_xy *xy = &p->xy;
    struct af_frame out;
    struct af_xy_clear clear;
    af_get_xy_clear(in->payload, &clear);
    if (af_xy_moves(p)) {
        af_send_nack(p, in, AF_REASON_BUSY);
        return;
    }
    if (clear.latch_count == xy->latch_count) {
        xy->latch[AF_X] = AF_LATCH_NONE;
        xy->latch[AF_Y] = AF_LATCH_NONE;
    }
    const struct af_xy_cleared cleared = {xy->latch[AF_X], xy->latch[AF_Y], xy->latch_count};
    af_put_xy_cleared(out.payload, &cleared);
    af_xy_send_status(p);
    af_send(AF_TYPE_XY_CLEARED, in->seq, AF_LEN_XY_CLEARED, &out);
}

uint8_t af_xy_length(uint8_t type)
{
    switch (type) {
    case AF_TYPE_XY_HELLO: return AF_LEN_XY_HELLO;
    case AF_TYPE_XY_MOVE: return AF_LEN_XY_MOVE;
    case AF_TYPE_XY_CLEAR: return AF_LEN_XY_CLEAR;
    case AF_TYPE_TRIGGER_ARM: return AF_LEN_TRIGGER_ARM;
    default: return 0U;
    }
}

void af_xy_receive(struct af_protocol *p, const struct af_frame *in, uint64_t now_us)
{
    switch (in->type) {
    case AF_TYPE_XY_HELLO: on_hello(p, in); break;
    case AF_TYPE_XY_MOVE: af_xy_on_move(p, in, now_us); break;
    case AF_TYPE_XY_CLEAR: on_clear(p, in); break;
    default: af_xy_on_arm(in, p); break;
    }
}

/* ---- milliseconds -------------------------------------------------------------------------- */

static void give_pulses(struct af_protocol *p, int64_t before_q8, uint64_t now_us)
{
    struct af_xy *xy = &p->xy;
    const struct af_motion *x = &xy->axis[AF_X];
    struct af_pulse pulse;
    if (!af_trigger_reached(&xy->trigger, before_q8, x->position_q8, x->limits.nm_per_step,
                            &pulse)) {
        return;
    }
    const struct af_triggered triggered = {
        xy->trigger.given - 1U, now_us - (1000U - pulse.within_us), pulse.position_nm};
    port_trigger(pulse.position_nm, pulse.within_us, xy->trigger.width_us);
    af_xy_send_triggered(p, &triggered);
}

/* The result of a move that ended, by the weightiest latch. */
static uint8_t result_of(const struct af_xy *xy)
{
    static const uint8_t results[AF_LATCH_LIMIT + 1U] = {
        [AF_LATCH_NONE] = AF_RESULT_REACHED,
        [AF_LATCH_SAFE_STOP] = AF_RESULT_WATCHDOG,
        [AF_LATCH_STOPPED] = AF_RESULT_STOPPED,
        [AF_LATCH_LIMIT] = AF_RESULT_LIMIT,
    };
    const uint8_t x = xy->latch[AF_X];
    const uint8_t y = xy->latch[AF_Y];
    return results[(x > y) ? x : y];
}

static void move_axes(struct af_protocol *p, uint64_t now_us)
{
    struct af_xy *xy = &p->xy;
    const bool moved = af_xy_moves(p);
    const int64_t before_q8 = xy->axis[AF_X].position_q8;
    uint32_t settled = 0U;
    for (uint32_t i = 0U; i < AF_XY_AXES; i++) {
        settled += (af_motion_tick(&xy->axis[i]) == AF_SETTLED) ? 1U : 0U;
    }
    give_pulses(p, before_q8, now_us);
    for (uint32_t i = 0U; i < AF_XY_AXES; i++) {
        port_xy_motor(i, af_motion_position_nm(&xy->axis[i]), xy->last_move.move_id);
    }
    if (moved && !af_xy_moves(p)) {
        xy->last_result = result_of(xy);
        af_xy_send_done(p, p->event_seq, now_us);
        p->event_seq = (uint8_t)(p->event_seq + 1U);
        af_xy_send_status(p);
    }
    if ((settled > 0U) && (xy->axis[AF_X].phase == AF_AT_REST)
        && (xy->axis[AF_Y].phase == AF_AT_REST)) {
        xy->settled_us = now_us;
        if (xy->configured) { /* who knows Z alone hears nothing of them */
            af_xy_send_status(p);
        }
    }
}

void af_xy_tick(struct af_protocol *p, uint64_t now_us)
{
    struct af_xy *xy = &p->xy;
    if (!xy->present) {
        return;
    }
    if (af_xy_moves(p) && !is_latched(xy)) {
        const bool silent = af_watchdog_silent(&p->watchdog, now_us, AF_WATCHDOG_MS);
        if (silent || (p->latch != AF_LATCH_NONE)) {
            latch_both(p, silent ? AF_LATCH_SAFE_STOP : AF_LATCH_STOPPED);
            af_xy_send_status(p);
        }
    }
    check_xy_switches(p, AF_X);
    check_xy_switches(p, AF_Y);
    move_axes(p, now_us);
    xy->status_in_ms -= (xy->status_in_ms > 0U) ? 1U : 0U;
    if ((xy->status_in_ms == 0U) && xy->configured
        && !af_watchdog_silent(&p->watchdog, now_us, AF_SESSION_ALIVE_MS)) {
        af_xy_send_status(p);
    }
}
