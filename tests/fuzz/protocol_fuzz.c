/* Feeds any bytes to the protocol core and checks what must hold whatever arrives: the motor stays
 * within the hard limits and the fastest speed, and every frame sent is a sound one.
 *
 * The first byte of the input chooses: even = the rest is what arrives on the line; odd = the rest is
 * a script of frames { type, length, payload ... } that get a right CRC, so that the fuzzer reaches
 * what lies behind it. In scripts type 0xFE lets `length` ms pass, 0xFD works the strobe and the
 * switches. Built by libFuzzer for `make fuzz`, and with REPLAY as a program that runs files. */
#include <stdio.h>
#include <stdlib.h>

#include "port.h"
#include "protocol.h"

#define HARD_MIN 0
#define HARD_MAX 10000000
#define STEP 50
#define SPEED 2000000
#define TICK_US 1000U
#define XY_STEP 100
#define XY_SPEED 20000000

static struct af_protocol protocol;
static uint64_t now_us;
static int32_t motor_nm;
static uint32_t switches;
static const struct af_axis_limits xy_axes[AF_XY_AXES] = {
    {0, 75000000, XY_STEP, XY_SPEED, 200000000}, {0, 25000000, XY_STEP, XY_SPEED, 200000000}};
static int32_t xy_nm[AF_XY_AXES];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
    if (!holds) {
        (void)fprintf(stderr, "broken: %s\n", what);
        abort();
    }
}

void port_send(const uint8_t *bytes, size_t length)
{
    struct af_frame frame;
    must((length >= 2U) && (length <= AF_MAX_WIRE) && (bytes[length - 1U] == 0U), "length sent");
    must(af_frame_decode(bytes, length - 1U, &frame), "a damaged frame was sent");
    must(frame.type >= 0x80U, "type sent");
}

void port_motor(int32_t next_nm, uint32_t move_id)
{
    const int32_t way = next_nm - motor_nm;
    (void)move_id;
    must((next_nm >= HARD_MIN) && (next_nm <= HARD_MAX), "outside the hard limits");
    must((way <= (SPEED / 1000) + STEP) && (way >= -(SPEED / 1000) - STEP), "too fast");
    must((next_nm % STEP) == 0, "not on a step");
    motor_nm = next_nm;
}

bool port_encoder(int32_t *position_nm)
{
    (void)position_nm;
    return false;
}

uint32_t port_switches(void)
{
    return switches & 3U;
}

void port_xy_motor(uint32_t axis, int32_t next_nm, uint32_t move_id)
{
    const int32_t way = next_nm - xy_nm[axis];
    (void)move_id;
    must((next_nm >= xy_axes[axis].hard_min_nm) && (next_nm <= xy_axes[axis].hard_max_nm),
         "X or Y outside the hard limits");
    must((way <= (XY_SPEED / 1000) + XY_STEP) && (way >= -(XY_SPEED / 1000) - XY_STEP),
         "X or Y too fast");
    must((next_nm % XY_STEP) == 0, "X or Y not on a step");
    xy_nm[axis] = next_nm;
}

uint32_t port_xy_switches(uint32_t axis)
{
    return (switches >> (2U * (axis + 1U))) & 3U;
}

void port_trigger(int32_t position_nm, uint32_t within_us, uint32_t width_us)
{
    must((position_nm >= 0) && (position_nm <= 75000000), "a pulse outside the hard limits");
    must((within_us <= TICK_US) && (width_us >= 1U), "a pulse of no length");
}

static void pass(uint32_t ms)
{
    for (uint32_t i = 0U; i < ms; i++) {
        now_us += TICK_US;
        af_protocol_tick(&protocol, now_us);
    }
}

static void receive_frame(uint8_t type, const uint8_t *payload, uint8_t length)
{
    uint8_t wire[AF_MAX_WIRE];
    struct af_frame frame = {.version = AF_PROTOCOL_VERSION, .type = type, .seq = 1U};
    frame.length = (length > AF_MAX_PAYLOAD) ? (uint8_t)AF_MAX_PAYLOAD : length;
    for (size_t i = 0U; i < frame.length; i++) {
        frame.payload[i] = payload[i];
    }
    af_protocol_receive(&protocol, wire, af_frame_encode(&frame, wire), now_us);
}

static void run_script(const uint8_t *data, size_t size)
{
    size_t at = 0U;
    while ((at + 2U) <= size) {
        const uint8_t type = data[at];
        const uint8_t length = data[at + 1U];
        at += 2U;
        if (type == 0xFEU) {
            pass(length);
        } else if (type == 0xFDU) {
            switches = (length & 3U) | ((uint32_t)(length >> 3) << 2);
            af_protocol_strobe(&protocol, (length & 4U) != 0U, now_us + 300U);
        } else {
            const size_t left = size - at;
            const uint8_t taken = (left < length) ? (uint8_t)left : length;
            receive_frame(type, &data[at], taken);
            at += taken;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct af_axis_limits limits = {HARD_MIN, HARD_MAX, STEP, SPEED, 20000000};
    now_us = 0U;
    motor_nm = 5000000;
    switches = 0U;
    af_protocol_init(&protocol, &limits, motor_nm, 11U, 3U);
    for (uint32_t i = 0U; i < AF_XY_AXES; i++) {
        xy_nm[i] = 10000000;
    }
    af_xy_init(&protocol, xy_axes, xy_nm);
    if (size == 0U) {
        return 0;
    }
    if ((data[0] & 1U) != 0U) {
        run_script(&data[1], size - 1U);
    } else {
        for (size_t i = 1U; i < size; i++) {
            af_protocol_receive(&protocol, &data[i], 1U, now_us);
            pass(((i % 16U) == 0U) ? 1U : 0U);
        }
    }
    pass(300U);
    return 0;
}

#ifdef REPLAY
#include "replay.h"
int main(int argc, char **argv)
{
    return replay(argc - 1, &argv[1]);
}
#endif
