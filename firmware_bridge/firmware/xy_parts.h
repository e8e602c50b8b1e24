/* What the parts of X and Y offer each other and the protocol. */
#ifndef AF_XY_PARTS_H
#define AF_XY_PARTS_H

#include "protocol_parts.h"

/* xy.c: frames and milliseconds */
uint8_t af_xy_length(uint8_t type); /* of the payload; 0: not a message of X and Y */
void af_xy_receive(struct af_protocol *p, const struct af_frame *in, uint64_t now_us);
bool af_xy_moves(const struct af_protocol *p);
void af_xy_forget_session(struct af_protocol *p);
void af_xy_stop(struct af_protocol *p);
void af_xy_tick(struct af_protocol *p, uint64_t now_us);

/* xy_moves.c: numbered moves, and the pulses that belong to them */
void af_xy_on_move(struct af_protocol *p, const struct af_frame *in, uint64_t now_us);
void af_xy_on_arm(const struct af_frame *in, struct af_protocol *p);

/* xy_replies.c */
void af_xy_send_status(struct af_protocol *p);
void af_xy_send_done(const struct af_protocol *p, uint8_t seq, uint64_t now_us);
void af_xy_send_accepted(const struct af_protocol *p, uint8_t seq);
void af_xy_send_refused(const struct af_protocol *p, uint8_t seq, uint32_t id, uint8_t reason);
void af_xy_send_triggered(struct af_protocol *p, const struct af_triggered *triggered);

#endif
