"""The recorder's hand: messages to files, in the recorder's thread. It survives any disk.

What the disk refuses ends the file, not the recorder: said once, tried again after a while, with
the oldest files gone where the quota or the disk asks for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge.appliance.record.files import RecordFile, keep_within
from edge.appliance.record.messages import as_bytes, frame_table, pieces
from edge.appliance.record.ring import Picture
from edge.appliance.telling import tell

SEGMENT_BYTES = 256 << 20
FLUSH_S = 1.0  # what a kill or a power cut may cost
RETRY_S = 30.0  # after the disk refused
QUOTA_CHECK_BYTES = 16 << 20


class RecordWriter:
    """`hear` gets every frame's table. `asks` is True when a file ended and another one may begin:
    it needs the loop's state first."""

    def __init__(
        self,
        folder: Path,
        quota_bytes: int,
        compressed: bool,
        hear: Callable[[Mapping[str, Any]], None] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._quota, self._compressed = folder, quota_bytes, compressed
        self._segment_bytes = min(SEGMENT_BYTES, quota_bytes // 4)
        self._hear, self._clock = hear, clock
        self._session: dict[str, Any] = {}
        self._file: RecordFile | None = None
        self._segment = 0
        self._flushed = self._retry = -float("inf")
        self._checked_bytes = 0
        self._past_bytes = 0  # of the files before
        self.asks = False
        self.files = self.unwritten = 0
        self.refused = ""  # what the disk said last

    @property
    def bytes(self) -> int:
        """Written so far."""
        return self._past_bytes + (self._file.size if self._file else 0)

    def session(self, facts: Mapping[str, Any]) -> None:
        """What every file says first."""
        self._session = dict(facts)

    def state(self, time_ns: int, held: Mapping[str, Any], rotate: bool) -> None:
        """The loop's state, from which on a replay can begin: a new file where one is due."""
        if rotate or self._file is None:
            self._finish()
            self._try(self._open)
        self._try(lambda file: file.add("/state", time_ns, as_bytes(dict(held))))

    def frame(self, time_ns: int, urgent: bool, *said: Any) -> None:
        """A decision; `urgent`: it must be on the disk before anything else happens."""
        table = frame_table(*said)
        if self._file is None:
            self.unwritten += 1
            self.asks = self._clock() >= self._retry
        else:
            self._try(lambda file: file.add("/frame", time_ns, as_bytes(table)))
            self.idle(urgent)
        if self._hear is not None:
            self._hear(table)

    def picture(self, topic: str, picture: Picture) -> None:
        """A frame's pixels, or what a network was shown of it."""
        time_ns = picture.said["end_ns"]
        for piece in pieces(picture.said, picture.pixels):
            if self._file is None:
                return
            self._try(lambda file, piece=piece: file.add(topic, time_ns, piece))  # type: ignore[misc]
        self.idle()

    def idle(self, urgent: bool = False) -> None:
        """Between two messages: what is written goes onto the disk now and then."""
        if self._file is None or not (urgent or self._clock() - self._flushed >= FLUSH_S):
            return
        self._flushed = self._clock()
        self._try(lambda file: file.flush())
        if self._file is not None:
            self.asks = self.asks or self._file.size >= self._segment_bytes
            if self.bytes - self._checked_bytes >= QUOTA_CHECK_BYTES:
                self._checked_bytes = self.bytes
                keep_within(self._folder, self._quota)

    def end(self) -> None:
        """No more comes."""
        self._finish()

    def _open(self, _: RecordFile | None = None) -> None:
        self.asks = False
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        keep_within(self._folder, self._quota - self._segment_bytes)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        name = f"{stamp}-{self._session.get('id', '')}-{self._segment:05d}"
        facts = {**self._session, "segment": self._segment}
        self._segment += 1
        self._file = RecordFile(self._folder, name, facts, self._compressed)
        self.files += 1
        self._flushed = self._clock()
        if self.refused:
            tell("sparsefocus: the flight record goes on", wait_s=0.0)
            self.refused = ""

    def _finish(self) -> None:
        if self._file is not None:
            self._try(lambda file: file.finish())
        if self._file is not None:
            self._past_bytes += self._file.size
        self._file = None

    def _try(self, do: Callable[[RecordFile], None]) -> None:
        """Whatever is wrong with the disk or the library, the loop never hears of it."""
        if self._file is None and do != self._open:
            return
        try:
            do(self._file)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - see above
            self.give_up(error)

    def give_up(self, error: Exception) -> None:
        """Leave the file as it is, and say so once."""
        if self._file is not None:
            self._file.give_up()
            self._file = None
        self._retry, self.asks = self._clock() + RETRY_S, False
        why = f"{getattr(error, 'strerror', None) or error}"
        if not self.refused:
            tell(f"sparsefocus: warning: no flight record ({self._folder}: {why}); "
                 "focusing goes on", wait_s=0.0)  # fmt: skip
        self.refused = why
