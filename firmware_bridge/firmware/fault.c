#include "fault.h"

#ifdef AF_FAULT_INJECTION

static uint32_t armed[AF_FAULTS];

void af_fault_arm(enum af_fault fault, uint32_t times)
{
    armed[fault] += times;
}

bool af_fault_due(enum af_fault fault)
{
    if (armed[fault] == 0U) {
        return false;
    }
    armed[fault] -= 1U;
    return true;
}

#endif
