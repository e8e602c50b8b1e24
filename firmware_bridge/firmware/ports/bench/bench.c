#include "bench.h"

#include "../../fault.h"
#include "../../port.h"

/* A motor's place and the ends it was at since the start, nm. */
struct seen {
    int32_t motor, lowest, highest;
    bool known;
};

static uint32_t switches, xy_switches[AF_XY_AXES];
static struct seen z_seen, xy_seen[AF_XY_AXES];
static uint32_t pulses;
static int32_t pulse_nm;

uint32_t bench_switches(void)
{
    return switches;
}

void bench_start(void)
{
    z_seen.known = false;
    xy_seen[AF_X].known = false;
    xy_seen[AF_Y].known = false;
    pulses = 0U;
}

static void see(struct seen *seen, int32_t motor_nm)
{
    seen->motor = motor_nm;
    seen->lowest = (!seen->known || (motor_nm < seen->lowest)) ? motor_nm : seen->lowest;
    seen->highest = (!seen->known || (motor_nm > seen->highest)) ? motor_nm : seen->highest;
    seen->known = true;
}

void bench_motor(int32_t motor_nm)
{
    see(&z_seen, motor_nm);
}

uint32_t bench_xy_switches(uint32_t axis)
{
    return xy_switches[axis];
}

void bench_xy_motor(uint32_t axis, int32_t motor_nm)
{
    see(&xy_seen[axis], motor_nm);
}

void bench_trigger(int32_t position_nm)
{
    pulses += 1U;
    pulse_nm = position_nm;
}

static size_t put_number(char *at, int64_t value)
{
    char digits[20];
    size_t count = 0U;
    size_t length = 0U;
    uint64_t rest = (value < 0) ? (uint64_t)-value : (uint64_t)value;
    do {
        digits[count++] = (char)('0' + (char)(rest % 10U));
        rest /= 10U;
    } while (rest > 0U);
    if (value < 0) {
        at[length++] = '-';
    }
    while (count > 0U) {
        at[length++] = digits[--count];
    }
    return length;
}

static void tell(const int64_t *values, size_t count)
{
    char text[200];
    size_t length = 0U;
    for (size_t i = 0U; i < count; i++) {
        length += put_number(&text[length], values[i]);
        text[length++] = ((i + 1U) < count) ? ' ' : '\n';
    }
    bench_port_write(text, length);
}

/* "moves_started motor_nm lowest_nm highest_nm time_us\n" */
static void report(const struct af_protocol *protocol, uint64_t now_us)
{
    const int64_t values[] = {(int64_t)protocol->moves_started, z_seen.motor, z_seen.lowest,
                              z_seen.highest, (int64_t)now_us};
    tell(values, sizeof values / sizeof values[0]);
}

/* "moves_started x_nm x_lowest x_highest y_nm y_lowest y_highest pulses pulse_nm\n" */
static void report_xy(const struct af_protocol *protocol)
{
    const struct seen *x = &xy_seen[AF_X];
    const struct seen *y = &xy_seen[AF_Y];
    const int64_t values[] = {(int64_t)protocol->xy.moves_started, x->motor, x->lowest, x->highest,
                              y->motor, y->lowest, y->highest, (int64_t)pulses, pulse_nm};
    tell(values, sizeof values / sizeof values[0]);
}

static void press_xy(uint8_t byte)
{
    static const uint8_t keys[4] = {'E', 'F', 'J', 'K'}; /* X low, X high, Y low, Y high */
    for (uint32_t i = 0U; i < 4U; i++) {
        const uint32_t bit = ((i % 2U) == 0U) ? AF_SWITCH_LOW : AF_SWITCH_HIGH;
        if ((byte & 0xDFU) == keys[i]) { /* whatever its case */
            xy_switches[i / 2U] = (byte == keys[i]) ? (xy_switches[i / 2U] | bit)
                                                    : (xy_switches[i / 2U] & ~bit);
        }
    }
}

#ifdef AF_FAULT_INJECTION
static void inject(struct af_protocol *p, uint8_t byte)
{
    switch (byte) {
    case 'd': af_fault_arm(AF_FAULT_DROP_SENT, 1U); break;
    case 'x': af_fault_arm(AF_FAULT_DAMAGE_SENT, 1U); break;
    case 'i': af_fault_arm(AF_FAULT_DROP_RECEIVED, 1U); break;
    case 'r': {
        const struct af_axis_limits limits = p->motion.limits;
        const uint32_t moves = p->moves_started;
        const struct af_xy xy = p->xy;
        af_protocol_init(p, &limits, af_motion_position_nm(&p->motion), p->boot_id + 1U,
                         p->device_id);
        p->moves_started = moves;
        if (xy.present) {
            const struct af_axis_limits both[AF_XY_AXES] = {xy.axis[AF_X].limits,
                                                            xy.axis[AF_Y].limits};
            const int32_t start_nm[AF_XY_AXES] = {af_motion_position_nm(&xy.axis[AF_X]),
                                                  af_motion_position_nm(&xy.axis[AF_Y])};
            af_xy_init(p, both, start_nm);
            p->xy.moves_started = xy.moves_started;
        }
        break;
    }
    default: break;
    }
}
#endif

void bench_byte(struct af_protocol *protocol, uint8_t byte, uint64_t now_us)
{
    switch (byte) {
    case 'S': af_protocol_strobe(protocol, true, now_us); break;
    case 's': af_protocol_strobe(protocol, false, now_us); break;
    case 'L': switches |= AF_SWITCH_LOW; break;
    case 'l': switches &= ~AF_SWITCH_LOW; break;
    case 'H': switches |= AF_SWITCH_HIGH; break;
    case 'h': switches &= ~AF_SWITCH_HIGH; break;
    case '!': report_xy(protocol); break;
    case '?': report(protocol, now_us); break;
    default:
        press_xy(byte);
#ifdef AF_FAULT_INJECTION
        inject(protocol, byte);
#endif
        break;
    }
}
