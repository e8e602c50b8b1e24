/* The firmware's core in a process of the host's, on a clock that only passes when asked: bytes
 * in, bytes out, one tick per millisecond. The pins are ports/bench's, as on the simulated boards.
 * Test only; one board per loaded library. */
#include <string.h>

#include "port.h"
#include "ports/bench/bench.h"
#include "protocol.h"

#define TICK_US 1000U

static struct af_protocol protocol;
static uint64_t now_us, next_tick_us;
static uint8_t sent[1U << 16];
static size_t sent_length;
static char told[256];
static size_t told_length;
static int32_t motor_nm, encoder_nm;
static uint32_t motor_move;
static bool has_encoder;
static int32_t xy_nm[AF_XY_AXES];
static uint32_t xy_move[AF_XY_AXES];
static int64_t pulses[4096][4]; /* place told, X by then, within_us, width_us */
static size_t pulse_count;

void core_boot(const int32_t limits[5], int32_t start_nm, uint32_t boot_id, uint64_t clock_us);
void core_boot_xy(const int32_t limits[10], const int32_t start_nm[2]);
int32_t core_xy_motor(uint32_t axis);
uint32_t core_xy_motor_move(uint32_t axis);
int32_t core_xy_velocity(uint32_t axis);
size_t core_take_pulses(int64_t *to, size_t capacity);
void core_receive(const uint8_t *bytes, size_t length);
void core_bench(uint8_t byte);
void core_strobe(bool lit, int64_t since_now_us);
void core_flash(uint32_t count);
void core_encoder(bool there, int32_t position_nm);
void core_skip(uint64_t us);
void core_tick_at(uint64_t tick_us);
uint32_t core_pass(uint64_t us, bool until_sent);
size_t core_take(uint8_t *to, size_t capacity);
size_t core_take_bench(char *to, size_t capacity);
uint64_t core_now(void);
int32_t core_motor(void);
uint32_t core_motor_move(void);
int32_t core_velocity(void);
int64_t core_approach(void);

void port_send(const uint8_t *bytes, size_t length)
{
    if ((sent_length + length) <= sizeof sent) {
        (void)memcpy(&sent[sent_length], bytes, length);
        sent_length += length;
    }
}

void port_motor(int32_t next_nm, uint32_t move_id)
{
    motor_nm = next_nm;
    motor_move = move_id;
    bench_motor(next_nm);
}

bool port_encoder(int32_t *position_nm)
{
    if (has_encoder) {
        *position_nm = encoder_nm;
    }
    return has_encoder;
}

uint32_t port_switches(void)
{
    return bench_switches();
}

void port_xy_motor(uint32_t axis, int32_t next_nm, uint32_t move_id)
{
    xy_nm[axis] = next_nm;
    xy_move[axis] = move_id;
    bench_xy_motor(axis, next_nm);
}

uint32_t port_xy_switches(uint32_t axis)
{
    return bench_xy_switches(axis);
}

void port_trigger(int32_t position_nm, uint32_t within_us, uint32_t width_us)
{
    if (pulse_count < 4096U) {
        pulses[pulse_count][0] = position_nm;
        pulses[pulse_count][1] = xy_nm[AF_X];
        pulses[pulse_count][2] = (int64_t)within_us;
        pulses[pulse_count][3] = (int64_t)width_us;
        pulse_count += 1U;
    }
    bench_trigger(position_nm);
}

void bench_port_write(const char *text, size_t length)
{
    if ((told_length + length) <= sizeof told) {
        (void)memcpy(&told[told_length], text, length);
        told_length += length;
    }
}

void core_boot(const int32_t limits[5], int32_t start_nm, uint32_t boot_id, uint64_t clock_us)
{
    const struct af_axis_limits axis = {limits[0], limits[1], limits[2], limits[3], limits[4]};
    now_us = clock_us;
    next_tick_us = clock_us + TICK_US;
    sent_length = 0U;
    told_length = 0U;
    has_encoder = false;
    bench_byte(&protocol, (uint8_t)'l', now_us);
    bench_byte(&protocol, (uint8_t)'h', now_us);
    af_protocol_init(&protocol, &axis, start_nm, boot_id, 1U);
    motor_nm = af_motion_position_nm(&protocol.motion);
    bench_start();
    motor_move = 0U;
    bench_motor(motor_nm);
    pulse_count = 0U;
}

/* After core_boot: the board has X and Y, too. */
void core_boot_xy(const int32_t l[10], const int32_t start_nm[2])
{
    const struct af_axis_limits both[AF_XY_AXES] = {{l[0], l[1], l[2], l[3], l[4]},
                                                    {l[5], l[6], l[7], l[8], l[9]}};
    for (const char *key = "efjk"; *key != '\0'; key++) {
        bench_byte(&protocol, (uint8_t)*key, now_us);
    }
    af_xy_init(&protocol, both, start_nm);
    for (uint32_t i = 0U; i < AF_XY_AXES; i++) {
        xy_nm[i] = af_motion_position_nm(&protocol.xy.axis[i]);
        xy_move[i] = 0U;
        bench_xy_motor(i, xy_nm[i]);
    }
}

int32_t core_xy_motor(uint32_t axis)
{
    return xy_nm[axis];
}

uint32_t core_xy_motor_move(uint32_t axis)
{
    return xy_move[axis];
}

int32_t core_xy_velocity(uint32_t axis)
{
    return protocol.xy.axis[axis].velocity_q8;
}

/* The pulses since the last call, four numbers each. */
size_t core_take_pulses(int64_t *to, size_t capacity)
{
    const size_t count = (pulse_count < capacity) ? pulse_count : capacity;
    (void)memcpy(to, pulses, count * sizeof pulses[0]);
    pulse_count = 0U;
    return count;
}

void core_receive(const uint8_t *bytes, size_t length)
{
    af_protocol_receive(&protocol, bytes, length, now_us);
}

void core_bench(uint8_t byte)
{
    bench_byte(&protocol, byte, now_us);
}

void core_strobe(bool lit, int64_t since_now_us)
{
    af_protocol_strobe(&protocol, lit, (uint64_t)((int64_t)now_us + since_now_us));
}

void core_flash(uint32_t count)
{
    for (uint32_t i = 0U; i < count; i++) {
        af_protocol_strobe(&protocol, true, now_us);
        af_protocol_strobe(&protocol, false, now_us);
    }
}

void core_encoder(bool there, int32_t position_nm)
{
    has_encoder = there;
    encoder_nm = position_nm;
}

/* Time without a tick: an axis at rest while nobody looks. */
void core_skip(uint64_t us)
{
    now_us += us;
    next_tick_us = now_us + TICK_US;
}

/* A tick under another time, as a late board runs it under its nominal one. */
void core_tick_at(uint64_t tick_us)
{
    af_protocol_tick(&protocol, tick_us);
}

/* Runs the ticks of the next `us`; until_sent: no longer than until something is sent. */
uint32_t core_pass(uint64_t us, bool until_sent)
{
    const uint64_t end_us = now_us + us;
    uint32_t ticks = 0U;
    while ((next_tick_us <= end_us) && !(until_sent && (sent_length > 0U))) {
        now_us = next_tick_us;
        next_tick_us += TICK_US;
        af_protocol_tick(&protocol, now_us);
        ticks += 1U;
    }
    if (!(until_sent && (sent_length > 0U))) {
        now_us = end_us;
    }
    return ticks;
}

size_t core_take(uint8_t *to, size_t capacity)
{
    const size_t length = (sent_length < capacity) ? sent_length : capacity;
    (void)memcpy(to, sent, length);
    (void)memmove(sent, &sent[length], sent_length - length);
    sent_length -= length;
    return length;
}

size_t core_take_bench(char *to, size_t capacity)
{
    const size_t length = (told_length < capacity) ? told_length : capacity;
    (void)memcpy(to, told, length);
    told_length = 0U;
    return length;
}

uint64_t core_now(void)
{
    return now_us;
}

int32_t core_motor(void)
{
    return motor_nm;
}

uint32_t core_motor_move(void)
{
    return motor_move;
}

int32_t core_velocity(void)
{
    return protocol.motion.velocity_q8;
}

int64_t core_approach(void)
{
    return protocol.motion.approach_q8;
}
