"""The recorder that a config asks for, or none, behind the same few calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from edge.appliance.telling import tell
from edge.loop import Outcome
from edge.rig import Doors, Rig
from edge.settings import RecordSettings
from engines.own_cache import state_folder


class Recorded(Protocol):
    """What stands round a loop (edge.appliance.record.recorder.Recorder)."""

    @property
    def doors(self) -> Doors | None:
        """For `build_rig`."""

    def of(self, rig: Rig) -> None:
        """The rig whose loop this is; once, before its first frame."""

    def begin(self, new_field: bool = False, changed: bool = False) -> None:
        """Before a step. `new_field`: the controller is about to be told of one; `changed`:
        somebody has just changed what guard or controller go by."""

    def add(self, outcome: Outcome) -> None:
        """After it."""

    def record(self) -> dict[str, Any] | None:
        """For the statistics at the end."""

    def __enter__(self) -> Recorded: ...

    def __exit__(self, *_: object) -> None: ...


class Unrecorded:
    """Where no record is wanted."""

    doors: Doors | None = None

    def __enter__(self) -> Unrecorded:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def of(self, rig: Rig) -> None:
        """See Recorder."""

    def begin(self, new_field: bool = False, changed: bool = False) -> None:
        """See Recorder."""

    def add(self, outcome: Outcome) -> None:
        """See Recorder."""

    def record(self) -> dict[str, Any] | None:
        """None: there is no record."""


UNRECORDED = Unrecorded()


def recorder_of(
    settings: RecordSettings,
    folder: Path | None = None,
    hear: Callable[[Mapping[str, Any]], None] | None = None,
) -> Recorded:
    """`folder`: instead of the one in the settings; without any, among the user's state. A
    library that cannot be loaded is said, and costs the record only."""
    if settings.level == "none" and folder is None:
        return Unrecorded()
    try:
        from edge.appliance.record.recorder import Recorder
    except ImportError as error:
        tell(f"sparsefocus: warning: no flight record: {error}")
        return Unrecorded()
    return Recorder(settings, folder or settings.folder or state_folder("records"), hear)
