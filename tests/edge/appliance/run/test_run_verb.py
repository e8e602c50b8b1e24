"""`sparsefocus run`: keeps going, ends as asked, and says with its exit status why it ended."""

import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edge.appliance import cli
from edge.appliance.run import verb as run_verb
from edge.appliance.run.loop_statistics import LoopStatistics
from edge.appliance.run.verb import Asked, track
from edge.errors import CameraStalled
from firmware_bridge.firmware.host import HostFirmware
from tests.support.counted_frames import after
from tests.support.fake_microscope import microscope
from tests.support.patience import PATIENCE_S


def test_it_follows_a_focus_that_drifts():
    rig, eye = microscope(focus_um=6.0)
    statistics = LoopStatistics()
    assert track(rig, statistics, Asked(), after(20)) == 0
    assert abs(rig.stage.glass_um - 6.0) < 0.6
    for _ in range(8):
        eye.focus_um += 1.5
        assert track(rig, statistics, Asked(), after(statistics.frames + 6)) == 0
        assert abs(rig.stage.glass_um - eye.focus_um) < 0.6
    assert statistics.moves >= 8


def test_another_field_is_told_by_a_signal(monkeypatch):
    rig, _ = microscope()
    fields = []
    monkeypatch.setattr(rig.controller, "new_field", lambda: fields.append(1))
    asked = Asked()
    asked.new_field = True
    assert track(rig, LoopStatistics(), asked, after(3)) == 0
    assert fields == [1]
    assert not asked.new_field


def test_a_signal_stops_a_move_without_waiting_for_the_camera(monkeypatch):
    rig, _ = microscope(focus_um=6.0)
    assert track(rig, LoopStatistics(), Asked(), lambda statistics: statistics.moves > 0) == 0
    assert rig.stage.status().moving
    stops = []

    def slow(timeout_s):  # a driver that comes back to Python after long
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000)
        stops.append(rig.stage.stops)
        raise CameraStalled("no frame")

    monkeypatch.setattr(rig.camera, "next", slow)
    with run_verb._asked(rig) as asked:
        assert track(rig, LoopStatistics(), asked, lambda _: False) == 0
    assert stops == [1]
    assert rig.state.reason == "stopped by SIGTERM"


def test_a_signal_at_rest_latches_nothing():
    rig, _ = microscope(focus_um=0.0)
    with run_verb._asked(rig) as asked:
        os.kill(os.getpid(), signal.SIGTERM)
        assert track(rig, LoopStatistics(), asked, after(10**6)) == 0
    assert rig.stage.stops == 0


def test_a_move_cut_short_by_the_signal_is_no_fault(monkeypatch):
    """It comes while the move is being sent: the guard stops that, and the end is as asked."""
    rig, _ = microscope(focus_um=6.0)
    asked, move_to = Asked(), rig.stage.move_to

    def in_between(target_um, assumed_um):
        asked.stop = "SIGTERM"
        rig.halt("stopped by SIGTERM")
        return move_to(target_um, assumed_um)

    monkeypatch.setattr(rig.stage, "move_to", in_between)
    assert track(rig, LoopStatistics(), asked, after(100)) == 0
    assert rig.stage.stops == 1


def test_nobody_vouches_for_the_sign(instrument, capsys):
    text = instrument.config.read_text().replace("  calibration: by-hand\n", "")
    instrument.config.write_text(text)
    assert cli.main(["run", "--config", str(instrument.config)]) == 2
    assert "stage.calibration must name the file" in capsys.readouterr().err


def test_options_out_of_range_are_named(tmp_path, capsys):
    for words, message in (
        (["--frames", "0"], "--frames 0 must be 1"),
        (["--seconds", "-1"], "--seconds -1 must be above 0"),
        (["--json", str(tmp_path / "no" / "x.json")], "there is no folder"),
    ):
        assert cli.main(["run", "--config", "none.yaml", *words]) == 2
        assert message in capsys.readouterr().err


@pytest.fixture
def instrument(tmp_path, models):
    """A config: pictures for ever, the reference firmware; and what the pictures hold."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    with HostFirmware(z_min_nm=0, z_max_nm=400_000, start_nm=200_000) as firmware:
        path = tmp_path / "scanner.yaml"
        path.write_text(
            f"""
camera:
  driver: recorded
  period_ms: 40
  options: {{folder: {folder}, rate_hz: 25, repeat: true, live: true}}
stage:
  driver: binary
  z_min_um: 100
  z_max_um: 300
  focus_direction: 1
  calibration: by-hand
  options: {{port: {firmware.port}}}
objective: {{na: 0.75, magnification: 20, um_per_px: 0.34}}
models: {{rin: {models[0]}, dpn: {models[1]}, threads: 1, backend: cpu}}
loop: {{max_age_ms: 2000}}
realtime: {{cores: [{min(os.sched_getaffinity(0))}]}}
""",
            encoding="utf-8",
        )
        yield SimpleNamespace(config=path, folder=folder)


def picture(folder, defocus_um):
    """A field that the tiny networks read as so far out of focus; None = blank."""
    pixels = np.full((2048, 2448, 3), (0, 255, 30), np.uint8)
    if defocus_um is not None:
        pixels[16 : 16 + 9 * 224, 216 : 216 + 9 * 224, 1] = 0
        pixels[..., 0] = 128 + 4 * defocus_um
    cv2.imwrite(str(folder / "a.png"), pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])


def started(instrument, *words, stderr=subprocess.PIPE):
    command = [sys.executable, "-m", "edge.appliance.cli", "run", "--config",
               str(instrument.config), *words]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)


def test_a_signal_ends_it_cleanly_and_the_statistics_are_written(instrument, tmp_path):
    picture(instrument.folder, None)
    terminal, far = pty.openpty()  # there its status line comes every half second
    process = started(instrument, "--json", str(tmp_path / "run.json"), stderr=far)
    os.close(far)
    output = b""
    while not re.search(rb"[1-9]\d* frames", output):
        output += os.read(terminal, 4096)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=PATIENCE_S)
    os.close(terminal)
    assert output.startswith(b"sparsefocus: cores")
    assert process.returncode == 0
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["frames"] > 0
    assert (record["moves"], record["exit"], record["ended"]) == (0, 0, "asked")
    assert record["decisions"] == {"HOLD": record["frames"]}
    assert record["realtime"][0]["done"]
    assert f"{record['frames']} frames" in out


def test_what_does_not_answer_to_moves_ends_it_for_safety(instrument, tmp_path):
    picture(instrument.folder, 6)  # always 6 um away, wherever the objective goes
    process = started(instrument, "--quiet", "--seconds", "900", "--json", str(tmp_path / "r.json"))
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 3, err
    record = json.loads((tmp_path / "r.json").read_text())
    assert 0 < record["moves"] <= 4
    assert record["ended"] in err


def test_it_ends_by_itself_after_so_many_frames(instrument):
    picture(instrument.folder, 0)
    process = started(instrument, "--quiet", "--frames", "5")
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (0, ""), err
    assert run_verb.STOPPED == 0


def asked(capsys, *words):
    assert cli.main(["stage", *words, "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_end_that_was_asked_for_leaves_no_latch_and_a_stop_is_cleared_by_hand(
    instrument, capsys
):
    picture(instrument.folder, 0)
    process = started(instrument, "--quiet", "--frames", "2")
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    config = ["--config", str(instrument.config)]
    assert asked(capsys, "find", *config)["latched"] is None
    assert asked(capsys, "stop", *config)["latched"] == "STOPPED"
    assert cli.main(["stage", "move", *config, "201"]) == 3  # it stays stopped
    capsys.readouterr()
    cleared = asked(capsys, "clear", *config)
    assert (cleared["was"], cleared["latched"]) == ("STOPPED", None)
    assert asked(capsys, "move", *config, "201")["z_um"] == pytest.approx(201.0, abs=0.1)
