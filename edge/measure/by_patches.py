"""A table with one entry per number of patches: few patches are noisier than many.

An entry is named by the least k it holds for: {"1": a, "9": b} means a for 1 to 8 patches and b
from 9 on. So a k that nobody listed still finds its neighbour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
ByPatches = tuple[tuple[int, T], ...]  # by rising k, not empty
NumberByPatches = float | ByPatches[float]  # the same for every k, or a table

GREATEST_K = 81


def value_for(table: ByPatches[T], k: int) -> T:
    """The entry for `k` patches; below the least k listed, the first."""
    value = table[0][1]
    for least, entry in table[1:]:
        if k >= least:
            value = entry
    return value


def number_for(entry: NumberByPatches, k: int) -> float:
    """What holds for `k` patches."""
    return entry if isinstance(entry, float) else value_for(entry, k)


def by_patches(value: Any, entry: Callable[[Any], T]) -> ByPatches[T]:
    """A JSON value, either one entry for all k or an object of k -> entry.

    `entry` turns one JSON value into an entry. ValueError for what is neither, for a k that is
    not a plain number in 1..81, and from `entry`.
    """
    if not isinstance(value, Mapping):
        return ((1, entry(value)),)
    if not value:
        raise ValueError("an empty object")
    for key in value:
        if not (key.isascii() and key.isdigit() and str(int(key)) == key):
            raise ValueError(f"{key!r} is not a number of patches")
        if not 1 <= int(key) <= GREATEST_K:
            raise ValueError(f"{key} patches are outside 1..{GREATEST_K}")
    return tuple(sorted((int(key), entry(each)) for key, each in value.items()))
