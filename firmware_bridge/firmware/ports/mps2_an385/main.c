/* The firmware on a Cortex-M3: ARM's MPS2 board with the AN385 image, as QEMU runs it.
 *
 * UART0 is the host's line, UART1 the bench (ports/bench): the strobe, the switches. Interrupts only
 * move bytes and wake main(); everything else happens in main(), which sleeps in between. The clock
 * is the first half of the dual timer, 25 counts per us; SysTick keeps no time under QEMU. */
#include "../../port.h"
#include "../../protocol.h"
#include "../bench/bench.h"
#include "board.h"

#define RX_SIZE 512U /* a power of two; 44 ms of a full line at 115,200 baud */
#define TX_SIZE 1024U
#define BENCH_TX_SIZE 128U
#define DEVICE_ID 2U
#define TICK_US 1000U
#define LATE_LIMIT_TICKS 100U
#define BOOT_MAGIC 0x5346424FU

/* What the boot loader leaves: which boot this is and where the axis stood. A board keeps the
 * counter in flash and homes the axis; here QEMU writes it. `boots` outlives a reset. */
static struct {
    uint32_t magic;
    uint32_t boot_id;
    int32_t start_nm;
    uint32_t boots;
} boot __attribute__((section(".boot")));

struct ring {
    uint8_t *bytes;
    uint32_t size;
    volatile uint32_t put; /* grow for ever; the slot is the number modulo size */
    volatile uint32_t taken;
};

static uint8_t rx_bytes[RX_SIZE], tx_bytes[TX_SIZE], bench_rx_bytes[64], bench_tx_bytes[BENCH_TX_SIZE];
static struct ring rx = {rx_bytes, RX_SIZE, 0U, 0U};
static struct ring tx = {tx_bytes, TX_SIZE, 0U, 0U};
static struct ring bench_rx = {bench_rx_bytes, 64U, 0U, 0U};
static struct ring bench_tx = {bench_tx_bytes, BENCH_TX_SIZE, 0U, 0U};
static volatile uint32_t wakes;
static struct af_protocol protocol;

/* ---- rings and lines --------------------------------------------------------------------- */

static bool ring_put(struct ring *ring, uint8_t byte)
{
    if ((ring->put - ring->taken) == ring->size) {
        return false;
    }
    ring->bytes[ring->put % ring->size] = byte;
    ring->put += 1U;
    return true;
}

static bool ring_take(struct ring *ring, uint8_t *byte)
{
    if (ring->put == ring->taken) {
        return false;
    }
    *byte = ring->bytes[ring->taken % ring->size];
    ring->taken += 1U;
    return true;
}

static void put_whole(struct ring *ring, const uint8_t *bytes, size_t length)
{
    if (length > (ring->size - (ring->put - ring->taken))) {
        return; /* as a whole or not at all */
    }
    for (size_t i = 0U; i < length; i++) {
        (void)ring_put(ring, bytes[i]);
    }
}

static void receive(struct uart *uart, struct ring *ring)
{
    uart->interrupts = UART_RX_INTERRUPT;
    while ((uart->state & UART_RX_FULL) != 0U) {
        (void)ring_put(ring, (uint8_t)uart->data); /* full: the frame is damaged, the host resends */
    }
}

static void transmit(struct uart *uart, struct ring *ring)
{
    uint8_t byte;
    while (((uart->state & UART_TX_FULL) == 0U) && ring_take(ring, &byte)) {
        uart->data = byte;
    }
}

void line_rx_interrupt(void)
{
    receive(LINE_UART, &rx);
}

void bench_rx_interrupt(void)
{
    receive(BENCH_UART, &bench_rx);
}

/* These only wake main(), which goes on sending. */
void line_tx_interrupt(void)
{
    LINE_UART->interrupts = UART_TX_INTERRUPT;
}

void bench_tx_interrupt(void)
{
    BENCH_UART->interrupts = UART_TX_INTERRUPT;
}

void tick_interrupt(void)
{
    TICK_TIMER->clear = 1U;
    wakes += 1U; /* wakes main(), which looks at the clock */
}

/* ---- time -------------------------------------------------------------------------------- */

/* us since boot. Called at least every 171 s (32 bits at 25 MHz): main() asks every tick. */
static uint64_t now_us(void)
{
    static uint32_t last, rest;
    static uint64_t us;
    const uint32_t count = ~CLOCK_TIMER->value;
    const uint32_t passed = (count - last) + rest;
    last = count;
    us += passed / CLOCK_MHZ;
    rest = passed % CLOCK_MHZ;
    return us;
}

/* ---- port.h ------------------------------------------------------------------------------ */

void port_send(const uint8_t *bytes, size_t length)
{
    put_whole(&tx, bytes, length);
}

void port_motor(int32_t motor_nm, uint32_t move_id)
{
    (void)move_id;
    bench_motor(motor_nm);
}

bool port_encoder(int32_t *position_nm)
{
    (void)position_nm;
    return false;
}

uint32_t port_switches(void)
{
    return bench_switches();
}

void port_xy_motor(uint32_t axis, int32_t motor_nm, uint32_t move_id)
{
    (void)move_id;
    bench_xy_motor(axis, motor_nm);
}

uint32_t port_xy_switches(uint32_t axis)
{
    return bench_xy_switches(axis);
}

void port_trigger(int32_t position_nm, uint32_t within_us, uint32_t width_us)
{
    (void)within_us;
    (void)width_us;
    bench_trigger(position_nm);
}

void bench_port_write(const char *text, size_t length)
{
    put_whole(&bench_tx, (const uint8_t *)text, length);
}

/* ---- main -------------------------------------------------------------------------------- */

static void start_board(void)
{
    struct uart *const uarts[] = {LINE_UART, BENCH_UART};
    for (size_t i = 0U; i < 2U; i++) {
        uarts[i]->divider = UART_BAUD_DIVIDER;
        uarts[i]->control = UART_ENABLE;
    }
    CLOCK_TIMER->load = 0xFFFFFFFFU;
    CLOCK_TIMER->control = TIMER_FREE_RUNNING;
    TICK_TIMER->load = (CLOCK_MHZ * TICK_US) - 1U;
    TICK_TIMER->control = TIMER_PERIODIC;
    NVIC_ENABLE[0] = (1U << IRQ_LINE_RX) | (1U << IRQ_LINE_TX) | (1U << IRQ_BENCH_RX)
                   | (1U << IRQ_BENCH_TX) | (1U << IRQ_DUAL_TIMER);
}

static void start_protocol(void)
{
    static const struct af_axis_limits limits = {0, 10000000, 50, 2000000, 20000000};
    static const struct af_axis_limits xy_limits[AF_XY_AXES] = {
        {0, 75000000, 100, 20000000, 200000000}, {0, 25000000, 100, 20000000, 200000000}};
    static const int32_t xy_start_nm[AF_XY_AXES] = {10000000, 10000000};
    int32_t start_nm = limits.hard_min_nm;
    uint32_t boot_id = 1U;
    if (boot.magic == BOOT_MAGIC) {
        start_nm = boot.start_nm;
        boot_id = boot.boot_id + boot.boots;
        boot.boots += 1U;
    }
    af_protocol_init(&protocol, &limits, start_nm, boot_id, DEVICE_ID);
    bench_motor(af_motion_position_nm(&protocol.motion));
    af_xy_init(&protocol, xy_limits, xy_start_nm);
    bench_xy_motor(AF_X, xy_start_nm[AF_X]);
    bench_xy_motor(AF_Y, xy_start_nm[AF_Y]);
}

/* Runs what is due by the clock, each tick under its nominal time: interrupts may be lost, when a
 * machine is busy many at once, and must not leave the time of the ticks behind. After 100 ms
 * without a turn time stands still instead, as in the host port. */
static void run_ticks(uint64_t *tick_us)
{
    const uint64_t now = now_us();
    if ((now - *tick_us) > (LATE_LIMIT_TICKS * TICK_US)) {
        *tick_us = now - TICK_US;
    }
    while ((now - *tick_us) >= TICK_US) {
        *tick_us += TICK_US;
        af_protocol_tick(&protocol, *tick_us);
    }
}

int main(void)
{
    uint64_t tick_us = 0U;
    uint8_t byte;
    start_board();
    start_protocol();
    for (;;) {
        /* Bytes first: after a pause they are what keeps the watchdog quiet. */
        while (ring_take(&rx, &byte)) {
            af_protocol_receive(&protocol, &byte, 1U, now_us());
        }
        const uint32_t seen = wakes;
        run_ticks(&tick_us);
        while (ring_take(&bench_rx, &byte)) {
            bench_byte(&protocol, byte, now_us());
        }
        transmit(LINE_UART, &tx);
        transmit(BENCH_UART, &bench_tx);
        /* With interrupts masked WFI still wakes: nothing can slip in between. */
        __asm volatile("cpsid i");
        if ((rx.put == rx.taken) && (bench_rx.put == bench_rx.taken) && (wakes == seen)) {
            __asm volatile("wfi");
        }
        __asm volatile("cpsie i");
    }
}
