"""A folder of z-stacks under construction: complete stacks only, whenever it is looked at.

Pictures are written beside their place and renamed. The two tables are replaced as a whole, the
patches before the manifest: a stack is there when the manifest names it, and not before.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge.appliance.files import put_in_place, replace_file
from edge.errors import ConfigError
from edge.images.zstack import COLUMNS, read_manifest

#: ours, after those of the format
EXTRA = (
    "group", "condition", "slide", "split",
    "w040_waves", "axial_colour_um", "tilt_um_per_mm", "thickness_um", "dirt",
    "phase_share", "softness_um", "sharpness",
)  # fmt: skip
PATCH_COLUMNS = ("stack_id", "row", "column", "richness", "focus_z_um")
MANIFEST, PATCHES, SETTINGS = "manifest.csv", "patches.csv", "settings.json"
Row = Mapping[str, str]


class StackFolder:
    """Opened for one run with its settings; `done` are the stacks that are there already, `extra`
    the manifest's columns after those of the format.

    ConfigError when another process writes here, when the folder was made with other settings,
    or when its manifest is not one of ours. Close it, or use it in a `with` statement.
    """

    def __init__(
        self, path: Path, settings: Mapping[str, object], extra: Sequence[str] = EXTRA
    ) -> None:
        self.path, self._columns = path, (*COLUMNS, *extra)
        path.mkdir(parents=True, exist_ok=True)
        self._lock = (path / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise ConfigError(f"{path}: another process is writing stacks here") from error
        try:
            self._same_settings(settings)
            self._load()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> StackFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes write here."""
        self._lock.close()

    def add(self, exposures: Sequence[Row], patches: Sequence[Row]) -> None:
        """Enter one complete stack whose pictures are in place."""
        self._patches.append(_lines(PATCH_COLUMNS, patches))
        self._manifest.append(_lines(self._columns, exposures))
        self._replace(PATCHES, _lines(PATCH_COLUMNS, [], head=True), self._patches)
        self._replace(MANIFEST, _lines(self._columns, [], head=True), self._manifest)
        self.done.add(exposures[0]["stack_id"])

    def _same_settings(self, settings: Mapping[str, object]) -> None:
        path, wanted = self.path / SETTINGS, json.loads(json.dumps(settings))
        if not path.exists():
            if (self.path / MANIFEST).exists():
                raise ConfigError(f"{self.path / MANIFEST}: was not written here: no {SETTINGS}")
            self._replace(SETTINGS, json.dumps(wanted, indent=1) + "\n", [])
            return
        try:
            former = json.loads(path.read_text())
        except ValueError as error:
            raise ConfigError(f"{path}: cannot be read: {error}") from error
        for name in wanted:
            if not isinstance(former, dict) or former.get(name) != wanted[name]:
                before = former.get(name) if isinstance(former, dict) else former
                raise ConfigError(
                    f"{path}: {name} = {wanted[name]!r} must be {before!r}, "
                    "as the stacks here were made, or take another folder"
                )

    def _load(self) -> None:
        self.done: set[str] = set()
        self._manifest: list[str] = []
        self._patches: list[str] = []
        path = self.path / MANIFEST
        if not path.exists():
            return
        self.done = {exposure.stack_id for exposure in read_manifest(path)}
        self._manifest = [_lines(self._columns, _read(path))]
        # a run that was stopped between the two tables left patches of a stack that is not there
        kept = [row for row in _read(self.path / PATCHES) if row["stack_id"] in self.done]
        self._patches = [_lines(PATCH_COLUMNS, kept)]

    def _replace(self, name: str, head: str, body: Sequence[str]) -> None:
        replace_file(self.path / name, "".join([head, *body]))


@contextmanager
def in_one_piece(path: Path) -> Iterator[Path]:
    """A path to write a picture to; it takes its own name when the block ends well.

    The temporary name is the process's own: two that write the same picture do not meet.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    put_in_place(part, path)


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _lines(columns: Sequence[str], rows: Sequence[Row], head: bool = False) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if head:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def fill_and_say(program: str, out: Path, fill: Callable[[], int]) -> int:
    """Let `fill` write its frames into `out` and say how many, or in one line why not. An exit
    status: 0 = done, 2 = wrong use, 4 = the disk failed, 130 = stopped by hand."""
    start, status = time.monotonic(), 2
    try:
        frames = fill()
    except (ConfigError, ValueError) as error:
        words = str(error)
    except OSError as error:
        words, status = f"{error.filename or out}: {error.strerror}", 4
    except KeyboardInterrupt:
        words, status = f"stopped; the same command goes on with {out}", 130
    else:
        print(f"wrote {frames} frames into {out} in {time.monotonic() - start:.0f} s")
        return 0
    print(f"{program}: {words}", file=sys.stderr)
    return status
