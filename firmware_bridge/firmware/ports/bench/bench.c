#include "bench.h"

#include "../../fault.h"
#include "../../port.h"

static uint32_t switches;
static int32_t motor, lowest, highest; /* nm, since the start */
static bool motor_known;

uint32_t bench_switches(void)
{
    return switches;
}

void bench_motor(int32_t motor_nm)
{
    motor = motor_nm;
    lowest = (!motor_known || (motor_nm < lowest)) ? motor_nm : lowest;
    highest = (!motor_known || (motor_nm > highest)) ? motor_nm : highest;
    motor_known = true;
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

/* "moves_started motor_nm lowest_nm highest_nm time_us\n" */
static void report(const struct af_protocol *protocol, uint64_t now_us)
{
    char text[110];
    const int64_t values[] = {
        (int64_t)protocol->moves_started, motor, lowest, highest, (int64_t)now_us};
    const size_t count = sizeof values / sizeof values[0];
    size_t length = 0U;
    for (size_t i = 0U; i < count; i++) {
        length += put_number(&text[length], values[i]);
        text[length++] = ((i + 1U) < count) ? ' ' : '\n';
    }
    bench_port_write(text, length);
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
        af_protocol_init(p, &limits, af_motion_position_nm(&p->motion), p->boot_id + 1U,
                         p->device_id);
        p->moves_started = moves;
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
    case '?': report(protocol, now_us); break;
    default:
#ifdef AF_FAULT_INJECTION
        inject(protocol, byte);
#endif
        break;
    }
}
