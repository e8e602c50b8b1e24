/* The test bench of the two simulated boards: a second serial line stands for the pins that a
 * real board has. One byte per event:
 *   S s   strobe on, off           L l   lower limit switch pressed, released
 *   H h   upper limit switch       ?     asks for a line of text (see bench.c)
 *   E e   lower switch of X        F f   its upper one
 *   J j   lower switch of Y        K k   its upper one
 *   !     asks for a line of text about X and Y
 * and, only where AF_FAULT_INJECTION is defined (never in a release):
 *   d x i the next frame is not sent, is damaged, is ignored when received
 *   r     restart under the next boot id, the axis where it stands */
#ifndef AF_BENCH_H
#define AF_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "../../protocol.h"

/* What the board hands over: how to write to the bench's line. */
void bench_port_write(const char *text, size_t length);

/* Takes one byte from the bench's line. */
void bench_byte(struct af_protocol *protocol, uint8_t byte, uint64_t now_us);

/* Another board starts in the same process: nothing was seen of it yet. */
void bench_start(void);

/* For port_switches() and port_motor(). */
uint32_t bench_switches(void);
void bench_motor(int32_t motor_nm);

/* For port_xy_switches(), port_xy_motor() and port_trigger(). */
uint32_t bench_xy_switches(uint32_t axis);
void bench_xy_motor(uint32_t axis, int32_t motor_nm);
void bench_trigger(int32_t position_nm);

#endif
