"""Plan and manifest into place so that a kill at any moment leaves a usable pair or none.

The plan's name carries its hash, so a new plan never overwrites the one that the manifest names.
The manifest is exchanged last, in one rename; plans that no manifest names are removed after.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from pathlib import Path

from engines.gpu.plan import PlanManifest, manifest_path
from engines.whole_file import replace_file


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
    # readable by whoever runs the loop, whatever the builder's umask is
    replace_file(folder / written.file, data, mode=0o644)
    replace_file(manifest_path(written.name, folder), written.to_json(), mode=0o644)
    _remove_others(written, folder)
    return written


def _remove_others(manifest: PlanManifest, folder: Path) -> None:
    leftovers = [*folder.glob(f"{manifest.name}-*.plan"), *folder.glob(f".{manifest.name}*.part")]
    for path in leftovers:
        if path.name != manifest.file:
            with contextlib.suppress(OSError):  # a reader may hold it: the next build tries again
                path.unlink()
