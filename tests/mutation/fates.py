"""What became of every change, kept in a log, and compared with what a document explains."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

SURVIVED = ""
#: an optimizer makes the same instructions of it; another one may not, and then it lives
SAME = "same code"


class Change(Protocol):
    """One change of one file."""

    @property
    def file(self) -> str:
        """As the document names it."""
        ...

    @property
    def line(self) -> int:
        """Of the file before the change."""
        ...

    @property
    def before(self) -> str:
        """The line, without indent."""
        ...

    @property
    def after(self) -> str:
        """The line as changed, without indent."""
        ...

    @property
    def text(self) -> str:
        """The whole file as changed."""
        ...


Fates = list[tuple[Change, str]]


class Log:
    """One line of JSON a change; what was noticed once is not asked again, what survived is."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, Any] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                self._known[row["key"]] = row["fate"]

    def fate(self, change: Change, ask: Callable[[], str]) -> str:
        """From the log, or by asking now."""
        key = _hash(f"{change.file}\n{change.text}")
        fate: str = self._known.get(key, SURVIVED)
        if fate == SURVIVED:
            fate = ask()
            self._note(key, fate, file=change.file, line=change.line,
                       before=change.before, after=change.after)  # fmt: skip
        return fate

    def once(self, subject: str, find: Callable[[], Any]) -> Any:
        """What `find` found of this subject, now or in a run before; as JSON keeps it."""
        key = _hash(subject)
        if key not in self._known:
            self._note(key, find())
        return self._known[key]

    def _note(self, key: str, fate: Any, **row: Any) -> None:
        self._known[key] = fate
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as log:
                log.write(json.dumps({"key": key, "fate": fate, **row}) + "\n")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def explained(document: Path) -> set[tuple[str, str, str]]:
    """(file, line before, line after) of the document's table."""
    text = document.read_text(encoding="utf-8") if document.exists() else ""
    rows = re.findall(r"^\| (\S+) \| `(.+?)` \| `(.*?)` \|", text, re.M)
    return {(f, a.replace("\\|", "|"), b.replace("\\|", "|")) for f, a, b in rows}


def verdict(document: Path, fates: Fates, whole: Sequence[str]) -> int:
    """Print what lives unexplained, and, of files tried as a whole, what is explained in vain."""
    lived = {(m.file, m.before, m.after): m.line for m, fate in fates if fate == SURVIVED}
    known = explained(document)
    for (file, before, after), line in lived.items():
        if (file, before, after) not in known:
            print(f"not noticed and not explained: {file}:{line}\n  {before}\n  {after}")
    alike = {(m.file, m.before, m.after) for m, fate in fates if fate == SAME}
    gone = {row for row in known - set(lived) - alike if row[0] in whole}
    for file, before, after in sorted(gone):
        print(f"explained, but noticed by now: {file}\n  {before}\n  {after}")
    return int(bool(set(lived) - known or gone or not fates))
