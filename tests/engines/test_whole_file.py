"""Files that are whole: the old content or the new, whatever happens in between."""

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engines.whole_file import (
    leads_outside,
    put_in_place,
    read_bounded,
    replace_file,
    replacing,
    try_to_write,
)


def left_over(folder):
    return [path.name for path in folder.iterdir() if path.name.endswith(".part")]


def test_new_content_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "x.json"
    replace_file(path, "one")
    first = path.stat().st_ino
    replace_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_ino != first  # another file: who reads the old one reads all of it
    assert os.listdir(tmp_path) == ["x.json"]


def test_what_fails_half_way_leaves_the_old(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("old")
    with pytest.raises(TypeError), replacing(path) as file:
        file.write([b"ne", file.write(b"ne")][2:])
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x.json"]


FULL = """
import resource, sys
from pathlib import Path
from engines.whole_file import replace_file, try_to_write
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    {what}
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.parametrize("what", ["replace_file(path, 'x' * 101)", "try_to_write(path)"])
def test_a_full_disk_leaves_the_old_and_nothing_beside(tmp_path, what):
    path = tmp_path / "x.json"
    path.write_text("old")
    code = FULL.format(what=what.replace("path", f"Path({str(path)!r})"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "File too large"
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x.json"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 100  # only the child's


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order = []
    real = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("sync"), real[0](fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("rename"), real[1](a, b)))
    replace_file(tmp_path / "x", "1")
    assert order == ["sync", "rename", "sync"]  # the data, the name, the folder's entry
    order.clear()
    (tmp_path / "part").write_text("2")
    put_in_place(tmp_path / "part", tmp_path / "x")
    assert order == ["sync", "rename", "sync"]


def test_mode_is_the_old_file_s_the_umask_s_or_the_one_asked_for(tmp_path):
    before = os.umask(0o027)
    try:
        for name, mode in (("new", None), ("old", None), ("asked", 0o644)):
            path = tmp_path / name
            if name == "old":
                path.write_text("x")
                path.chmod(0o600)
            replace_file(path, "y", mode)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("new", "old", "asked")]
    assert modes == [0o640, 0o600, 0o644]


def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    replace_file(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_devices_and_pipes_are_written_not_replaced(tmp_path):
    replace_file(Path("/dev/null"), "x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    replace_file(pipe, "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    out = tmp_path / "out"
    code = "from pathlib import Path; from engines.whole_file import replace_file\n"
    code += "print('before', flush=True); replace_file(Path('/dev/stdout'), 'x')"
    with out.open("ab") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
    assert stat.S_ISREG(os.stat(out).st_mode)


def test_a_name_planted_beside_is_not_followed(tmp_path, monkeypatch):
    """In a folder that others may write: the temporary name is new, and never somebody's link."""
    names = iter(["aa", "bb"])
    monkeypatch.setattr("secrets.token_hex", lambda _: next(names))
    (tmp_path / "victim").write_text("mine")
    (tmp_path / ".x.aa.part").symlink_to(tmp_path / "victim")
    replace_file(tmp_path / "x", "y")
    assert (tmp_path / "victim").read_text() == "mine"
    assert (tmp_path / "x").read_text() == "y"


@pytest.mark.parametrize("name", ["n" * 255, "\udcff\udcfe", "\u00b5" * 120])
def test_names_of_any_length_and_bytes(tmp_path, name):
    replace_file(tmp_path / name, "x")
    assert os.listdir(tmp_path) == [name]


def test_trial_says_what_is_in_the_way_and_leaves_nothing(tmp_path):
    (tmp_path / "old").write_text("old")
    try_to_write(tmp_path / "old")
    try_to_write(tmp_path / "new")
    try_to_write(Path("/dev/null"))
    for path, why in (
        (tmp_path, "folder"),
        (tmp_path / "no" / "x", "there is no folder"),
        (tmp_path / "old" / "x", "there is no folder"),
        (Path("/proc/version"), "denied" if os.geteuid() else ""),
    ):
        if why:
            with pytest.raises(OSError) as error:
                try_to_write(path)
            assert why in str(error.value.strerror)
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "old"
    assert not left_over(tmp_path)


def test_reading_never_waits_and_never_reads_on(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "x").write_bytes(b"1234")
    assert read_bounded(tmp_path / "x", 4) == b"1234"
    for path, why in (
        (tmp_path / "x", "above the limit of 3 bytes"),
        (tmp_path / "pipe", "a pipe or a device"),
        (Path("/dev/zero"), "a pipe or a device"),
        (tmp_path, "a folder"),
        (tmp_path / "none", "No such file"),
    ):
        with pytest.raises(OSError) as error:
            read_bounded(path, 3)
        assert why in str(error.value.strerror)


def test_a_secret_is_never_readable_by_others_not_even_while_it_is_written(tmp_path):
    before = os.umask(0)
    try:
        with replacing(tmp_path / "key", mode=0o600) as file:
            assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
        with replacing(tmp_path / "key") as file:  # the old one's mode
            assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
    finally:
        os.umask(before)


def test_where_links_lead(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "up").symlink_to("..")
    folder = tmp_path / "link"
    assert not leads_outside(folder / "x", folder)
    assert not leads_outside(tmp_path / "in" / "x", folder)
    assert leads_outside(folder / "up" / "x", folder)
    assert leads_outside(tmp_path / "inner", tmp_path / "in")
