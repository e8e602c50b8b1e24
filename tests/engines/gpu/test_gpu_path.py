"""The whole frame on a GPU made of software equals the CPU's, waits where it must, leaks nothing.

Real pycuda calls a CUDA driver of our own (software_gpu/driver.cpp): work runs when it is waited
for, addresses are checked, kernels are the shipped sources. ONNX Runtime stands behind TensorRT's
execute_async_v3. Not proved here: TensorRT's numbers, real captures, and how long anything takes.
"""

import json
import re

import numpy as np
import pytest

from simulator.microscope import Microscope
from tests.support.software_gpu_build import SoftwareGpu
from tests.support.stand_ins import ROOT
from tests.support.tiny_models import write_dpn, write_rin

SHIPPED = ROOT / "engines" / "models"
#: what pycuda itself leaves on the driver's stack when it lets a primary context go
NOTHING = [0, 0, 1, 0, 0, 0, 0]
FIELDS = (
    ("cell", "ex-sparse", (4.0,)),
    ("tissue", "dense", (-9.0, 6.0)),
    ("cell", "sparse", (12.0,)),
    ("cell", "blank", (2.0,)),
)


@pytest.fixture(scope="module")
def gpu(tmp_path_factory):
    return SoftwareGpu(tmp_path_factory.mktemp("gpu"))


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    """Five frames of the simulated microscope: patches from none to 31."""
    microscope, pictures = Microscope(3, workers=1), {}
    for kind, sparsity, heights in FIELDS:
        truth = microscope.load_field(kind, sparsity, 1)
        for defocus_um in heights:
            picture = microscope.picture(truth.z_focus_um - defocus_um)
            pictures[f"RGB8 {kind} {sparsity} {defocus_um}"] = picture
    path = tmp_path_factory.mktemp("slides") / "frames.npz"
    np.savez(path, **pictures)
    return path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    write_rin(folder)
    write_dpn(folder, witnesses=True)
    return folder


def _field(rng, dark, height=2048, width=2448):
    """A picture in which `dark` cells count for the tiny RIN; each cell has its own colours."""
    cells = rng.integers(60, 250, (9, 9, 3))
    chosen = rng.permutation(81)[:dark]
    cells.reshape(81, 3)[chosen, 1] = rng.integers(0, 40, dark)
    picture = np.full((height, width, 3), 200, np.uint8)
    top, left = (height - 2016) // 2, (width - 2016) // 2
    picture[top : top + 2016, left : left + 2016] = cells.repeat(224, 0).repeat(224, 1)
    picture ^= rng.integers(0, 8, picture.shape, np.uint8)
    return picture


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """Frames of several formats and sizes; the number of patches rises and falls."""
    rng = np.random.default_rng(5)
    frames = {f"RGB8 {i}": _field(rng, dark) for i, dark in enumerate((2, 40, 12, 0, 3, 39))}
    frames["BGR8 smaller"] = _field(rng, 14, 2018, 2030)
    frames["BayerGR8 mosaic"] = np.ascontiguousarray(_field(rng, 42)[..., 1])
    frames["Mono8 grey"] = np.ascontiguousarray(_field(rng, 5, 2016, 2021)[..., 1])
    frames["RGB8 again"] = _field(rng, 14)
    path = tmp_path_factory.mktemp("painted") / "frames.npz"
    np.savez(path, **frames)
    return path


@pytest.fixture(scope="module")
def grey(tmp_path_factory):
    """Small frames of one format: quick, with 3, 12 and 31 patches."""
    rng = np.random.default_rng(6)
    frames = {
        f"Mono8 {dark}": np.ascontiguousarray(_field(rng, dark, 2016, 2016)[..., 1])
        for dark in (3, 40, 12, 0, 42)
    }
    path = tmp_path_factory.mktemp("grey") / "frames.npz"
    np.savez(path, **frames)
    return path


def _close(one, other, rtol=1e-4, atol=2e-3):
    if (one is None) or (other is None):
        return one is other
    one, other = np.array(one), np.array(other)
    return one.shape == other.shape and np.allclose(one, other, rtol, atol, equal_nan=True)


def _in_order_of(cpu, gpu):
    """The GPU's patches in the CPU's order, where only equally important ones have swapped: the
    ways sum in another order, and importances near 1 differ in their last bit."""
    if cpu["cells"] == gpu["cells"] or sorted(cpu["cells"]) != sorted(gpu["cells"]):
        return gpu
    order = [gpu["cells"].index(cell) for cell in cpu["cells"]]
    sorted_so = np.array(gpu["importance"])[order]
    if np.abs(sorted_so - np.array(gpu["importance"])).max() > 1e-6:
        return gpu
    keys = ("cells", "importance", "patches_um", "spread_um", "optics", "novelty")
    swapped = {key: [gpu[key][i] for i in order] for key in keys if gpu[key] is not None}
    return {**gpu, **swapped}


def _problems(result, um=0.02, half=False):
    """How the GPU's frames differ from the CPU's, which sums in another order (docs/speed.md)."""
    messages = []
    for way in result["gpu"]:
        for name, cpu, gpu in zip(result["names"], result["cpu"], way, strict=True):
            exact = ("k", "left_out", "sparsity", "reason", "photometry")
            order = sorted if half else list  # the same patches; nearly equal ones may swap
            gpu = gpu if half else _in_order_of(cpu, gpu)
            if order(cpu["cells"]) != order(gpu["cells"]):
                messages.append(f"{name}: cells")
            messages += [f"{name}: {key}" for key in exact if cpu[key] != gpu[key]]
            if not _close(cpu["importance"], gpu["importance"], 0, 0.02 if half else 1e-4):
                messages.append(f"{name}: importance")
            both = np.array([cpu["um"], gpu["um"]])
            if not (np.isnan(both).all() or abs(both[0] - both[1]) <= um):
                messages.append(f"{name}: {both} um")
            if not half:
                keys = ("patches_um", "spread_um", "optics", "novelty", "interval_um")
                messages += [f"{name}: {key}" for key in keys if not _close(cpu[key], gpu[key])]
    return messages


@pytest.mark.parametrize("scenario", ["copied", "mapped"])
def test_the_shipped_models_choose_and_measure_as_on_the_cpu(gpu, slides, scenario):
    result = gpu.run(scenario, SHIPPED, slides)
    assert [frame["k"] for frame in result["cpu"]] == [2, 31, 31, 10, 0]
    assert _problems(result) == []
    assert result["live"] == NOTHING


def test_the_papers_k_leaves_the_same_patches_out(gpu, tiny, grey):
    result = gpu.run("papers_k", tiny, grey)
    assert [frame["k"] for frame in result["cpu"]] == [3, 31, 9, 0, 31]
    assert [frame["left_out"] for frame in result["cpu"]] == [0, 0, 1, 0, 0]
    assert _problems(result) == []


def test_in_half_precision_within_a_tenth_of_a_micrometre(gpu, slides):
    result = gpu.run("half_precision", SHIPPED, slides)
    assert _problems(result, um=0.1, half=True) == []
    assert _problems(result) != []  # it was not the float32 network


def test_formats_sizes_and_graphs(gpu, tiny, painted):
    result = gpu.run("three_times", tiny, painted)
    assert [frame["k"] for frame in result["cpu"]] == [2, 31, 12, 0, 3, 31, 11, 31, 4, 13]
    assert _problems(result) == []
    assert result["graph_launches"] > 0
    assert result["live"] == NOTHING


def test_another_pixel_size_as_on_the_cpu(gpu, tiny, painted):
    """Frames of every kind and size of an objective with finer pixels: none holds 9 x 9 patches."""
    result = gpu.run("other_pixels", tiny, painted)
    assert max(frame["k"] for frame in result["cpu"]) > 3
    assert _problems(result) == []
    assert result["graph_launches"] > 0
    assert result["live"] == NOTHING


@pytest.mark.parametrize("refuse", [False, True])
def test_a_graph_does_what_plain_launches_do(gpu, tiny, grey, refuse):
    more = {"STAND_IN_NO_GRAPH": "1"} if refuse else {}
    result = gpu.run("graph_and_plain", tiny, grey, **more)
    assert result["equal"] == [True, True]
    assert result["different"] == 5
    assert result["modes"][1] == "plain: not asked for"
    if refuse:
        assert result["modes"][0] == "plain: cuStreamBeginCapture_v2: error 900"
        assert result["graph_launches"] == 0
    else:
        assert result["modes"][0] == "graph"
        assert result["graph_launches"] >= 6
    assert all(ms > 0 for ms in result["stages"].values())


def test_nothing_leaks_over_a_thousand_frames(gpu, tiny, grey):
    result = gpu.run("thousand", tiny, grey)
    early, late = result["after"]
    assert early[:3] == late[:3]
    assert late[0][0] > 10  # buffers, which are held
    assert late[3] - early[3] < 50  # Python's objects
    assert late[4] - early[4] < 8 << 10  # KiB of the process
    assert result["launched"] >= 4000
    assert result["end"] == [NOTHING, 0]


def test_engines_answer_their_golden_pictures(gpu, tiny, grey):
    result = gpu.run("golden", SHIPPED, grey)
    assert max(result["worst"].values()) < 1e-3
    assert result["live"] == NOTHING


def test_a_gpu_that_fails_is_an_error_each_time_and_can_be_closed(gpu, tiny, grey):
    result = gpu.run("broken", tiny, grey)
    assert result["good"] == 3
    assert len(result["said"]) == 2
    assert all("illegal memory access" in message for message in result["said"])
    assert result["live"][1] == 0  # the context


def test_selftest_on_this_gpu(gpu, slides):
    result = gpu.run("selftest", SHIPPED, slides)
    report = result["told"]
    names = [check["name"] for check in report["checks"]]
    assert result["status"] == 0, report["checks"]
    assert (report["backend"], report["ok"], len(names)) == ("gpu", True, 11)
    assert "kernels, BayerGB12p" in names
    assert "graph; equal" in report["checks"][-1]["detail"]
    assert report["facts"]["gpu"] == "Orin, sm_87, 8192 MiB"
    assert report["facts"]["tensorrt"] == "10.3.0"
    stages = report["latency_ms"]
    assert {"total, frame memory copy", "total, frame memory mapped"} < set(stages)
    assert all(0 < ms["p50"] <= ms["p99"] <= ms["max"] for ms in stages.values())
    assert all(name in result["page"] for name in names)
    assert result["live"] == NOTHING


@pytest.mark.parametrize(
    ("module", "old", "new", "failing"),
    [
        ("edge.measure.gpu_sensor", "width_px(frame), left, top)",
         "width_px(frame), left, top + 1)", "kernels, Mono8"),
        ("engines.gpu.tensorrt_engine", "pixels[:k], pixels[k:] = batch, batch[0]",
         "pixels[:k], pixels[k:] = batch[::-1], batch[0]", "golden pictures, dpn"),
        ("engines.gpu.frame", 'self._enqueue(name, slots), self._use_graphs',
         'self._enqueue(name, 3), self._use_graphs', "graph against plain launches"),
    ],
)  # fmt: skip
def test_selftest_fails_where_it_should(gpu, slides, module, old, new, failing):
    done = gpu.attempt("selftest", SHIPPED, slides, module, old, new)
    if done.returncode:  # what is broken did not even run
        assert "AssertionError" not in done.stderr, done.stderr
        return
    document = json.loads(done.stdout)
    assert document["status"] == 4
    assert failing in [check["name"] for check in document["told"]["checks"] if not check["ok"]]


def test_without_plans_auto_takes_the_cpu_and_says_so(gpu, tiny, tmp_path):
    result = gpu.run("ready", tiny, tmp_path / "nothing")
    assert result["before"] is False
    assert (
        "no plan of rin, dpn: running on the CPU; run `sparsefocus build-engines`" in result["said"]
    )
    assert result["after"] is True


@pytest.mark.parametrize(
    ("harm", "reason"), [("tampered", "SHA-256 is"), ("truncated", "of"), ("foreign", "built for")]
)
def test_a_plan_that_does_not_belong_here_never_reaches_tensorrt(gpu, tiny, tmp_path, harm, reason):
    result = gpu.run("harmed", tiny, tmp_path / "nothing", STAND_IN_HARM=harm)
    assert reason in result["said"]
    assert result["seen"] == 0
    assert result["live"] == [0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "method",
    [
        "deserialize_cuda_engine",
        "create_execution_context",
        "get_tensor_dtype",
        "set_optimization_profile_async",
        "set_input_shape",
        "get_tensor_shape",
        "set_tensor_address",
        "execute_async_v3",
    ],
)
def test_what_tensorrt_refuses_is_an_error_and_leaks_nothing(gpu, tiny, grey, method):
    result = gpu.run("refused", tiny, grey, STAND_IN_FAULT=method)
    assert result["said"].split(":")[0] in ("EngineRejected", "GpuFailed")
    assert ".onnx" in result["said"]
    assert result["live"] == NOTHING


#: one argument packed as if it were of another type
WRONG = 'for c_type, _ in self.parameters).replace("{}", "{}", 1)'
FRAME, CUDA, LAUNCH = "engines.gpu.frame", "engines.gpu.cuda", "engines.kernels.launch"


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        (FRAME, 'run("frame", self._slots)\n        self._cuda.synchronize()', 'run("frame", 9)'),
        (FRAME, 'run("patches", slots)\n            self._cuda.synchronize()',
         'run("patches", slots)'),
        (FRAME, "cuda.copy_in(self._device, self._pinned.array)", "pass"),
        (FRAME, "        cuda.copy_out(self._back.array, self._result)\n", ""),
        (FRAME, "if wanted > self._slots:", "if False:"),
        (FRAME, "slots=slots,", "slots=3,"),
        (FRAME, "dpn.enqueue(slots)", "dpn.enqueue(3)"),
        (FRAME, "patches=dpn.given", "patches=self._rin.given"),
        (FRAME, '"width": view.width', '"width": view.pixels.shape[0]'),
        (FRAME, '"pitch": view.pixels.strides[0]', '"pitch": view.width'),
        (FRAME, '"left": view.left', '"left": view.left + 1'),
        (FRAME, '"red": self._format.red', '"red": 0'),
        (FRAME, "dense=rule.dense", "dense=9"),
        (FRAME, "threshold=rule.threshold", "threshold=0.5"),
        (FRAME, 'optics=dpn.answers.get("optics")', 'optics=dpn.answers.get("novelty")'),
        (FRAME, "self._cuda.forget(list(self._work.values()))\n        self._work.clear()", "pass"),
        (CUDA, "memcpy_htod_async(to, source, self._stream)", "memcpy_htod_async(to, source)"),
        (CUDA, "memcpy_dtoh_async(to, source, self._stream)", "memcpy_dtoh_async(to, source)"),
        (CUDA, "            self._stream.synchronize()", "            pass"),
        (LAUNCH, '("int", "left"),\n    ("int", "top")', '("int", "top"),\n    ("int", "left")'),
        (LAUNCH, '("int", "width"),\n    ("int", "height")',
         '("int", "height"),\n    ("int", "width")'),
        (LAUNCH, "for c_type, _ in self.parameters)", WRONG.format("i", "q")),
        (LAUNCH, "for c_type, _ in self.parameters)", WRONG.format("f", "d")),
        (LAUNCH, "for c_type, _ in self.parameters)", WRONG.format("P", "i")),
    ],
)  # fmt: skip
def test_what_is_broken_is_seen(gpu, tiny, painted, module, old, new):
    done = gpu.attempt("twice", tiny, painted, module, old, new)
    if done.returncode == 0:
        assert _problems(json.loads(done.stdout)) != []
    elif done.returncode > 0:  # below 0: the memory fault that a GPU would report
        last = done.stderr.strip().splitlines()[-1]
        assert re.match(r".*(GpuFailed|EngineRejected|struct\.error): ", last), done.stderr
