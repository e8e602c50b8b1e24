"""Captured z-stacks on the disk, in the format that adaptation, evaluation and training read.

    stacks/000012/plane_000.png ...   the planes of field 12, from the lowest to the highest
    stacks/000012.json                that it is whole: its rows, or why there are none
    manifest.csv                      all rows (edge.images.zstack), made anew after each field

What has no JSON beside it was not finished, and is taken again.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from edge.errors import ConfigError, DiskFailed
from engines.whole_file import read_bounded, replace_file

STACKS, MANIFEST, ABOUT = "stacks", "manifest.csv", "capture.json"
COLUMNS = ("file", "page", "stack_id", "z_um", "focus_z_um", "um_per_px", "group", "field_x_um",
           "field_y_um")  # fmt: skip
MOST_BYTES = 1 << 20
RESERVE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Stack:
    """One visited field. `group`: its class of content; `heights_um`: of its planes, none where no
    stack was taken; `focus_um`: where it is sharpest, None where the pictures do not tell; `why`
    there is no stack, or no label."""

    id: int
    x_um: float
    y_um: float
    group: str
    um_per_px: float
    heights_um: tuple[float, ...] = ()
    focus_um: float | None = None
    why: str = ""


@dataclass(slots=True)
class StackFolder:
    """A folder of stacks; `done` are the fields that were visited, by number."""

    path: Path
    done: dict[int, Stack] = field(default_factory=dict)

    def plane(self, field_id: int, index: int) -> Path:
        """The file of a plane."""
        return self.path / STACKS / f"{field_id:06d}" / f"plane_{index:03d}.png"

    def keep_plane(self, field_id: int, index: int, data: bytes) -> None:
        """A plane goes to the disk. DiskFailed when it does not."""
        with _kept(self.path):
            path = self.plane(field_id, index)
            path.parent.mkdir(parents=True, exist_ok=True)
            _check_room(self.path, len(data))
            replace_file(path, data)

    def finish(self, stack: Stack) -> None:
        """A field is done; the manifest has it. DiskFailed when they cannot be written."""
        with _kept(self.path):
            (self.path / STACKS).mkdir(parents=True, exist_ok=True)
            replace_file(self.path / STACKS / f"{stack.id:06d}.json", json.dumps(asdict(stack)))
            self.done[stack.id] = stack
            replace_file(self.path / MANIFEST, self._manifest())

    @property
    def taken(self) -> list[Stack]:
        """Those of which there is a stack, in the order of their numbers."""
        return [stack for _, stack in sorted(self.done.items()) if stack.heights_um]

    def _manifest(self) -> str:
        text = io.StringIO(newline="")
        rows = csv.writer(text)
        rows.writerow(COLUMNS)
        for stack in self.taken:
            focus = "" if stack.focus_um is None else f"{stack.focus_um:.3f}"
            for index, z_um in enumerate(stack.heights_um):
                file = self.plane(stack.id, index).relative_to(self.path).as_posix()
                place = f"{stack.x_um:.1f}", f"{stack.y_um:.1f}"
                rows.writerow((file, "", f"field-{stack.id:06d}", f"{z_um:.3f}", focus,
                               f"{stack.um_per_px:g}", stack.group, *place))  # fmt: skip
        return text.getvalue()


def open_folder(path: Path, about: dict[str, Any]) -> StackFolder:
    """A new folder, or one of the same capture that is gone on with. ConfigError for another."""
    told = path / ABOUT
    try:
        if not told.exists():
            if path.exists() and any(path.iterdir()):
                raise ConfigError(f"{path}: there is something else: name another folder")
            path.mkdir(parents=True, exist_ok=True)
            replace_file(told, json.dumps(about))
        was = json.loads(read_bounded(told, MOST_BYTES))
        if was != about:
            raise ConfigError(f"{path}: it was begun with other words: {was}")
        folder = StackFolder(path)
        for file in sorted((path / STACKS).glob("*.json")):
            stack = _stack(read_bounded(file, MOST_BYTES))
            folder.done[stack.id] = stack
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: damaged: {str(error).splitlines()[0]}") from error
    return folder


def _stack(data: bytes) -> Stack:
    value = json.loads(data)
    value["heights_um"] = tuple(float(z) for z in value["heights_um"])
    return Stack(**{each.name: value[each.name] for each in fields(Stack)})


def _check_room(path: Path, size: int) -> None:
    disk = os.statvfs(path)
    if disk.f_bavail * disk.f_frsize < RESERVE_BYTES + size:
        raise OSError(f"fewer than {RESERVE_BYTES >> 20} MB are free")


@contextmanager
def _kept(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise DiskFailed(f"{path}: {why}; the capture can be gone on with") from error
