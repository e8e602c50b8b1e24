/* The axis: where it is, where it goes, how fast. A trapezoid in 24.8 fixed point at a 1 kHz tick.
 * Positions are nm, positive = objective up. Nothing here knows messages or ports. */
#ifndef AF_MOTION_H
#define AF_MOTION_H

#include <stdbool.h>
#include <stdint.h>

#define AF_TICKS_PER_S 1000
/* A slower one would be rounded to none: less than 1/256 nm, the arithmetic's unit, in a tick. */
#define AF_SPEED_NM_S_MIN ((AF_TICKS_PER_S + 255) / 256)

/* What the board fixes; never changed by a host. */
struct af_axis_limits {
    int32_t hard_min_nm;
    int32_t hard_max_nm;
    int32_t nm_per_step;
    int32_t speed_nm_s; /* the fastest a host may ask for */
    int32_t accel_nm_s2;
};

/* What a host chooses within the limits. */
struct af_axis_settings {
    int32_t z_min_nm;
    int32_t z_max_nm;
    int32_t backlash_nm; /* moves end coming up by at least this much; negative: coming down */
    int32_t speed_nm_s;
    int32_t settle_ms;
};

enum af_phase { AF_AT_REST, AF_MOVING, AF_BRAKING, AF_SETTLING };

struct af_motion {
    struct af_axis_limits limits;
    struct af_axis_settings settings;
    enum af_phase phase;
    int64_t position_q8; /* nm * 256 */
    int32_t velocity_q8; /* nm * 256 per tick */
    int32_t accel_q8;
    int32_t speed_q8;
    int32_t goal_nm;      /* end of the present leg */
    int32_t target_nm;    /* end of the move */
    int64_t approach_q8;  /* way from its side since the last other way, at most the backlash */
    int32_t settle_ticks; /* still to wait */
};

enum af_motion_event {
    AF_NO_EVENT,
    AF_TURNED,  /* the dip past the target is done, the way back begins */
    AF_ARRIVED, /* at rest: on the target, or where braking ended */
    AF_SETTLED
};

void af_motion_init(struct af_motion *m, const struct af_axis_limits *limits, int32_t start_nm);

/* False and unchanged when a setting is outside the limits. Only at rest. */
bool af_motion_configure(struct af_motion *m, const struct af_axis_settings *settings);

/* Moves from now on go this fast, from 1/256 nm in a tick to the session's speed. Only at rest. */
void af_motion_limit_speed(struct af_motion *m, int32_t speed_nm_s);

/* Where the motor stands: the position rounded to whole steps. */
int32_t af_motion_position_nm(const struct af_motion *m);

/* Rounds to the nearest whole step. */
int32_t af_motion_round_nm(const struct af_motion *m, int64_t position_nm);

/* True while it moves or brakes. */
bool af_motion_moves(const struct af_motion *m);

/* True when the whole way to target_nm, dip included, stays inside the window. */
bool af_motion_allows(const struct af_motion *m, int64_t target_nm);

/* Starts, or redirects the move under way. The caller has asked af_motion_allows(). */
void af_motion_start(struct af_motion *m, int32_t target_nm);

/* Decelerates; AF_ARRIVED follows if it moved. */
void af_motion_brake(struct af_motion *m);

/* Stands still from the next tick on, whatever the speed; AF_ARRIVED follows if it moved. */
void af_motion_halt(struct af_motion *m);

/* True when the way to target_nm leads down (up) from where the axis is. */
bool af_motion_descends(const struct af_motion *m, int64_t target_nm);
bool af_motion_ascends(const struct af_motion *m, int64_t target_nm);

/* Position between two ticks, since_us (0..1000) after the last one: nm, not rounded to steps. */
int32_t af_motion_between_nm(const struct af_motion *m, int32_t since_us);

/* One millisecond. */
enum af_motion_event af_motion_tick(struct af_motion *m);

#endif
