"""Code that is loaded already: which of its lines a test runs, and how it is exchanged.

Other modules hold functions, classes and constants by name, so that a module imported anew would
change nothing for them: here the functions stay and get other code, a constant is exchanged
wherever it was imported, and a member of an Enum gets another value.
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

PLAIN = (bool, int, float, str, tuple, frozenset, dict)


class Lines:
    """While it is entered, notes in `seen` which lines of these files any thread runs."""

    def __init__(self, files: Sequence[Path]) -> None:
        root = Path(__file__).parents[2]
        self._names = {str(f): f.relative_to(root).as_posix() for f in files}
        self.lines: set[tuple[str, int]] = set()

    def __enter__(self) -> None:
        self.lines = set()
        threading.settrace(self._call)
        sys.settrace(self._call)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]

    def _call(self, frame: types.FrameType, event: str, argument: Any) -> Any:
        file = self._names.get(frame.f_code.co_filename)
        if file is None:
            return None
        view = self.lines
        view.add((file, frame.f_lineno))

        def line(frame: types.FrameType, event: str, argument: Any) -> Any:
            view.add((file, frame.f_lineno))
            return line

        return line


def exchange(path: Path, text: str) -> None:
    """From now on the module of this file does what `text` says."""
    module = next(m for m in list(sys.modules.values())
                  if getattr(m, "__file__", None) == str(path))  # fmt: skip
    changed = types.ModuleType(module.__name__)
    changed.__file__ = str(path)
    # dataclasses look their module up by its name
    sys.modules[module.__name__] = changed
    try:
        exec(compile(text, str(path), "exec"), changed.__dict__)
    finally:
        sys.modules[module.__name__] = module
    for name, new in vars(changed).items():
        old = vars(module).get(name)
        if isinstance(new, type) and new.__module__ == module.__name__:
            assert isinstance(old, type)
            if issubclass(new, Enum) and issubclass(old, Enum):
                _revalue(old, new)
            for mine, other in _functions(vars(old), vars(new)):
                _become(mine, other)
        elif isinstance(new, types.FunctionType) and isinstance(old, types.FunctionType):
            if new.__module__ == module.__name__:
                _become(old, new)
        elif isinstance(new, PLAIN) and not name.startswith("__") and _differ(old, new):
            _everywhere(name, old, new)


def _revalue(old: type[Enum], new: type[Enum]) -> None:
    """Members stay who they are, as `is` compares them; what they are called, on records and by
    people, is the other's. (The text that a `str` among them is stays: it cannot be exchanged.)"""
    for name, other in new.__members__.items():
        member = old.__members__[name]
        if member.value != other.value:
            del old._value2member_map_[member.value]
            member._value_ = other.value
            old._value2member_map_[other.value] = member


def _functions(old: Any, new: Any) -> Iterator[tuple[types.FunctionType, types.FunctionType]]:
    for name, value in new.items():
        mine = old.get(name)
        for part in ("fget", "fset", "__func__"):
            inner = getattr(value, part, None)
            if isinstance(inner, types.FunctionType):
                yield getattr(mine, part), inner
        if isinstance(value, types.FunctionType) and isinstance(mine, types.FunctionType):
            yield mine, value


def _become(old: types.FunctionType, new: types.FunctionType) -> None:
    if old.__code__ != new.__code__:
        old.__code__ = new.__code__
    defaults = zip(old.__defaults__ or (), new.__defaults__ or (), strict=True)
    if any(_differ(a, b) for a, b in defaults):
        old.__defaults__ = new.__defaults__
    if old.__kwdefaults__ != new.__kwdefaults__:
        old.__kwdefaults__ = new.__kwdefaults__


def _differ(old: Any, new: Any) -> bool:
    if isinstance(new, types.FunctionType) and isinstance(old, types.FunctionType):
        return old.__code__ != new.__code__
    return isinstance(new, PLAIN) and (type(old) is not type(new) or bool(old != new))


def _everywhere(name: str, old: Any, new: Any) -> None:
    for module in list(sys.modules.values()):
        there = vars(module).get(name) if isinstance(module, types.ModuleType) else None
        if there is old or (type(there) is type(old) and there == old):
            setattr(module, name, new)
