"""Where a controller was left, kept from one session to the next.

A controller without a reference may have been switched off in between, and count from elsewhere
than it did; at exactly 0 that shows, at any other place only who knows where it was left can tell.
So a session that ends in order at rest writes that down, and one that moves the axis strikes it out
first: after a crash nobody knows. The file is a small JSON; one that cannot be written is worth as
much as none.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from contextlib import suppress
from pathlib import Path

_BYTES = 1000  # more is none of ours


class LastPlace:
    """Of one controller, in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._struck = False

    def doubt(self, z_um: float, tolerance_um: float) -> str:
        """Why it may count from elsewhere, in words; "" = it is where it was left, or was never
        met before."""
        try:
            with self._path.open("rb") as file:
                left_um = json.loads(file.read(_BYTES))["z_um"]
        except FileNotFoundError:
            return ""
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return f"where it was left cannot be read ({self._path})"
        if left_um is None:
            return "the last session moved it and did not end in order"
        if isinstance(left_um, (int, float)) and abs(left_um - z_um) <= tolerance_um:
            return ""
        return f"it was left at {left_um} um and is at {z_um:.3f} um"

    def strike(self) -> None:
        """It is about to be moved."""
        if not self._struck:
            self._struck = True
            self._write(None)

    def leave(self, z_um: float) -> None:
        """The session ends in order, and it rests here."""
        self._struck = False
        if math.isfinite(z_um):
            self._write(round(z_um, 4))

    def _write(self, z_um: float | None) -> None:
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                with beside.open("wb") as file:
                    file.write(json.dumps({"z_um": z_um}).encode())
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(beside, self._path)
            finally:
                beside.unlink(missing_ok=True)


def place_of(*names: object) -> LastPlace | None:
    """The memory of the controller that these names tell from all others, in this user's folder for
    state; None where a user has none."""
    named = os.environ.get("XDG_STATE_HOME", "")
    try:
        folder = Path(named) if os.path.isabs(named) else Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    text = "\n".join(str(name) for name in names)
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return LastPlace(folder / "sparsefocus" / "places" / f"{digest}.json")
