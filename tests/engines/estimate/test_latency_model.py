"""The latency estimate: its counts against counts by hand, its roofline against arithmetic."""

import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.estimate.boards import BOARDS, NAMES, Board, chosen
from engines.estimate.latency_model import LABEL, Work, main, predict, work_of
from engines.manifest import NOMINAL_OPTICS, Input, Manifest, Output

SLOW = Board("slow", 100, 10, 1000, 10)


def _network(folder):
    """4 -> 8 channels by 3 x 3, depthwise 3 x 3, an addition of two pictures, a product."""

    def weights(name, *shape):
        return numpy_helper.from_array(np.zeros(shape, np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "a"], ["p"], pads=[1] * 4),
        helper.make_node("Conv", ["p", "b"], ["q"], pads=[1] * 4, group=8),
        helper.make_node("Add", ["p", "q"], ["r"]),
        helper.make_node("ReduceMean", ["r"], ["s"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["s", "c"], ["y"]),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["k", 4, 10, 20])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["k", 5])
    constants = [weights("a", 8, 4, 3, 3), weights("b", 8, 1, 3, 3), weights("c", 8, 5)]
    graph = helper.make_graph(nodes, "n", [given], [made], constants)
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    data = model.SerializeToString()
    (folder / "dpn.onnx").write_bytes(data)
    import hashlib

    return Manifest(
        "dpn", "dpn.onnx", hashlib.sha256(data).hexdigest(),
        (Input("x", ("k", 4, 10, 20)),), (Output("y", ("k", 5), "um"),), NOMINAL_OPTICS,
        folder=folder,
    )  # fmt: skip


@pytest.mark.parametrize("k", [1, 7])
def test_counts_by_hand(tmp_path, k):
    full, depthwise, added, mean, product = work_of(_network(tmp_path), k)
    assert full == Work(k * 2 * 200 * 8 * 4 * 9, 2 * (k * 200 * (4 + 8) + 8 * 4 * 9), True)
    assert depthwise == Work(k * 2 * 200 * 8 * 9, 2 * (k * 200 * (8 + 8) + 8 * 9), False)
    assert added == Work(k * 200 * 8, 2 * k * 200 * 8)
    assert mean == Work(k * 200 * 8, 2 * (k * 200 * 8 + k * 8))
    assert product == Work(k * 2 * 5 * 8, 2 * (k * 8 + 8 * 5 + k * 5), True)


def test_the_roofline_is_the_longer_of_the_two():
    # 10 tensor cores at 1 GHz: 5.12e12 operations a second; 15-45 % of that, 50-80 % of 10 GB/s
    assert Work(5.12e9, 0, True).ms(SLOW, best=True) == pytest.approx(1 / 0.45 + 0.002)
    assert Work(5.12e9, 0, True).ms(SLOW, best=False) == pytest.approx(1 / 0.15 + 0.006)
    assert Work(0.4e9, 0, False).ms(SLOW, best=True) == pytest.approx(1 / 0.45 + 0.002)
    assert Work(0, 10e6).ms(SLOW, best=True) == pytest.approx(1 / 0.8 + 0.002)
    assert Work(5.12e9, 10e6, True).ms(SLOW, best=False) == pytest.approx(1 / 0.15 + 0.006)
    assert Work(5.12e9, 0, True).ms(SLOW, True, 500) == pytest.approx(2 / 0.45 + 0.002)


def test_more_patches_take_longer_and_better_boards_less():
    fastest = [chosen(name)[0] for name in NAMES]
    nano, nano_super, nx, agx = ([predict(board, k) for k in (3, 9, 31)] for board in fastest)
    for board in (nano, nano_super, nx, agx):
        least = [each["total"][0] for each in board]
        assert least == sorted(least)
        for each in board:
            assert all(0 < low <= high for low, high in each.values())
            stages = [ms for stage, ms in each.items() if stage != "total"]
            assert each["total"][0] == pytest.approx(sum(low for low, _ in stages))
        assert board[2]["dpn"][1] > 3 * board[0]["dpn"][1]
    assert nano[1]["total"] > nano_super[1]["total"] > agx[1]["total"]
    slow = predict(fastest[3], 31, gpu_mhz=400)
    assert slow["dpn"][1] > agx[2]["dpn"][1]
    assert slow["copy"] == agx[2]["copy"]  # memory has its own clock


def test_every_table_says_that_it_is_an_estimate(tmp_path, capsys):
    words = ["--board", "Orin NX 16GB", "--power-mode", "15W", "--json", str(tmp_path / "p.json")]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Orin NX 16GB 15W, GPU at 612 MHz, 102.4 GB/s: {LABEL}"
    report = json.loads((tmp_path / "p.json").read_text())
    assert report["label"] == LABEL
    (row,) = report["boards"]
    assert (row["board"], row["mode"], row["gpu_mhz"]) == ("Orin NX 16GB", "15W", 612)
    assert set(row["ms"]) == {"3", "9", "31"}
    assert report["assumed"]["share_of_peak_arithmetic"] == [0.15, 0.45]
    for wrong in (["--gpu-mhz", "1"], ["--power-mode", "16W"], ["--models", str(tmp_path)]):
        assert main(wrong) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_all_boards_in_all_modes_stand_in_one_table(capsys):
    assert main([]) == 0
    head, columns, *rows = capsys.readouterr().out.splitlines()
    assert LABEL in head
    assert len(rows) == len(BOARDS)
    assert {row.split("  ")[0] for row in rows} == set(NAMES)
    assert "k = 31" in columns


def test_a_mode_with_fewer_clusters_or_a_lower_clock_is_slower():
    for name in NAMES:
        first, *others = chosen(name)
        for board in others:
            assert predict(board, 31)["dpn"][1] > predict(first, 31)["dpn"][1]
    agx_15w = chosen("AGX Orin 64GB", "15W")[0]
    assert (agx_15w.cuda_cores, agx_15w.tensor_cores) == (768, 24)
    with pytest.raises(ValueError, match="one of MAXN, 50W, 30W, 15W"):
        chosen("AGX Orin 64GB", "25W")
