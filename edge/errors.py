"""What can go wrong, sorted by the one question that matters: may the glass have moved?

Each package has one root, because a lower one knows nothing of those above it. A ! marks what
leaves the position unknown (`glass_may_have_moved`): find it again before anything else.

    SparseFocusError            edge: root; no glass moved unless a subclass says otherwise
    |-- ConfigError             a config, option or input file is unusable          exit status 2
    |   |-- ConfigFaults        all that is wrong in a file
    |   `-- OptionError         one option of a driver
    |-- CameraStalled           no complete frame in time                                       4
    |   `-- CameraLost          the camera went away
    |-- DiskFailed              what was done cannot be kept: the work stops                      4
    |-- MoveRefused             guard, driver or firmware said no; nothing moved                3
    `-- MoveUncertain       !   a move was sent, its outcome is unknown                         5
    EngineRejected              engines: a model, plan or answer is not what it claims to be    2
    |-- OutputNotFinite         a network answered NaN: this frame has no result
    `-- GpuFailed               GPU, driver or TensorRT failed: nothing of this frame is known
    BuildFailed                 engines: why no plan was built (engines.errors)
    StageError                  firmware_bridge: root; with ! 5, but StageSilent, else          4
    |-- StageRefused            driver or firmware refused; nothing moved
    |-- ProtocolError           the peer does not speak the protocol
    `-- StageUncertain      !   a move was sent and never confirmed
        `-- LinkLost        !   the port is gone or silent
            |-- NotConnected    the port cannot be opened, or nobody answers on it
            `-- StageSilent !   no answer, and no move was under way
"""

from __future__ import annotations

from collections.abc import Sequence

from engines.errors import EngineRejected as EngineRejected


class SparseFocusError(Exception):
    """Root of the runtime's errors. Unless a subclass says otherwise, no glass moved."""

    glass_may_have_moved = False


class ConfigError(SparseFocusError):
    """A config file, option or input file is unusable.

    Raised before anything is opened. The text reads `file:line: key = value must ...`.
    """


class ConfigFaults(ConfigError):
    """All that is wrong in a config file, a line each in `lines`; the text is the first of them,
    and how to see the others."""

    def __init__(self, lines: Sequence[str]) -> None:
        more = len(lines) - 1
        super().__init__(lines[0] + (f" (and {more} more: sparsefocus check-config)" * bool(more)))
        self.lines = tuple(lines)


class OptionError(ConfigError):
    """One option of a driver is wrong: `key` names it, `why` says what it must be; `others` are
    wrong beside it."""

    def __init__(self, where: str, key: str, why: str) -> None:
        super().__init__(f"{where}.{key} {why}")
        self.key, self.why = key, why
        self.others: tuple[OptionError, ...] = ()


class CameraStalled(SparseFocusError):
    """No complete frame arrived in time, or the camera went away.

    Raised by `Camera.next` after its time-out, and by drivers when the device is lost.
    """


class CameraLost(CameraStalled):
    """The camera went away: unplugged, its link down, or taken by another program.

    Raised by drivers; what surrounds them tries to open the camera again.
    """


class DiskFailed(SparseFocusError):
    """The disk is full or refuses: what was done cannot be kept, and no more is done.

    Raised by what writes while it works (a scan's folder); what was kept before stays whole.
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
