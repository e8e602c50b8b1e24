"""The key of this machine: what its calibrations are signed with.

A file of 32 random bytes, made at the first calibration, readable by its user only. A key that
others could have written or read signs nothing, one that was cut short says so before anything
moves.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from edge.errors import ConfigError
from engines.whole_file import read_bounded, replace_file

KEY_BYTES = 32
_READ_BYTES = 4096  # enough to say that it is none
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def key_path() -> Path:
    """Where this user's key lies; ConfigError where there is no home and no XDG_CONFIG_HOME."""
    named = os.environ.get("XDG_CONFIG_HOME", "")
    if os.path.isabs(named):
        folder = Path(named)
    else:
        try:
            folder = Path.home() / ".config"
        except RuntimeError as error:
            raise ConfigError(
                "this user has no home folder for the key of this machine: set HOME or "
                "XDG_CONFIG_HOME to a folder that stays"
            ) from error
    return folder / "sparsefocus" / "key"


def read_key(path: Path) -> bytes:
    """The key; ConfigError, one line, for a file that is no key or not this user's alone."""
    try:
        info = path.stat()
        key = read_bounded(path, _READ_BYTES)
    except OSError as error:
        raise ConfigError(
            f"{path}: the key of this machine cannot be read: {error.strerror}; calibrate here"
        ) from error
    if info.st_uid != os.geteuid():
        raise ConfigError(
            f"{path}: the key belongs to user {info.st_uid}, this program runs as {os.geteuid()}: "
            "who can write it can sign; calibrate and run as one user"
        )
    if info.st_mode & _OTHERS:
        raise ConfigError(
            f"{path}: the key has mode {stat.S_IMODE(info.st_mode):04o}, others can use it: "
            "chmod 600 it, and calibrate again if that is news to you"
        )
    if len(key) != KEY_BYTES:
        what = "was cut short" if len(key) < KEY_BYTES else "is none"
        raise ConfigError(
            f"{path}: the key {what}: {len(key)} bytes instead of {KEY_BYTES}; delete it and "
            "calibrate again"
        )
    return key


def make_key(path: Path) -> bytes:
    """The key, made now where there is none; ConfigError as `read_key`, and for a full disk."""
    if not os.path.lexists(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make(path)
        except OSError as error:
            raise ConfigError(
                f"{path}: the key of this machine cannot be made: {error.strerror}"
            ) from error
    return read_key(path)


def _make(path: Path) -> None:
    """Whole, and never over one that another process has made meanwhile."""
    made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        replace_file(made, secrets.token_bytes(KEY_BYTES), mode=0o600)
        with contextlib.suppress(FileExistsError):
            os.link(made, path)
    except PermissionError:  # a file system without hard links
        os.rename(made, path)
    finally:
        made.unlink(missing_ok=True)
