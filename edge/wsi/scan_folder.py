"""The scan folder: what a scan has done, on the disk field by field, so that it can be taken up.

    plan.json      the plan the scan began with and what it was made for; never changed
    fields.jsonl   a line per visited field with its own CRC, on the disk before the next field
    frames/        one file per kept frame, whole or not there

A frame is on the disk before the line that names it. A scan that ends anywhere, by kill -9 or a
power cut, leaves whole lines and at most one torn one at the end, which counts as never written.
The plan's growth is not stored: the answers of the lines give it again (edge.wsi.walk).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from edge.errors import ConfigError, DiskFailed
from edge.wsi.path import ScanPlan, plan_of_json
from edge.wsi.walk import Walk, sides_of
from engines.whole_file import read_bounded, replace_file

PLAN, JOURNAL, FRAMES = "plan.json", "fields.jsonl", "frames"
MOST_BYTES = 1 << 30  # of a journal or plan: 100,000 fields are 50 MB
#: free bytes below which the next field is not begun: a few frames, and room to close the scan
RESERVE_BYTES = 64 << 20
_FORMAT = 1
LOOKED = "LOOKED"  # the grade of a field that was looked at, and is to be taken later
_SEAL = ',"crc":"'


@dataclass(frozen=True, slots=True)
class FieldRecord:
    """One visit. `patches`: how many hold content by RIN, None = not judged; `toward`: on which of
    the eight sides something reaches the edge (edge.wsi.walk.text_of); `defocus_um`: from `z_um`
    to where it is sharpest, `offset_um`: how far above that it was to be. `grade` LOOKED: it is to
    be taken later. `file`, `size` and `crc32` are of the kept frame, None = none was kept; `again`:
    it was visited before. These four are filled in by `record`."""

    id: int
    x_um: float
    y_um: float
    z_um: float | None
    patches: int | None
    grade: str
    defocus_um: float | None = None
    interval_um: float | None = None
    exposure_start_ns: int | None = None
    exposure_end_ns: int | None = None
    frame_id: int | None = None
    tries: int = 1
    toward: str = ""
    offset_um: float = 0.0
    file: str | None = None
    size: int | None = None
    crc32: int | None = None
    again: bool = False


class ScanFolder:
    """One scan, written by one process at a time. `create` begins one, `take_up` goes on with it.

    `walk` is where the scan stands, `walk_again` gives another one. `spoilt` are fields whose frame
    is not as it was written: they count as visited, and are to be taken once more.
    """

    def __init__(
        self, path: Path, plan: ScanPlan, about: Mapping[str, Any], journal: int, length: int
    ) -> None:
        """Not to be called by others: see `create` and `take_up`."""
        self.path, self.plan, self.about = path, plan, about
        self.walk = Walk(plan)
        self.records: dict[int, FieldRecord] = {}  # the last word on each field
        self.first: dict[int, FieldRecord] = {}  # the first visit, in the order of the walk
        self.spoilt: set[int] = set()
        self._journal, self._length = journal, length
        self._broken = ""

    def record(
        self,
        visit: FieldRecord,
        frame: bytes | None = None,
        suffix: str = "jpg",
        late: bool = False,
    ) -> None:
        """A field was visited: its frame and its line are on the disk when this returns. `late`:
        it was taken before, and is taken better now.

        DiskFailed when they are not; then the field counts as not visited, and no other is taken
        until the folder is taken up again. ValueError for a field that does not come now.
        """
        if self._broken:
            raise DiskFailed(self._broken)
        self._check_turn(visit.id, late)
        try:
            self._check_room(len(frame or b""))
            visit = self._keep(visit, frame, suffix)
            self._append(_sealed(visit))
        except OSError as error:
            self._broken = f"{self.path}: {error.strerror or error}; the scan can be taken up"
            self._cut_back()
            raise DiskFailed(self._broken) from error
        self._note(visit)

    def walk_again(self, but: Collection[int] = ()) -> Walk:
        """The same walk, for a pipeline to go on with; without the visits of these fields, which
        must have let nothing grow."""
        walk = Walk(self.plan)
        for visit in self.first.values():
            if visit.id not in but:
                walk.visited(visit.id, visit.patches, sides_of(visit.toward))
        return walk

    def close(self) -> None:
        """Let others have it; safe to call twice."""
        if self._journal >= 0:
            os.close(self._journal)
            self._journal = -1
            self._broken = self._broken or f"{self.path}: the folder was closed"

    def __enter__(self) -> ScanFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- how it is written -----------------------------------------------------------------------

    def _check_turn(self, field_id: int, late: bool) -> None:
        before = self.records.get(field_id)
        if before is not None:
            if not (late or field_id in self.spoilt or before.grade == LOOKED):
                raise ValueError(f"field {field_id} was recorded before")
        elif field_id not in self.walk.plan.by_id:
            raise ValueError(f"field {field_id} is not in the plan")

    def _check_room(self, size: int) -> None:
        disk = os.statvfs(self.path)
        if disk.f_bavail * disk.f_frsize < RESERVE_BYTES + size:
            raise OSError(f"fewer than {RESERVE_BYTES >> 20} MB are free")

    def _keep(self, visit: FieldRecord, frame: bytes | None, suffix: str) -> FieldRecord:
        kept: dict[str, Any] = {"file": None, "size": None, "crc32": None}
        kept["again"] = visit.id in self.records
        if frame is not None:
            name = f"{FRAMES}/{visit.id:06d}.{suffix}"
            replace_file(self.path / name, frame)
            kept |= {"file": name, "size": len(frame), "crc32": zlib.crc32(frame)}
        return FieldRecord(**{**asdict(visit), **kept})

    def _append(self, line: bytes) -> None:
        written = 0
        while written < len(line):
            written += os.write(self._journal, line[written:])
        os.fsync(self._journal)
        self._length += len(line)

    def _cut_back(self) -> None:
        """Half a line must not be followed by others; if even this fails, it is found torn."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._journal, self._length)

    def _note(self, visit: FieldRecord) -> None:
        if not (visit.again and visit.id in self.records):
            self.walk.visited(visit.id, visit.patches, sides_of(visit.toward))
            self.first[visit.id] = visit
        self.records[visit.id] = visit
        self.spoilt.discard(visit.id)


def create(path: Path, plan: ScanPlan, about: dict[str, Any]) -> ScanFolder:
    """A new scan folder. `about`: plain values of what made it (config, hashes of the models).

    ConfigError where there is a scan already, or nothing can be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / FRAMES).mkdir(exist_ok=True)
        journal = _open_journal(path, os.O_CREAT)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    with _closed_by_a_failure(journal, path):
        if (path / PLAN).exists() or os.fstat(journal).st_size:
            raise ConfigError(
                f"{path}: there is a scan already: take it up, or name another folder"
            )
        value = {"format": _FORMAT, "digest": plan.digest, "plan": plan.as_json(), "about": about}
        text = json.dumps(value, allow_nan=False)
        replace_file(path / PLAN, text + "\n")
    return ScanFolder(path, plan, about, journal, 0)


def take_up(path: Path) -> ScanFolder:
    """A scan that ended somewhere. ConfigError, one line, for what is no scan folder, is in use,
    or is damaged elsewhere than at its end."""
    try:
        value = json.loads(read_bounded(path / PLAN, MOST_BYTES))
        if value["format"] != _FORMAT:
            raise ValueError(f"format {value['format']!r}, not {_FORMAT}")
        plan, about = plan_of_json(value["plan"]), dict(value["about"])
        if plan.digest != value["digest"]:
            raise ValueError("the plan is not the one that was written")
        journal = _open_journal(path, 0)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(f"{path / PLAN}: {str(error).splitlines()[0]}") from error
    with _closed_by_a_failure(journal, path / JOURNAL):
        return _replayed(path, plan, about, journal)


@contextlib.contextmanager
def _closed_by_a_failure(journal: int, where: Path) -> Iterator[None]:
    """The journal belongs to whoever is made with it, and to nobody where that fails."""
    try:
        yield
    except OSError as error:
        os.close(journal)
        raise ConfigError(f"{where}: {error.strerror or error}") from error
    except BaseException:
        os.close(journal)
        raise


def _replayed(path: Path, plan: ScanPlan, about: dict[str, Any], journal: int) -> ScanFolder:
    data = read_bounded(path / JOURNAL, MOST_BYTES)
    whole = data[: data.rfind(b"\n") + 1]
    lines = whole.splitlines(keepends=True)
    visits: list[FieldRecord] = []
    for number, line in enumerate(lines, 1):
        visit = _unsealed(line)
        if visit is None and number == len(lines) and len(whole) == len(data):
            whole = whole[: -len(line)]  # a power cut may leave the last one with its end
        elif visit is None:
            raise ConfigError(f"{path / JOURNAL}:{number}: the line is damaged")
        else:
            visits.append(visit)
    if len(whole) < len(data):
        os.ftruncate(journal, len(whole))
        os.fsync(journal)
    folder = ScanFolder(path, plan, about, journal, len(whole))
    for number, visit in enumerate(visits, 1):
        try:
            folder._note(visit)
        except ValueError as error:
            raise ConfigError(f"{path / JOURNAL}:{number}: {error}") from error
    visited = folder.records.values()
    folder.spoilt = {visit.id for visit in visited if not _frame_is_whole(path, visit)}
    return folder


def _open_journal(path: Path, flags: int) -> int:
    """Locked: two scans in one folder would be none."""
    journal = os.open(path / JOURNAL, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | flags, 0o644)
    try:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(journal)
        raise ConfigError(f"{path}: another process scans into this folder") from error
    return journal


def _sealed(visit: FieldRecord) -> bytes:
    body = json.dumps(asdict(visit), separators=(",", ":"), allow_nan=False)[:-1]
    return f'{body}{_SEAL}{zlib.crc32(body.encode("ascii")):08x}"}}\n'.encode("ascii")


def _unsealed(line: bytes) -> FieldRecord | None:
    """The record of a line; None when it is not as it was written."""
    body, seal, rest = line.decode("ascii", "replace").rpartition(_SEAL)
    if not seal or rest != f'{zlib.crc32(body.encode("ascii", "replace")):08x}"}}\n':
        return None
    try:
        value = json.loads(body + "}")
        value = {"toward": "", "offset_um": 0.0, **value}  # a journal from before there were these
        return FieldRecord(**{field.name: value[field.name] for field in fields(FieldRecord)})
    except (ValueError, KeyError, TypeError):
        return None


def _frame_is_whole(path: Path, visit: FieldRecord) -> bool:
    if visit.file is None:
        return True
    try:
        data = read_bounded(path / visit.file, visit.size or 0)
    except OSError:
        return False
    return len(data) == visit.size and zlib.crc32(data) == visit.crc32
