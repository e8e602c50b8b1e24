"""Plan and manifest into place so that a kill at any moment leaves a usable pair or none.

The plan's name carries its hash, so a new plan never overwrites the one that the manifest names.
The manifest is exchanged last, in one rename; plans that no manifest names are removed after.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from pathlib import Path

from engines.plan import PlanManifest, manifest_path


def plan_file(name: str, data: bytes) -> str:
    """Bare file name of a plan with these bytes."""
    return f"{name}-{hashlib.sha256(data).hexdigest()[:16]}.plan"


def store(manifest: PlanManifest, data: bytes, folder: Path) -> PlanManifest:
    """Write both; returns the manifest as written (file, hash and size filled in).

    Raises OSError; then what was in place before still is.
    """
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    written = dataclasses.replace(
        manifest,
        file=plan_file(manifest.name, data),
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
    )
    replace_file(folder / written.file, data)
    replace_file(manifest_path(written.name, folder), written.to_json())
    _remove_others(written, folder)
    return written


def replace_file(path: Path, data: bytes) -> None:
    """Write beside and rename, both on the disk before this returns; mode 0644."""
    part = path.with_name(f".{path.name}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    with os.fdopen(handle, "wb") as stream:
        os.fchmod(stream.fileno(), 0o644)  # whatever the umask is
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _remove_others(manifest: PlanManifest, folder: Path) -> None:
    leftovers = [*folder.glob(f"{manifest.name}-*.plan"), *folder.glob(f".{manifest.name}*.part")]
    for path in leftovers:
        if path.name != manifest.file:
            with contextlib.suppress(OSError):  # a reader may hold it: the next build tries again
                path.unlink()
