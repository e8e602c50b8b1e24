"""Files that are whole: under its own name a reader finds the old content or the new, never half.

What is written goes beside its target under a name of its own, onto the disk, and only then takes
the target's name; a full disk, a kill or a power cut in between leaves what was there before.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

#: what `try_to_write` asks room for: more than any record or page of ours but pictures
TRIAL_BYTES = 64 << 10
_NAME_CHARACTERS = 50  # of the target's, in a name beside it: 255 bytes are the most for all


def replace_file(path: Path, data: bytes | str, mode: int | None = None) -> None:
    """Give `path` this content (text as UTF-8), on the disk before this returns.

    `mode`: of the file, whatever the umask is; by default that of the file which is replaced, or
    what the umask leaves of 0666. Raises OSError; then what was there before still is.
    """
    with replacing(path, mode) as file:
        file.write(data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data)


@contextlib.contextmanager
def replacing(path: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` when the block ends without an error.

    A link is followed, its target replaced; a pipe or a device (`/dev/stdout`) is written as it is.
    """
    if is_stream(path):
        with path.open("wb") as file:
            yield file
        return
    target = path.resolve()
    wanted = _mode_of(target) if mode is None else mode
    part, handle = _open_beside(target, 0o666 if wanted is None else wanted)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if wanted is not None:
                os.fchmod(file.fileno(), wanted)
        put_in_place(part, target)
    finally:
        part.unlink(missing_ok=True)


def put_in_place(part: Path, path: Path) -> None:
    """Rename a finished file to `path`, in the same folder: both on the disk before it returns."""
    _sync(part)
    os.replace(part, path)
    _sync(path.parent)


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of a plain file of at most `limit`; OSError for anything else.

    Never waits for a pipe and never reads on: a file that claims to be a record may be /dev/zero.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise OSError(errno.EINVAL, f"it is {what}, not a file", str(path))
    with os.fdopen(handle, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it is above the limit of {limit} bytes", str(path))
    return data


def leads_outside(path: Path, folder: Path) -> bool:
    """Whether a file named in `folder` lies elsewhere, by links or by `..`."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def try_to_write(path: Path, size: int = TRIAL_BYTES) -> None:
    """OSError where `path` could not be written now: no folder, no leave, no room for `size` bytes.

    For work that is dear: asked before it, not after. What is there stays as it is.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if is_stream(path):
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return
    target = path.resolve()
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {path.parent}", str(path))
    part, handle = _open_beside(target)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(bytes(size))
            file.flush()
            os.fsync(file.fileno())
    finally:
        part.unlink(missing_ok=True)


def _open_beside(target: Path, mode: int = 0o666) -> tuple[Path, int]:
    """A new file in the target's folder, whose name nobody can have prepared."""
    for _ in range(8):
        name = f".{target.name[:_NAME_CHARACTERS]}.{secrets.token_hex(4)}.part"
        part = target.with_name(name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with contextlib.suppress(FileExistsError):
            return part, os.open(part, flags, mode)
    raise FileExistsError(errno.EEXIST, "no free name beside it", str(target))


def is_stream(path: Path) -> bool:
    """What a rename must not replace: pipes, devices, and whatever /dev and /proc stand for."""
    if str(path.absolute()).startswith(("/dev/", "/proc/")):
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _mode_of(target: Path) -> int | None:
    try:
        return stat.S_IMODE(target.stat().st_mode) & 0o777
    except FileNotFoundError:
        return None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
