"""How long a test waits for what must come: it bounds a hang and judges nothing.

A busy computer may give a child process a twentieth of a core; whatever is claimed about time is
claimed of a clock of its own, not of how long a wait took.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: seconds; below pytest's own time-out (setup.cfg), so that the waiting test says what was missing
PATIENCE_S = 300.0
#: for what needs no computing: an answer, a move, a thread's turn
ANSWER_S = 60.0


def wait_for(condition: Callable[[], bool]) -> None:
    """Return as soon as it is true."""
    deadline = time.monotonic() + ANSWER_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)
