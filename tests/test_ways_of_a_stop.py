"""The tables of docs/fault_matrix.md are what `make stops` measured, whole, and in time."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from benchmarks.stop_table import BEGIN, END, tables
from benchmarks.ways_of_a_stop import DRIVERS, ENDS, Cell, in_time, plan
from firmware_bridge.stage import STAGES
from firmware_bridge.stop_signals import SIGNALS

ROOT = Path(__file__).parents[1]
ROWS = json.loads((ROOT / "benchmarks/results/stops.json").read_text(encoding="utf-8"))
CELLS = [Cell(**row) for row in ROWS]


def test_the_document_has_what_was_measured() -> None:
    text = (ROOT / "docs/fault_matrix.md").read_text(encoding="utf-8")
    assert text.split(BEGIN)[1].split(END)[0].strip() == tables(ROWS).strip()


def test_every_cell_was_measured_and_is_in_time() -> None:
    assert [(cell.verb, cell.driver, cell.way) for cell in CELLS] == plan()
    assert [cell for cell in CELLS if not in_time(cell)] == []


def test_no_driver_and_no_signal_is_left_out() -> None:
    assert set(DRIVERS) == set(STAGES) - {"mmcore"}  # a library in our process, as the page says
    assert set(ENDS) == {signal.Signals(number).name for number in SIGNALS}
