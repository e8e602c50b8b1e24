"""The two folders of this program: what can be made again, and what was built for this machine."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str = "") -> Path | None:
    """`sparsefocus/name` in the user's cache, made now; None where no such folder can be had."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        top = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
        folder = top / "sparsefocus" / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return None
    return folder if os.access(folder, os.W_OK) else None


def state_folder(name: str) -> Path:
    """`sparsefocus/name` among the user's state (XDG: ~/.local/state), not made; below /var/lib for
    a user without a home."""
    given = os.environ.get("XDG_STATE_HOME", "")
    try:
        top = Path(given) if os.path.isabs(given) else Path.home() / ".local" / "state"
    except RuntimeError:
        top = Path("/var/lib")
    return top / "sparsefocus" / name


def keep_in_cache(variable: str, name: str) -> None:
    """Point a library's environment variable at a file or folder of ours, where none is set.

    To be called before the library is loaded. `name` of a folder ends in a slash; it is made.
    """
    if os.environ.get(variable):
        return
    folder = cache_folder(os.path.dirname(name))
    if folder is not None:
        os.environ[variable] = str(folder / os.path.basename(name))
