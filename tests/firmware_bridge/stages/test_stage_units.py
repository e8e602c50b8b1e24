"""Units, references and rounding: what each driver makes of its controller's settings."""

from __future__ import annotations

from typing import Any

import pytest

from firmware_bridge.errors import LinkLost, StageRefused
from tests.support.stage_benches import BENCHES, START_UM, WIRES, WireBench


@pytest.mark.parametrize(
    ("unit", "window", "hint"),
    [("MM", (1.0, 9000.0), ""), ("UM", (1.0, 9000.0), ""), ("DEG", (1.0, 9000.0), "length")],
)
def test_pi_takes_its_unit_from_the_controller(
    unit: str, window: tuple[float, float], hint: str
) -> None:
    bench = BENCHES["pi"](unit=unit, axes=("X", "Z"))
    if hint:
        with pytest.raises(StageRefused, match=hint):
            bench.open(axis="Z")
    else:
        stage = bench.open(axis="Z", z_min_um=window[0], z_max_um=window[1])
        assert stage.status().z_um == pytest.approx(5000)
        assert isinstance(bench, WireBench)
        bench.axis.hunts = True
        stage.move_to(5001.5, 5000)
        while stage.status().z_um != pytest.approx(5001.5):
            pass
        assert stage.status().moving  # bit 1 of the mask, not bit 0
        bench.axis.hunts = False
        stage.wait(10.0)
        assert bench.motor_um() == pytest.approx(5001.5)
        with pytest.raises(StageRefused, match="PORT_LOCKED"):
            bench.open(axis="Q")
        stage.close()
        with pytest.raises(StageRefused, match="not one of"):
            bench.open(axis="Q")
    bench.close()


@pytest.mark.parametrize(
    ("driver", "settings", "options"),
    [
        ("asi", {"units_per_mm": 1000.0}, {}),
        ("asi", {"units_per_mm": 1_000_000.0, "letter": "F"}, {"axis": "F"}),
        ("tmcl", {"nm_per_step": 25, "microsteps": 6}, {"full_step_um": 1.6}),
        ("zaber", {"nm_per_step": 100, "microsteps": 128}, {"full_step_um": 12.8}),
        ("prior", {"nm_per_unit": 50}, {}),
        ("grbl", {"steps_per_mm": 400}, {}),
    ],
)
def test_units_are_the_controllers(
    driver: str, settings: dict[str, Any], options: dict[str, Any]
) -> None:
    bench = BENCHES[driver](**settings)
    stage = bench.open(**options)
    start = START_UM + bench.origin_um
    assert stage.status().z_um == pytest.approx(start)
    stage.move_to(start + 25, start)
    stage.wait(10.0)
    assert bench.motor_um() == pytest.approx(start + 25)
    bench.close()


@pytest.mark.parametrize("driver", WIRES)
def test_no_rounding_leaves_the_window(driver: str) -> None:
    """A window whose ends lie between two steps of the controller."""
    bench = BENCHES[driver]()
    assert isinstance(bench, WireBench)
    low, high = 4999.99 + bench.origin_um, 5000.983 + bench.origin_um
    stage = bench.open(z_min_um=low, z_max_um=high)
    z_um = stage.status().z_um
    for target in (high, low, high):
        stage.move_to(target, z_um)
        z_um = stage.wait(10.0).z_um
    low_nm, high_nm = bench.axis.extremes_nm
    assert low * 1000 - 1 <= low_nm <= high_nm <= high * 1000 + 1
    bench.close()


def test_pi_without_its_servo_does_not_move() -> None:
    bench = BENCHES["pi"]()
    assert isinstance(bench, WireBench)
    bench.served.controller.servo = False  # type: ignore[attr-defined]
    stage = bench.open()
    assert stage.status().latched == "SERVO_OFF"
    for call in (lambda: stage.move_to(5001, 5000), stage.clear):
        with pytest.raises(StageRefused, match="SERVO_OFF"):
            call()
    assert b"SVO 1" not in bench.served.heard  # switching it on would let the axis jump
    bench.close()


def test_zaber_without_a_reference_does_not_move() -> None:
    """Clearing the warning does not find a reference: the device keeps it until it was homed."""
    bench = BENCHES["zaber"](checksum=False)
    assert isinstance(bench, WireBench)
    bench.served.controller.warning = "WR"  # type: ignore[attr-defined]
    stage = bench.open()
    with pytest.raises(StageRefused, match=r"LATCHED.*UNREFERENCED"):
        stage.move_to(5001, 5000)
    with pytest.raises(StageRefused, match=r"UNREFERENCED.*referenced: true"):
        stage.clear()
    stage.close()
    vouched = bench.open(referenced=True)
    vouched.clear()
    vouched.move_to(5001, 5000)
    bench.close()


def test_grbl_that_restarts_is_uncertain() -> None:
    bench = BENCHES["grbl"]()
    assert isinstance(bench, WireBench)
    stage = bench.open()
    bench.served.controller.restart()  # type: ignore[attr-defined]
    with pytest.raises(LinkLost, match="restarted"):
        for _ in iter(stage.status, None):
            pass
    bench.close()


def test_grbl_in_alarm_and_in_inches() -> None:
    bench = BENCHES["grbl"]()
    assert isinstance(bench, WireBench)
    board: Any = bench.served.controller
    board.settings[13] = 1
    with pytest.raises(StageRefused, match=r"CONFIG.*\$13"):
        bench.open()
    board.settings[13] = 0
    stage = bench.open()
    board.alarm = True
    while stage.status().latched is None:
        pass
    assert stage.status().latched == "ALARM"
    with pytest.raises(StageRefused, match=r"UNREFERENCED.*Home it"):
        stage.clear()  # after an alarm the position may be worth nothing
    assert board.alarm
    bench.close()
