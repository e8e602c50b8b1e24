/* Pulses by position. */
#include "trigger.h"

#define Q8 256
#define TICK_US 1000

static int64_t place_nm(const struct af_trigger *t, uint32_t number)
{
    return (int64_t)t->start_nm + ((int64_t)number * t->pitch_nm);
}

int64_t af_trigger_last_nm(const struct af_trigger *t)
{
    return place_nm(t, t->count - 1U);
}

bool af_trigger_on_way(const struct af_trigger *t, int32_t here_nm, int32_t target_nm)
{
    const int64_t last_nm = af_trigger_last_nm(t);
    if (t->pitch_nm > 0) {
        return (t->start_nm > here_nm) && (last_nm <= target_nm);
    }
    return (t->start_nm < here_nm) && (last_nm >= target_nm);
}

bool af_trigger_slow_enough(const struct af_trigger *t, int32_t speed_nm_s, uint32_t period_ms)
{
    const int64_t pitch_nm = (t->pitch_nm < 0) ? -(int64_t)t->pitch_nm : t->pitch_nm;
    return (pitch_nm * 1000) >= ((int64_t)speed_nm_s * (int64_t)period_ms);
}

/* The first whole step at or past the place, on a way in the direction of sign. */
static int64_t step_at(int64_t place, int32_t sign, int64_t step)
{
    const int64_t along = place * sign;
    const int64_t rest = along % step;
    const int64_t whole = along - rest;
    return (whole + ((rest > 0) ? step : 0)) * sign;
}

bool af_trigger_reached(struct af_trigger *t, int64_t before_q8, int64_t after_q8,
                        int32_t nm_per_step, struct af_pulse *pulse)
{
    if ((t->move_id == 0U) || (t->given == t->count)) {
        return false;
    }
    const int32_t sign = (t->pitch_nm > 0) ? 1 : -1;
    const int64_t at_nm = step_at(place_nm(t, t->given), sign, nm_per_step);
    /* the motor stands on the nearest step, in the middle between two on the upper one: from below
     * it takes this step half a step before it, from above as soon as it is nearer than that */
    const int64_t half_q8 = ((int64_t)nm_per_step * Q8) / 2;
    const int64_t edge_q8 = (at_nm * Q8) + ((sign > 0) ? -half_q8 : (half_q8 - 1));
    const int64_t way_q8 = (after_q8 - before_q8) * sign;
    const int64_t ahead_q8 = (edge_q8 - before_q8) * sign;
    if ((way_q8 <= 0) || (ahead_q8 > way_q8)) {
        return false;
    }
    pulse->position_nm = (int32_t)at_nm;
    const int64_t within_us = (ahead_q8 * TICK_US) / way_q8;
    pulse->within_us = (uint32_t)within_us;
    t->given += 1U;
    return true;
}
