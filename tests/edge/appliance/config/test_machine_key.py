"""The machine's key: made once, for its user only; one that others could use signs nothing."""

import os
import stat
from pathlib import Path

import pytest

from edge.appliance.config.machine_key import KEY_BYTES, key_path, make_key, read_key
from edge.errors import ConfigError


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "config" / "sparsefocus" / "key"
    make_key(path)
    return path


def test_it_is_made_once_and_for_its_user_only(key):
    info = key.stat()
    assert (stat.S_IMODE(info.st_mode), info.st_size) == (0o600, KEY_BYTES)
    assert stat.S_IMODE(key.parent.stat().st_mode) & 0o077 == 0
    assert make_key(key) == read_key(key) == key.read_bytes()
    assert os.listdir(key.parent) == ["key"]


def test_another_process_that_was_faster_keeps_its_key(tmp_path, monkeypatch):
    """Both found none; what lies there at the end is what both sign with."""
    path, real = tmp_path / "key", os.link

    def slower(made, target):
        Path(target).write_bytes(b"f" * KEY_BYTES)
        Path(target).chmod(0o600)
        real(made, target)

    monkeypatch.setattr(os, "link", slower)
    assert make_key(path) == b"f" * KEY_BYTES
    assert os.listdir(tmp_path) == ["key"]


def test_a_file_system_without_hard_links_has_one_too(tmp_path, monkeypatch):
    def no(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no)
    assert len(make_key(tmp_path / "key")) == KEY_BYTES
    assert os.listdir(tmp_path) == ["key"]


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o640, 0o660, 0o644, 0o666, 0o610, 0o777])
def test_a_key_that_others_can_use_is_refused(key, mode):
    key.chmod(mode)
    with pytest.raises(ConfigError, match=rf"has mode {mode:04o}, others can use it"):
        read_key(key)
    with pytest.raises(ConfigError, match="others can use it"):
        make_key(key)


def test_a_key_of_another_user_is_refused(key, monkeypatch):
    owner = key.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(ConfigError, match=f"belongs to user {owner}, this program runs as"):
        read_key(key)


@pytest.mark.parametrize(
    ("size", "why"),
    [(0, "cut short: 0 bytes"), (31, "cut short: 31 bytes"), (33, "is none: 33 bytes"),
     (4096, "is none: 4096 bytes"), (10**6, "above the limit")],
)  # fmt: skip
def test_a_key_of_another_length_is_named(key, size, why):
    key.write_bytes(b"k" * size)
    for asked in (read_key, make_key):
        with pytest.raises(ConfigError, match=rf"^{key}: .*{why}"):
            asked(key)


@pytest.mark.parametrize("what", ["folder", "pipe", "nothing", "dangling link"])
def test_what_is_no_file_is_no_key(tmp_path, what):
    path = tmp_path / "key"
    if what == "folder":
        path.mkdir()
    if what == "pipe":
        os.mkfifo(path)  # to be waited for by nobody
    if what == "dangling link":
        path.symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_key(path)


def test_where_it_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made: "):
        make_key(tmp_path / "file" / "sparsefocus" / "key")


def test_it_lies_in_the_user_s_configuration(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert key_path() == tmp_path / "sparsefocus" / "key"
    monkeypatch.setenv("HOME", "/home/somebody")
    for relative in ("", "here"):  # not absolute: to be ignored, says its specification
        monkeypatch.setenv("XDG_CONFIG_HOME", relative)
        assert key_path() == Path("/home/somebody/.config/sparsefocus/key")


def test_without_a_home_it_says_so(monkeypatch):
    def none(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(Path, "home", none)
    with pytest.raises(ConfigError, match="no home folder for the key of this machine: set HOME"):
        key_path()
