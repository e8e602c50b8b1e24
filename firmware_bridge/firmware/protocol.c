/* Frames in, milliseconds in: decides which part answers. */
#include "protocol.h"

#include "fault.h"
#include "port.h"
#include "protocol_parts.h"
#include "xy_parts.h"

static uint8_t expected_length(uint8_t type)
{
    switch (type) {
    case AF_TYPE_HELLO: return AF_LEN_HELLO;
    case AF_TYPE_SYNC: return AF_LEN_SYNC;
    case AF_TYPE_MOVE: return AF_LEN_MOVE;
    case AF_TYPE_STOP: return AF_LEN_STOP;
    case AF_TYPE_CLEAR: return AF_LEN_CLEAR;
    case AF_TYPE_BYE: return AF_LEN_BYE;
    default: return 0U;
    }
}

/* Frames that only the session's host may send, except MOVE, which answers for itself. */
static bool needs_session(uint8_t type)
{
    return (type == AF_TYPE_SYNC) || (type == AF_TYPE_CLEAR) || (type == AF_TYPE_BYE);
}

static void dispatch(struct af_protocol *p, const struct af_frame *in, uint64_t now_us)
{
    const uint8_t xy_length = p->xy.present ? af_xy_length(in->type) : 0U;
    const uint8_t length = (xy_length != 0U) ? xy_length : expected_length(in->type);
    if (in->version != AF_PROTOCOL_VERSION) {
        af_send_nack(p, in, AF_REASON_VERSION);
        return;
    }
    if ((length == 0U) || (in->length != length)) {
        af_send_nack(p, in, (length == 0U) ? AF_REASON_UNKNOWN_TYPE : AF_REASON_MALFORMED);
        return;
    }
    /* Every message of a host starts with its session. */
    const uint8_t reason = af_session_reason(p, (uint32_t)af_get_uint(in->payload, 4U));
    if (reason == AF_REASON_OK) {
        af_watchdog_feed(&p->watchdog, now_us);
    } else if (needs_session(in->type) || (xy_length != 0U)) {
        af_send_nack(p, in, reason);
        return;
    }
    if (xy_length != 0U) {
        af_xy_receive(p, in, now_us);
        return;
    }
    switch (in->type) {
    case AF_TYPE_HELLO: af_on_hello(p, in, now_us); break;
    case AF_TYPE_SYNC: af_on_sync(in, now_us); break;
    case AF_TYPE_MOVE: af_on_move(p, in, now_us); break;
    case AF_TYPE_STOP: af_on_stop(p, in, now_us); break;
    case AF_TYPE_CLEAR: af_on_clear(p, in); break;
    default: af_on_bye(p, in); break;
    }
}

void af_protocol_receive(struct af_protocol *p, const uint8_t *bytes, size_t length,
                         uint64_t now_us)
{
    struct af_frame frame;
    for (size_t i = 0U; i < length; i++) {
        const enum af_received received = af_receive(&p->receiver, bytes[i], &frame);
        if ((received == AF_RX_FRAME) && !af_fault_due(AF_FAULT_DROP_RECEIVED)) {
            dispatch(p, &frame, now_us);
        } else if (received == AF_RX_BAD) {
            p->crc_errors += 1U;
        }
    }
}

static void after_motion(struct af_protocol *p, enum af_motion_event event, uint64_t now_us)
{
    if (event == AF_NO_EVENT) {
        return;
    }
    if (event == AF_ARRIVED) {
        static const uint8_t result[AF_LATCH_LIMIT + 1U] = {
            [AF_LATCH_NONE] = AF_RESULT_REACHED,
            [AF_LATCH_SAFE_STOP] = AF_RESULT_WATCHDOG,
            [AF_LATCH_STOPPED] = AF_RESULT_STOPPED,
            [AF_LATCH_LIMIT] = AF_RESULT_LIMIT,
        };
        af_end_move(p, result[p->latch], now_us);
    }
    if (event == AF_SETTLED) {
        p->settled_us = now_us;
    }
    af_send_status(p);
}

/* A pressed switch ends the way towards it at once: steps that a hard stop may cost are cheaper
 * than the glass. Whatever latched before, LIMIT is the stronger word: home the axis again. */
static void check_switches(struct af_protocol *p)
{
    const int32_t v = p->motion.velocity_q8;
    const uint32_t pressed = port_switches();
    const uint32_t ahead = (v > 0) ? AF_SWITCH_HIGH : ((v < 0) ? AF_SWITCH_LOW : 0U);
    if ((pressed & ahead) != 0U) {
        af_latch(p, AF_LATCH_LIMIT);
        af_motion_halt(&p->motion);
    }
}

void af_protocol_strobe(struct af_protocol *p, bool lit, uint64_t now_us)
{
    const uint64_t since_us = (now_us > p->tick_us) ? (now_us - p->tick_us) : 0U;
    const int32_t within_us = (since_us < 1000U) ? (int32_t)since_us : 1000;
    const int32_t here_nm = af_motion_between_nm(&p->motion, within_us);
    if (lit == p->lit) {
        return;
    }
    p->lit = lit;
    if (lit) {
        p->lit_us = now_us;
        p->lit_nm = here_nm;
        return;
    }
    p->exposures += 1U;
    if (p->has_session) {
        const struct af_exposure exposure = {
            p->lit_us, now_us, p->lit_nm, here_nm, p->exposures};
        af_send_exposure(p, &exposure);
    }
}

void af_protocol_tick(struct af_protocol *p, uint64_t now_us)
{
    p->tick_us = now_us;
    if (af_motion_moves(&p->motion) && (p->latch == AF_LATCH_NONE)
        && af_watchdog_silent(&p->watchdog, now_us, AF_WATCHDOG_MS)) {
        af_latch(p, AF_LATCH_SAFE_STOP);
        af_send_status(p);
    }
    check_switches(p);
    const enum af_motion_event event = af_motion_tick(&p->motion);
    port_motor(af_motion_position_nm(&p->motion), p->last_move.move_id);
    after_motion(p, event, now_us);
    af_xy_tick(p, now_us);

    p->status_in_ms -= (p->status_in_ms > 0U) ? 1U : 0U;
    if ((p->status_in_ms == 0U) && p->has_session
        && !af_watchdog_silent(&p->watchdog, now_us, AF_SESSION_ALIVE_MS)) {
        af_send_status(p);
    }
}

void af_protocol_init(struct af_protocol *p, const struct af_axis_limits *limits,
                      int32_t start_nm, uint32_t boot_id, uint16_t device_id)
{
    *p = (struct af_protocol){0};
    af_motion_init(&p->motion, limits, start_nm);
    p->boot_id = boot_id;
    p->device_id = device_id;
}
