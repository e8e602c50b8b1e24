"""What the verbs write for people and scripts: where, in which form, and what happens when not.

Files are whole (engines.whole_file); a result named by an option such as --json is tried before
the verb begins, so that nothing moves for a record that cannot be kept; what cannot be written is
a ConfigError, exit status 2, on every verb.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import ConfigError
from engines.whole_file import is_stream, put_in_place, replace_file, replacing, try_to_write

STANDARD = "-"  # as a FILE: standard output
#: options that name a file to be written at the end
RESULTS = ("json", "rows", "picture")


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """`--json FILE`, the same on every verb."""
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help=f"write {what} as JSON; {STANDARD} = standard output",
    )


def try_results(options: argparse.Namespace) -> None:
    """ConfigError where a file that the options name could not be written; before the work."""
    for name in RESULTS:
        path = getattr(options, name, None)
        if path is not None:
            try_result(f"--{name}", Path(path))


def try_result(option: str, path: Path) -> None:
    """ConfigError, one line, where this file could not be written now."""
    if is_standard(path):
        return
    try:
        try_to_write(path)
    except OSError as error:
        raise _unwritable(option, path, error) from error


def try_folder(option: str, folder: Path) -> None:
    """ConfigError where no files could be written into this folder, which is made when needed."""
    above = folder.absolute()
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir():
        raise ConfigError(f"{option} {folder}: {above} is not a folder")
    try:
        try_to_write(above / "page")
    except OSError as error:
        raise _unwritable(option, folder, error) from error


def make_folder(option: str, folder: Path) -> None:
    """The folder for several results, made with those above it; ConfigError when it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(option, folder, error) from error


def is_standard(path: Path | str | None) -> bool:
    """Whether a result goes to standard output: then nothing else may."""
    return str(path) == STANDARD


def write_json(value: Any, path: Path | None, option: str = "--json") -> None:
    """The value to the file that `option` named; nothing without one. ConfigError when not."""
    if path is not None:
        write_result(json_text(value), path, option)


def write_result(data: str | bytes, path: Path, option: str) -> None:
    """Text or bytes to the file that `option` named, whole. ConfigError when the disk says no."""
    try:
        if is_standard(path) and isinstance(data, str):
            sys.stdout.write(data)
            sys.stdout.flush()
        else:
            replace_file(path, data)
    except OSError as error:
        raise _unwritable(option, path, error) from error


def json_text(value: Any) -> str:
    """As our files have it: one space of indent, a line end, no NaN."""
    return json.dumps(json_safe(value), indent=1, allow_nan=False) + "\n"


def json_safe(value: Any) -> Any:
    """The same as JSON can say it: NaN and infinity become null, numpy numbers plain ones."""
    if isinstance(value, Mapping):
        return {str(key): json_safe(x) for key, x in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [json_safe(x) for x in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _unwritable(option: str, path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{option} {path}: cannot be written: {error.strerror or error}")


__all__ = [
    "RESULTS",
    "STANDARD",
    "add_json",
    "is_standard",
    "is_stream",
    "json_safe",
    "json_text",
    "make_folder",
    "put_in_place",
    "replace_file",
    "replacing",
    "try_folder",
    "try_result",
    "try_results",
    "try_to_write",
    "write_json",
    "write_result",
]
