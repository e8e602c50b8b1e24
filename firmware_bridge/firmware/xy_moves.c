/* Numbered moves of X and Y, and the pulses that belong to them. */
#include "port.h"
#include "xy_parts.h"

static bool same_xy_move(const struct af_xy_move *a, const struct af_xy_move *b)
{
    return (a->x_nm == b->x_nm) && (a->y_nm == b->y_nm) && (a->assumed_x_nm == b->assumed_x_nm)
        && (a->assumed_y_nm == b->assumed_y_nm) && (a->tolerance_nm == b->tolerance_nm)
        && (a->speed_nm_s == b->speed_nm_s);
}

/* Why this axis may not go there; target_nm is what was asked for. */
static uint8_t axis_refusal(const struct af_motion *m, uint32_t axis, int32_t target_nm,
                            int32_t assumed_nm, uint32_t tolerance_nm)
{
    const int64_t error = (int64_t)assumed_nm - af_motion_position_nm(m);
    const int64_t tolerance = (int64_t)tolerance_nm;
    const int32_t rounded = af_motion_round_nm(m, target_nm);
    const uint32_t pressed = port_xy_switches(axis);
    if ((error > tolerance) || (error < -tolerance)) {
        return AF_REASON_ASSUMED_DIFFERS;
    }
    if (!af_motion_allows(m, target_nm) || !af_motion_allows(m, rounded)) {
        return AF_REASON_WINDOW;
    }
    if ((((pressed & AF_SWITCH_LOW) != 0U) && af_motion_descends(m, rounded))
        || (((pressed & AF_SWITCH_HIGH) != 0U) && af_motion_ascends(m, rounded))) {
        return AF_REASON_LIMIT;
    }
    return AF_REASON_OK;
}

static bool has_pulses(const struct af_xy *xy, const struct af_xy_move *move)
{
    return xy->trigger.move_id == move->move_id;
}

static int32_t speed_of(const struct af_xy *xy, const struct af_xy_move *move)
{
    const int32_t usual = xy->axis[AF_X].settings.speed_nm_s;
    return (move->speed_nm_s == 0U) ? usual : (int32_t)move->speed_nm_s;
}

/* Why this new move must not be made; the host's guard asks the same first. */
static uint8_t xy_refusal(const struct af_protocol *p, const struct af_xy_move *move)
{
    const struct af_xy *xy = &p->xy;
    const struct af_motion *x = &xy->axis[AF_X];
    if (!xy->configured) {
        return AF_XY_REASON_UNCONFIGURED;
    }
    if ((xy->latch[AF_X] != AF_LATCH_NONE) || (xy->latch[AF_Y] != AF_LATCH_NONE)) {
        return AF_REASON_LATCHED;
    }
    if (p->latch != AF_LATCH_NONE) {
        return AF_XY_REASON_Z_LATCHED;
    }
    if (af_xy_moves(p)) {
        return AF_REASON_BUSY;
    }
    if ((move->speed_nm_s != 0U)
        && ((move->speed_nm_s > (uint32_t)x->settings.speed_nm_s)
            || (move->speed_nm_s < (uint32_t)AF_SPEED_NM_S_MIN))) {
        return AF_REASON_CONFIG;
    }
    uint8_t reason = axis_refusal(x, AF_X, move->x_nm, move->assumed_x_nm, move->tolerance_nm);
    if (reason == AF_REASON_OK) {
        reason = axis_refusal(&xy->axis[AF_Y], AF_Y, move->y_nm, move->assumed_y_nm,
                              move->tolerance_nm);
    }
    if ((reason == AF_REASON_OK) && has_pulses(xy, move)
        && (!af_trigger_on_way(&xy->trigger, af_motion_position_nm(x),
                               af_motion_round_nm(x, move->x_nm))
            || !af_trigger_slow_enough(&xy->trigger, speed_of(xy, move),
                                       AF_TRIGGER_PERIOD_MS))) {
        reason = AF_XY_REASON_TRIGGER;
    }
    return reason;
}

/* True when this number was seen: says again how it stands, and moves nothing. */
static bool xy_answered_before(const struct af_protocol *p, const struct af_frame *in,
                            const struct af_xy_move *move, uint64_t now_us)
{
    const struct af_xy *xy = &p->xy;
    const uint32_t id = move->move_id;
    const bool last = (id != 0U) && (id == xy->last_move.move_id);
    const bool refused = (id != 0U) && (id == xy->refused_move.move_id);
    if ((last && !same_xy_move(move, &xy->last_move))
        || (refused && !same_xy_move(move, &xy->refused_move))) {
        af_xy_send_refused(p, in->seq, id, AF_REASON_REUSED_ID);
    } else if (last) {
        af_xy_send_accepted(p, in->seq);
        if (xy->last_result != AF_RESULT_MOVING) {
            af_xy_send_done(p, in->seq, now_us);
        }
    } else if (refused) {
        af_xy_send_refused(p, in->seq, id, xy->refused_reason);
    } else if ((id <= xy->last_move.move_id) || (id < xy->refused_move.move_id)) {
        af_xy_send_refused(p, in->seq, id, AF_REASON_STALE);
    } else {
        return false;
    }
    return true;
}

static void start_xy_move(struct af_xy *xy, const struct af_xy_move *move)
{
    const int32_t wanted_nm[AF_XY_AXES] = {move->x_nm, move->y_nm};
    if (!has_pulses(xy, move)) {
        xy->trigger.move_id = 0U; /* of another move: they come never */
    }
    xy->trigger.given = 0U;
    xy->last_move = *move;
    xy->last_result = AF_RESULT_MOVING;
    xy->moves_started += 1U;
    for (uint32_t i = 0U; i < AF_XY_AXES; i++) {
        xy->target_nm[i] = af_motion_round_nm(&xy->axis[i], wanted_nm[i]);
        af_motion_limit_speed(&xy->axis[i], speed_of(xy, move));
        af_motion_start(&xy->axis[i], xy->target_nm[i]);
    }
}

void af_xy_on_move(struct af_protocol *p, const struct af_frame *in, uint64_t now_us)
{
    struct af_xy_move move;
    af_get_xy_move(in->payload, &move);
    if (xy_answered_before(p, in, &move, now_us)) {
        return;
    }
    const uint8_t reason = xy_refusal(p, &move);
    if (reason == AF_REASON_OK) {
        start_xy_move(&p->xy, &move);
        af_xy_send_status(p); /* before XY_ACCEPTED: the host then knows that it moves */
        af_xy_send_accepted(p, in->seq);
        return;
    }
    p->xy.refused_move = move;
    p->xy.refused_reason = reason;
    af_xy_send_refused(p, in->seq, move.move_id, reason);
}

static bool same_pulses(const struct af_trigger *t, const struct af_trigger_arm *arm)
{
    return (t->move_id == arm->move_id) && (t->start_nm == arm->start_nm)
        && (t->pitch_nm == arm->pitch_nm) && (t->count == arm->count)
        && (t->width_us == arm->width_us);
}

/* Why these pulses must not be armed; a copy of those that are armed was answered before. */
static uint8_t arm_refusal(const struct af_protocol *p, const struct af_trigger_arm *arm)
{
    const struct af_xy *xy = &p->xy;
    const struct af_axis_settings *window = &xy->axis[AF_X].settings;
    const struct af_trigger asked = {0U, arm->start_nm, arm->pitch_nm, arm->count, 0U, 0U};
    if (!xy->configured) {
        return AF_XY_REASON_UNCONFIGURED;
    }
    if (af_xy_moves(p)) {
        return AF_REASON_BUSY;
    }
    if ((arm->move_id <= xy->last_move.move_id) || (arm->move_id <= xy->refused_move.move_id)) {
        return AF_REASON_STALE;
    }
    const int32_t step_nm = xy->axis[AF_X].limits.nm_per_step;
    const bool too_close = (arm->pitch_nm < step_nm) && (arm->pitch_nm > -step_nm);
    if ((arm->count == 0U) || too_close || (arm->width_us == 0U)
        || (arm->width_us > AF_TRIGGER_WIDTH_US_MAX)) {
        return AF_REASON_CONFIG;
    }
    const int64_t last_nm = af_trigger_last_nm(&asked);
    const bool start_in = (arm->start_nm >= window->z_min_nm) && (arm->start_nm <= window->z_max_nm);
    const bool last_in = (last_nm >= window->z_min_nm) && (last_nm <= window->z_max_nm);
    return (start_in && last_in) ? AF_REASON_OK : AF_REASON_WINDOW;
}

void af_xy_on_arm(const struct af_frame *in, struct af_protocol *p)
{
    struct af_frame out;
    struct af_trigger_arm arm;
    struct af_trigger_armed armed;
    af_get_trigger_arm(in->payload, &arm);
    armed.move_id = arm.move_id;
    armed.reason = AF_REASON_OK;
    if ((arm.move_id == 0U) || !same_pulses(&p->xy.trigger, &arm)) {
        armed.reason = arm_refusal(p, &arm);
        if (armed.reason == AF_REASON_OK) {
            /* what the last move gave is told until the next begins */
            const uint32_t given = p->xy.trigger.given;
            p->xy.trigger = (struct af_trigger){
                arm.move_id, arm.start_nm, arm.pitch_nm, arm.count, arm.width_us, given};
        }
    }
    af_put_trigger_armed(out.payload, &armed);
    af_send(AF_TYPE_TRIGGER_ARMED, in->seq, AF_LEN_TRIGGER_ARMED, &out);
}
