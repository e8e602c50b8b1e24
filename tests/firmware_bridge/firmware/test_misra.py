"""The core keeps MISRA C:2012 as far as cppcheck sees it; what it does not keep is named.

The add-on is asked twice: about the core as it is, and with a violation of each kind put into it,
which it must find: a check that finds nothing proves nothing.
"""

from __future__ import annotations

import pytest

from firmware_bridge.firmware.build import HERE
from tests.misra.check import VERSION, deviations, differences, version, violations

THERE = version()
NEEDS_CPPCHECK = pytest.mark.skipif(
    THERE != VERSION,
    reason=f"cppcheck {THERE} instead of {VERSION}" if THERE else "cppcheck is not installed",
)
#: rule, file, right, wrong
SEEDS = (
    ("7.2", "moves.c", "(p->event_seq + 1U)", "(p->event_seq + 0xFFFFFFFF)"),
    ("10.4", "protocol.c", "p->crc_errors += 1U;", "p->crc_errors = p->crc_errors + 1;"),
    ("11.9", "replies.c", "if ((size > 0U) &&", "if ((frame != 0) && (size > 0U) &&"),
    ("13.4", "motion.c", "    if (m->phase == AF_AT_REST) {", "    if ((m->phase = AF_AT_REST)) {"),
    ("14.4", "motion.c", "    if (m->velocity_q8 != 0) {", "    if (m->velocity_q8) {"),
    ("15.1", "moves.c", "    p->latch = reason;\n",
     "    goto end;\nend:\n    p->latch = reason;\n"),
    ("15.6", "framing.c", "    if (length == 0U) {\n        return AF_RX_NONE; "
     "/* two zeros in a row: the sender cleared its line */\n    }\n",
     "    if (length == 0U)\n        return AF_RX_NONE;\n"),
    ("16.4", "protocol.c", "    default: af_on_bye(p, in); break;\n",
     "    case AF_TYPE_BYE: af_on_bye(p, in); break;\n"),
    ("17.7", "protocol.c", "    check_switches(p);\n",
     "    check_switches(p);\n    af_motion_moves(&p->motion);\n"),
    ("21.3", "fault.c", '#include "fault.h"\n',
     '#include "fault.h"\n#include <stdlib.h>\nvoid af_seed(void);\nvoid af_seed(void)\n'
     "{\n    free(malloc(4U));\n}\n"),
)  # fmt: skip


@NEEDS_CPPCHECK
@pytest.mark.timeout(600)
def test_every_violation_is_a_named_deviation() -> None:
    assert differences(violations(), deviations()) == []


@NEEDS_CPPCHECK
@pytest.mark.timeout(600)
def test_violations_put_in_on_purpose_are_found() -> None:
    changed: dict[str, str] = {}
    for _, file, right, wrong in SEEDS:
        text = changed.get(file) or (HERE / file).read_text(encoding="utf-8")
        assert text.count(right) == 1, (file, right)
        changed[file] = text.replace(right, wrong)
    violations_there, named = violations(changed), deviations()
    missed = [
        (rule, file)
        for rule, file, *_ in SEEDS
        if violations_there[rule, file] <= named[rule, file]
    ]
    assert missed == []
