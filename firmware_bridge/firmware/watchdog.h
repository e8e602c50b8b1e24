/* How long the host has been silent. Two questions hang on it: must a move be stopped, and may
 * another host take over? */
#ifndef AF_WATCHDOG_H
#define AF_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

struct af_watchdog {
    uint64_t fed_us;
};

void af_watchdog_feed(struct af_watchdog *dog, uint64_t now_us);

/* True when the last valid frame of the session's host is more than limit_ms old. */
bool af_watchdog_silent(const struct af_watchdog *dog, uint64_t now_us, uint32_t limit_ms);

#endif
