"""What does not belong here is refused before TensorRT could see it; a kill harms nothing."""

import dataclasses
import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.build.plan_files import plan_file, store
from engines.gpu.plan import (
    PLANS,
    Host,
    PlanRefused,
    load_plan,
    manifest_path,
)
from engines.manifest import Manifest
from engines.own_cache import state_folder
from tests.support import stand_ins
from tests.support.made_plans import DATA, ORIN, plan_manifest, refused_plan
from tests.support.tiny_models import write_dpn, write_rin


def test_round_trip(model, folder):
    plan = load_plan(model, ORIN, folder)
    assert plan.data == DATA
    assert plan.manifest.file == plan_file("dpn", DATA)
    assert plan.manifest == dataclasses.replace(
        plan_manifest(model),
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
        assert refused_plan(model, folder) == "tampered"


@pytest.mark.parametrize("size", [0, 1, len(DATA) - 1])
def test_truncated(model, folder, size):
    (folder / plan_file("dpn", DATA)).write_bytes(DATA[:size])
    assert refused_plan(model, folder) == "truncated"


def test_something_appended_is_tampering(model, folder):
    (folder / plan_file("dpn", DATA)).write_bytes(DATA + b"\0")
    assert refused_plan(model, folder) == "tampered"


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
    assert refused_plan(model, folder, host) == "foreign"


def test_plan_of_the_other_network_is_foreign(tmp_path, model, folder):
    rin = Manifest.read(write_rin(tmp_path))
    manifest_path("dpn", folder).rename(manifest_path("rin", folder))
    assert refused_plan(rin, folder) == "foreign"


def test_stale(tmp_path, model, folder):
    other = tmp_path / "other"
    other.mkdir()
    assert refused_plan(Manifest.read(write_dpn(other, poison=True)), folder) == "stale"


@pytest.mark.parametrize(
    "changes",
    [{"profiles": (3, 9)}, {"outputs": ("spread_um", "defocus_um")}, {"inputs": ("image",)}],
)
def test_other_profiles_or_tensors_are_stale(model, folder, changes):
    store(plan_manifest(model, **changes), DATA, folder)
    assert refused_plan(model, folder) == "stale"


def test_missing(model, folder):
    (folder / plan_file("dpn", DATA)).unlink()
    assert refused_plan(model, folder) == "missing"
    manifest_path("dpn", folder).unlink()
    assert refused_plan(model, folder) == "missing"
    assert refused_plan(model, folder / "nowhere") == "missing"


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
    assert refused_plan(model, folder) == "malformed"
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
    store(plan_manifest(model), DATA, folder)
    path = manifest_path("dpn", folder)
    values = json.loads(path.read_text("utf-8"))
    values[key] = value
    path.write_text(json.dumps(values), "utf-8")
    with pytest.raises(PlanRefused):
        load_plan(model, ORIN, folder)
