"""The command line as a script sees it: exit status and one clear line."""

from __future__ import annotations

import pytest

from edge.appliance import cli
from firmware_bridge.firmware import build
from firmware_bridge.firmware.build import BuildError
from simulator.simulate_verb import NOMINAL


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["simulate", "--fields", "0"], "--fields 0"),
        (["simulate", "--start-um", "900"], "within +-60"),
        (["simulate", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["check-config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(words, hint, capsys):
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert hint in err


def test_a_machine_without_compiler_and_prebuilt_firmware_is_told_so(monkeypatch, capsys):
    def none():
        raise BuildError("no C compiler: install one")

    monkeypatch.setattr(build, "native_compiler", none)
    assert cli.main(["simulate", "--fields", "1"]) == 4
    assert capsys.readouterr().err == "sparsefocus: no C compiler: install one\n"


def test_shipped_config_is_good(capsys):

    assert cli.main(["check-config", str(NOMINAL)]) == 0
    assert "window 100..300 um" in capsys.readouterr().out
