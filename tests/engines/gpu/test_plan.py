"""What does not belong here is refused before TensorRT could see it; a kill harms nothing."""

import dataclasses
import hashlib
import itertools
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.build.plan_files import plan_file, store
from engines.build.timing_cache import TimingCache, power_mode
from engines.errors import EngineRejected
from engines.gpu.plan import (
    FLAG,
    PLANS,
    PROFILES,
    Host,
    PlanManifest,
    PlanRefused,
    load_plan,
    manifest_path,
)
from engines.manifest import Manifest
from engines.own_cache import state_folder
from tests.support import stand_ins
from tests.support.patience import PATIENCE_S
from tests.support.tiny_models import write_dpn, write_rin

ORIN = Host("10.3.0", "Orin", (8, 7))
DATA = bytes(range(256)) * 40


def _manifest(model, host=ORIN, **changes):
    values = {
        "name": model.name,
        "file": "",
        "sha256": "",
        "size_bytes": 0,
        "onnx_sha256": model.sha256,
        "host": host,
        "precision": FLAG,
        "profiles": PROFILES[model.name],
        "inputs": tuple(spec.name for spec in model.inputs),
        "outputs": tuple(spec.name for spec in model.outputs),
        "golden": {"worst": {"defocus_um": 0.01}},
        "build": {"seconds": 1.5},
    }
    return PlanManifest(**{**values, **changes})


@pytest.fixture
def model(tmp_path):
    return Manifest.read(write_dpn(tmp_path))


@pytest.fixture
def folder(tmp_path, model):
    """A folder with a good plan of `model`."""
    folder = tmp_path / "plans"
    store(_manifest(model), DATA, folder)
    return folder


def _refused(model, folder, host=ORIN):
    with pytest.raises(PlanRefused) as caught:
        load_plan(model, host, folder)
    assert str(folder) in str(caught.value)
    assert isinstance(caught.value, EngineRejected)
    return caught.value.reason


def test_round_trip(model, folder):
    plan = load_plan(model, ORIN, folder)
    assert plan.data == DATA
    assert plan.manifest.file == plan_file("dpn", DATA)
    assert plan.manifest == dataclasses.replace(
        _manifest(model),
        file=plan_file("dpn", DATA),
        sha256=hashlib.sha256(DATA).hexdigest(),
        size_bytes=len(DATA),
    )


def test_the_folder_is_fixed():
    # of the user who runs the loop: an installed package is nobody's to write to
    assert state_folder("plans").parts[-2:] == PLANS.parts[-2:] == ("sparsefocus", "plans")
    assert stand_ins.ROOT not in PLANS.parents


@pytest.mark.parametrize(("k", "expected"), [(1, (0, 3)), (3, (0, 3)), (4, (1, 9)), (31, (2, 31))])
def test_smallest_profile_that_holds_the_patches(model, folder, k, expected):
    assert load_plan(model, ORIN, folder).profile(k) == expected


@pytest.mark.parametrize("k", [0, -1, 32])
def test_no_profile_for(model, folder, k):
    with pytest.raises(ValueError, match="no profile"):
        load_plan(model, ORIN, folder).profile(k)


def test_one_flipped_bit_anywhere_is_tampering(model, folder):
    path = folder / plan_file("dpn", DATA)
    for place in (0, 1, len(DATA) // 2, len(DATA) - 1):
        changed = bytearray(DATA)
        changed[place] ^= 0x10
        path.write_bytes(changed)
        assert _refused(model, folder) == "tampered"


@pytest.mark.parametrize("size", [0, 1, len(DATA) - 1])
def test_truncated(model, folder, size):
    (folder / plan_file("dpn", DATA)).write_bytes(DATA[:size])
    assert _refused(model, folder) == "truncated"


def test_something_appended_is_tampering(model, folder):
    (folder / plan_file("dpn", DATA)).write_bytes(DATA + b"\0")
    assert _refused(model, folder) == "tampered"


@pytest.mark.parametrize(
    "host",
    [
        Host("10.3.1", "Orin", (8, 7)),
        Host("11.4.0", "Orin", (8, 7)),
        Host("10.3.0", "Thor", (11, 0)),
        Host("10.3.0", "Orin", (8, 6)),
        Host("10.3.0", "Orin (nvgpu)", (8, 7)),
    ],
)
def test_foreign(model, folder, host):
    assert _refused(model, folder, host) == "foreign"


def test_plan_of_the_other_network_is_foreign(tmp_path, model, folder):
    rin = Manifest.read(write_rin(tmp_path))
    manifest_path("dpn", folder).rename(manifest_path("rin", folder))
    assert _refused(rin, folder) == "foreign"


def test_stale(tmp_path, model, folder):
    other = tmp_path / "other"
    other.mkdir()
    assert _refused(Manifest.read(write_dpn(other, poison=True)), folder) == "stale"


@pytest.mark.parametrize(
    "changes",
    [{"profiles": (3, 9)}, {"outputs": ("spread_um", "defocus_um")}, {"inputs": ("image",)}],
)
def test_other_profiles_or_tensors_are_stale(model, folder, changes):
    store(_manifest(model, **changes), DATA, folder)
    assert _refused(model, folder) == "stale"


def test_missing(model, folder):
    (folder / plan_file("dpn", DATA)).unlink()
    assert _refused(model, folder) == "missing"
    manifest_path("dpn", folder).unlink()
    assert _refused(model, folder) == "missing"
    assert _refused(model, folder / "nowhere") == "missing"


def test_what_is_no_plain_file_is_unsafe(tmp_path, model, folder):
    path = folder / plan_file("dpn", DATA)
    outside = tmp_path / "outside"
    outside.write_bytes(DATA)
    path.unlink()
    path.symlink_to(outside)  # the right bytes, but not in the folder
    assert _refused(model, folder) == "unsafe"
    path.unlink()
    os.mkfifo(path)
    assert _refused(model, folder) == "unsafe"
    path.unlink()
    path.mkdir()
    assert _refused(model, folder) == "unsafe"
    manifest = manifest_path("dpn", folder)
    manifest.rename(outside)
    manifest.symlink_to(outside)
    assert _refused(model, folder) == "unsafe"
    manifest.unlink()
    os.mkfifo(manifest)
    assert _refused(model, folder) == "unsafe"


def test_what_anyone_may_write_is_unsafe(model, folder):
    path = folder / plan_file("dpn", DATA)
    path.chmod(0o666)
    assert _refused(model, folder) == "unsafe"
    path.chmod(0o644)
    folder.chmod(0o777)
    assert _refused(model, folder) == "unsafe"
    folder.chmod(0o755)
    assert load_plan(model, ORIN, folder).data == DATA


@pytest.mark.parametrize("umask", [0, 0o077])
def test_stored_files_are_for_all_to_read_and_ours_to_write(model, tmp_path, umask):
    folder = tmp_path / "of-any-umask"
    before = os.umask(umask)
    try:
        store(_manifest(model), DATA, folder)
    finally:
        os.umask(before)
    assert load_plan(model, ORIN, folder).data == DATA
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_bytes_are_on_the_disk_before_they_get_their_name(monkeypatch, model, tmp_path):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, r=real: (calls.append(n), r(*a))[1])
    store(_manifest(model), DATA, tmp_path / "new")
    assert calls == ["fsync", "replace", "fsync"] * 2  # the file, its name, the folder


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda v: v.pop("sha256"), "sha256: is missing"),
        (lambda v: v.update(colour="red"), "colour: is unknown"),
        (lambda v: v.update(schema=2), "schema: 2 is not 1"),
        (lambda v: v.update(file="../dpn.plan"), "file"),
        (lambda v: v.update(file="/etc/passwd"), "file"),
        (lambda v: v.update(size_bytes=1 << 40), "size_bytes"),
        (lambda v: v.update(size_bytes=0), "size_bytes"),
        (lambda v: v.update(precision="int8"), "precision"),
        (lambda v: v.update(profiles=[]), "profiles"),
        (lambda v: v["host"].update(compute_capability=[8]), "host.compute_capability"),
        (lambda v: v["host"].pop("gpu"), "host.gpu: is missing"),
        (lambda v: v.update(golden=[]), "golden"),
    ],
)
def test_bad_key_is_named_with_its_file(model, folder, change, names):
    path = manifest_path("dpn", folder)
    values = json.loads(path.read_text("utf-8"))
    change(values)
    path.write_text(json.dumps(values), "utf-8")
    assert _refused(model, folder) == "malformed"
    with pytest.raises(PlanRefused, match=names):
        load_plan(model, ORIN, folder)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70) | st.just([]),
    st.sampled_from(["name", "file", "sha256", "size_bytes", "onnx_sha256", "host", "profiles"]),
)
def test_any_value_anywhere_is_refused(tmp_path_factory, value, key):
    folder = tmp_path_factory.getbasetemp() / "fuzzed"
    folder.mkdir(exist_ok=True)
    model = Manifest.read(write_dpn(folder))
    store(_manifest(model), DATA, folder)
    path = manifest_path("dpn", folder)
    values = json.loads(path.read_text("utf-8"))
    values[key] = value
    path.write_text(json.dumps(values), "utf-8")
    with pytest.raises(PlanRefused):
        load_plan(model, ORIN, folder)


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
    store(_manifest(model), DATA, tmp_path / "template")
    for step in itertools.count(1):
        folder = tmp_path / f"killed-{step}"
        store(_manifest(model), DATA, folder)
        arguments = [step, folder, tmp_path / "dpn.json", manifest_path("dpn", folder)]
        done = subprocess.run(
            [sys.executable, "-c", KILLED, *map(str, arguments)],
            capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=stand_ins.ROOT,
        )  # fmt: skip
        assert done.returncode in (0, 9), done.stderr
        ends.append(load_plan(model, ORIN, folder).data)
        if done.returncode == 0:
            break
        store(_manifest(model), b"next", folder)  # the next build is not troubled, and tidies up
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
        store(_manifest(model), b"new", folder)
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
