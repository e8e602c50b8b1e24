/* Pulses by position: when the way of one tick reaches the next of the places that were armed.
 * Nothing here knows messages or ports. */
#ifndef AF_TRIGGER_H
#define AF_TRIGGER_H

#include <stdbool.h>
#include <stdint.h>

struct af_trigger {
    uint32_t move_id; /* of the move that they belong to; 0: none are armed */
    int32_t start_nm;
    int32_t pitch_nm; /* at least a step */
    uint32_t count;
    uint16_t width_us;
    uint32_t given; /* by the last move */
};

/* Place of the last pulse; 64 bits hold it for any numbers. */
int64_t af_trigger_last_nm(const struct af_trigger *t);

/* True when every place lies on the way from here to target_nm, which are whole steps: past here,
 * and not past the target. */
bool af_trigger_on_way(const struct af_trigger *t, int32_t here_nm, int32_t target_nm);

/* True when pulses at this speed (nm/s) come at least period_ms apart. */
bool af_trigger_slow_enough(const struct af_trigger *t, int32_t speed_nm_s, uint32_t period_ms);

struct af_pulse {
    int32_t position_nm; /* the step that it comes with: the first one at or past its place */
    uint32_t within_us;  /* after the beginning of the tick, 0 to 1000 */
};

/* True when the way from before_q8 to after_q8 (nm * 256) reaches the next place, which is then the
 * next no longer. Places are farther apart than the way of a tick. */
bool af_trigger_reached(struct af_trigger *t, int64_t before_q8, int64_t after_q8,
                        int32_t nm_per_step, struct af_pulse *pulse);

#endif
