"""The bench counts, compares and climbs as it says; how fast anything is, is not tested here."""

import importlib.util
import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.utils.flop_counter import FlopCounterMode

from edge.appliance import cli
from edge.appliance.config.config_file import read_config
from simulator.bench import climb, contenders, floors, frames, latency, verb
from simulator.bench.frames import Pictures
from simulator.bench.picture import draw
from simulator.simulate_verb import NOMINAL
from training.nets import build

PERIOD_MS = 28.6


def _noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (2048, 2448, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def picture():
    return _noise(1)


def _laps(total):
    ms = {
        "preprocess": 1.0,
        "rin": 2.0,
        "select": 0.5,
        "dpn": 3.0,
        "plain_look": 0.0,
        "aggregate": 0.5,
        "plan": 0.25,
    }
    return {**ms, "move": 0.75, "total": total}


def _record(total_ms=8.0, pytorch_ms=70.0, ours_um=0.2):
    run = latency.Run()
    for k in (3, 9, 31):
        for _ in range(4):
            run.add_ours(k, _laps(total_ms), moved=True)
            run.others[k]["onnx"].append(14.0)
            run.others[k]["pytorch"].append(pytorch_ms)
    row = {"images": 2, "images_most": 3, "seconds": 0.2, "worst_error_um": 0.4}
    record = {
        "machine": {"load_average": [0.1, 0.1, 0.1], "cores": 2},
        "latency": run.record(),
        "floors": {
            "memory_read_ms": 0.5,
            "copy_crop_ms": 0.9,
            "peak_gflops": 200.0,
            "gflop": {"rin": 0.1, "dpn": 0.06},
        },
        "hill_climbing": {
            "ours": {**row, "mean_error_um": ours_um},
            "hill climbing": {**row, "images": 12, "mean_error_um": 0.4},
        },
    }
    record["targets"] = verb._targets(record, PERIOD_MS)
    return record


@pytest.mark.parametrize("focus_um", [103.0, 118.4, 140.0, 96.2, 61.7])
def test_the_climb_ends_on_top(focus_um):
    asked = []

    def sharpness(z_um):
        asked.append(z_um)
        return 1 / (1 + ((z_um - focus_um) / 4) ** 2)

    best = climb.climb(sharpness, 100.0)
    assert abs(best - focus_um) <= climb.FINE_UM
    assert len(asked) == len(set(asked))  # no picture is taken twice
    assert len(asked) <= 4 + abs(focus_um - 100) / climb.COARSE_UM + 7


def test_a_climb_without_a_hill_ends():
    asked = []
    climb.climb(lambda z_um: asked.append(z_um) or float(len(asked)), 0.0)
    assert len(asked) == 2 + climb.MOST_COARSE


def test_the_climbers_tenengrad_is_the_measure_that_defines_focus():
    ramp = np.zeros((40, 64, 3), np.uint8)
    ramp[..., 1] = 2 * np.arange(64)
    inside = climb.tenengrad(np.ascontiguousarray(ramp))
    # a luminance of 2 x 0.7152 a pixel, and 0 in the two columns that are mirrored
    assert inside == pytest.approx((2 * 0.7152) ** 2 * 62 / 64, rel=1e-5)
    assert climb.tenengrad(ramp // 2) < inside
    ramp[..., 1] = 7
    ramp[..., 0] = np.arange(64)
    assert climb.tenengrad(ramp) > 0.0  # red tells, too: it is luminance, not green


def test_operations_are_counted_from_the_shapes(tmp_path):
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.random((8, 3, 3, 3), np.float32),
        "d": rng.random((8, 1, 5, 5), np.float32),
        "m": rng.random((6, 7), np.float32),
    }
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
            node("Conv", ["f", "w"], ["a"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
            node("Conv", ["a", "d"], ["b"], kernel_shape=[5, 5], group=8),
            node("MatMul", ["b", "m"], ["y"]),
        ],
        "counted",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 3, 20, 20])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "counted.onnx")
    products = 8 * 10 * 10 * 27 + 8 * 6 * 6 * 25 + 8 * 6 * 7 * 6
    got = floors.gflop(tmp_path / "counted.onnx", (1, 3, 20, 20))
    assert got == pytest.approx(2 * products / 1e9)


def test_floors_are_numbers_of_this_machine():
    floor = floors.measure([_noise(seed) for seed in range(2)], repeats=2)
    assert floor["memory_read_ms"] > 0
    assert floor["copy_crop_ms"] > 0
    assert floor["peak_gflops"] > 1
    for kind, shape in (("rin", (1, 512, 512, 3)), ("dpn", (1, 224, 224, 3))):
        with FlopCounterMode(display=False) as counted:
            build(kind).eval()(torch.zeros(shape, dtype=torch.uint8))
        assert floor["gflop"][kind] == pytest.approx(counted.get_total_flops() / 1e9, rel=0.01)


def test_quantiles_and_ratios():
    assert latency.spread([3.0, 1.0, 2.0]) == {
        "least": 1.0, "p50": 2.0, "p99": 2.98, "max": 3.0, "count": 3,
    }  # fmt: skip
    run = latency.Run()
    run.add_ours(9, _laps(8.0), moved=True)
    for _ in range(2):
        run.add_ours(9, {**_laps(100.0), "move": 90.0}, moved=False)
    run.others[9]["onnx"] += [13.0, 14.0, 15.0]
    document = run.record()
    ours = document["ours"]["9"]
    assert ours["to estimate"]["p50"] == 7.0
    assert document["ratios"] == {"onnx": {"9": 2.0}}
    assert document["ratios_of_least"] == {"onnx": {"9": 1.86}}
    assert (ours["total"]["count"], ours["total"]["max"]) == (1, 8.0)  # a hold sends nothing
    assert ours["outside share"]["p50"] == pytest.approx(3.0 / 8.0)
    assert document["frames_without_a_move"] == {"9": 2}


def test_goals_are_met_or_missed():
    goals = _record()["targets"]
    missed = {name for name, goal in goals.items() if not goal["met"]}
    assert missed == {"k = 9: outside the networks"}  # 3 of 8 ms
    slow = _record(total_ms=29.0, pytorch_ms=34.0, ours_um=0.5)["targets"]
    assert {name for name, goal in slow.items() if goal["met"]} == {
        "images for a field", "k = 9: outside the networks"
    }  # fmt: skip


def test_table_and_picture_say_the_same():
    record = _record(total_ms=30.5)
    text, picture = verb.table(record), draw(record, PERIOD_MS)
    assert "MISSED k = 3: p99, ms: 30.5 (<= 28.6)" in text
    assert "10.0 x" in text
    words = "".join(ElementTree.fromstring(picture).itertext())
    assert "k = 31, total" not in words  # the total is a dot, not a stage
    assert "k = 31: p99 30.50 ms" in words
    assert "k = 9, PyTorch, plain: p50 70.00, p99 70.00 ms" in words
    assert "12 images (most 3)" in words


@pytest.mark.parametrize("k", [1, 9])
def test_both_plain_pipelines_answer_alike(picture, k):
    pipelines, missing = contenders.others()
    assert not missing
    assert pipelines["pytorch"].trained
    assert pipelines["pytorch"](picture, k) == pytest.approx(
        pipelines["onnx"](picture, k), abs=0.02
    )


def test_without_torch_it_says_so(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    pipelines, missing = contenders.others()
    assert list(pipelines) == ["onnx"]
    assert "sparsefocus-edge[train]" in missing["pytorch"]


def test_the_loop_is_the_whole_one_at_the_k_asked_for(picture):
    with contenders.Ours(read_config(NOMINAL)) as loop:
        for k in (3, 31):
            outcome = loop(picture, k)
            assert outcome.measurement.ranked.k == k
            assert set(latency.TO_ESTIMATE) <= set(outcome.latency_ms)


def test_a_lost_session_is_built_anew_and_counted(picture):
    with contenders.Ours(read_config(NOMINAL)) as loop:
        loop._rig.stage.close()
        assert loop(picture, 3).measurement.ranked.k == 3
        assert loop.interruptions == 1


def test_the_verb_writes_what_it_measured(tmp_path, monkeypatch, picture, capsys):
    monkeypatch.setattr(
        frames, "render", lambda seed: Pictures(dict.fromkeys((3, 9, 31), (picture,)))
    )
    where = [str(tmp_path / "bench.json"), str(tmp_path / "bench.svg")]
    words = [
        "bench",
        "--frames",
        "3",
        "--every",
        "2",
        "--fields",
        "0",
        "--json",
        where[0],
        "--picture",
        where[1],
    ]
    assert cli.main(words) == 0
    record = json.loads((tmp_path / "bench.json").read_text())
    assert set(record["latency"]["others"]) == {"onnx", "pytorch"}
    assert record["latency"]["ours"]["31"]["dpn"]["count"] == 3
    assert record["latency"]["others"]["onnx"]["3"]["count"] == 2
    assert record["machine"]["cores"] >= 1
    assert 0 < record["near_the_floor"]["dpn, k = 9"]["share"] < 2
    assert "hill_climbing" not in record
    ElementTree.parse(where[1])
    assert "floors: frame read" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong", [["--frames", "0"], ["--every", "0"], ["--json", "no/such/folder/x.json"]]
)
def test_wrong_use_is_told_before_anything_is_measured(wrong, capsys):
    assert cli.main(["bench", *wrong]) == 2
    assert "sparsefocus: " in capsys.readouterr().err


def test_another_objective_is_timed_on_the_same_pictures(monkeypatch, tmp_path, capsys):
    """By the options of `focus`; hill climbing would look through the simulator's own."""
    asked = []
    monkeypatch.setattr(verb, "measure", lambda config, _: asked.append(config.objective) or {})
    monkeypatch.setattr(verb, "table", lambda record: "")
    assert cli.main(["bench", "--magnification", "40"]) == 2
    assert "--fields 0" in capsys.readouterr().err
    assert cli.main(["bench", "--fields", "0", "--magnification", "40"]) == 0
    assert cli.main(["bench", "--fields", "0", "--na", "0.3", "--magnification", "10"]) == 0
    assert cli.main(["bench"]) == 0
    told = [(o.na, o.magnification, o.um_per_px) for o in asked]
    assert told == [(0.75, 40, 0.17), (0.3, 10, 0.68), (0.75, 20, 0.34)]


def test_predict_measures_nothing_and_says_that_it_is_an_estimate(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(verb, "measure", lambda *_: pytest.fail("measured"))
    path = tmp_path / "p.json"
    assert cli.main(["bench", "--predict", "--json", str(path)]) == 0
    output = capsys.readouterr().out
    assert "not measured" in output.splitlines()[0]
    assert "Orin NX 16GB" in output
    assert json.loads(path.read_text())["label"] == "estimate from counted work, not measured"
    assert cli.main(["bench", "--predict", "--power-mode", "3W"]) == 2
    assert "power mode '3W' must be one of" in capsys.readouterr().err
    assert cli.main(["bench", "--board", "Orin NX 16GB"]) == 2
    assert "--board belongs to --predict" in capsys.readouterr().err
