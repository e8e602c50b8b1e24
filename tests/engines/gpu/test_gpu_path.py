"""The whole frame on a GPU made of software equals the CPU's, waits where it must, leaks nothing.

Real pycuda calls a CUDA driver of our own (software_gpu/driver.cpp): work runs when it is waited
for, addresses are checked, kernels are the shipped sources. ONNX Runtime stands behind TensorRT's
execute_async_v3. Not proved here: TensorRT's numbers, real captures, and how long anything takes.
"""

import json

import pytest

from tests.support.gpu_answers import NOTHING, SHIPPED, problems_of


@pytest.mark.parametrize("scenario", ["copied", "mapped"])
def test_the_shipped_models_choose_and_measure_as_on_the_cpu(gpu, slides, scenario):
    result = gpu.run(scenario, SHIPPED, slides)
    assert [frame["k"] for frame in result["cpu"]] == [2, 31, 31, 10, 0]
    assert problems_of(result) == []
    assert result["live"] == NOTHING


def test_the_papers_k_leaves_the_same_patches_out(gpu, tiny, grey):
    result = gpu.run("papers_k", tiny, grey)
    assert [frame["k"] for frame in result["cpu"]] == [3, 31, 9, 0, 31]
    assert [frame["left_out"] for frame in result["cpu"]] == [0, 0, 1, 0, 0]
    assert problems_of(result) == []


def test_in_half_precision_within_a_tenth_of_a_micrometre(gpu, slides):
    result = gpu.run("half_precision", SHIPPED, slides)
    assert problems_of(result, um=0.1, half=True) == []
    assert problems_of(result) != []  # it was not the float32 network


def test_formats_sizes_and_graphs(gpu, tiny, painted):
    result = gpu.run("three_times", tiny, painted)
    assert [frame["k"] for frame in result["cpu"]] == [2, 31, 12, 0, 3, 31, 11, 31, 4, 13]
    assert problems_of(result) == []
    assert result["graph_launches"] > 0
    assert result["live"] == NOTHING


def test_another_pixel_size_as_on_the_cpu(gpu, tiny, painted):
    """Frames of every kind and size of an objective with finer pixels: none holds 9 x 9 patches."""
    result = gpu.run("other_pixels", tiny, painted)
    assert max(frame["k"] for frame in result["cpu"]) > 3
    assert problems_of(result) == []
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


def test_selftest_on_this_gpu(gpu, slides):
    result = gpu.run("selftest", SHIPPED, slides)
    report = result["report"]
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
    assert failing in [check["name"] for check in document["report"]["checks"] if not check["ok"]]
