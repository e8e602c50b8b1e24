/* Drives the protocol core as a host would and as no host should: whole valid frames in any order,
 * with numbers, settings and axes at the ends of their ranges, time in steps and in jumps, clocks
 * that begin just before 32 bits end. protocol_fuzz.c beside this file feeds it raw bytes.
 *
 * The input is a stream of choices, so that every input is a history. What must hold is kept here a
 * second time, from what was sent and answered, not read out of the core:
 *   - the motor stays inside the window of the session that moves it, on a step, below the top speed
 *   - it moves only between ACCEPTED and DONE, and only for the number accepted last
 *   - after a latch was told it slows down at every tick, and a pressed switch stands it at once
 *   - with the session silent for longer than the watchdog it is latched
 *   - each request gets one answer of its kind under its own number; a used number starts nothing
 * and of X and Y and their pulses, where the board has them, what xy_model.h says.
 * Built by libFuzzer for `make fuzz-sessions`; with REPLAY a program that runs files, or, called
 * with `--random SEED COUNT`, inputs of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port.h"
#include "protocol.h"

#define TICK_US 1000U
#define SLACK_US 1000U

static struct af_protocol protocol;
static struct af_axis_limits axis;
static uint64_t now_us, fed_us;
static uint32_t switches;
static const uint8_t *input;
static size_t left;

static struct {
    int32_t motor_nm, way_nm; /* and its last step */
    int32_t low_nm, high_nm;  /* the window told by HELLO_ACK */
    int32_t least_nm, most_nm; /* and where the move began, if that is outside */
    int32_t accepted_nm;
    uint32_t session, last_id;
    uint32_t used; /* the highest number answered in this session */
    uint8_t latch, seq;
    uint16_t latch_count;
    bool has_session, moving, ticking, slowing;
    uint8_t asked, answers;
    bool armed_ok; /* the last TRIGGER_ARMED said so */
} seen;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
    if (!holds) {
        (void)fprintf(stderr, "broken: %s\n", what);
        abort();
    }
}

static uint8_t choice(void)
{
    if (left == 0U) {
        return 0U;
    }
    left -= 1U;
    return *input++;
}

static uint32_t number(void)
{
    uint32_t value = 0U;
    for (int i = 0; i < 4; i++) {
        value = (value << 8) | choice();
    }
    return value;
}

/* One of the values at which something begins or ends, or any. */
static uint32_t telling(void)
{
    static const uint32_t edges[] = {
        0U, 1U, 2U, 0x7FFFFFFEU, 0x7FFFFFFFU, 0x80000000U, 0x80000001U, 0xFFFFFFFEU, 0xFFFFFFFFU,
        0xFFFFU, 0x10000U, 10000U, 10001U, 1000000U, 1000001U};
    const uint8_t kind = choice();
    return (kind < 15U) ? edges[kind] : ((kind < 128U) ? kind : number());
}

static int32_t wrapped(int64_t value)
{
    return (int32_t)((value < INT32_MIN) ? INT32_MIN : ((value > INT32_MAX) ? INT32_MAX : value));
}

/* A place near one that matters, or anywhere. */
static int32_t place(void)
{
    const uint8_t kind = choice();
    const int64_t off = (int64_t)(int8_t)choice() * ((kind & 0x10U) ? 1 : axis.nm_per_step);
    const int64_t span = (int64_t)axis.hard_max_nm - axis.hard_min_nm;
    switch (kind & 7U) {
    case 0: return wrapped(seen.low_nm + off);
    case 1: return wrapped(seen.high_nm + off);
    case 2: return wrapped(seen.motor_nm + off);
    case 3: return wrapped(axis.hard_min_nm + off);
    case 4: return wrapped(axis.hard_max_nm + off);
    case 5: return wrapped(axis.hard_min_nm + ((span * choice()) / 255));
    default: return (int32_t)telling();
    }
}

static void hear_xy(const struct af_frame *f);
static void say(uint8_t type, const uint8_t *payload, uint8_t length, uint32_t session);

static void hear_status(const struct af_status *s)
{
    seen.latch = s->latch;
    seen.latch_count = s->latch_count;
    if ((seen.asked == AF_TYPE_HELLO) && (s->last_move_id == 0U)) {
        seen.last_id = 0U; /* a new session, or none moved in this one */
    }
    must(((s->flags & AF_FLAG_MOVING) != 0U) == seen.moving, "STATUS and DONE disagree on moving");
    must(s->last_move_id == seen.last_id, "STATUS tells another move");
}

static void hear(const struct af_frame *f)
{
    switch (f->type) {
    case AF_TYPE_STATUS: {
        struct af_status s;
        af_get_status(f->payload, &s);
        /* a STATUS tells of a beginning before ACCEPTED does */
        if ((seen.asked == AF_TYPE_MOVE) && (s.last_move_id != seen.last_id)) {
            seen.last_id = s.last_move_id;
            seen.moving = true;
            seen.least_nm = (seen.motor_nm < seen.low_nm) ? seen.motor_nm : seen.low_nm;
            seen.most_nm = (seen.motor_nm > seen.high_nm) ? seen.motor_nm : seen.high_nm;
        }
        hear_status(&s);
        break;
    }
    case AF_TYPE_ACCEPTED: {
        struct af_accepted a;
        af_get_accepted(f->payload, &a);
        must(a.move_id == seen.last_id, "accepted a move that did not begin");
        seen.accepted_nm = a.target_nm;
        break;
    }
    case AF_TYPE_DONE: {
        struct af_done d;
        af_get_done(f->payload, &d);
        if (f->seq != seen.seq || (seen.asked != AF_TYPE_MOVE) || seen.moving) {
            must(d.move_id == seen.last_id, "DONE of another move");
            if (d.result == AF_RESULT_REACHED) {
                must(d.position_nm == seen.accepted_nm, "reached another place");
            }
            seen.moving = false;
        }
        break;
    }
    case AF_TYPE_HELLO_ACK: {
        struct af_hello_ack h;
        af_get_hello_ack(f->payload, &h);
        must((h.z_min_nm >= axis.hard_min_nm) && (h.z_max_nm <= axis.hard_max_nm), "window told");
        seen.low_nm = h.z_min_nm;
        seen.high_nm = h.z_max_nm;
        break;
    }
    case AF_TYPE_TRIGGER_ARMED: seen.armed_ok = f->payload[4] == AF_REASON_OK; break;
    default: hear_xy(f); break;
    }
    if ((seen.asked != 0U) && (f->seq == seen.seq) && (f->type != AF_TYPE_STATUS)
        && (f->type != AF_TYPE_DONE) && (f->type != AF_TYPE_EXPOSURE)
        && (f->type != AF_TYPE_XY_STATUS) && (f->type != AF_TYPE_XY_DONE)
        && (f->type != AF_TYPE_TRIGGERED)) {
        seen.answers += 1U;
    }
}

void port_send(const uint8_t *bytes, size_t length)
{
    struct af_frame frame;
    must((length >= 2U) && (length <= AF_MAX_WIRE) && (bytes[length - 1U] == 0U), "length sent");
    must(af_frame_decode(bytes, length - 1U, &frame), "a damaged frame was sent");
    hear(&frame);
}

void port_motor(int32_t next_nm, uint32_t move_id)
{
    const int64_t way = (int64_t)next_nm - seen.motor_nm;
    const int64_t most = ((int64_t)axis.speed_nm_s / 1000) + axis.nm_per_step;
    const int64_t size = (way < 0) ? -way : way;
    if (way != 0) {
        must(seen.moving, "it moves after DONE");
        must(move_id == seen.last_id, "it moves for another number");
        must((next_nm >= seen.least_nm) && (next_nm <= seen.most_nm), "outside the window");
        must((next_nm % axis.nm_per_step) == 0, "not on a step");
        must(size <= most, "too fast");
        must(!seen.slowing || (size <= ((seen.way_nm < 0 ? -(int64_t)seen.way_nm : seen.way_nm)
                                        + axis.nm_per_step)), "a latched axis gets faster");
        must(!(seen.ticking && ((way > 0) ? ((switches & AF_SWITCH_HIGH) != 0U)
                                          : ((switches & AF_SWITCH_LOW) != 0U))
               && seen.slowing), "on towards a pressed switch");
    }
    seen.way_nm = (int32_t)way;
    seen.motor_nm = next_nm;
}

bool port_encoder(int32_t *position_nm)
{
    (void)position_nm;
    return false;
}

uint32_t port_switches(void)
{
    return switches;
}

#include "xy_model.h"

static void tick(void)
{
    xy.slowing = xy.latched;
    now_us += TICK_US;
    seen.asked = 0U;
    seen.slowing = seen.latch != AF_LATCH_NONE;
    seen.ticking = true;
    af_protocol_tick(&protocol, now_us);
    seen.ticking = false;
    if (seen.moving && (now_us > fed_us)
        && ((now_us - fed_us) > ((AF_WATCHDOG_MS * 1000U) + SLACK_US))) {
        must(seen.latch != AF_LATCH_NONE, "silent in mid-move and not latched");
    }
    must(!xy.moving || (now_us <= fed_us) || xy.latched
         || ((now_us - fed_us) <= ((AF_WATCHDOG_MS * 1000U) + SLACK_US)), "silent, X and Y move on");
}

static void say(uint8_t type, const uint8_t *payload, uint8_t length, uint32_t session)
{
    uint8_t wire[AF_MAX_WIRE];
    struct af_frame frame = {.version = AF_PROTOCOL_VERSION, .type = type};
    const uint32_t before = protocol.moves_started;
    const bool ours = seen.has_session && (session == seen.session);
    seen.seq = (uint8_t)(seen.seq + 1U);
    frame.seq = seen.seq;
    frame.length = length;
    (void)memcpy(frame.payload, payload, length);
    seen.asked = type;
    seen.answers = 0U;
    af_protocol_receive(&protocol, wire, af_frame_encode(&frame, wire), now_us);
    must(seen.answers == 1U, "not one answer under its number");
    must((protocol.moves_started == before) || (ours && (type == AF_TYPE_MOVE)),
         "something else than a move of the session began one");
    fed_us = ours ? now_us : fed_us;
    seen.asked = 0U;
}

static void say_hello(void)
{
    static uint8_t payload[AF_MAX_PAYLOAD];
    const uint8_t kind = choice();
    struct af_hello h = {
        .session = ((kind & 1U) != 0U || !seen.has_session) ? (1U + (kind >> 7)) : seen.session, .protocol = AF_PROTOCOL_VERSION, .table_hash = AF_TABLE_HASH,
        .z_min_nm = axis.hard_min_nm, .z_max_nm = axis.hard_max_nm,
    };
    if ((kind & 2U) != 0U) { /* a window that a few hundred ms can cross */
        const int64_t unit = 4 * (int64_t)axis.nm_per_step;
        h.z_min_nm = wrapped(seen.motor_nm - (choice() * unit));
        h.z_max_nm = wrapped(seen.motor_nm + (choice() * unit) + (choice() & 1));
    } else if ((kind & 32U) != 0U) {
        h.z_min_nm = place();
        h.z_max_nm = place();
    }
    if ((kind & 4U) != 0U) {
        h.backlash_nm = (int32_t)telling();
    } else {
        h.backlash_nm = (int8_t)choice() * axis.nm_per_step;
    }
    h.speed_nm_s = ((kind & 8U) != 0U) ? telling() : 0U;
    h.settle_ms = ((kind & 16U) != 0U) ? (uint16_t)telling() : (uint16_t)(kind >> 6);
    af_put_hello(payload, &h);
    say(AF_TYPE_HELLO, payload, AF_LEN_HELLO, h.session);
}

static void say_move(void)
{
    static struct af_move kept[4];
    uint8_t payload[AF_MAX_PAYLOAD];
    const uint8_t kind = choice();
    struct af_move move = kept[kind & 3U]; /* a copy of an earlier one, perhaps changed */
    if ((kind & 0x0CU) != 0U) {
        move.session = ((kind & 0x30U) == 0x30U) ? 3U : seen.session;
        move.move_id = ((kind & 0x40U) != 0U) ? telling() : (seen.used + 1U - (kind >> 7));
        move.target_nm = place();
        move.assumed_nm = ((kind & 0x80U) != 0U) ? place() : seen.motor_nm;
        move.tolerance_nm = telling();
    } else if ((kind & 0x10U) != 0U) {
        move.target_nm = place();
    }
    kept[kind & 3U] = move;
    af_put_move(payload, &move);
    const uint32_t before = protocol.moves_started;
    const bool ours = seen.has_session && (move.session == seen.session);
    say(AF_TYPE_MOVE, payload, AF_LEN_MOVE, move.session);
    must((protocol.moves_started == before) || (move.move_id > seen.used), "a used number moved it");
    seen.used = (ours && (move.move_id > seen.used)) ? move.move_id : seen.used;
}

static void say_small(uint8_t type, uint8_t length)
{
    uint8_t payload[AF_MAX_PAYLOAD] = {0};
    const uint8_t kind = choice();
    const uint32_t session = ((kind & 7U) == 7U) ? 3U : seen.session;
    af_put_uint(payload, session, 4U);
    if (type == AF_TYPE_CLEAR) {
        af_put_uint(&payload[4], ((kind & 8U) != 0U) ? kind : seen.latch_count, 2U);
    }
    say(type, payload, length, session);
}

static void one_step(void)
{
    const uint8_t kind = choice();
    const uint8_t step = xy.present ? (kind % 20U) : (kind % 12U);
    switch (step) {
    case 0: say_hello(); break;
    case 1:
    case 2:
    case 3: say_move(); break;
    case 4: say_small(AF_TYPE_SYNC, AF_LEN_SYNC); break;
    case 5: say_small(AF_TYPE_STOP, AF_LEN_STOP); break;
    case 6: say_small(AF_TYPE_CLEAR, AF_LEN_CLEAR); break;
    case 7: say_small(AF_TYPE_BYE, AF_LEN_BYE); break;
    case 8: switches = choice() & 3U; break;
    case 9: af_protocol_strobe(&protocol, (kind & 16U) != 0U, now_us + choice()); break;
    case 10:
        if (!seen.moving && !xy.moving) {
            now_us += (uint64_t)telling() * 3U; /* nobody looks for up to three hours and a half */
        }
        break;
    case 11:
        for (uint32_t ms = choice(); ms > 0U; ms--) {
            if (((ms % 50U) == 0U) && ((kind & 0x80U) == 0U)) {
                say_small(AF_TYPE_SYNC, AF_LEN_SYNC);
            }
            tick();
        }
        break;
    default: xy_step((uint8_t)(step - 12U)); break;
    }
    follow();
}

/* What a step may have changed, read out of the core where nothing was told of it. */
static void follow(void)
{
    const bool other = !protocol.has_session || (protocol.session != seen.session)
                    || !seen.has_session;
    if (!protocol.has_session || (protocol.session != seen.session) || !seen.has_session) {
        seen.used = 0U;
    }
    seen.session = protocol.session;
    seen.has_session = protocol.has_session;
    seen.last_id = protocol.last_move.move_id;
    seen.latch = protocol.latch;
    seen.latch_count = protocol.latch_count;
    xy_follow(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct af_axis_limits axes[] = {
        {0, 10000000, 50, 2000000, 20000000},
        {-1000, 1000, 1, 40, 3000},
        {2147000000, 2147483000, 50, 2000000, 20000000},
        {-2147483648 + 648, -2147000000, 64, 2000000, 20000000},
        {-2000000000, 2000000000, 1000, 2000000000, 2000000000},
        {-1000000, 1000000, 37, 300000, 1000000},
    };
    static const uint64_t clocks[] = {
        0U, 0xFFFFFFFFU - 500000U, 0xFFFFFFFFU, 0x1FFFFFFFFU - 90000U, 1ULL << 48};
    input = data;
    left = size;
    axis = axes[choice() % 6U];
    const uint8_t clock = choice();
    now_us = clocks[(clock & 0x7FU) % 5U]; /* the highest bit: a board with X, Y and Z */
    fed_us = now_us;
    switches = 0U;
    (void)memset(&seen, 0, sizeof seen);
    const int64_t middle = ((int64_t)axis.hard_min_nm + axis.hard_max_nm) / 2;
    af_protocol_init(&protocol, &axis, (int32_t)middle, 11U, 3U);
    seen.motor_nm = af_motion_position_nm(&protocol.motion);
    seen.low_nm = axis.hard_min_nm;
    seen.high_nm = axis.hard_max_nm;
    xy_begin((clock & 0x80U) != 0U);
    while (left > 0U) {
        one_step();
    }
    for (int i = 0; i < 300; i++) {
        tick();
    }
    return 0;
}

#ifdef REPLAY
#include "replay.h"
static int own_inputs(unsigned long seed, unsigned long count)
{
    static uint8_t bytes[1024];
    uint64_t state = seed * 2862933555777941757ULL + 3037000493ULL;
    for (unsigned long run = 0; run < count; run++) {
        for (size_t i = 0; i < sizeof bytes; i++) {
            state = (state * 6364136223846793005ULL) + 1442695040888963407ULL;
            bytes[i] = (uint8_t)(state >> 56);
        }
        (void)LLVMFuzzerTestOneInput(bytes, sizeof bytes);
    }
    (void)printf("%lu inputs\n", count);
    return 0;
}

int main(int argc, char **argv)
{
    if ((argc == 4) && (strcmp(argv[1], "--random") == 0)) {
        return own_inputs(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    }
    return replay(argc - 1, &argv[1]);
}
#endif
