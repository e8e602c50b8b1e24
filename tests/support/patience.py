"""How long a test waits for what must come: it bounds a hang and judges nothing.

A busy computer may give a child process a twentieth of a core; whatever is claimed about time is
claimed of a clock of its own, not of how long a wait took.
"""

#: seconds; below pytest's own time-out (setup.cfg), so that the waiting test says what was missing
PATIENCE_S = 300.0
#: for what needs no computing: an answer, a move, a thread's turn
ANSWER_S = 60.0
