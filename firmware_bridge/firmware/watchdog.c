#include "watchdog.h"

void af_watchdog_feed(struct af_watchdog *dog, uint64_t now_us)
{
    dog->fed_us = now_us;
}

bool af_watchdog_silent(const struct af_watchdog *dog, uint64_t now_us, uint32_t limit_ms)
{
    /* A board may run a late tick with its nominal time, which lies before the last frame. */
    if (now_us <= dog->fed_us) {
        return false;
    }
    return (now_us - dog->fed_us) > ((uint64_t)limit_ms * 1000U);
}
