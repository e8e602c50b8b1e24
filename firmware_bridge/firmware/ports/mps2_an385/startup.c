/* Reset and vector table of a Cortex-M3, and the three functions that GCC may call for itself. */
#include <stddef.h>
#include <stdint.h>

#include "board.h"

extern uint32_t data_start, data_end, data_load, bss_start, bss_end, stack_top;

int main(void);
void reset_handler(void);
void *memcpy(void *to, const void *from, size_t length);
void *memset(void *to, int value, size_t length);

/* -fno-tree-loop-distribute-patterns keeps these from being compiled into calls of themselves */
void *memcpy(void *to, const void *from, size_t length)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    for (size_t i = 0U; i < length; i++) {
        out[i] = in[i];
    }
    return to;
}

void *memset(void *to, int value, size_t length)
{
    uint8_t *out = to;
    for (size_t i = 0U; i < length; i++) {
        out[i] = (uint8_t)value;
    }
    return to;
}

void reset_handler(void)
{
    const uint32_t *from = &data_load;
    for (uint32_t *to = &data_start; to < &data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end; to++) {
        *to = 0U;
    }
    (void)main();
    hang();
}

/* A fault must end all motion: the motor stops because nobody commands it, the host hears silence. */
void hang(void)
{
    for (;;) {
        __asm volatile("cpsid i\n\twfi");
    }
}

typedef void (*vector)(void);

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    vector exceptions[15];
    vector interrupts[IRQ_DUAL_TIMER + 1];
} vectors = {
    &stack_top,
    {reset_handler, hang, hang, hang, hang, hang, 0, 0, 0, 0, hang, hang, 0, hang, hang},
    {
        [IRQ_LINE_RX] = line_rx_interrupt,
        [IRQ_LINE_TX] = line_tx_interrupt,
        [IRQ_BENCH_RX] = bench_rx_interrupt,
        [IRQ_BENCH_TX] = bench_tx_interrupt,
        [IRQ_DUAL_TIMER] = tick_interrupt,
    },
};
