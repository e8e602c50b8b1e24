/* Sessions, numbered moves, latches: what each frame does. Messages are in messages.h, the words
 * for people in PROTOCOL.md. */
#ifndef AF_PROTOCOL_H
#define AF_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "framing.h"
#include "motion.h"
#include "watchdog.h"
#include "xy.h"

struct af_protocol {
    struct af_motion motion;
    struct af_watchdog watchdog;
    struct af_receiver receiver;
    uint32_t boot_id;
    uint16_t device_id;
    bool has_session;
    uint32_t session;
    struct af_move last_move; /* the last one started, as received; number 0: none yet */
    uint8_t last_result;
    int32_t last_target_nm;
    struct af_move refused_move; /* the last one refused */
    uint8_t refused_reason;
    uint8_t latch;
    uint16_t latch_count;
    uint8_t event_seq; /* numbers the frames nobody asked for */
    uint32_t crc_errors;
    uint32_t moves_started;
    uint64_t settled_us;
    uint64_t tick_us; /* of the newest tick */
    uint32_t status_in_ms;
    bool lit; /* the strobe, and since when and where */
    uint64_t lit_us;
    int32_t lit_nm;
    uint32_t exposures;
    struct af_xy xy;
};

/* boot_id must differ between two boots (a counter in flash, or a random number). */
void af_protocol_init(struct af_protocol *p, const struct af_axis_limits *limits,
                      int32_t start_nm, uint32_t boot_id, uint16_t device_id);

/* After af_protocol_init, on a board that moves the slide, too. X and Y have steps of one size. */
void af_xy_init(struct af_protocol *p, const struct af_axis_limits limits[AF_XY_AXES],
                const int32_t start_nm[AF_XY_AXES]);

void af_protocol_receive(struct af_protocol *p, const uint8_t *bytes, size_t length,
                         uint64_t now_us);

void af_protocol_tick(struct af_protocol *p, uint64_t now_us);

/* The strobe line's level at an edge; EXPOSURE goes out when it goes off. A repeated level is
 * ignored. now_us is the edge's time, at or after the last tick's. */
void af_protocol_strobe(struct af_protocol *p, bool lit, uint64_t now_us);

#endif
