/* What the firmware says. */
#include "fault.h"
#include "port.h"
#include "protocol_parts.h"

void af_send(uint8_t type, uint8_t seq, uint8_t length, struct af_frame *frame)
{
    uint8_t wire[AF_MAX_WIRE];
    frame->version = (uint8_t)AF_PROTOCOL_VERSION;
    frame->type = type;
    frame->seq = seq;
    frame->length = length;
    const size_t size = af_frame_encode(frame, wire);
    if (af_fault_due(AF_FAULT_DAMAGE_SENT)) {
        wire[size / 2U] ^= 0x10U;
    }
    if ((size > 0U) && !af_fault_due(AF_FAULT_DROP_SENT)) {
        port_send(wire, size);
    }
}

void af_send_nack(const struct af_protocol *p, const struct af_frame *asked, uint8_t reason)
{
    struct af_frame out;
    const struct af_nack nack = {asked->type, reason, p->boot_id};
    af_put_nack(out.payload, &nack);
    af_send(AF_TYPE_NACK, asked->seq, AF_LEN_NACK, &out);
}

void af_send_status(struct af_protocol *p)
{
    struct af_frame out;
    struct af_status status;
    uint32_t flags = 0U;
    status.time_us = p->tick_us; /* when commanded_nm became true, not when it is told */
    status.settled_us = p->settled_us;
    status.commanded_nm = af_motion_position_nm(&p->motion);
    status.encoder_nm = status.commanded_nm;
    if (port_encoder(&status.encoder_nm)) {
        flags |= AF_FLAG_ENCODER;
    }
    flags |= af_motion_moves(&p->motion) ? AF_FLAG_MOVING : 0U;
    flags |= (p->motion.phase == AF_AT_REST) ? AF_FLAG_SETTLED : 0U;
    status.session = p->session;
    status.boot_id = p->boot_id;
    status.last_move_id = p->last_move.move_id;
    status.crc_errors = p->crc_errors;
    status.latch_count = p->latch_count;
    status.flags = (uint8_t)flags;
    status.latch = p->latch;
    status.last_result = p->last_result;
    af_put_status(out.payload, &status);
    af_send(AF_TYPE_STATUS, p->event_seq, AF_LEN_STATUS, &out);
    p->event_seq = (uint8_t)(p->event_seq + 1U);
    p->status_in_ms = AF_STATUS_PERIOD_MS;
}

void af_send_done(const struct af_protocol *p, uint8_t seq, uint64_t now_us)
{
    struct af_frame out;
    const struct af_done done = {
        p->last_move.move_id, af_motion_position_nm(&p->motion), now_us, p->last_result};
    af_put_done(out.payload, &done);
    af_send(AF_TYPE_DONE, seq, AF_LEN_DONE, &out);
}

void af_send_exposure(struct af_protocol *p, const struct af_exposure *exposure)
{
    struct af_frame out;
    af_put_exposure(out.payload, exposure);
    af_send(AF_TYPE_EXPOSURE, p->event_seq, AF_LEN_EXPOSURE, &out);
    p->event_seq = (uint8_t)(p->event_seq + 1U);
}
