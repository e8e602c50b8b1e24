/* The axes under the slide, X and Y: moved together, by numbers of their own. */
#ifndef AF_XY_H
#define AF_XY_H

#include <stdbool.h>
#include <stdint.h>

#include "messages.h"
#include "motion.h"
#include "trigger.h"

#define AF_X 0U
#define AF_Y 1U
#define AF_XY_AXES 2U

struct af_xy {
    bool present;    /* the board has them */
    bool configured; /* XY_HELLO was taken in the present session */
    struct af_motion axis[AF_XY_AXES];
    struct af_xy_move last_move; /* the last one started, as received; number 0: none yet */
    uint8_t last_result;
    int32_t target_nm[AF_XY_AXES]; /* of it, in whole steps */
    struct af_xy_move refused_move; /* the last one refused */
    uint8_t refused_reason;
    uint8_t latch[AF_XY_AXES];
    uint16_t latch_count;
    uint32_t moves_started;
    uint64_t settled_us;
    uint32_t status_in_ms;
    struct af_trigger trigger;
};

#endif
