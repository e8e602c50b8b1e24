"""Readings and a stage's conduct as the tests of both tell them: a height, and where focus is
read."""

from edge.decide.conduct import Conduct
from edge.decide.evidence import Reading


def at(z, d, half=0.2):
    return Reading(z, d, half)


def confirmed():
    """A stage that followed upwards to z = 10, where focus is 20 um away."""
    conduct = Conduct(1)
    conduct.judge(at(0, 30), at(10, 20))
    assert (conduct.sign_confirmed, conduct.strikes) == (True, 0)
    return conduct
