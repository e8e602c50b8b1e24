"""`sparsefocus capture`: stacks of fields far apart, labelled by their own pictures."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.appliance import cli
from edge.appliance.capture import run_capture, stacks, verb
from edge.images.zstack import read_manifest, read_pixels
from edge.images.zstack import stacks as by_stack
from edge.measure.aggregate import NoFocus
from edge.measure.importance import Sparsity
from edge.wsi.regions import Mask
from simulator import scan_simulated
from tests.support.scan_bed import PlainSlide, TableNets, bed


@dataclass
class Texture(PlainSlide):
    """Grains that blur with the distance from focus; the stretch at y > 0 is bare."""

    shape: tuple[int, int] = (448, 448)  # of a patch or four
    radius_um: float = 1e6
    _noise: dict = field(default_factory=dict)

    def picture(self, x_um, y_um, z_um, seconds):
        if self.focus_um(x_um, y_um, seconds) is None:
            return np.full((*self.shape, 3), 220, np.uint8)
        seed = [int(abs(v) * 10) for v in (x_um, y_um)]
        rng = np.random.default_rng(seed)
        grains = rng.normal(150.0, 40.0, self.shape).astype(np.float32)
        sd = 0.4 + 0.5 * abs(z_um - self.surface_um(x_um, y_um))
        plane = cv2.GaussianBlur(grains, (0, 0), sd) + rng.normal(0.0, 1.0, self.shape)
        return np.repeat(np.clip(plane, 0, 255).astype(np.uint8)[..., None], 3, axis=2)

    def focus_um(self, x_um, y_um, seconds):
        return None if y_um > 300.0 else self.surface_um(x_um, y_um)

    def regions(self):
        return [Mask(np.ones((1, 1), np.bool_), 700.0, -350.0, -350.0)]


class Classes(TableNets):
    """Sparse to the left; nothing that moves Z is ever asked."""

    def measure(self, frame, lap):
        measurement = super().measure(frame, lap)
        if isinstance(measurement.estimate, NoFocus):
            return measurement
        x_um = self.exposures[-1][0]
        ranked = measurement.ranked
        sparsity = Sparsity.SPARSE if x_um < -200 else Sparsity.DENSE
        return type(measurement)(
            type(ranked)(ranked.scores, sparsity, ranked.k, ranked.cells, ranked.importance),
            measurement.patches,
            measurement.estimate,
        )


@pytest.fixture(autouse=True)
def scanners(monkeypatch: pytest.MonkeyPatch) -> list:
    opened: list = []

    def open_simulated(options, regions):
        slide = Texture()
        opened.append(bed(slide, Classes(slide), regions=regions, start_um=1.0))
        return opened[-1]

    monkeypatch.setattr(scan_simulated, "open_simulated", open_simulated)
    return opened


def capture(tmp_path: Path, *more: str) -> int:
    words = ["capture", "--simulate", "--out", str(tmp_path / "out"), "--fields", "4"]
    words += ["--planes", "9", "--step", "1.4", "--json", str(tmp_path / "x.json")]
    return cli.main([*words, *more])


def test_stacks_that_others_read_labelled_where_they_are_sharpest(
    scanners, tmp_path: Path, capsys
) -> None:
    assert capture(tmp_path) == 0
    exposures = read_manifest(tmp_path / "out" / "manifest.csv")
    fields = by_stack(exposures)
    assert len(fields) == 4
    slide = scanners[0].slide
    for planes in fields.values():
        assert len(planes) == 9
        place = [float(planes[0].extra[name]) for name in ("field_x_um", "field_y_um")]
        assert planes[0].focus_z_um == pytest.approx(slide.surface_um(*place), abs=0.25)
        assert read_pixels(planes[0]).shape == (448, 448, 3)
        away = [plane.defocus_um for plane in planes]
        assert min(away) < -3.0
        assert max(away) > 3.0  # centred by the labels around it
    record = json.loads((tmp_path / "x.json").read_text())
    assert record["stacks"] == record["labelled"] == 4
    assert record["classes"] == {"dense": 2, "sparse": 2}
    assert record["left_out"].keys() <= {"blank"}
    assert "sparsefocus calibrate --zstacks" in capsys.readouterr().out


def test_no_network_moves_z(scanners, tmp_path: Path, monkeypatch) -> None:
    """The instrument may be one of which they know nothing: wrong readings change no plane."""
    assert capture(tmp_path) == 0
    rows = (tmp_path / "out" / "manifest.csv").read_text()
    monkeypatch.setattr(TableNets, "sd_um", 20.0)
    other = tmp_path / "other"
    other.mkdir()
    assert capture(other) == 0
    assert (other / "out" / "manifest.csv").read_text() == rows


class Killed(BaseException):
    """The process is gone."""


def test_what_ended_anywhere_is_gone_on_with(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "whole").mkdir()
    assert capture(tmp_path / "whole") == 0
    whole = (tmp_path / "whole" / "out" / "manifest.csv").read_text()
    count = [0]
    for name in ("keep_plane", "finish"):
        real = getattr(stacks.StackFolder, name)

        def maybe(self, *given, real=real):
            count[0] += 1
            if count[0] % 17 == 0:
                raise Killed
            return real(self, *given)

        monkeypatch.setattr(stacks.StackFolder, name, maybe)
    for _ in range(50):
        try:
            assert capture(tmp_path) == 0
            break
        except Killed:
            continue
    assert count[0] > 34
    again = (tmp_path / "out" / "manifest.csv").read_text()
    assert rows_by_field(again).keys() == rows_by_field(whole).keys()
    exposures = read_manifest(tmp_path / "out" / "manifest.csv")
    assert {len(planes) for planes in by_stack(exposures).values()} == {9}


def rows_by_field(text: str) -> dict[str, int]:
    names = [line.split(",")[2] for line in text.splitlines()[1:]]
    return {name: names.count(name) for name in names}


def test_a_full_disk_is_a_clear_stop(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(stacks, "RESERVE_BYTES", 1 << 62)
    assert capture(tmp_path) == 4
    assert "can be gone on with" in capsys.readouterr().err
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--planes", "3"], "--planes 3 must be 7 to 1001"),
        (["--step", "nan"], "--step nan must be 0.05 to 10"),
        (["--fields", "0"], "--fields 0 must be 1 to"),
        (["--planes", "101", "--step", "1"], "reach farther below focus"),
        (["--planes", "1001", "--step", "1"], "leave the window"),
    ],
)
def test_wrong_use_is_one_line(tmp_path: Path, capsys, words, why) -> None:
    assert capture(tmp_path, *words) == 2
    error = capsys.readouterr().err
    assert why in error
    assert error.count("\n") == 1


def test_another_capture_is_not_gone_on_with(tmp_path: Path, capsys) -> None:
    assert capture(tmp_path, "--quiet") == 0
    assert capture(tmp_path, "--step", "0.5") == 2
    assert "begun with other words" in capsys.readouterr().err


def test_without_the_extra_it_says_so(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(verb, "LABEL", "training.not_there")
    assert capture(tmp_path) == 2
    assert "needs the extra `train`" in capsys.readouterr().err


def test_a_signal_stops_capture(scanners, tmp_path: Path, monkeypatch) -> None:
    real, taken = run_capture.png, []

    def png(kept):
        taken.append(kept.z_um)
        if len(taken) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(kept)

    monkeypatch.setattr(run_capture, "png", png)
    assert capture(tmp_path) == 128 + signal.SIGTERM
    assert scanners[0].rig.state.reason == "stopped by SIGTERM"
