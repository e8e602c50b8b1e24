/* Numbers in a payload: byte by byte, so that neither alignment nor byte order matters. */
#include "messages.h"

void af_put_uint(uint8_t *at, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0U; i < bytes; i++) {
        const uint32_t shift = 8U * i;
        at[i] = (uint8_t)(value >> shift);
    }
}

uint64_t af_get_uint(const uint8_t *at, uint32_t bytes)
{
    uint64_t value = 0U;
    for (uint32_t i = 0U; i < bytes; i++) {
        const uint32_t shift = 8U * i;
        value |= (uint64_t)at[i] << shift;
    }
    return value;
}

/* Two's complement without relying on an implementation-defined conversion. */
int32_t af_get_i32(const uint8_t *at)
{
    const uint32_t raw = (uint32_t)af_get_uint(at, 4U);
    const uint32_t below = 0xFFFFFFFFU - raw;
    return (raw <= 0x7FFFFFFFU) ? (int32_t)raw : (-(int32_t)below - 1);
}
