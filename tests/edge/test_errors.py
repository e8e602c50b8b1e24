"""The tree of errors in edge/errors.py is the tree of the code."""

from __future__ import annotations

import inspect
import re

import edge.errors
import engines.errors
import firmware_bridge.errors
from edge.errors import SparseFocusError
from engines.errors import BuildFailed, EngineRejected
from firmware_bridge.errors import StageError

LINE = re.compile(r"^ {4}((?:\| {3}| {4})*)(?:[|`]-- )?(\w+) +(!?)")


def drawn() -> list[tuple[int, str, bool]]:
    """(depth, name, the glass may have moved) of each line of the tree."""
    results = []
    for line in (edge.errors.__doc__ or "").splitlines():
        match = LINE.match(line)
        if match:
            depth = len(match[1]) // 4 + ("-- " in line)
            results.append((depth, match[2], bool(match[3])))
    return results


def real(root: type[BaseException], depth: int = 0) -> list[tuple[int, str, bool]]:
    modules = (edge.errors.__name__, engines.errors.__name__, firmware_bridge.errors.__name__)
    below = [each for each in root.__subclasses__() if each.__module__ in modules]
    here = (depth, root.__name__, bool(getattr(root, "glass_may_have_moved", False)))
    return [here, *(line for each in below for line in real(each, depth + 1))]


def test_the_tree_that_is_drawn_is_the_real_one():
    roots = (SparseFocusError, EngineRejected, StageError)
    wanted = {line for root in roots for line in real(root)} | {(0, BuildFailed.__name__, False)}
    assert set(drawn()) == wanted


def test_there_is_one_engine_rejected():
    named = [
        each
        for module in (edge.errors, engines.errors)
        for name, each in inspect.getmembers(module, inspect.isclass)
        if name == "EngineRejected"
    ]
    assert len(named) == 2
    assert len(set(named)) == 1
