/* Registers of the CMSDK peripherals on the MPS2 board with the AN385 image (ARM DDI 0479, DAI 0385):
 * system clock 25 MHz. */
#ifndef AF_MPS2_BOARD_H
#define AF_MPS2_BOARD_H

#include <stdint.h>

#define CLOCK_MHZ 25U

#define IRQ_LINE_RX 0
#define IRQ_LINE_TX 1
#define IRQ_BENCH_RX 2
#define IRQ_BENCH_TX 3
#define IRQ_DUAL_TIMER 10

struct uart {
    volatile uint32_t data;
    volatile uint32_t state;
    volatile uint32_t control;
    volatile uint32_t interrupts; /* write 1 to clear */
    volatile uint32_t divider;
};
#define UART_TX_FULL 1U
#define UART_RX_FULL 2U
#define UART_ENABLE 0xFU /* transmitter, receiver and their interrupts */
#define UART_TX_INTERRUPT 1U
#define UART_RX_INTERRUPT 2U
#define UART_BAUD_DIVIDER (CLOCK_MHZ * 1000000U / 115200U)
#define LINE_UART ((struct uart *)0x40004000)
#define BENCH_UART ((struct uart *)0x40005000)

struct timer {
    volatile uint32_t load;
    volatile uint32_t value; /* counts down */
    volatile uint32_t control;
    volatile uint32_t clear;
    volatile uint32_t raw;
    volatile uint32_t masked;
    volatile uint32_t background;
};
#define TIMER_FREE_RUNNING 0x82U /* enabled, 32 bits, wraps */
#define TIMER_PERIODIC 0xE2U     /* enabled, periodic, interrupt, 32 bits */
#define CLOCK_TIMER ((struct timer *)0x40002000)
#define TICK_TIMER ((struct timer *)0x40002020)

#define NVIC_ENABLE ((volatile uint32_t *)0xE000E100)

void hang(void);
void line_rx_interrupt(void);
void line_tx_interrupt(void);
void bench_rx_interrupt(void);
void bench_tx_interrupt(void);
void tick_interrupt(void);

#endif
