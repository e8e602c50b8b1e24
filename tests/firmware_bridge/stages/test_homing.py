"""Looking for the reference: by the controller's own way, and only for a person."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from edge.appliance import cli
from firmware_bridge.errors import StageUncertain
from firmware_bridge.stages.homing import HomingStage
from firmware_bridge.stages.watched import UNREFERENCED
from tests.support.patience import ANSWER_S, wait_for
from tests.support.stage_benches import START_UM, WIRES, OpenBench, WireBench, refusal

HOMING = ("pi", "zaber")


def lost(make_bench: OpenBench, driver: str, speed_um_s: float = 50_000.0) -> WireBench:
    """A controller that woke up: it counts from 0 where the glass is, and knows no reference."""
    bench = make_bench(driver, speed_um_s=speed_um_s)
    assert isinstance(bench, WireBench)
    bench.restart()
    if driver == "pi":
        bench.served.controller.servo = True  # type: ignore[attr-defined]
    return bench


def opened(bench: WireBench, **changes: Any) -> Any:
    return bench.open(z_min_um=0.0, z_max_um=9000.0, **changes)


@pytest.mark.parametrize("driver", HOMING)
def test_it_is_found_and_moves_are_made_again(make_bench: OpenBench, driver: str) -> None:
    bench = lost(make_bench, driver)
    stage = opened(bench)
    assert stage.status().latched == UNREFERENCED
    assert refusal(lambda: stage.move_to(5.0, 0.0)) == "LATCHED"
    stage.home(ANSWER_S)
    assert bench.axis.now()[1] == 0  # the glass is at the lower switch
    with pytest.raises(StageUncertain, match="open it anew"):
        stage.move_to(5.0, 0.0)
    stage.close()
    again = opened(bench)
    assert again.status().latched is None
    again.move_to(5.0, 0.0)
    assert again.wait(ANSWER_S).z_um == pytest.approx(5.0)
    assert bench.axis.now()[1] == 5000


@pytest.mark.parametrize("driver", HOMING)
def test_a_stop_on_the_way_there_is_one(make_bench: OpenBench, driver: str) -> None:
    bench = lost(make_bench, driver, speed_um_s=100.0)
    stage = opened(bench)
    told: list[BaseException] = []

    def home() -> None:
        try:
            stage.home(ANSWER_S)
        except StageUncertain as error:
            told.append(error)

    person = threading.Thread(target=home)
    person.start()
    wait_for(lambda: bench.axis.now()[1] < 1000 * START_UM - 1000)
    assert stage.status().moving  # whatever the controller says of itself
    stage.stop()
    person.join(ANSWER_S)
    assert not bench.axis.moving
    assert "stopped on its way" in str(told[0])
    stage.close()
    assert opened(bench).status().latched == UNREFERENCED


@pytest.mark.parametrize("driver", HOMING)
def test_what_does_not_find_it_says_so(make_bench: OpenBench, driver: str) -> None:
    bench = lost(make_bench, driver, speed_um_s=20.0)
    stage = opened(bench)
    with pytest.raises(StageUncertain, match="no reference was found within"):
        stage.home(0.3)
    stage.close()  # stops it, too
    assert not bench.axis.moving
    stage = opened(bench)
    bench.axis.blocked = True
    refusal(lambda: stage.home(ANSWER_S))
    bench.axis.blocked = False
    bench.axis.home = lambda end_nm: None  # type: ignore[method-assign]
    with pytest.raises(StageUncertain, match="has not found its reference"):
        stage.home(ANSWER_S)


def test_a_servo_that_is_off_goes_nowhere(make_bench: OpenBench) -> None:
    bench = lost(make_bench, "pi")
    bench.served.controller.servo = False  # type: ignore[attr-defined]
    stage = opened(bench)
    assert refusal(lambda: stage.home(ANSWER_S)) == "LATCHED"


@pytest.mark.parametrize("driver", sorted(set(WIRES) - set(HOMING)))
def test_the_others_do_not(make_bench: OpenBench, driver: str) -> None:
    assert not isinstance(make_bench(driver).open(), HomingStage)


def test_a_person_must_say_that_the_objective_is_free(
    make_bench: OpenBench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = lost(make_bench, "zaber")
    (tmp_path / "pictures").mkdir()
    config = tmp_path / "scanner.yaml"
    options = f'port: "{bench.served.port}", full_step_um: 3.2, poll_ms: 5, settle_ms: 5'
    text = f"""\
camera: {{driver: recorded, period_ms: 40, options: {{folder: {tmp_path}/pictures}}}}
stage:
  driver: zaber
  z_min_um: 0
  z_max_um: 9000
  focus_direction: 1
  calibration: by-hand
  options: {{{options}}}
objective: {{na: 0.75, magnification: 20, um_per_px: 0.34}}
"""
    config.write_text(text)
    words = ["stage", "home", "--config", str(config)]
    assert cli.main(words) == 2
    assert "--objective-is-free" in capsys.readouterr().err
    assert bench.axis.now()[1] == 1000 * START_UM
    assert cli.main([*words, "--objective-is-free"]) == 0
    assert "referenced; 0.000 um, at rest" in capsys.readouterr().out
    assert cli.main(["stage", "move", "5", "--config", str(config)]) == 0
    bench.axis.blocked = True
    assert cli.main([*words, "--objective-is-free"]) in (3, 4)
