"""What a check says of a firmware: nothing, or that it failed and how."""

from __future__ import annotations

from firmware_bridge import messages as m


class Failed(Exception):
    """The firmware does not do what PROTOCOL.md says; the text tells what it did instead."""


def need(condition: bool, what: str) -> None:
    """Failed with `what` unless `condition`."""
    if not condition:
        raise Failed(what)


def refused_for(answer: object, reason: m.Reason, what: str) -> None:
    """The move must have been refused, and for this reason."""
    need(isinstance(answer, m.Refused), f"{what} was accepted")
    assert isinstance(answer, m.Refused)
    need(answer.reason == reason, f"{what}: {_name(answer.reason)} instead of {reason.name}")


def nacked_for(answer: object, reason: m.Reason, what: str) -> None:
    """The frame must have been answered with NACK, and for this reason."""
    need(isinstance(answer, m.Nack), f"{what} was answered with {type(answer).__name__}")
    assert isinstance(answer, m.Nack)
    need(answer.reason == reason, f"{what}: {_name(answer.reason)} instead of {reason.name}")


def _name(reason: int) -> str:
    try:
        return m.Reason(reason).name
    except ValueError:
        return f"reason {reason}"
