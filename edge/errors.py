"""What can go wrong, sorted by the one question that matters: may the glass have moved?

Every error the runtime raises on purpose derives from `SparseFocusError` and says in
`glass_may_have_moved` whether the position must be found again before anything else.
"""


class SparseFocusError(Exception):
    """Root of the runtime's errors. Unless a subclass says otherwise, no glass moved."""

    glass_may_have_moved = False


class ConfigError(SparseFocusError):
    """A config file, option or input file is unusable.

    Raised before anything is opened. The text reads `file:line: key = value must ...`.
    """


class OptionError(ConfigError):
    """One option of a driver is wrong: `key` names it, `why` says what it must be."""

    def __init__(self, where: str, key: str, why: str) -> None:
        super().__init__(f"{where}.{key} {why}")
        self.key, self.why = key, why


class CameraStalled(SparseFocusError):
    """No complete frame arrived in time, or the camera went away.

    Raised by `Camera.next` after its time-out, and by drivers when the device is lost.
    """


class CameraLost(CameraStalled):
    """The camera went away: unplugged, its link down, or taken by another program.

    Raised by drivers; what surrounds them tries to open the camera again.
    """


class EngineRejected(SparseFocusError):
    """A model file, its manifest or its outputs are not what they claim to be.

    Raised when a hash, shape, preprocessing or optics profile differs, before inference.
    """


class MoveRefused(SparseFocusError):
    """A move was not made: the guard, the driver or the firmware said no. Nothing moved.

    `reason` is the short name by which refusals are counted.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail or reason


class MoveUncertain(SparseFocusError):
    """A move was sent and its outcome is unknown: find the position again first."""

    glass_may_have_moved = True
