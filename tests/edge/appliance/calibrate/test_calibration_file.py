"""What the signed file says, and any file that is not one of ours: refused with one line."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from edge.appliance.calibrate.verb import open_play, result_of
from edge.appliance.config import calibration_file
from edge.appliance.config.config_file import read_config
from edge.errors import ConfigError
from edge.instrument import calibrated
from firmware_bridge.stages.scaled import ScaledStage
from tests.support.calibrated_drive import CONFIG, Drive


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
