/* Faults made on purpose, for tests. A release build defines no AF_FAULT_INJECTION: every question
 * below is then a constant `false`, and nothing of this is left in the program. */
#ifndef AF_FAULT_H
#define AF_FAULT_H

#include <stdbool.h>
#include <stdint.h>

enum af_fault {
    AF_FAULT_DROP_SENT,     /* a frame is not sent */
    AF_FAULT_DAMAGE_SENT,   /* one bit of a frame is flipped after its CRC was made */
    AF_FAULT_DROP_RECEIVED, /* a sound frame is ignored */
    AF_FAULTS
};

#ifdef AF_FAULT_INJECTION

/* The next `times` chances are taken. */
void af_fault_arm(enum af_fault fault, uint32_t times);

/* True when the fault is to happen now; counts it down. */
bool af_fault_due(enum af_fault fault);

#else

static inline bool af_fault_due(enum af_fault fault)
{
    (void)fault;
    return false;
}

#endif
#endif
