"""The files of a record: MCAP (https://mcap.dev), one after the other, within a quota.

A file is `NAME.mcap.part` while it is written, and locked; it loses the `.part` when it is whole.
What is written is closed into chunks and put onto the disk at every `flush`; a file that was cut
off, at whatever byte, is read as far as its last whole chunk. The oldest files go when the quota is
used up, never one that somebody still writes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import struct
import zlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard
from mcap.exceptions import McapError
from mcap.records import Channel, Message, Metadata
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, Writer

from edge.errors import ConfigError

WHOLE, PART = ".mcap", ".mcap.part"
SESSION = "sparsefocus.session"  # the metadata record with which every file begins
LEAST_FREE = 0.05  # of the disk: the oldest files go also where less than this is free,
LEAST_KEPT_BYTES = 64 << 20  # but these stay, whoever filled it: the last minutes are asked for
CHUNK_BYTES = 1 << 20
MOST_RECORD_BYTES = 1 << 30  # a damaged length asks for no more memory than this
#: topic -> how its messages are encoded
TOPICS = {
    "/state": "json", "/frame": "json",
    "/pixels": "sparsefocus.pixels", "/inputs": "sparsefocus.pixels",
}  # fmt: skip
#: what the library raises on half a record, or on a damaged one (RuntimeError: lz4's)
_BROKEN = (McapError, OSError, ValueError, EOFError, OverflowError, MemoryError, KeyError,
           IndexError, RuntimeError, struct.error, zstandard.ZstdError)  # fmt: skip
_SCHEMA = json.dumps({"type": "object"}).encode()


class RecordFile:
    """One file, written from its session on. OSError from each method: then `give_up` it."""

    def __init__(
        self, folder: Path, name: str, session: Mapping[str, Any], compressed: bool = True
    ) -> None:
        how = CompressionType.ZSTD if compressed else CompressionType.NONE
        self._size = 0
        self.path = folder / f"{name}{PART}"
        self._whole = folder / f"{name}{WHOLE}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.fdopen(os.open(self.path, flags, 0o640), "wb")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._writer = Writer(self._file, chunk_size=CHUNK_BYTES, compression=how)
            self._writer.start("sparsefocus", "sparsefocus-edge")
            text = json.dumps(session)
            self._writer.add_metadata(SESSION, {"json": text, "crc32": _crc(text)})
            self._channels: dict[str, int] = {}
            for topic, encoding in TOPICS.items():
                schema = self._writer.register_schema(topic.strip("/"), "jsonschema", _SCHEMA)
                is_json = encoding == "json"
                self._channels[topic] = self._writer.register_channel(
                    topic, encoding, schema if is_json else 0
                )
            self.flush()
        except BaseException:
            self.give_up()
            self.path.unlink(missing_ok=True)
            raise
        _sync_folder(folder)

    def add(self, topic: str, time_ns: int, data: bytes) -> None:
        """A message; `time_ns` is of the monotonic clock."""
        self._writer.add_message(self._channels[topic], time_ns, data, time_ns)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        if not self._file.closed:
            self._size = self._file.tell()
        return self._size

    def flush(self) -> None:
        """Close the chunk, and wait until all of it is on the disk."""
        self._writer.flush()  # type: ignore[no-untyped-call]
        self._size = self._file.tell()
        os.fdatasync(self._file.fileno())

    def finish(self) -> None:
        """Write the index, and give the file its name."""
        self._writer.finish()  # type: ignore[no-untyped-call]
        self.flush()
        os.rename(self.path, self._whole)
        self._file.close()
        _sync_folder(self._whole.parent)

    def give_up(self) -> None:
        """Close it as it is; what is whole of it can be read."""
        with contextlib.suppress(OSError, ValueError):
            self._file.close()


def _crc(text: str) -> str:
    """Of what stands outside of the library's own checks."""
    return f"{zlib.crc32(text.encode()):08x}"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def records_in(folder: Path) -> list[Path]:
    """A folder's record files, the oldest first."""
    with contextlib.suppress(OSError):
        return sorted(p for p in folder.iterdir() if p.name.endswith((WHOLE, PART)))
    return []


def keep_within(folder: Path, quota_bytes: int) -> int:
    """Remove the oldest files until all take at most the quota, and the disk has room; the number
    of files that went. Files that are being written stay, whoever writes them."""
    sizes = {}
    for path in records_in(folder):
        with contextlib.suppress(OSError):
            sizes[path] = path.stat().st_size
    total, gone = sum(sizes.values()), 0
    for path, size in sizes.items():
        crowded = total > LEAST_KEPT_BYTES and disk_is_full(folder)
        if total <= quota_bytes and not crowded:
            break
        if path.name.endswith(PART) and _is_written(path):
            continue
        with contextlib.suppress(OSError):
            path.unlink()
            total, gone = total - size, gone + 1
    return gone


def disk_is_full(folder: Path) -> bool:
    """Whether less than LEAST_FREE of it is free, to whoever the rest belongs."""
    usage = shutil.disk_usage(folder)
    return usage.free < LEAST_FREE * usage.total


def _is_written(path: Path) -> bool:
    """Whether somebody holds its lock."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a record: where it belongs, when (monotonic ns), and its bytes."""

    topic: str
    time_ns: int
    data: bytes

    def table(self) -> dict[str, Any]:
        """Of a JSON message; ConfigError where it is none."""
        try:
            table: dict[str, Any] = json.loads(self.data)
        except ValueError as error:
            raise ConfigError(f"{self.topic}: the record is damaged: {error}") from error
        return table


class RecordReader:
    """A file of any age, whole or torn. `session` is its first record; `torn` says after reading
    why the file ends before its end, "" when it is whole."""

    def __init__(self, path: Path) -> None:
        """ConfigError for what is no record."""
        self.path, self.torn = path, ""
        try:
            with contextlib.closing(self._read()) as records:
                first = next((each for each in records if isinstance(each, Metadata)), None)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        if first is None or first.name != SESSION:
            raise ConfigError(f"{path}: is no record of sparsefocus, or ends before its beginning")
        text = first.metadata.get("json", "")
        if first.metadata.get("crc32") != _crc(text):
            raise ConfigError(f"{path}: the record's beginning is damaged")
        self.session: dict[str, Any] = Said("session", 0, text.encode()).table()

    def __iter__(self) -> Iterator[Said]:
        topics: dict[int, str] = {}
        for each in self._read():
            if isinstance(each, Channel):
                topics[each.id] = each.topic
            elif isinstance(each, Message) and each.channel_id in topics:
                yield Said(topics[each.channel_id], each.log_time, each.data)

    def _read(self) -> Generator[Any, None, None]:
        """Records up to the end or the tear. What the library raises there depends on the byte."""
        with self.path.open("rb") as file:
            records = StreamReader(
                file, validate_crcs=True, record_size_limit=MOST_RECORD_BYTES
            ).records
            while True:
                try:
                    record = next(records)
                except StopIteration:
                    return
                except _BROKEN as error:
                    self.torn = f"{type(error).__name__}: {error}"
                    return
                yield record
