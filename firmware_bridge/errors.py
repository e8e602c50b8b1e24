"""What a stage can answer instead of moving, sorted by: may the glass have moved?"""


class StageError(Exception):
    """Root of the bridge's errors; `glass_may_have_moved` tells what to do next."""

    glass_may_have_moved = False


class StageRefused(StageError):
    """The driver or the firmware refused; nothing moved. `reason` is its short name, `detail` the
    sentence without it."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


class StageUncertain(StageError):
    """A move was sent and never confirmed, or the link or the controller was lost meanwhile."""

    glass_may_have_moved = True


class LinkLost(StageUncertain):
    """The port is gone or silent. Whether a move was under way is unknown."""


class NotConnected(LinkLost):
    """The port cannot be opened, or nobody answers on it: nothing of ours was ever sent there that
    moves."""

    glass_may_have_moved = False


class StageSilent(LinkLost):
    """The controller does not answer, and no move was under way when it fell silent.

    Nothing was sent. It is asked on: once it answers from where it was, the stage works as before;
    an answer from anywhere else is StageUncertain.
    """


class ProtocolError(StageError):
    """The peer speaks another protocol: version or message table differ. Nothing was sent."""
