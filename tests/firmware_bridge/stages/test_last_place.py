"""A controller without a reference is where the last session left it, or nobody knows where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.appliance import cli
from firmware_bridge.stages.last_place import LastPlace, place_of
from firmware_bridge.stages.watched import UNREFERENCED
from tests.support.patience import wait_for
from tests.support.stage_benches import START_UM, OpenBench, WireBench, missing, refusal

#: of the wires, those whose controller cannot be asked whether it counts from a reference
BLIND = ("asi", "tmcl", "prior", "tango")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "place.json"


def opened(bench: Any, file: Path, **changes: Any) -> Any:
    stage = bench.open(**changes)
    stage.remember(LastPlace(file))
    return stage


@pytest.mark.parametrize("driver", BLIND)
def test_it_is_believed_where_it_was_left(make_bench: OpenBench, driver: str, file: Path) -> None:
    bench = make_bench(driver)
    stage = opened(bench, file)
    assert stage.status().latched is None  # never met before
    stage.move_to(START_UM + 5, START_UM)
    assert json.loads(file.read_text()) == {"z_um": None}  # until the end is in order
    stage.wait(30.0)
    stage.close()
    assert json.loads(file.read_text()) == {"z_um": START_UM + 5}
    stage = opened(bench, file)
    assert stage.status().latched is None
    stage.close()
    assert json.loads(file.read_text()) == {"z_um": START_UM + 5}


@pytest.mark.parametrize("driver", BLIND)
def test_one_that_counts_from_elsewhere_moves_nothing(
    make_bench: OpenBench, driver: str, file: Path
) -> None:
    """It was switched off and wakes up at a number that is not 0: only its memory tells."""
    bench = make_bench(driver)
    assert isinstance(bench, WireBench)
    opened(bench, file).close()
    bench.axis.turn_knob(round(1000 * START_UM) + 60_000)  # what it calls this place from now on
    stage = opened(bench, file)
    latched = stage.status().latched
    assert latched == f"{UNREFERENCED}: it was left at 5000.0 um and is at 5060.000 um"
    assert refusal(lambda: stage.move_to(START_UM, START_UM + 60)) == "LATCHED"
    stage.close()
    assert bench.moves_made() == 0
    stage = opened(bench, file)  # a look and an end in order heal nothing
    assert stage.status().latched == latched
    stage.clear()  # a person has looked
    assert stage.status().latched is None
    stage.move_to(START_UM + 62, START_UM + 60)
    stage.wait(30.0)
    stage.close()
    assert opened(bench, file).status().latched is None


def test_after_an_end_that_was_none_nobody_knows(make_bench: OpenBench, file: Path) -> None:
    bench = make_bench("asi")
    stage = opened(bench, file)
    stage.move_to(START_UM + 5, START_UM)
    stage.wait(30.0)
    stage._place = None  # as killed: nothing is written any more
    stage.close()
    assert "did not end in order" in opened(bench, file).status().latched


def test_a_move_that_was_stopped_is_left_where_it_rests(make_bench: OpenBench, file: Path) -> None:
    bench = make_bench("tmcl", speed_um_s=50.0)
    stage = opened(bench, file)
    stage.move_to(START_UM + 900, START_UM)
    wait_for(lambda: bench.motor_um() > START_UM + 1)
    stage.stop()
    stage.close()
    assert json.loads(file.read_text())["z_um"] == pytest.approx(bench.motor_um(), abs=0.1)
    stage = opened(bench, file)
    stage.move_to(START_UM + 900, stage.status().z_um)
    stage.close()  # under way, and nobody stopped it but the minder: this is no order
    assert json.loads(file.read_text()) == {"z_um": None}


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"[1]", b'{"z_um": "5000"}', b'{"z_um": true}', b"\xff" * 2000]
)
def test_a_memory_that_is_none_is_a_doubt(make_bench: OpenBench, file: Path, damage: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(damage)
    assert opened(make_bench("prior"), file).status().latched.startswith(UNREFERENCED)


def test_who_knows_its_reference_or_is_vouched_for_needs_no_memory(
    make_bench: OpenBench, file: Path
) -> None:
    file.parent.mkdir()
    file.write_text('{"z_um": 1234.0}')
    for driver, options in (("zaber", {}), ("pi", {}), ("asi", {"referenced": True})):
        bench = make_bench(driver)
        stage = opened(bench, file, **options)
        assert stage.status().latched is None
        stage.close()
    assert file.read_text() == '{"z_um": 1234.0}'
    grbl = make_bench("grbl")
    assert opened(grbl, file).status().latched is None  # it is homed
    if not missing("mmcore"):
        assert opened(make_bench("mmcore"), file).status().latched is not None


def test_a_folder_that_takes_nothing_moves_all_the_same(
    make_bench: OpenBench, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file")
    bench = make_bench("asi")
    stage = opened(bench, tmp_path / "state" / "place.json")
    assert "cannot be read" in stage.status().latched  # not the same as never met
    stage.clear()
    stage.move_to(START_UM + 5, START_UM)
    stage.wait(30.0)


def test_one_file_for_each_controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    one, other, again = place_of("asi", 1), place_of("asi", 2), place_of("asi", 1)
    assert one is not None
    assert other is not None
    assert again is not None
    one.leave(5.0)
    assert again.doubt(7.0, 1.0) == "it was left at 5.0 um and is at 7.000 um"
    assert (again.doubt(5.9, 1.0), other.doubt(7.0, 1.0)) == ("", "")
    assert len(list((tmp_path / "sparsefocus" / "places").iterdir())) == 1
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("none")))
    assert place_of("asi", 1) is None


def test_the_command_line_remembers(
    make_bench: OpenBench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of a controller with a number of its own: a pty's name is another's tomorrow."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "pictures").mkdir()
    bench = make_bench("tango")
    assert isinstance(bench, WireBench)
    config = tmp_path / "scanner.yaml"
    config.write_text(
        f"""\
camera: {{driver: recorded, period_ms: 40, options: {{folder: {tmp_path}/pictures}}}}
stage:
  driver: tango
  z_min_um: 1000
  z_max_um: 9000
  focus_direction: 1
  calibration: by-hand
  options: {{port: "{bench.served.port}", resolution_um: 0.05, poll_ms: 5, settle_ms: 5}}
objective: {{na: 0.75, magnification: 20, um_per_px: 0.34}}
"""
    )
    words = ["--config", str(config)]
    assert cli.main(["stage", "move", "5010", *words]) == 0
    assert cli.main(["stage", "move", "5020", *words]) == 0
    bench.axis.turn_knob(5_100_000)
    assert cli.main(["stage", "move", "5110", *words]) == 3
    assert "it was left at 5020.0 um and is at 5100.000 um" in capsys.readouterr().err
    assert cli.main(["stage", "clear", *words]) == 0
    assert "was UNREFERENCED: it was left at 5020.0 um" in capsys.readouterr().out
    assert cli.main(["stage", "move", "5110", *words]) == 0
