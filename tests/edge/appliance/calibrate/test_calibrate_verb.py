"""Calibration by moving and looking, on a drive with play, any scale and either sign."""

import json
import math
import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from edge.appliance import cli
from edge.appliance.calibrate import drive_calibration as calibration
from edge.appliance.calibrate import verb as calibrate_verb
from edge.appliance.calibrate.drive_calibration import (
    TRIES,
    CalibrationRefused,
    DriveCalibrator,
)
from edge.appliance.calibrate.fit import Look, fit_line, linear_range_um, nut_of, sharpest_um
from edge.appliance.calibrate.page import write_page
from edge.appliance.calibrate.verb import open_play, result_of
from edge.appliance.config import calibration_file
from edge.appliance.config.config_file import read_config
from edge.camera import Frame, PixelFormat
from edge.errors import CameraLost, CameraStalled, ConfigError, MoveRefused
from edge.guard import Guard, GuardLimits
from edge.instrument import calibrated
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from edge.measure.importance import Sparsity
from edge.measure.sensor import Measurement
from edge.state import RunState
from firmware_bridge.errors import StageRefused
from firmware_bridge.stage import Stage, StageStatus, ZAt
from firmware_bridge.stages.scaled import ScaledStage

FOCUS_UM = 203.0  # true height of best focus


class Drive(Stage):
    """A drive at once at rest: play, gain and direction between the motor and the glass."""

    z_min_um, z_max_um, resolution_um = 100.0, 300.0, 0.05

    def __init__(self, gain=1.0, play_um=0.0, start_um=200.0):
        self.z_um, self.nut_um, self.gain, self.play_um = start_um, start_um, gain, play_um
        self.origin_um, self.moves, self.stuck, self.latched = start_um, [], False, None

    @property
    def glass_um(self):
        return self.origin_um + self.gain * (self.nut_um - self.origin_um)

    def status(self):
        return StageStatus(self.z_um, False, 1, self.latched, 2)

    def z_at(self, time_ns):
        return ZAt(self.z_um, 0.02)

    def move_to(self, target_um, assumed_um):
        assert self.z_min_um <= target_um <= self.z_max_um
        assert abs(assumed_um - self.z_um) < 1e-6
        self.z_um = target_um
        if not self.stuck:
            self.nut_um = min(max(self.nut_um, target_um), target_um + self.play_um)
        self.moves.append(target_um)
        return len(self.moves)

    def wait(self, timeout_s):
        return self.status()

    def stop(self):
        pass

    def clear(self):
        pass

    def close(self):
        pass


class Sight:
    """Networks and camera in one: true defocus with noise; sharpest at focus."""

    def __init__(self, drive, noise_um=0.1, offset_um=0.0, seed=0):
        self.drive, self.noise_um, self.offset_um = drive, noise_um, offset_um
        self.rng = np.random.default_rng(seed)
        self.blind = self.flat = False
        self.spoilt = {}  # look -> "dark", or what the camera raises instead
        self.looks = -1
        self.interval_um = 0.3
        self.saturate_um = math.inf

    def error_um(self):
        return self.drive.glass_um - FOCUS_UM

    def next(self, timeout_s):
        self.looks += 1
        if isinstance(self.spoilt.get(self.looks), Exception):
            raise self.spoilt[self.looks]
        # the picture tells its sharpness in its own grey levels
        return Frame(np.zeros((1, 1), np.uint8), PixelFormat.MONO8, 1, 10**9, 10**9 + 1)

    def measure(self, frame, lap):
        if self.blind or self.looks in self.spoilt:
            estimate = NoFocus(Reason.BLANK, Sparsity.BLANK, 1, 1)
            return Measurement(None, None, estimate)
        d = -self.error_um() + self.offset_um
        d = max(-self.saturate_um, min(self.saturate_um, d))
        d += float(self.rng.normal(0, self.noise_um))
        return Measurement(
            None, None, FocusEstimate(d, self.interval_um, 9, Sparsity.SPARSE, 1, 1, 0.1)
        )

    def sharpness(self, frame):
        return 1.0 if self.flat else 1.0 / (1.0 + (self.error_um() / 2.0) ** 2)


def bench(monkeypatch, **drive):
    axis = Drive(**drive)
    sight = Sight(axis)
    monkeypatch.setattr(calibration, "sharpness", sight.sharpness)
    state = RunState()
    state.ready()
    guard = Guard(GuardLimits(100.0, 300.0, 0, 25.0, 100.0, 0.0, 10_000), axis, state)
    return SimpleNamespace(
        drive=axis, sight=sight, guard=guard,
        run=DriveCalibrator(axis, guard, sight, sight.next, 0.0).run,
    )  # fmt: skip


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("gain", [0.7, 1.0, 1.3])
@pytest.mark.parametrize("play_um", [0.0, 2.0])
def test_sign_scale_and_play_come_out_right(monkeypatch, sign, gain, play_um):
    here = bench(monkeypatch, gain=sign * gain, play_um=play_um)
    result = here.run()
    assert result.focus_direction == sign
    assert result.um_per_unit == pytest.approx(gain, rel=0.02)
    assert result.play_um == pytest.approx(play_um, abs=0.3)
    assert result.um_per_unit_95 < 0.04
    assert abs(result.zero_um) < 0.25
    assert result.linear_range_um > 10.0
    assert abs(here.sight.error_um()) < 0.4  # it is left in focus
    assert all(100.0 <= z <= 300.0 for z in here.drive.moves)
    assert len(result.looks) <= 40


def test_intervals_that_promise_too_much_are_widened(monkeypatch):
    here = bench(monkeypatch)
    assert here.run().interval_factor < 1.3
    here = bench(monkeypatch)
    here.sight.noise_um, here.sight.interval_um = 0.3, 0.2
    assert here.run().interval_factor > 1.5


def test_how_far_the_networks_are_right_is_found(monkeypatch):
    here = bench(monkeypatch, start_um=202.5)
    here.sight.saturate_um = 9.0
    assert 5.0 < here.run().linear_range_um < 10.0


@pytest.mark.parametrize("spoilt", ["dark", CameraStalled("none")])
@pytest.mark.parametrize("which", [{0}, {5, 6, 7}, set(range(0, 60, 3))])
def test_a_few_frames_that_show_nothing_end_no_calibration(monkeypatch, spoilt, which):
    here = bench(monkeypatch)
    here.sight.spoilt = dict.fromkeys(which, spoilt)
    assert here.run().um_per_unit == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize(
    ("spoilt", "error"),
    [("dark", CalibrationRefused), (CameraStalled("none"), CameraStalled)],
)
def test_more_than_a_few_in_a_row_do(monkeypatch, spoilt, error):
    here = bench(monkeypatch)
    here.sight.spoilt = dict.fromkeys(range(6, 6 + TRIES), spoilt)
    start_um = here.drive.z_um
    with pytest.raises(error):
        here.run()
    assert here.drive.z_um == pytest.approx(start_um, abs=0.1)  # brought back


def test_a_camera_that_is_lost_is_not_asked_again(monkeypatch):
    here = bench(monkeypatch)
    here.sight.spoilt = {3: CameraLost("unplugged")}
    with pytest.raises(CameraLost):
        here.run()
    assert here.sight.looks == 3
    assert here.drive.z_um == pytest.approx(200.0, abs=0.1)  # brought back


def refused(here, words):
    start = here.drive.z_um
    with pytest.raises(CalibrationRefused, match=words):
        here.run()
    assert here.drive.z_um == pytest.approx(start, abs=0.1)  # brought back


def test_what_does_not_allow_a_calibration_is_said(monkeypatch):
    here = bench(monkeypatch)
    here.sight.blind = True
    refused(here, "nothing to measure at z = 200.0 um: blank")
    here = bench(monkeypatch, start_um=150.0)
    refused(here, r"\+53.0 um out of focus|is the most")
    here = bench(monkeypatch, start_um=185.0)
    refused(here, "bring it within 12 um first")
    here = bench(monkeypatch)
    here.drive.stuck = True
    refused(here, "does not move the objective")
    here = bench(monkeypatch)
    here.sight.noise_um = 2.0
    refused(here, "scatter by")
    here = bench(monkeypatch)
    here.sight.flat = True
    refused(here, "sharpest")
    here = bench(monkeypatch)
    here.sight.offset_um = 2.0
    refused(here, "sharpest")


def test_a_latched_stage_is_not_moved(monkeypatch):
    here = bench(monkeypatch)
    here.drive.latched = "LIMIT"
    with pytest.raises(MoveRefused, match="latched"):
        here.run()
    assert here.drive.moves == []


def test_a_window_that_is_too_small_refuses_and_moves_nothing_outside(monkeypatch):
    here = bench(monkeypatch, start_um=101.0)
    with pytest.raises((MoveRefused, CalibrationRefused)):
        here.run()
    assert all(100.0 <= z <= 300.0 for z in here.drive.moves)


# ---- the fit ------------------------------------------------------------------------------------


def test_the_nut_follows_after_the_play():
    assert nut_of([0, 2, 1, -1, -3, -2, 1], 2.0).tolist() == [0, 2, 2, 1, -1, -1, 1]
    assert nut_of([0, 2, 1, -1], 0.0).tolist() == [0, 2, 1, -1]


def look(z_um, defocus_um, sharp=1.0, part="up"):
    return Look(z_um, defocus_um, 0.3, sharp, part)


def test_a_line_needs_looks_and_a_way():
    with pytest.raises(ValueError, match="3 looks, 8 are the least"):
        fit_line([look(0, 0)] * 3)
    with pytest.raises(ValueError, match="did not move"):
        fit_line([look(0, 0)] * 9)


def test_the_linear_range_is_the_worse_sides():
    line = fit_line([look(z, -z) for z in np.linspace(-5, 5, 12)])
    far = [look(z, -z) for z in (-20.0, -10.0, 10.0)] + [look(20.0, -14.0)]
    assert linear_range_um(far, line) == pytest.approx(10.0)
    assert linear_range_um([look(5.0, -5.0)], line) == 0.0  # one side only


def test_a_peak_at_the_end_is_no_peak():
    rows = [look(z, 0.0, sharp=1 / (1 + (z - 0.3) ** 2)) for z in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    assert sharpest_um(rows) == pytest.approx(0.3, abs=0.1)
    with pytest.raises(ValueError, match="first or the last"):
        sharpest_um(rows[:3])


# ---- the stage in um of focus --------------------------------------------------------------------


def test_a_calibrated_stage_counts_in_um_of_focus():
    drive = Drive(gain=0.7)
    stage = ScaledStage(drive, 0.7, 200.0)
    stage.move_to(207.0, 200.0)
    assert drive.z_um == pytest.approx(210.0)
    assert drive.glass_um == pytest.approx(207.0)
    assert stage.status().z_um == pytest.approx(207.0)
    assert stage.z_at(0).z_um == pytest.approx(207.0)
    assert stage.z_at(0).uncertainty_um == pytest.approx(0.014)
    assert stage.resolution_um == pytest.approx(0.035)
    assert (stage.z_min_um, stage.z_max_um) == pytest.approx((130.0, 270.0))
    wide = ScaledStage(Drive(gain=1.3), 1.3, 200.0)
    assert (wide.z_min_um, wide.z_max_um) == (100.0, 300.0)  # never wider than it was
    for scale in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="no scale"):
            ScaledStage(drive, scale, 200.0)


def test_what_the_drivers_window_forbids_is_refused():
    class Strict(Drive):
        def move_to(self, target_um, assumed_um):
            if not self.z_min_um <= target_um <= self.z_max_um:
                raise StageRefused("WINDOW", "outside")
            return super().move_to(target_um, assumed_um)

    drive = Strict(gain=0.7)
    with pytest.raises(StageRefused, match="WINDOW"):
        ScaledStage(drive, 0.7, 200.0).move_to(290.0, 200.0)
    assert drive.moves == []


# ---- the file and the config ---------------------------------------------------------------------

CONFIG = """\
camera: {driver: recorded, period_ms: 40, options: {folder: pictures}}
stage:
  driver: binary
  z_min_um: 100
  z_max_um: 300
  calibration: calibration.json
  options: {port: /dev/null}
objective: {na: 0.75, magnification: 20, um_per_px: 0.34}
"""


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A config and its signed file, with this machine's key in the same folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "keys"))
    path = tmp_path / "scanner.yaml"
    path.write_text(CONFIG)
    config = read_config(path, calibrating=True)
    here = bench(monkeypatch, gain=-0.7, play_um=2.0)
    result = here.run()
    calibration_file.write(tmp_path / "calibration.json", result_of(result), config)
    return SimpleNamespace(path=path, file=tmp_path / "calibration.json", found=result,
                           key=tmp_path / "keys" / "sparsefocus" / "key")  # fmt: skip


def test_the_config_takes_what_the_file_says(made):
    config = read_config(made.path)
    assert config.stage.focus_direction == -1
    assert config.stage.um_per_unit == pytest.approx(0.7, rel=0.02)
    assert config.stage.options["backlash_um"] == 3.0  # 2 um of play and the margin, in whole um
    assert config.models.interval_factor == made.found.interval_factor
    stage = calibrated(Drive(), config.stage)
    assert isinstance(stage, ScaledStage)
    assert calibrated(Drive(), replace(config.stage, um_per_unit=1.0)) is not stage
    assert made.key.stat().st_mode & 0o777 == 0o600


def test_a_direction_by_hand_must_agree(made):
    made.path.write_text(CONFIG.replace("  calibration", "  focus_direction: -1\n  calibration"))
    assert read_config(made.path).stage.focus_direction == -1
    made.path.write_text(CONFIG.replace("  calibration", "  focus_direction: 1\n  calibration"))
    with pytest.raises(ConfigError, match=r"contradicts .* which found -1"):
        read_config(made.path)


def test_a_file_that_was_changed_cut_or_made_elsewhere_is_refused(made):
    whole = made.file.read_text()
    body = json.loads(whole)

    def broken(text, words):
        made.file.write_text(text)
        with pytest.raises(ConfigError, match=words) as caught:
            read_config(made.path)
        assert "\n" not in str(caught.value)

    body["result"]["focus_direction"] = 1
    broken(json.dumps(body), "signature is not this machine's")
    broken(whole[: len(whole) // 2], "not a whole calibration file")
    broken("[]", "not a whole calibration file")
    broken(" " * (calibration_file.SIZE_LIMIT + 2), "above the limit of 1048576 bytes")
    made.file.write_text(whole)
    made.key.write_bytes(os.urandom(32))
    with pytest.raises(ConfigError, match="signature is not this machine's"):
        read_config(made.path)
    made.key.unlink()
    with pytest.raises(ConfigError, match="the key of this machine cannot be read"):
        read_config(made.path)
    made.file.unlink()
    with pytest.raises(ConfigError, match="the calibration cannot be read"):
        read_config(made.path)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [("na: 0.75", "na: 0.8", "objective"), ("driver: binary", "driver: binary-process", "stage"),
     ("driver: recorded", "driver: simulated", "camera")],
)  # fmt: skip
def test_another_instrument_needs_a_calibration_of_its_own(made, old, new, part):
    text = CONFIG.replace(old, new).replace("folder: pictures", "trace: t")
    made.path.write_text(text if part == "camera" else CONFIG.replace(old, new))
    with pytest.raises(ConfigError, match=f"was made with another {part}"):
        read_config(made.path)


def test_impossible_numbers_are_refused_though_signed(made):
    config = read_config(made.path, calibrating=True)
    for name, value in (("um_per_unit", 50.0), ("focus_direction", 0), ("play_um", -1.0),
                        ("interval_factor", 0.5)):  # fmt: skip
        result = {**result_of(made.found), name: value}
        calibration_file.write(made.file, result, config)
        with pytest.raises(ConfigError, match="impossible numbers"):
            read_config(made.path)


def test_the_instrument_is_opened_as_it_is(made):
    config = open_play(read_config(made.path, calibrating=True))
    assert config.stage.focus_direction == 0
    assert config.stage.options["backlash_um"] == 0.0


def test_the_verb_writes_file_page_and_numbers(made, tmp_path, monkeypatch, capsys):
    here = bench(monkeypatch, gain=1.3, play_um=1.0)
    closed = []
    rig = SimpleNamespace(
        stage=here.drive, guard=here.guard, sensor=here.sight,
        camera=SimpleNamespace(next=here.sight.next), close=lambda: closed.append(1),
    )  # fmt: skip
    monkeypatch.setattr(calibrate_verb, "build_rig", lambda config: rig)
    words = ["calibrate", "--config", str(made.path), "--quiet", "--json", str(tmp_path / "j.json"),
             "--report", str(tmp_path / "page")]  # fmt: skip
    assert cli.main(words) == 0
    output = capsys.readouterr().out
    assert "a rising z raises the objective" in output
    assert "written and signed" in output
    assert json.loads((tmp_path / "j.json").read_text())["um_per_unit"] == pytest.approx(1.3, 0.02)
    page = (tmp_path / "page" / "index.html").read_text()
    assert page.count("<svg") == 2
    assert read_config(made.path).stage.um_per_unit == pytest.approx(1.3, 0.02)
    assert closed == [1]


def test_wrong_use(made, tmp_path, capsys):
    plain = CONFIG.replace("  calibration: calibration.json\n", "  focus_direction: 1\n")
    made.path.write_text(plain)
    for words, message in (
        (["--config", str(made.path)], "stage.calibration must name the file"),
        (["--config", str(made.path), "--out", "x"], "belong to --zstacks"),
        (["--zstacks", "m.csv"], "--zstacks needs --out"),
    ):
        assert cli.main(["calibrate", *words]) == 2
        assert message in capsys.readouterr().err


def test_the_page_says_which_way(monkeypatch, tmp_path):
    page = write_page(bench(monkeypatch, gain=-1.0).run(), tmp_path).read_text()
    assert "A rising z lowers the objective" in page


# ---- where the result cannot be kept -------------------------------------------------------------


@pytest.fixture
def moving(made, tmp_path, monkeypatch):
    """`sparsefocus calibrate` on a drive of its own, with more words if need be."""
    here = bench(monkeypatch, gain=1.0, play_um=1.0)
    rig = SimpleNamespace(
        stage=here.drive, guard=here.guard, sensor=here.sight,
        camera=SimpleNamespace(next=here.sight.next), close=lambda: None, halt=lambda why: None,
    )  # fmt: skip
    monkeypatch.setattr(calibrate_verb, "build_rig", lambda config: rig)
    here.run = lambda *more: cli.main(["calibrate", "--config", str(made.path), "--quiet", *more])
    return here


def _no_folder(made):
    made.path.write_text(CONFIG.replace("calibration.json", "nowhere/calibration.json"))


def _a_folder_of_that_name(made):
    made.file.unlink()
    made.file.mkdir()


def _key_cut_short(made):
    made.key.write_bytes(made.key.read_bytes()[:7])


def _key_of_everybody(made):
    made.key.chmod(0o644)


def _key_cannot_be_made(made):
    made.key.unlink()
    made.key.parent.rmdir()
    made.key.parent.write_text("a file")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(_no_folder, "there is no folder"), (_a_folder_of_that_name, "it is a folder"),
     (_key_cut_short, "cut short: 7 bytes"), (_key_of_everybody, "mode 0644"),
     (_key_cannot_be_made, "cannot be made")],
)  # fmt: skip
def test_what_stands_in_the_way_is_said_before_anything_moves(made, moving, capsys, spoil, words):
    spoil(made)
    assert moving.run() == 2
    assert moving.drive.moves == []
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("more", ["--json {}/no/x.json", "--report {}/scanner.yaml/page"])
def test_so_is_a_page_or_record_that_cannot_be_written(made, moving, tmp_path, capsys, more):
    assert moving.run(*more.format(tmp_path).split()) == 2
    assert moving.drive.moves == []
    assert more.split()[0] in capsys.readouterr().err


def test_a_disk_that_fills_up_meanwhile_leaves_the_result_told(
    made, moving, tmp_path, monkeypatch, capsys
):
    before = made.file.read_bytes()

    def full(value, path, option="--json"):
        raise ConfigError(f"{option} {path}: cannot be written: No space left on device")

    monkeypatch.setattr(calibration_file, "write_json", full)
    assert moving.run("--json", str(tmp_path / "kept.json")) == 2
    assert moving.drive.moves
    streams = capsys.readouterr()
    assert "um of focus per commanded um" in streams.out
    assert "written and signed" not in streams.out
    assert "No space left" in streams.err
    assert json.loads((tmp_path / "kept.json").read_text())["focus_direction"] == 1
    assert made.file.read_bytes() == before


# ---- files that want to be believed --------------------------------------------------------------

HOSTILE = [
    b"", b"null", b"3", b'"hmac_sha256"', b"[]", b"{}", b"\xff\xfe{}", b"{" * 100_000,
    b"[" * 100_000 + b"]" * 100_000, b"1" * 5000, b'{"a":1,"a":2}', b"NaN", b"\0" * 100,
    b'{"hmac_sha256":"\xc3\xa9","version":1,"result":{},"instrument":{}}',
    b'{"hmac_sha256":null,"version":1,"result":{},"instrument":{}}',
    b'{"hmac_sha256":"00","version":1e999,"result":{},"instrument":{}}',
    b'{"hmac_sha256":"00","version":NaN,"result":{},"instrument":{}}',
    b'{"hmac_sha256":"00","version":1,"result":{"a":"\\ud800"},"instrument":[]}',
    b'{"hmac_sha256":"00","version":1,"result":' + b'{"a":' * 2000 + b"1" + b"}" * 2000
    + b',"instrument":{}}',
    b'{"hmac_sha256":{"a":1},"version":[],"result":[],"instrument":3}',
]  # fmt: skip


def refusal(made):
    with pytest.raises(ConfigError) as caught:
        read_config(made.path)
    text = str(caught.value)
    assert text.startswith(f"{made.file}: ")
    assert "\n" not in text
    assert len(text) < 1000
    return text


def same_content(one, other):
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_file_is_one_line(made, data):
    made.file.write_bytes(data)
    refusal(made)


@pytest.mark.parametrize("what", ["folder", "pipe", "device", "dangling link"])
def test_what_is_no_file_is_one_line(made, what):
    made.file.unlink()
    if what == "folder":
        made.file.mkdir()
    elif what == "pipe":
        os.mkfifo(made.file)
    else:
        made.file.symlink_to("/dev/zero" if what == "device" else "gone")
    assert "the calibration cannot be read" in refusal(made)


def test_any_damage_to_a_good_file_is_one_line(made):
    """A cut at any place; any byte another one, all of it seen by the signature."""
    whole = made.file.read_bytes()
    rng = np.random.default_rng(0)
    body = whole.rstrip()
    for cut in rng.integers(0, len(body), 60):
        made.file.write_bytes(body[:cut])
        refusal(made)
    for at in rng.integers(0, len(body), 200):
        damaged = bytearray(body)
        damaged[at] ^= 1 << int(rng.integers(8))
        made.file.write_bytes(damaged)
        if same_content(damaged, body):  # a blank for a blank between two tokens
            assert read_config(made.path).stage.focus_direction == made.found.focus_direction
        else:
            refusal(made)


SIGNED = [[], None, 3, "x", {}, {"focus_direction": "1"}, {"focus_direction": True},
          {"um_per_unit": [1]}, {"um_per_unit": "1.0"}, {"reference_um": None},
          {"play_um": {"a": 1}}, {"interval_factor": 10**400}, {"interval_factor": False},
          {"focus_direction": 0.5}, {"reference_um": 10**30}]  # fmt: skip


@pytest.mark.parametrize("change", SIGNED)
def test_what_is_signed_must_make_sense_too(made, change):
    """The key may be in wrong hands, or an older release signed something else."""
    config = read_config(made.path, calibrating=True)
    good = result_of(made.found)
    result = {**good, **change} if isinstance(change, dict) and change else change
    calibration_file.write(made.file, result, config)
    refusal(made)


def test_only_the_word_itself_turns_the_signature_off(made):
    made.path.write_text(CONFIG.replace(": calibration.json", ": by-hand\n  focus_direction: 1"))
    assert read_config(made.path).stage.calibration == "by-hand"
    for path in ("gone/by-hand", "./by-hand", "/by-hand", "../by-hand"):
        text = CONFIG.replace(": calibration.json", f": {path}\n  focus_direction: 1")
        made.path.write_text(text)
        with pytest.raises(ConfigError, match=r"scanner.yaml:6: stage.calibration = .* alone"):
            read_config(made.path)
