"""How plans are stored: whole or not at all, whoever may write them, and what a kill leaves."""

import itertools
import os
import subprocess
import sys

import pytest

from engines.build.plan_files import plan_file, store
from engines.build.timing_cache import TimingCache, power_mode
from engines.gpu.plan import (
    Host,
    load_plan,
    manifest_path,
)
from tests.support import stand_ins
from tests.support.made_plans import DATA, ORIN, plan_manifest, refused_plan
from tests.support.patience import PATIENCE_S


def test_what_is_no_plain_file_is_unsafe(tmp_path, model, folder):
    path = folder / plan_file("dpn", DATA)
    outside = tmp_path / "outside"
    outside.write_bytes(DATA)
    path.unlink()
    path.symlink_to(outside)  # the right bytes, but not in the folder
    assert refused_plan(model, folder) == "unsafe"
    path.unlink()
    os.mkfifo(path)
    assert refused_plan(model, folder) == "unsafe"
    path.unlink()
    path.mkdir()
    assert refused_plan(model, folder) == "unsafe"
    manifest = manifest_path("dpn", folder)
    manifest.rename(outside)
    manifest.symlink_to(outside)
    assert refused_plan(model, folder) == "unsafe"
    manifest.unlink()
    os.mkfifo(manifest)
    assert refused_plan(model, folder) == "unsafe"


def test_what_anyone_may_write_is_unsafe(model, folder):
    path = folder / plan_file("dpn", DATA)
    path.chmod(0o666)
    assert refused_plan(model, folder) == "unsafe"
    path.chmod(0o644)
    folder.chmod(0o777)
    assert refused_plan(model, folder) == "unsafe"
    folder.chmod(0o755)
    assert load_plan(model, ORIN, folder).data == DATA


@pytest.mark.parametrize("umask", [0, 0o077])
def test_stored_files_are_for_all_to_read_and_ours_to_write(model, tmp_path, umask):
    folder = tmp_path / "of-any-umask"
    before = os.umask(umask)
    try:
        store(plan_manifest(model), DATA, folder)
    finally:
        os.umask(before)
    assert load_plan(model, ORIN, folder).data == DATA
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_bytes_are_on_the_disk_before_they_get_their_name(monkeypatch, model, tmp_path):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, r=real: (calls.append(n), r(*a))[1])
    store(plan_manifest(model), DATA, tmp_path / "new")
    assert calls == ["fsync", "replace", "fsync"] * 2  # the file, its name, the folder


KILLED = """
import os, sys
from pathlib import Path
from engines.build import plan_files
from engines.manifest import Manifest
from engines.gpu.plan import PlanManifest, manifest_path

step, folder, model = int(sys.argv[1]), Path(sys.argv[2]), Manifest.read(Path(sys.argv[3]))
count = 0

def dying(name):
    real = getattr(os, name)
    def call(*arguments, **keywords):
        global count
        count += 1
        if count == step:
            os._exit(9)
        return real(*arguments, **keywords)
    return call

for name in ("open", "fchmod", "fsync", "replace", "unlink", "close"):
    setattr(os, name, dying(name))
old = PlanManifest.read(Path(sys.argv[4]))
plan_files.store(old, b"new" * 1000, folder)
print("done")
"""


def test_a_kill_at_any_step_leaves_the_old_pair_or_the_new(tmp_path, model):
    """Also between plan and manifest: at every call to the system that writing makes."""
    ends = []
    store(plan_manifest(model), DATA, tmp_path / "template")
    for step in itertools.count(1):
        folder = tmp_path / f"killed-{step}"
        store(plan_manifest(model), DATA, folder)
        arguments = [step, folder, tmp_path / "dpn.json", manifest_path("dpn", folder)]
        done = subprocess.run(
            [sys.executable, "-c", KILLED, *map(str, arguments)],
            capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=stand_ins.ROOT,
        )  # fmt: skip
        assert done.returncode in (0, 9), done.stderr
        ends.append(load_plan(model, ORIN, folder).data)
        if done.returncode == 0:
            break
        store(
            plan_manifest(model), b"next", folder
        )  # the next build is not troubled, and tidies up
        assert load_plan(model, ORIN, folder).data == b"next"
        assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".plan"]
    new = b"new" * 1000
    assert len(ends) > 8
    assert set(ends) == {DATA, new}
    assert ends == sorted(ends, key=lambda data: data == new)  # once new, it stays new


def test_a_full_disk_keeps_the_old_pair(monkeypatch, model, folder):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store(plan_manifest(model), b"new", folder)
    monkeypatch.undo()
    assert load_plan(model, ORIN, folder).data == DATA


def test_timing_cache_is_kept_per_machine_and_is_only_a_hint(tmp_path):
    cache = TimingCache(tmp_path, ORIN)
    assert cache.read() == b""
    cache.write(b"timings")
    assert cache.read() == b"timings"
    assert TimingCache(tmp_path, Host("10.3.0", "Orin", (8, 7))).read() == b"timings"
    for other in (Host("10.4.0", "Orin", (8, 7)), Host("10.3.0", "Thor", (11, 0))):
        assert TimingCache(tmp_path, other).read() == b""
    cache.path.unlink()
    cache.path.mkdir()
    assert cache.read() == b""
    cache.write(b"timings")  # cannot, and says nothing
    TimingCache(tmp_path / "nowhere", ORIN).write(b"timings")


def test_timing_cache_goes_by_the_power_mode(tmp_path, monkeypatch):
    TimingCache(tmp_path, ORIN).write(b"slow")
    monkeypatch.setattr("engines.build.timing_cache.power_mode", lambda: "pmode:0002 1300500000")
    assert TimingCache(tmp_path, ORIN).read() == b""


def test_power_mode_as_a_jetson_says_it(tmp_path):
    assert power_mode(tmp_path / "none", tmp_path) == "unknown"
    (tmp_path / "status").write_text("pmode:0002 fmode:quiet\n")
    for name, clock in (("17000000.gpu", "918000000"), ("bpmp-emc", "1")):
        (tmp_path / "devfreq" / name).mkdir(parents=True)
        (tmp_path / "devfreq" / name / "max_freq").write_text(clock + "\n")
    assert power_mode(tmp_path / "status", tmp_path / "devfreq") == "pmode:0002 918000000"
