/* What a board implements. Everything else in this folder is the core and stays as it is.
 *
 * The board calls, never from two contexts at once (mask the interrupt or queue the bytes):
 *   af_protocol_init()    once, after reset
 *   af_protocol_receive() for received bytes, with the time they arrived
 *   af_protocol_tick()    every millisecond, from a hardware timer
 *   af_protocol_strobe()  when the camera's strobe line changed, with the time of the edge
 * Times are us since boot from a free-running counter that never goes back. */
#ifndef AF_PORT_H
#define AF_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Queue one whole frame for sending; must not block. Drop the frame as a whole if it does not fit:
 * the host asks again. */
void port_send(const uint8_t *bytes, size_t length);

/* Move the motor to this position (a whole number of steps away from the last one; at most
 * speed / 1000 per call). move_id is the move it belongs to. */
void port_motor(int32_t motor_nm, uint32_t move_id);

/* The measured position; false when there is no encoder. */
bool port_encoder(int32_t *position_nm);

/* The limit switches that are pressed now, AF_SWITCH_* or'ed; 0 where there are none. Asked at
 * every tick: read the pins, do not debounce (a stop too many is harmless, a late one is not). */
#define AF_SWITCH_LOW 1U  /* at the lower end: no further down */
#define AF_SWITCH_HIGH 2U /* at the upper end: no further up */
uint32_t port_switches(void);

/* The same for the axes under the slide, AF_X and AF_Y. A board without them has empty ones. */
void port_xy_motor(uint32_t axis, int32_t motor_nm, uint32_t move_id);
uint32_t port_xy_switches(uint32_t axis);

/* A pulse of width_us for the camera with the step of X to position_nm, which the next call of
 * port_xy_motor() brings: give it when that step is made. within_us (0 to 1000): where in the
 * millisecond the step lies, for a board that makes the steps of one evenly. */
void port_trigger(int32_t position_nm, uint32_t within_us, uint32_t width_us);

#endif
