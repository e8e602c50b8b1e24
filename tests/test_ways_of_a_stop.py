"""The tables of docs/fault_matrix.md are what `make stops` measured, whole, and in time."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from benchmarks.stop_rigs import rig_of, verb_of
from benchmarks.stop_table import BEGIN, END, tables
from benchmarks.stop_ways import DRIVERS, ENDS, VERBS, plan
from benchmarks.ways_of_a_stop import Cell, in_time
from edge.appliance.cli import VERBS as COMMANDS
from edge.appliance.config.config_file import read_config
from edge.appliance.stage.verb import ACTIONS
from firmware_bridge.stage import STAGES
from firmware_bridge.stop_signals import SIGNALS

ROOT = Path(__file__).parents[1]
ROWS = json.loads((ROOT / "benchmarks/results/stops.json").read_text(encoding="utf-8"))
CELLS = [Cell(**row) for row in ROWS]
#: verbs that move no axis; every other belongs among those that are stopped
STILL = {
    "focus", "camera", "evaluate", "bench", "selftest", "doctor", "init", "build-engines",
    "check-config", "control", "replay", "report-bundle", "stage find", "stage stop",
    "stage clear", "stage watch",
}  # fmt: skip

#: move by the same rig and signals as `run`, and are stopped in tests of their own
ELSEWHERE = {
    "scan": "tests/edge/appliance/scan/test_scan_verb.py",
    "capture": "tests/edge/appliance/capture/test_capture_verb.py",
}


def test_the_document_has_what_was_measured() -> None:
    text = (ROOT / "docs/fault_matrix.md").read_text(encoding="utf-8")
    assert text.split(BEGIN)[1].split(END)[0].strip() == tables(ROWS).strip()


def test_every_cell_was_measured_and_is_in_time() -> None:
    assert [(cell.verb, cell.driver, cell.way) for cell in CELLS] == plan()
    assert [cell for cell in CELLS if not in_time(cell)] == []


def test_no_driver_and_no_signal_is_left_out() -> None:
    assert set(DRIVERS) == set(STAGES) - {"mmcore"}  # a library in our process, as the page says
    assert set(ENDS) == {signal.Signals(number).name for number in SIGNALS}


def test_no_verb_is_left_out() -> None:
    """A new one, which may move, is either stopped in every way or said to move nothing."""
    actions = {f"stage {action}" for action in (*ACTIONS, "conformance")}
    assert set(VERBS) | STILL | set(ELSEWHERE) == (set(COMMANDS) - {"stage"}) | actions
    assert not set(VERBS) & STILL
    for verb, tests in ELSEWHERE.items():
        assert f"def test_a_signal_stops_{verb}" in (ROOT / tests).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", VERBS)
def test_what_is_to_be_stopped_can_begin(tmp_path: Path, name: str) -> None:
    """Its config is one: what cannot begin cannot be measured."""
    with rig_of(verb_of(name), "binary", tmp_path) as rig:
        config = read_config(rig.config, calibrating=True)
    assert config.stage.driver == "binary"
    slow = name in ("run", "calibrate", "simulate")  # or its small moves are over too soon
    assert (config.stage.options.get("speed_um_s") == 10) == (name == "simulate")
    assert (rig.left_um < 5) == slow
