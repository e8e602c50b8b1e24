#include "motion.h"

#define Q8 256

static int64_t round_to(int64_t value, int64_t unit)
{
    /* floor(value / unit + 1/2), also below zero where C truncates */
    const int64_t shifted = value + (unit / 2);
    int64_t quotient = shifted / unit;
    if ((shifted % unit) < 0) {
        quotient -= 1;
    }
    return quotient * unit;
}

/* Way to rest when the speed of this tick is v and each later tick is slower by a:
 * v + (v - a) + (v - 2a) + ... in nm * 256. */
static int64_t braking_q8(int32_t v, int32_t a)
{
    const int64_t n = (int64_t)v / a;
    return ((n + 1) * v) - ((int64_t)a * ((n * (n + 1)) / 2));
}

/* Where the axis would come to rest if it braked from the next tick on. */
static int64_t rest_q8(const struct af_motion *m)
{
    const int32_t v = m->velocity_q8;
    const int32_t a = m->accel_q8;
    if (v >= 0) {
        return m->position_q8 + ((v > a) ? braking_q8(v - a, a) : 0);
    }
    return m->position_q8 - ((-v > a) ? braking_q8(-v - a, a) : 0);
}

/* The fastest speed for this tick from which the axis can still stop at `way`; `v` is the present
 * speed towards the goal, negative when it still moves away. */
static int32_t next_speed(int64_t way, int32_t v, int32_t a, int32_t limit)
{
    if (v < 0) {
        return ((v + a) < 0) ? (v + a) : 0;
    }
    int32_t low = (v > a) ? (v - a) : 0;
    int32_t high = ((v + a) < limit) ? (v + a) : limit;
    if (high < low) {
        high = low; /* the speed limit was lowered */
    }
    if (braking_q8(low, a) > way) {
        return low; /* too close to stop: pass the goal braking and come back */
    }
    while (low < high) {
        const int32_t middle = low + ((high - low + 1) / 2);
        if (braking_q8(middle, a) <= way) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

void af_motion_init(struct af_motion *m, const struct af_axis_limits *limits, int32_t start_nm)
{
    m->limits = *limits;
    m->phase = AF_AT_REST;
    m->velocity_q8 = 0;
    m->accel_q8 = (int32_t)(((int64_t)limits->accel_nm_s2 * Q8) / (1000 * 1000));
    if (m->accel_q8 < 1) {
        m->accel_q8 = 1;
    }
    m->approach_q8 = 0; /* unknown at boot: the first small move takes up the backlash too */
    m->settle_ticks = 0;
    m->target_nm = af_motion_round_nm(m, start_nm);
    m->goal_nm = m->target_nm;
    m->position_q8 = (int64_t)m->target_nm * Q8;
    m->settings.z_min_nm = limits->hard_min_nm;
    m->settings.z_max_nm = limits->hard_max_nm;
    m->settings.backlash_nm = 0;
    m->settings.speed_nm_s = limits->speed_nm_s;
    m->settings.settle_ms = 0;
    m->speed_q8 = (int32_t)(((int64_t)limits->speed_nm_s * Q8) / AF_TICKS_PER_S);
}

/* The direction in which every move ends: +1 up, -1 down. */
static int32_t side(const struct af_motion *m)
{
    return (m->settings.backlash_nm < 0) ? -1 : 1;
}

static int64_t backlash_q8(const struct af_motion *m)
{
    return (int64_t)m->settings.backlash_nm * side(m) * Q8;
}

/* Keeps count of how far the axis has come from its side since it last went the other way. */
static void count_approach(struct af_motion *m, int64_t way_q8)
{
    const int64_t enough_q8 = backlash_q8(m);
    const int64_t along_q8 = way_q8 * side(m);
    m->approach_q8 = (along_q8 < 0) ? 0 : (m->approach_q8 + along_q8);
    if (m->approach_q8 > enough_q8) {
        m->approach_q8 = enough_q8;
    }
}

bool af_motion_configure(struct af_motion *m, const struct af_axis_settings *settings)
{
    const struct af_axis_limits *limits = &m->limits;
    const bool window = (settings->z_min_nm >= limits->hard_min_nm)
                     && (settings->z_max_nm <= limits->hard_max_nm)
                     && (settings->z_min_nm < settings->z_max_nm);
    const bool rest = (settings->settle_ms >= 0) && (settings->speed_nm_s > 0)
                   && (settings->speed_nm_s <= limits->speed_nm_s);
    if (!window || !rest || af_motion_moves(m)) {
        return false;
    }
    const int32_t old_side = side(m);
    m->settings = *settings;
    m->settings.backlash_nm = (int32_t)round_to(settings->backlash_nm, limits->nm_per_step);
    if (side(m) != old_side) {
        m->approach_q8 = 0;
    }
    count_approach(m, 0);
    af_motion_limit_speed(m, settings->speed_nm_s);
    return true;
}

void af_motion_limit_speed(struct af_motion *m, int32_t speed_nm_s)
{
    m->speed_q8 = (int32_t)(((int64_t)speed_nm_s * Q8) / AF_TICKS_PER_S);
}

int32_t af_motion_round_nm(const struct af_motion *m, int64_t position_nm)
{
    return (int32_t)round_to(position_nm, m->limits.nm_per_step);
}

int32_t af_motion_position_nm(const struct af_motion *m)
{
    const int64_t step_q8 = (int64_t)m->limits.nm_per_step * Q8;
    return (int32_t)(round_to(m->position_q8, step_q8) / Q8);
}

bool af_motion_moves(const struct af_motion *m)
{
    return (m->phase == AF_MOVING) || (m->phase == AF_BRAKING);
}

/* A load that was last moved the other way hangs on the other flank of the thread: end every move
 * from the same side, by at least the backlash, so that the same target is always the same height. */
static bool needs_dip(const struct af_motion *m, int64_t target_nm)
{
    const int64_t ahead_q8 = ((target_nm * Q8) - rest_q8(m)) * side(m);
    if (m->settings.backlash_nm == 0) {
        return false;
    }
    /* what it has come is never more than the backlash, and 0 while it moves the other way: true
     * of every target that lies behind */
    return (m->approach_q8 + ahead_q8) < backlash_q8(m);
}

bool af_motion_allows(const struct af_motion *m, int64_t target_nm)
{
    const struct af_axis_settings *s = &m->settings;
    int64_t turn = target_nm;
    if (needs_dip(m, target_nm)) {
        turn -= s->backlash_nm;
    }
    return (turn >= s->z_min_nm) && (turn <= s->z_max_nm) && (target_nm >= s->z_min_nm)
        && (target_nm <= s->z_max_nm);
}

void af_motion_start(struct af_motion *m, int32_t target_nm)
{
    m->goal_nm = needs_dip(m, target_nm) ? (target_nm - m->settings.backlash_nm) : target_nm;
    m->target_nm = target_nm;
    m->phase = AF_MOVING;
}

void af_motion_brake(struct af_motion *m)
{
    if (m->phase == AF_MOVING) {
        m->phase = AF_BRAKING;
    }
}

void af_motion_halt(struct af_motion *m)
{
    if (af_motion_moves(m)) {
        m->velocity_q8 = 0;
        m->phase = AF_BRAKING;
    }
}

bool af_motion_descends(const struct af_motion *m, int64_t target_nm)
{
    return ((side(m) > 0) && needs_dip(m, target_nm)) || ((target_nm * Q8) < m->position_q8);
}

bool af_motion_ascends(const struct af_motion *m, int64_t target_nm)
{
    return ((side(m) < 0) && needs_dip(m, target_nm)) || ((target_nm * Q8) > m->position_q8);
}

int32_t af_motion_between_nm(const struct af_motion *m, int32_t since_us)
{
    const int64_t way_q8 = ((int64_t)m->velocity_q8 * since_us) / (1000000 / AF_TICKS_PER_S);
    return (int32_t)(round_to(m->position_q8 + way_q8, Q8) / Q8);
}

static void advance(struct af_motion *m)
{
    const int64_t before_q8 = m->position_q8;
    if (m->phase == AF_BRAKING) {
        const int32_t v = m->velocity_q8;
        const int32_t a = m->accel_q8;
        m->velocity_q8 = (v > a) ? (v - a) : ((v < -a) ? (v + a) : 0);
    } else {
        const int64_t way = ((int64_t)m->goal_nm * Q8) - m->position_q8;
        m->velocity_q8 = (way >= 0)
            ? next_speed(way, m->velocity_q8, m->accel_q8, m->speed_q8)
            : -next_speed(-way, -m->velocity_q8, m->accel_q8, m->speed_q8);
    }
    m->position_q8 += m->velocity_q8;
    count_approach(m, m->position_q8 - before_q8);
}

/* Braking may end between two steps: stand on the step the motor is on. */
static void come_to_rest(struct af_motion *m)
{
    m->target_nm = af_motion_position_nm(m);
    m->goal_nm = m->target_nm;
    m->position_q8 = (int64_t)m->target_nm * Q8;
    m->settle_ticks = m->settings.settle_ms;
    m->phase = AF_SETTLING;
}

enum af_motion_event af_motion_tick(struct af_motion *m)
{
    if (m->phase == AF_SETTLING) {
        if (m->settle_ticks > 0) {
            m->settle_ticks -= 1;
            return AF_NO_EVENT;
        }
        m->phase = AF_AT_REST;
        return AF_SETTLED;
    }
    if (m->phase == AF_AT_REST) {
        return AF_NO_EVENT;
    }
    advance(m);
    if (m->velocity_q8 != 0) {
        return AF_NO_EVENT;
    }
    if (m->phase == AF_MOVING) {
        const bool at_goal = m->position_q8 == ((int64_t)m->goal_nm * Q8);
        if (!at_goal) {
            return AF_NO_EVENT; /* it turns here, on its way back to a goal it had passed */
        }
        if (m->goal_nm != m->target_nm) {
            m->goal_nm = m->target_nm;
            return AF_TURNED;
        }
    }
    come_to_rest(m);
    return AF_ARRIVED;
}
