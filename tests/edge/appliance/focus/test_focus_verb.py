"""`sparsefocus focus`: a picture's defocus with its sign, what is assumed of it, and files that are
none."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from edge.appliance import cli
from simulator.microscope import Microscope
from simulator.simulate_verb import NOMINAL


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """One dense field 6 um too high, one blank field, each 2016 x 2016."""
    folder = tmp_path_factory.mktemp("pictures")
    microscope = Microscope(5, (2016, 2016), dirt=0.0, tilt_um_per_mm=0.0)
    for name, sparsity in (("high", "dense"), ("blank", "blank")):
        truth = microscope.load_field("tissue", sparsity, 0)
        pixels = microscope.picture(truth.z_focus_um + 6.0)
        cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return folder


def test_focus_tells_defocus_with_its_sign(pictures, capsys):
    assert cli.main(["focus", str(pictures / "high.png"), "--json", "-"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["decision"] == "VERIFY"
    assert -9.0 < row["defocus_um"] < -3.0  # too high: lower the objective
    assert row["sparsity"] == "dense"
    assert row["k"] == len(row["patches"]) == 31
    assert set(row["patches"][0]) == {"row", "col", "importance", "defocus_um"}
    assert {"preprocess", "rin", "select", "dpn", "aggregate", "total"} <= set(row["latency_ms"])


def test_focus_tells_an_interval_as_wide_as_what_it_is_not_told(pictures, tmp_path, capsys):
    """Nobody writes down the iris: until it is calibrated, that is what an answer is sure of."""
    config, rows = tmp_path / "scanner.yaml", []
    for more in ("", "\n  reading_scale: 0.8\n  reading_scale_95: 0.02\n"):
        config.write_text(NOMINAL.read_text("utf-8") + more, "utf-8")
        words = ["focus", str(pictures / "high.png"), "--config", str(config)]
        assert cli.main([*words, "--json", str(tmp_path / "x.json")]) == 0
        line = capsys.readouterr().out.splitlines()[0]
        assert ("an iris that nobody told" in line) is not bool(more)
        rows += json.loads((tmp_path / "x.json").read_text())
    plain, calibrated = rows
    off_um = math.expm1(0.49) * abs(plain["defocus_um"])
    assert plain["interval_with_scale_um"] == pytest.approx(
        math.hypot(plain["interval_um"], off_um)
    )
    assert calibrated["defocus_um"] == pytest.approx(plain["defocus_um"] / 0.8)
    assert calibrated["interval_with_scale_um"] < plain["interval_with_scale_um"] / 2
    assert calibrated["scale"]["known"] is True


def test_focus_asks_for_the_users_offset_as_the_loop_does(pictures, tmp_path, capsys):
    config, messages = tmp_path / "scanner.yaml", []
    for offset in (0.0, 1.5):
        config.write_text(NOMINAL.read_text("utf-8") + f"\n  focus_offset_um: {offset}\n", "utf-8")
        words = ["focus", str(pictures / "high.png"), "--config", str(config), "--json", "-"]
        assert cli.main(words) == 0
        messages.append(json.loads(capsys.readouterr().out)[0]["defocus_um"])
    assert messages[1] - messages[0] == pytest.approx(1.5)


def test_focus_on_a_blank_field_holds(pictures, tmp_path):
    report = tmp_path / "focus.json"
    assert cli.main(["focus", str(pictures / "blank.png"), "--json", str(report), "--quiet"]) == 0
    (row,) = json.loads(report.read_text())
    assert (row["decision"], row["reason"], row["defocus_um"]) == ("HOLD", "blank", None)


def test_focus_says_what_it_assumes_and_how_many_pictures_there_are(pictures, tmp_path, capsys):
    picture = cv2.imread(str(pictures / "blank.png"))
    path = tmp_path / os.fsdecode(b"100 pages \xff\n.tif")
    assert cv2.imwritemulti(str(tmp_path / "x.tif"), [picture] * 3)
    (tmp_path / "x.tif").rename(path)
    assert cli.main(["focus", str(path), "--json", str(tmp_path / "x.json")]) == 0
    line, assumed = capsys.readouterr().out.splitlines()
    assert r"100 pages \udcff .tif (picture 1 of 3 in the file): no focus found" in line
    assert assumed.startswith("20x (assumed), NA 0.75 (assumed), 0.34 um per pixel")
    (row,) = json.loads((tmp_path / "x.json").read_text())
    assert (row["picture"], row["pictures"], row["um_per_px"]) == (1, 3, 0.34)


def test_focus_takes_the_depth_of_the_camera(pictures, tmp_path, capsys):
    """A 12-bit camera's values in 16 bits: the answer of the 8-bit picture, or a question."""
    high = cv2.imread(str(pictures / "high.png"))
    path = tmp_path / "12 bits.png"
    assert cv2.imwrite(str(path), high.astype(np.uint16) * 16)
    assert cli.main(["focus", str(path), str(pictures / "high.png"), "--json", "-"]) == 2
    out, err = capsys.readouterr()
    assert len(json.loads(out)) == 1
    assert "a camera of 12 to 14 bits; say which (--bits" in err
    asked = ["focus", str(path), str(pictures / "high.png"), "--json", "-", "--bits", "12"]
    assert cli.main(asked) == 0
    deep, plain = json.loads(capsys.readouterr().out)
    assert deep["defocus_um"] == plain["defocus_um"]


def bad_files(folder):
    small = folder / "small.png"
    cv2.imwrite(str(small), np.zeros((640, 200, 3), np.uint8))
    good = cv2.imencode(".jpg", np.zeros((2048, 2448, 3), np.uint8))[1].tobytes()
    (folder / "truncated.jpg").write_bytes(good[: len(good) // 2])
    (folder / "text.png").write_text("this is no image\n")
    return {
        "small.png": ": 224 to",
        "truncated.jpg": "cut short",
        "text.png": "",
        "missing.png": "",
    }


def test_bad_images_are_one_clear_line_and_exit_2(tmp_path, capsys):
    for name, hint in bad_files(tmp_path).items():
        assert cli.main(["focus", str(tmp_path / name)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert len(err.splitlines()) == 1, err
        assert name in err
        assert hint in err


def test_a_bad_file_does_not_lose_the_good_ones(pictures, tmp_path, capsys):
    missing = str(tmp_path / "missing.png")
    assert cli.main(["focus", missing, str(pictures / "high.png"), "--json", "-"]) == 2
    out, err = capsys.readouterr()
    assert [row["decision"] for row in json.loads(out)] == ["VERIFY"]
    assert len(err.splitlines()) == 1


def test_focus_needs_neither_torch_nor_simulator():
    code = (
        "import sys\n"
        "from edge.appliance import cli\n"
        "assert cli.main(['focus', 'nowhere.png']) == 2\n"
        "carried = {'torch', 'matplotlib', 'simulator', 'training', 'onnx'} & set(sys.modules)\n"
        "assert not carried, carried\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
