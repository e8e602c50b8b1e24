/* What the parts of the protocol offer each other; boards include protocol.h only. */
#ifndef AF_PROTOCOL_PARTS_H
#define AF_PROTOCOL_PARTS_H

#include "protocol.h"

/* replies.c: a reply carries the seq of the frame it answers */
void af_send(uint8_t type, uint8_t seq, uint8_t length, struct af_frame *frame);
void af_send_nack(const struct af_protocol *p, const struct af_frame *asked, uint8_t reason);
void af_send_status(struct af_protocol *p);
void af_send_done(const struct af_protocol *p, uint8_t seq, uint64_t now_us);

void af_send_exposure(struct af_protocol *p, const struct af_exposure *exposure);

/* session.c */
uint8_t af_session_reason(const struct af_protocol *p, uint32_t session);
void af_on_hello(struct af_protocol *p, const struct af_frame *in, uint64_t now_us);
void af_on_sync(const struct af_frame *in, uint64_t now_us);
void af_on_bye(struct af_protocol *p, const struct af_frame *in);

/* moves.c */
void af_end_move(struct af_protocol *p, uint8_t result, uint64_t now_us);
void af_latch(struct af_protocol *p, uint8_t reason);
void af_on_move(struct af_protocol *p, const struct af_frame *in, uint64_t now_us);
void af_on_stop(struct af_protocol *p, const struct af_frame *in, uint64_t now_us);
void af_on_clear(struct af_protocol *p, const struct af_frame *in);

#endif
