/* Who may command the axis, and within which window. */
#include "protocol_parts.h"
#include "xy_parts.h"

#define SETTLE_MS_MAX 10000U
#define BACKLASH_NM_MAX 1000000

uint8_t af_session_reason(const struct af_protocol *p, uint32_t session)
{
    if (!p->has_session) {
        return AF_REASON_NO_SESSION;
    }
    return (session == p->session) ? AF_REASON_OK : AF_REASON_OTHER_SESSION;
}

static bool same_settings(const struct af_axis_settings *a, const struct af_axis_settings *b)
{
    return (a->z_min_nm == b->z_min_nm) && (a->z_max_nm == b->z_max_nm)
        && (a->backlash_nm == b->backlash_nm) && (a->speed_nm_s == b->speed_nm_s)
        && (a->settle_ms == b->settle_ms);
}

/* Applies what the host asks for, or tells why not. Nothing is clamped. */
static uint8_t configure(struct af_protocol *p, const struct af_hello *hello)
{
    struct af_motion *m = &p->motion;
    const uint32_t fastest = (uint32_t)m->limits.speed_nm_s;
    const uint32_t speed = (hello->speed_nm_s == 0U) ? fastest : hello->speed_nm_s;
    if ((hello->settle_ms > SETTLE_MS_MAX) || (hello->backlash_nm > BACKLASH_NM_MAX)
        || (hello->backlash_nm < -BACKLASH_NM_MAX) || (speed > fastest)
        || (speed < (uint32_t)AF_SPEED_NM_S_MIN)) {
        return AF_REASON_CONFIG;
    }
    const int32_t backlash_nm = af_motion_round_nm(m, (int64_t)hello->backlash_nm);
    if ((backlash_nm == 0) && (hello->backlash_nm != 0)) {
        return AF_REASON_CONFIG; /* a dip that rounding would drop is not what was asked for */
    }
    const struct af_axis_settings wanted = {
        .z_min_nm = hello->z_min_nm,
        .z_max_nm = hello->z_max_nm,
        .backlash_nm = backlash_nm,
        .speed_nm_s = (int32_t)speed,
        .settle_ms = (int32_t)hello->settle_ms,
    };
    if (af_motion_moves(m)) {
        return same_settings(&wanted, &m->settings) ? AF_REASON_OK : AF_REASON_BUSY;
    }
    return af_motion_configure(m, &wanted) ? AF_REASON_OK : AF_REASON_WINDOW;
}

static bool any_moves(const struct af_protocol *p)
{
    return af_motion_moves(&p->motion) || af_xy_moves(p);
}

static uint8_t open_session(struct af_protocol *p, const struct af_hello *hello, uint64_t now_us)
{
    if (hello->protocol != AF_PROTOCOL_VERSION) {
        return AF_REASON_VERSION;
    }
    if (hello->table_hash != AF_TABLE_HASH) {
        return AF_REASON_HASH;
    }
    const bool same = p->has_session && (hello->session == p->session);
    const bool alive = !af_watchdog_silent(&p->watchdog, now_us, AF_SESSION_ALIVE_MS);
    if (p->has_session && !same && alive) {
        return AF_REASON_OTHER_SESSION;
    }
    if (!same && any_moves(p)) {
        return AF_REASON_BUSY;
    }
    const uint8_t reason = configure(p, hello);
    if (reason != AF_REASON_OK) {
        return reason;
    }
    if (!same) { /* a repeated HELLO must not forget the last move's number */
        p->last_move.move_id = 0U;
        p->refused_move.move_id = 0U;
        p->last_result = AF_RESULT_NONE;
        af_xy_forget_session(p);
    }
    p->session = hello->session;
    p->has_session = true;
    af_watchdog_feed(&p->watchdog, now_us);
    return AF_REASON_OK;
}

void af_on_hello(struct af_protocol *p, const struct af_frame *in, uint64_t now_us)
{
    struct af_frame out;
    struct af_hello hello;
    struct af_hello_ack ack;
    const struct af_axis_settings *s = &p->motion.settings;
    af_get_hello(in->payload, &hello);
    ack.result = open_session(p, &hello, now_us);
    ack.protocol = (uint8_t)AF_PROTOCOL_VERSION;
    ack.table_hash = AF_TABLE_HASH;
    ack.boot_id = p->boot_id;
    ack.device_id = p->device_id;
    ack.nm_per_step = (uint16_t)p->motion.limits.nm_per_step;
    ack.hard_min_nm = p->motion.limits.hard_min_nm;
    ack.hard_max_nm = p->motion.limits.hard_max_nm;
    ack.z_min_nm = s->z_min_nm;
    ack.z_max_nm = s->z_max_nm;
    ack.backlash_nm = s->backlash_nm;
    ack.speed_nm_s = (uint32_t)s->speed_nm_s;
    ack.settle_ms = (uint16_t)s->settle_ms;
    ack.time_us = now_us;
    af_put_hello_ack(out.payload, &ack);
    af_send(AF_TYPE_HELLO_ACK, in->seq, AF_LEN_HELLO_ACK, &out);
    if (ack.result == AF_REASON_OK) {
        af_send_status(p);
    }
}

void af_on_sync(const struct af_frame *in, uint64_t now_us)
{
    struct af_frame out;
    struct af_sync sync;
    af_get_sync(in->payload, &sync);
    const struct af_sync_ack ack = {sync.token, now_us};
    af_put_sync_ack(out.payload, &ack);
    af_send(AF_TYPE_SYNC_ACK, in->seq, AF_LEN_SYNC_ACK, &out);
}

void af_on_bye(struct af_protocol *p, const struct af_frame *in)
{
    struct af_frame out;
    if (any_moves(p)) {
        af_send_nack(p, in, AF_REASON_BUSY); /* the watchdog stays in charge of this move */
        return;
    }
    const struct af_bye_ack ack = {p->session};
    af_put_bye_ack(out.payload, &ack);
    af_send(AF_TYPE_BYE_ACK, in->seq, AF_LEN_BYE_ACK, &out);
    p->has_session = false;
}
