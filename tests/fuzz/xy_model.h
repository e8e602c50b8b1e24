/* What must hold of X and Y, kept a second time from what was sent and answered (session_fuzz.c):
 *   - each motor stays inside the window of the session, on a step, below the top speed
 *   - it moves only between XY_ACCEPTED and XY_DONE, slower at every tick after a latch was told
 *   - pulse n of a move comes once, after n - 1, with the first step at or past its place, in the
 *     tick that makes this step, on the way of the move it was armed for, and none after a latch
 * Included once; uses choice(), number(), telling(), wrapped(), must() and say() of its includer. */
static struct af_axis_limits xy_axis[AF_XY_AXES];
static uint32_t xy_switches[AF_XY_AXES];

static struct {
    bool present;
    int32_t motor_nm[AF_XY_AXES], way_nm[AF_XY_AXES];
    int32_t least_nm[AF_XY_AXES], most_nm[AF_XY_AXES]; /* the window, and where the move began */
    int32_t low_nm[AF_XY_AXES], high_nm[AF_XY_AXES];
    uint32_t last_id, used;
    bool moving, slowing, latched;
    uint16_t latch_count;
    struct af_trigger_arm armed; /* move_id 0: none */
    uint32_t given;
    int32_t pulse_nm; /* given in this tick, before its step */
    bool pulsed;
} xy;

static void hear_xy(const struct af_frame *f)
{
    switch (f->type) {
    case AF_TYPE_XY_HELLO_ACK: {
        struct af_xy_hello_ack h;
        af_get_xy_hello_ack(f->payload, &h);
        must((h.x_min_nm >= xy_axis[AF_X].hard_min_nm) && (h.x_max_nm <= xy_axis[AF_X].hard_max_nm)
             && (h.y_min_nm >= xy_axis[AF_Y].hard_min_nm)
             && (h.y_max_nm <= xy_axis[AF_Y].hard_max_nm), "window of X and Y told");
        xy.low_nm[AF_X] = h.x_min_nm;
        xy.high_nm[AF_X] = h.x_max_nm;
        xy.low_nm[AF_Y] = h.y_min_nm;
        xy.high_nm[AF_Y] = h.y_max_nm;
        break;
    }
    case AF_TYPE_XY_STATUS: {
        struct af_xy_status s;
        af_get_xy_status(f->payload, &s);
        if ((seen.asked == AF_TYPE_XY_MOVE) && (s.last_move_id != xy.last_id)) {
            xy.last_id = s.last_move_id;
            xy.moving = true;
            xy.given = 0U;
            xy.armed.move_id = (xy.armed.move_id == s.last_move_id) ? s.last_move_id : 0U;
            for (uint32_t i = 0U; i < AF_XY_AXES; i++) {
                const int32_t at = xy.motor_nm[i];
                xy.least_nm[i] = (at < xy.low_nm[i]) ? at : xy.low_nm[i];
                xy.most_nm[i] = (at > xy.high_nm[i]) ? at : xy.high_nm[i];
            }
        }
        xy.latched = (s.latch_x != AF_LATCH_NONE) || (s.latch_y != AF_LATCH_NONE);
        xy.latch_count = s.latch_count;
        must(((s.flags & AF_FLAG_MOVING) != 0U) == xy.moving, "XY_STATUS and XY_DONE disagree");
        must(s.pulses == xy.given, "XY_STATUS tells other pulses");
        break;
    }
    case AF_TYPE_XY_DONE: {
        struct af_xy_done d;
        af_get_xy_done(f->payload, &d);
        must(d.move_id == xy.last_id, "XY_DONE of another move");
        if (xy.moving) {
            must(d.pulses == xy.given, "XY_DONE tells other pulses");
            must((d.result != AF_RESULT_REACHED) || (xy.armed.move_id != d.move_id)
                 || (xy.given == xy.armed.count), "a line that ended lacks pulses");
        }
        xy.moving = false;
        break;
    }
    case AF_TYPE_TRIGGERED: {
        struct af_triggered t;
        af_get_triggered(f->payload, &t);
        must(xy.pulsed && (t.position_nm == xy.pulse_nm), "told of a pulse that was not given");
        must(t.count == (xy.given - 1U), "pulses are not counted");
        must((t.time_us <= now_us) && ((now_us - t.time_us) <= TICK_US), "time of a pulse");
        break;
    }
    default: break;
    }
}

void port_trigger(int32_t position_nm, uint32_t within_us, uint32_t width_us)
{
    const int64_t place = xy.armed.start_nm + ((int64_t)xy.given * xy.armed.pitch_nm);
    const int64_t past = (xy.armed.pitch_nm > 0) ? (position_nm - place) : (place - position_nm);
    must((xy.armed.move_id != 0U) && (xy.armed.move_id == xy.last_id), "a pulse of no move");
    must(xy.moving && !xy.slowing, "a pulse of a slide that rests or brakes");
    must(xy.given < xy.armed.count, "a pulse too many");
    must((past >= 0) && (past < xy_axis[AF_X].nm_per_step), "a pulse beside its place");
    must((within_us <= TICK_US) && (width_us == xy.armed.width_us), "a pulse of another kind");
    must(!xy.pulsed, "two pulses within a tick");
    xy.given += 1U;
    xy.pulse_nm = position_nm;
    xy.pulsed = true;
}

void port_xy_motor(uint32_t i, int32_t next_nm, uint32_t move_id)
{
    const int64_t way = (int64_t)next_nm - xy.motor_nm[i];
    const int64_t most = ((int64_t)xy_axis[i].speed_nm_s / 1000) + xy_axis[i].nm_per_step;
    const int64_t size = (way < 0) ? -way : way;
    const int64_t before = (xy.way_nm[i] < 0) ? -(int64_t)xy.way_nm[i] : xy.way_nm[i];
    if (way != 0) {
        must(xy.moving && (move_id == xy.last_id), "X or Y moves for no move");
        must((next_nm >= xy.least_nm[i]) && (next_nm <= xy.most_nm[i]), "X or Y outside");
        must((next_nm % xy_axis[i].nm_per_step) == 0, "X or Y not on a step");
        must(size <= most, "X or Y too fast");
        must(!xy.slowing || (size <= (before + xy_axis[i].nm_per_step)), "X or Y latched gets faster");
        must(!(xy.slowing && (((way > 0) ? AF_SWITCH_HIGH : AF_SWITCH_LOW) & xy_switches[i])),
             "X or Y on towards a pressed switch");
    }
    if ((i == AF_X) && xy.pulsed) { /* the step that the pulse came with is made now */
        const bool up = xy.armed.pitch_nm > 0;
        must(up ? ((xy.motor_nm[i] < xy.pulse_nm) && (next_nm >= xy.pulse_nm))
                : ((xy.motor_nm[i] > xy.pulse_nm) && (next_nm <= xy.pulse_nm)), "a pulse beside its tick");
        xy.pulsed = false;
    }
    xy.way_nm[i] = (int32_t)way;
    xy.motor_nm[i] = next_nm;
}

uint32_t port_xy_switches(uint32_t i)
{
    return xy_switches[i];
}

static int32_t xy_place(uint32_t i)
{
    const uint8_t kind = choice();
    const int64_t off = (int64_t)(int8_t)choice() * ((kind & 0x10U) ? 1 : 20 * xy_axis[i].nm_per_step);
    switch (kind & 3U) {
    case 0: return wrapped(xy.low_nm[i] + off);
    case 1: return wrapped(xy.high_nm[i] + off);
    case 2: return wrapped(xy.motor_nm[i] + off);
    default: return (kind & 4U) ? wrapped(xy.motor_nm[i] + (100 * off)) : (int32_t)telling();
    }
}

static void say_xy_hello(void)
{
    uint8_t payload[AF_MAX_PAYLOAD];
    const uint8_t kind = choice();
    struct af_xy_hello h = {
        seen.session, AF_XY_TABLE_HASH, xy_axis[AF_X].hard_min_nm, xy_axis[AF_X].hard_max_nm,
        xy_axis[AF_Y].hard_min_nm, xy_axis[AF_Y].hard_max_nm, 0U, (uint16_t)(kind >> 6)};
    if ((kind & 1U) != 0U) {
        h.x_min_nm = wrapped(xy.motor_nm[AF_X] - ((int64_t)choice() * 900));
        h.x_max_nm = wrapped(xy.motor_nm[AF_X] + ((int64_t)choice() * 900));
        h.y_min_nm = wrapped(xy.motor_nm[AF_Y] - ((int64_t)choice() * 900));
        h.y_max_nm = wrapped(xy.motor_nm[AF_Y] + ((int64_t)choice() * 900));
    } else if ((kind & 2U) != 0U) {
        h.x_min_nm = xy_place(AF_X);
        h.y_max_nm = xy_place(AF_Y);
    }
    h.speed_nm_s = ((kind & 4U) != 0U) ? telling() : 0U;
    h.settle_ms = ((kind & 8U) != 0U) ? (uint16_t)telling() : h.settle_ms;
    h.session = ((kind & 0x30U) == 0x30U) ? 3U : h.session;
    af_put_xy_hello(payload, &h);
    say(AF_TYPE_XY_HELLO, payload, AF_LEN_XY_HELLO, h.session);
}

static void say_arm(void)
{
    uint8_t payload[AF_MAX_PAYLOAD];
    const uint8_t kind = choice();
    const int32_t step = xy_axis[AF_X].nm_per_step;
    struct af_trigger_arm arm = xy.armed;
    if ((kind & 3U) != 0U) {
        const int32_t sign = ((kind & 4U) != 0U) ? -1 : 1;
        arm.session = ((kind & 0x30U) == 0x30U) ? 3U : seen.session;
        arm.move_id = ((kind & 0x40U) != 0U) ? telling() : (xy.used + 1U - (kind >> 7));
        arm.start_nm = ((kind & 8U) != 0U) ? xy_place(AF_X)
                                           : wrapped(xy.motor_nm[AF_X] + (sign * (choice() + 1)));
        arm.pitch_nm = (sign * step) + ((int8_t)choice() * ((kind & 2U) ? step : 1));
        arm.count = choice() & 15U;
        arm.width_us = ((kind & 1U) != 0U) ? 10U : (uint16_t)telling();
    }
    af_put_trigger_arm(payload, &arm);
    seen.armed_ok = false;
    say(AF_TYPE_TRIGGER_ARM, payload, AF_LEN_TRIGGER_ARM, arm.session);
    if (seen.armed_ok && !xy.moving && (arm.move_id > xy.used)) {
        xy.armed = arm;
    }
}

static void send_xy_move(const struct af_xy_move *move)
{
    uint8_t payload[AF_MAX_PAYLOAD];
    const uint32_t before = protocol.xy.moves_started;
    const bool ours = seen.has_session && (move->session == seen.session);
    af_put_xy_move(payload, move);
    say(AF_TYPE_XY_MOVE, payload, AF_LEN_XY_MOVE, move->session);
    must((protocol.xy.moves_started == before) || (ours && (move->move_id > xy.used)),
         "a used number moved X and Y");
    must((protocol.xy.moves_started == before) || (seen.latch == AF_LATCH_NONE),
         "X and Y moved below a latched Z");
    xy.used = (ours && (move->move_id > xy.used)) ? move->move_id : xy.used;
}

static void say_xy_move(void)
{
    static struct af_xy_move kept[4];
    const uint8_t kind = choice();
    struct af_xy_move move = kept[kind & 3U];
    if ((kind & 0x0CU) != 0U) {
        move.session = ((kind & 0x30U) == 0x30U) ? 3U : seen.session;
        move.move_id = ((kind & 0x40U) != 0U) ? telling() : (xy.used + 1U - (kind >> 7));
        move.x_nm = xy_place(AF_X);
        move.y_nm = xy_place(AF_Y);
        move.assumed_x_nm = ((kind & 0x80U) != 0U) ? xy_place(AF_X) : xy.motor_nm[AF_X];
        move.assumed_y_nm = xy.motor_nm[AF_Y];
        move.tolerance_nm = telling();
        move.speed_nm_s = ((kind & 0x04U) != 0U) ? (uint32_t)(choice() * 40) : 0U;
    }
    if ((xy.armed.move_id != 0U) && (choice() & 1U)) { /* along the places that wait */
        move.session = seen.session;
        move.move_id = xy.armed.move_id;
        move.x_nm = wrapped(xy.armed.start_nm + ((int64_t)xy.armed.count * xy.armed.pitch_nm));
        move.y_nm = xy.motor_nm[AF_Y];
        move.assumed_x_nm = xy.motor_nm[AF_X];
        move.assumed_y_nm = xy.motor_nm[AF_Y];
    }
    kept[kind & 3U] = move;
    send_xy_move(&move);
}

static void say_xy_clear(uint32_t session)
{
    uint8_t payload[AF_MAX_PAYLOAD] = {0};
    af_put_uint(payload, session, 4U);
    af_put_uint(&payload[4], xy.latch_count, 2U);
    say(AF_TYPE_XY_CLEAR, payload, AF_LEN_XY_CLEAR, session);
}

static void say_small(uint8_t type, uint8_t length);
static void tick(void);
static void follow(void);

/* After a step: what a new session forgets. */
static void xy_follow(bool other_session)
{
    if (other_session) {
        xy.used = 0U;
        xy.armed.move_id = 0U;
    }
    xy.last_id = protocol.xy.last_move.move_id;
    xy.latched = (protocol.xy.latch[AF_X] != AF_LATCH_NONE)
              || (protocol.xy.latch[AF_Y] != AF_LATCH_NONE);
    xy.latch_count = protocol.xy.latch_count;
    xy.armed.move_id = xy.latched ? 0U : xy.armed.move_id;
}

/* A line as a scan has it, or nearly: what random frames alone would seldom come to. */
static void sweep(void)
{
    uint8_t payload[AF_MAX_PAYLOAD];
    const uint8_t kind = choice();
    const int32_t step = xy_axis[AF_X].nm_per_step;
    const int32_t sign = ((kind & 1U) != 0U) ? -1 : 1;
    const struct af_hello h = {seen.has_session ? seen.session : 1U, AF_PROTOCOL_VERSION,
                               AF_TABLE_HASH, axis.hard_min_nm, axis.hard_max_nm, 0, 0U, 1U};
    af_put_hello(payload, &h);
    say(AF_TYPE_HELLO, payload, AF_LEN_HELLO, h.session);
    follow();
    af_put_uint(payload, seen.session, 4U);
    af_put_uint(&payload[4], seen.latch_count, 2U);
    if ((kind & 8U) == 0U) {
        say(AF_TYPE_CLEAR, payload, AF_LEN_CLEAR, seen.session);
        follow();
    }
    say_xy_clear(seen.session);
    if ((kind & 2U) != 0U) {
        say_xy_hello();
    }
    follow();
    struct af_trigger_arm arm = {
        seen.session, xy.used + 1U, wrapped(xy.motor_nm[AF_X] + ((int64_t)sign * (1 + choice()))),
        sign * (step + (choice() * (((kind & 4U) != 0U) ? step : 1))), 1U + (choice() & 7U), 10U};
    af_put_trigger_arm(payload, &arm);
    say(AF_TYPE_TRIGGER_ARM, payload, AF_LEN_TRIGGER_ARM, arm.session);
    if (seen.armed_ok && !xy.moving) {
        xy.armed = arm;
    }
    const int64_t slow = (((int64_t)arm.pitch_nm * sign) * 1000) / AF_TRIGGER_PERIOD_MS;
    struct af_xy_move move = {
        seen.session, ((kind & 0x38U) == 0x38U) ? arm.move_id + 1U : arm.move_id,
        wrapped(arm.start_nm + ((int64_t)arm.count * arm.pitch_nm)),
        wrapped(xy.motor_nm[AF_Y] + ((int64_t)(int8_t)choice() * step)),
        xy.motor_nm[AF_X], xy.motor_nm[AF_Y], 0U,
        (uint32_t)((slow < xy_axis[AF_X].speed_nm_s) ? slow : 0)};
    send_xy_move(&move);
    for (uint32_t ms = (uint32_t)choice() * (((kind & 0x40U) != 0U) ? 1U : 2U); ms > 0U; ms--) {
        if (((ms % 50U) == 0U) && ((kind & 0x80U) == 0U)) {
            say_small(AF_TYPE_SYNC, AF_LEN_SYNC);
        }
        if ((ms == 100U) && ((kind & 0x20U) != 0U)) {
            say_small(AF_TYPE_STOP, AF_LEN_STOP);
        }
        tick();
    }
    if ((kind & 0x10U) != 0U) { /* copies of both while it moves, or after it */
        af_put_trigger_arm(payload, &arm);
        say(AF_TYPE_TRIGGER_ARM, payload, AF_LEN_TRIGGER_ARM, arm.session);
        send_xy_move(&move);
    }
}

static void xy_begin(bool present)
{
    static const struct af_axis_limits axes[2][AF_XY_AXES] = {
        {{0, 75000000, 100, 20000000, 200000000}, {0, 25000000, 100, 20000000, 200000000}},
        {{-300000, 300000, 37, 900000, 4000000}, {2147000000, 2147480000, 37, 700000, 4000000}}};
    (void)memset(&xy, 0, sizeof xy);
    xy.present = present;
    if (!present) {
        return;
    }
    const uint8_t which = choice() & 1U;
    int32_t start_nm[AF_XY_AXES];
    for (uint32_t i = 0U; i < AF_XY_AXES; i++) {
        xy_axis[i] = axes[which][i];
        xy_switches[i] = 0U;
        start_nm[i] = (int32_t)(((int64_t)xy_axis[i].hard_min_nm + xy_axis[i].hard_max_nm) / 2);
    }
    af_xy_init(&protocol, xy_axis, start_nm);
    for (uint32_t i = 0U; i < AF_XY_AXES; i++) {
        xy.motor_nm[i] = af_motion_position_nm(&protocol.xy.axis[i]);
        xy.low_nm[i] = xy_axis[i].hard_min_nm;
        xy.high_nm[i] = xy_axis[i].hard_max_nm;
    }
}

static void xy_step(uint8_t kind)
{
    switch (kind) {
    case 0: say_xy_hello(); break;
    case 1: say_arm(); break;
    case 2:
    case 3: say_xy_move(); break;
    case 4: say_xy_clear(((choice() & 7U) == 7U) ? 3U : seen.session); break;
    case 6:
    case 7: sweep(); break;
    default: xy_switches[choice() & 1U] = choice() & 3U; break;
    }
}
