"""What the verbs write: tried before the work, whole; where it cannot be, exit status 2."""

import json
import math
import os

import numpy as np
import pytest

from edge.appliance import cli, files
from edge.errors import ConfigError

#: words that make each verb's parser content; nothing here may be opened
WORDS = {
    "simulate": [],
    "focus": ["no.png"],
    "run": ["--config", "no.yaml"],
    "replay": ["no"],
    "capture": ["--simulate", "--out", "no"],
    "scan": ["--simulate", "--out", "no"],
    "evaluate": ["no.csv"],
    "bench": [],
    "stage find": [],
    "stage move": ["1", "--config", "no.yaml"],
    "stage stop": ["--config", "no.yaml"],
    "stage clear": ["--config", "no.yaml"],
    "stage watch": ["--config", "no.yaml"],
    "stage serve-asi": ["--config", "no.yaml"],
    "stage conformance": ["/dev/no"],
    "calibrate": ["--config", "no.yaml"],
    "camera find": [],
    "camera check": ["--config", "no.yaml"],
    "control status": ["--config", "no.yaml"],
    "selftest": [],
    "doctor": [],
}


def test_every_verb_is_here():
    assert {words.split()[0] for words in WORDS} == set(cli.VERBS) - {
        "check-config",
        "build-engines",
        "init",
        "report-bundle",
    }


@pytest.mark.parametrize("verb", WORDS)
@pytest.mark.parametrize("target", ["no/x.json", "folder", "file/x.json"])
def test_an_unwritable_json_is_exit_2_before_anything_begins(
    tmp_path, monkeypatch, capsys, verb, target
):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")

    def begun(_):
        raise AssertionError("the verb was begun")

    module = cli.VERBS[verb.split()[0]][0]
    monkeypatch.setattr(f"{module}.run", begun)
    words = [*verb.split(), *WORDS[verb], "--json", str(tmp_path / target)]
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"--json {tmp_path / target}: cannot be written: " in error
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_a_disk_that_says_no_at_the_end_is_exit_2_too(tmp_path, monkeypatch):
    def no(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "replace_file", no)
    with pytest.raises(ConfigError, match=r"^--json .*x.json: cannot be written: No space left"):
        files.write_json([1], tmp_path / "x.json")


def test_json_is_whole_and_plain(tmp_path):
    files.write_json({"a": math.nan, 1: np.float32(0.5)}, tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": None, "1": 0.5}
    files.write_json({}, None)  # nothing was asked for


def test_dash_is_standard_output(capsys):
    assert files.is_standard("-")
    assert not files.is_standard(None)
    files.write_json([1], files.Path("-"))
    assert json.loads(capsys.readouterr().out) == [1]
