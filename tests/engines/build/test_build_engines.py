"""build_engines.py as a person runs it, on a machine whose GPU is made of software.

TensorRT-RTX parses and compiles, ONNX Runtime runs the plan over a stand-in CUDA driver; see
software_device/tensorrt.py. The plan's own numbers on a GPU are not proved here.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

from engines.gpu.device import Gpu, find_gpu
from engines.gpu.plan import Host, load_plan, manifest_path
from engines.manifest import Manifest
from tests.support import stand_ins
from tests.support.patience import PATIENCE_S
from tests.support.tiny_models import write_dpn, write_rin

SCRIPT = stand_ins.ROOT / "build_engines.py"
DEVICE = stand_ins.HERE / "software_device"
MODELS = stand_ins.ROOT / "engines" / "models"


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """Folder with the stand-in libcuda.so.1."""
    folder = tmp_path_factory.mktemp("driver")
    source = stand_ins.HERE / "stand_in_cuda.c"
    stand_ins.compile_library(source, folder / "libcuda.so.1", "libcuda.so.1")
    return folder


def _build(driver, *arguments, release=stand_ins.RTX_11, tensorrt="11.4.0", **environment):
    rtx = stand_ins.fetched(f"rtx-{release}")
    values = {"STAND_IN_TENSORRT": tensorrt, **environment}
    return stand_ins.run([SCRIPT, *arguments], DEVICE, rtx, libraries=driver, **values)


def _one_line(done, status, *words):
    assert done.returncode == status, done.stderr + done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("build_engines.py: ")]
    assert len(lines) == 1
    assert done.stderr.splitlines()[-1] == lines[0]
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in lines[0]


@pytest.fixture(scope="module")
def built(driver, tmp_path_factory):
    """The shipped models built for an Orin with TensorRT 11.4; (folder, what was printed)."""
    out = tmp_path_factory.mktemp("built") / "plans"
    done = _build(driver, "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done


@pytest.fixture
def tiny(tmp_path):
    """Networks of a few nodes: their plans compile in no time."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    write_rin(folder)
    write_dpn(folder)
    return folder


def test_shipped_models_are_built_tried_and_stored(built):
    out, done = built
    assert "LEAKED" not in done.stdout
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["rin", "dpn"]
    for name, limit in (("rin", {"importance": 0.02}), ("dpn", {"defocus_um": 0.1})):
        model = Manifest.read(MODELS / f"{name}.json")
        plan = load_plan(model, Host("11.4.0", "Orin", (8, 7)), out)
        manifest = plan.manifest
        assert manifest.precision == "fp16-typed"
        assert manifest.golden["limits"] == limit
        (key,) = limit
        # an FP16 network differs a little, and less than the limit
        assert 0 < manifest.golden["worst"][key] < limit[key]
        assert len(manifest.golden["answers"][key]) == (31 if name == "dpn" else 81)
        assert manifest.build["network_layers"][0] > 100
        assert manifest.build["plan_layers"] == [1, 2]
        assert manifest.build["workspace_mib"] == 1024
    assert f"{name} 100 %  done" in done.stderr
    assert len(list(out.glob("*.plan"))) == 2
    assert not list(out.glob("*.part"))
    assert len(list(out.glob("timing-*.cache"))) == 1


def test_what_is_up_to_date_is_not_built_again(built, driver):
    out, _ = built
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.plan*")}
    done = _build(driver, "--out", out)
    assert done.stdout.splitlines() == ["rin: up to date", "dpn: up to date"]
    done = _build(driver, "--out", out, "--dry-run")
    assert done.stdout.count("up to date: would not be built") == 2
    assert "GPU:      Orin, sm_87" in done.stdout
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.plan*")} == before


def test_another_gpu_or_tensorrt_is_built_for(built, driver, tiny, tmp_path):
    out = tmp_path / "plans"
    shutil.copytree(built[0], out)
    done = _build(driver, "--out", out, "--dry-run", STAND_IN_GPU="Thor/11/0/1")
    assert done.stdout.count("would be built: foreign") == 2
    done = _build(driver, "--out", out, "--dry-run", "--models", tiny)
    assert done.stdout.count("would be built: stale") == 2
    done = _build(driver, "--out", out, "--models", tiny, STAND_IN_GPU="Thor/11/0/1")
    assert done.returncode == 0, done.stderr
    plan = load_plan(Manifest.read(tiny / "dpn.json"), Host("11.4.0", "Thor", (11, 0)), out)
    assert plan.manifest.host.gpu == "Thor"
    assert len(list(out.glob("*.plan"))) == 2  # the old ones are gone


def test_flag_policy_below_10_12(driver, tiny, tmp_path):
    out = tmp_path / "plans"
    arguments = ("--out", out, "--models", tiny)
    old = {"release": stand_ins.RTX_10, "tensorrt": "10.3.0"}
    assert _build(driver, *arguments, **old).returncode == 0
    model, host = Manifest.read(tiny / "dpn.json"), Host("10.3.0", "Orin", (8, 7))
    manifest = load_plan(model, host, out).manifest
    assert manifest.precision == "fp16-flag"
    assert manifest.build["network_layers"][0] == 0
    # a person may ask for the other way
    assert "rin: up to date" not in _build(driver, *arguments, "--fp16", "typed", **old).stdout
    assert load_plan(model, host, out).manifest.precision == "fp16-typed"
    _one_line(_build(driver, *arguments, "--fp16", "flag"), 4, "has no FP16 flag")


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("oom", 4, ("rin.onnx: out of memory", "--workspace-mib")),
        ("unreadable", 4, ("cannot read its own plan back", "Serialization")),
        ("defocus", 3, ("defocus_um differs from the CPU by 0.15 um", "0.1 is the limit")),
        ("nan", 3, ("spread_um", "nan")),
        ("shape", 3, ("has shape",)),
    ],
)
def test_what_goes_wrong_leaves_no_plan(driver, tiny, tmp_path, fault, status, words):
    out = tmp_path / "plans"
    done = _build(driver, "--out", out, "--models", tiny, STAND_IN_FAULT=fault)
    _one_line(done, status, *words)
    assert "LEAKED" not in done.stdout
    assert not manifest_path("dpn", out).exists()
    assert not list(out.glob("dpn-*.plan"))


@pytest.mark.parametrize(
    ("gpu", "words"),
    [
        ("Nano/5/3/1", ("Nano has compute capability 5.3", "needs 7.5")),
        ("none/8/7/0", ("finds no GPU",)),
    ],
)
def test_wrong_gpu(driver, tiny, tmp_path, gpu, words):
    done = _build(driver, "--out", tmp_path, "--models", tiny, STAND_IN_GPU=gpu)
    _one_line(done, 4, *words)


def test_memory_limit_above_the_gpus_memory(driver, tiny, tmp_path):
    done = _build(driver, "--out", tmp_path, "--models", tiny, "--workspace-mib", "9000")
    _one_line(done, 4, "Orin has 8192 MiB", "--workspace-mib")


def test_no_driver(tiny, tmp_path):
    rtx = stand_ins.fetched(f"rtx-{stand_ins.RTX_11}")
    (tmp_path / "tensorrt.py").write_text("from tensorrt_rtx_bindings import *\n__version__='11'")
    done = stand_ins.run([SCRIPT, "--out", tmp_path / "p", "--models", tiny], tmp_path, rtx)
    _one_line(done, 4, "no NVIDIA driver (libcuda.so.1)")


def _plain(*arguments, **environment):
    return stand_ins.run([SCRIPT, *arguments], **environment)


def test_no_tensorrt(tmp_path):
    done = _plain("--out", tmp_path)
    _one_line(done, 4, "TensorRT is not here", "JetPack", "--system-site-packages")
    (tmp_path / "tensorrt.py").write_text("raise OSError('libnvinfer.so.10: cannot open')")
    done = stand_ins.run([SCRIPT, "--out", tmp_path], tmp_path)
    _one_line(done, 4, "TensorRT is not here", "libnvinfer.so.10")


def test_dry_run_needs_nothing(tmp_path):
    done = _plain("--dry-run", "--out", tmp_path / "plans")
    assert done.returncode == 0, done.stderr
    assert "TensorRT: not on this machine" in done.stdout
    assert "profiles k = 3, 9, 31" in done.stdout
    assert "memory limit 1024 MiB" in done.stdout
    assert Manifest.read(MODELS / "dpn.json").sha256[:12] in done.stdout
    assert not (tmp_path / "plans").exists()


def test_a_bad_model_is_known_before_anything_is_built(tiny, tmp_path):
    (tiny / "dpn.onnx").write_bytes(b"changed")
    for extra in ((), ("--dry-run",)):
        done = _plain("--models", tiny, "--out", tmp_path / "plans", *extra)
        _one_line(done, 2, "dpn.onnx: SHA-256 is")
    done = _plain("--models", tmp_path / "nowhere")
    _one_line(done, 2, "rin.json: cannot be read")
    shutil.copy(tiny / "rin.json", tiny / "dpn.json")
    _one_line(_plain("--models", tiny, "--dry-run"), 2, "dpn.json: describes rin")
    assert not (tmp_path / "plans").exists()


@pytest.mark.parametrize(
    "wrong",
    [("--workspace-mib", "15"), ("--workspace-mib", "1e3"), ("--only", "yolo"), ("--fp16", "int8")],
)
def test_wrong_use(wrong):
    done = _plain(*wrong)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_folder_that_cannot_be_written(driver, tiny, tmp_path):
    (tmp_path / "file").write_text("in the way")
    _one_line(_build(driver, "--models", tiny, "--out", tmp_path / "file"), 4, "File exists")


def test_two_builders_do_not_mix(driver, tiny, tmp_path):
    import fcntl

    handle = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        done = _build(driver, "--models", tiny, "--out", tmp_path)
    finally:
        os.close(handle)
    _one_line(done, 4, "another build is running")


def test_gpu_is_read_from_the_driver(driver):
    code = (
        "from engines.gpu.device import find_gpu; g = find_gpu()\n"
        "print(g.name, g.compute_capability, g.memory_bytes, g.architecture)"
    )
    done = stand_ins.run(["-c", code], stand_ins.ROOT, libraries=driver, STAND_IN_GPU="A B/11/0/1")
    assert done.stdout == f"A B (11, 0) {8 << 30} sm_110\n"
    assert Gpu("x", (8, 7), 0).architecture == "sm_87"
    assert find_gpu(str(driver / "libcuda.so.1")).name == "Orin"


def test_forgetting_to_wait_for_the_gpu_is_noticed(driver, tiny, tmp_path):
    """The stand-in works only when it is waited for: without the wait every answer is stale."""
    source = (stand_ins.ROOT / "engines" / "build" / "trial.py").read_text("utf-8")
    wait = 'ask(self._driver, "cuStreamSynchronize", self._stream)'
    assert source.count(wait) == 1
    shutil.copytree(stand_ins.ROOT / "engines", tmp_path / "engines")
    (tmp_path / "engines" / "build" / "trial.py").write_text(source.replace(wait, "pass"), "utf-8")
    shutil.copy(SCRIPT, tmp_path)
    rtx = stand_ins.fetched(f"rtx-{stand_ins.RTX_11}")
    done = stand_ins.run(
        [tmp_path / "build_engines.py", "--models", tiny, "--out", tmp_path / "plans"],
        tmp_path, DEVICE, rtx, libraries=driver,
    )  # fmt: skip
    _one_line(done, 3, "importance differs from the CPU by nan")


def test_manifest_is_readable_json(built):
    values = json.loads(manifest_path("rin", built[0]).read_text("utf-8"))
    assert list(values)[:4] == ["schema", "name", "file", "sha256"]
    assert values["host"] == {"tensorrt": "11.4.0", "gpu": "Orin", "compute_capability": [8, 7]}


def test_help_says_what_is_not_offered():
    command = [sys.executable, str(SCRIPT), "--help"]
    text = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    ).stdout
    assert "INT8 is not offered" in text
