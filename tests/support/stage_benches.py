"""Every driver on a bench of its own: a controller it can be opened on, and what lies behind it.

Positions in the tests count from `origin_um`, so that all of them start at 5000 um.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from firmware_bridge.errors import StageRefused
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.pins import BoardPins
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.stage import Stage, open_stage
from simulator.controllers.asi import SimulatedAsi
from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.grbl import SimulatedGrbl
from simulator.controllers.pi import SimulatedPi
from simulator.controllers.prior import SimulatedPrior
from simulator.controllers.serving import Served
from simulator.controllers.tango import SimulatedTango
from simulator.controllers.tmcl import SimulatedTmcl
from simulator.controllers.zaber import SimulatedZaber
from tests.support.faulty_line import FaultyLine

START_UM, LOW_UM, HIGH_UM = 5000.0, 1000.0, 9000.0
Rule = Callable[[bytes], bytes]


class Bench:
    """One driver and its controller."""

    driver = ""
    origin_um = 0.0
    whole: Mapping[str, Any] = {}  # options by which a move is not parted into legs

    def __init__(self) -> None:
        self._opened = ExitStack()

    def options(self) -> dict[str, Any]:
        raise NotImplementedError

    def open(self, **changes: Any) -> Stage:
        """The driver with a window of 1000..9000 um, closed after the test."""
        window = {"z_min_um": LOW_UM + self.origin_um, "z_max_um": HIGH_UM + self.origin_um}
        stage = open_stage(self.driver, {**window, "settle_ms": 10, **self.options(), **changes})
        self._opened.callback(stage.close)
        return stage

    def motor_um(self) -> float:
        """Where the motor really is, from the same zero."""
        raise NotImplementedError

    def moves_made(self) -> int:
        raise NotImplementedError

    def damage(self, to_host: Rule | None, to_controller: Rule | None) -> None:
        """Make the line bad from now on; None = that way is good."""
        raise NotImplementedError

    def hang_up(self) -> None:
        raise NotImplementedError

    def restart(self) -> None:
        """The controller restarts: it counts from 0, and the glass stays where it is."""
        raise NotImplementedError

    def cut_short(self) -> None:
        """What moves is stopped, and not by us."""
        raise NotImplementedError

    def close(self) -> None:
        self._opened.close()


class WireBench(Bench):
    """A simulated controller on a pty."""

    controller: Callable[..., Any]
    whole: Mapping[str, Any] = {"legs": False}

    def __init__(self, speed_um_s: float = 4000.0, **settings: Any) -> None:
        super().__init__()
        origin_nm = round(self.origin_um * 1000)
        self.axis = SimulatedAxis(
            start_nm=round(START_UM * 1000) + origin_nm,
            min_nm=origin_nm,
            max_nm=origin_nm + 10_000_000,
            speed_nm_s=round(speed_um_s * 1000),
        )
        self.served = self._opened.enter_context(
            Served(type(self).controller(self.axis, **settings))
        )

    def open(self, **changes: Any) -> Stage:
        return super().open(**{"poll_ms": 4, **changes})

    def options(self) -> dict[str, Any]:
        return {"port": self.served.port}

    def motor_um(self) -> float:
        return self.axis.position_nm() / 1000

    def moves_made(self) -> int:
        return self.axis.moves

    def damage(self, to_host: Rule | None, to_controller: Rule | None) -> None:
        self.served.to_host = to_host or (lambda data: data)
        self.served.to_controller = to_controller or (lambda data: data)

    def hang_up(self) -> None:
        self.served.hang_up()

    def restart(self) -> None:
        self.served.controller.restart()  # type: ignore[attr-defined]

    def cut_short(self) -> None:
        self.axis.halt()


class AsiBench(WireBench):
    driver, controller = "asi", SimulatedAsi

    def options(self) -> dict[str, Any]:
        return {**super().options(), "axis": "Z", "resolution_um": 0.05}


class PiBench(WireBench):
    driver, controller = "pi", SimulatedPi

    def options(self) -> dict[str, Any]:
        return {**super().options(), "axis": "1", "resolution_um": 0.001}


class TmclBench(WireBench):
    driver, controller = "tmcl", SimulatedTmcl

    def options(self) -> dict[str, Any]:
        return {**super().options(), "full_step_um": 0.8}


class ZaberBench(WireBench):
    driver, controller = "zaber", SimulatedZaber

    def options(self) -> dict[str, Any]:
        return {**super().options(), "full_step_um": 3.2}


class PriorBench(WireBench):
    driver, controller = "prior", SimulatedPrior


class TangoBench(WireBench):
    driver, controller = "tango", SimulatedTango

    def options(self) -> dict[str, Any]:
        return {**super().options(), "resolution_um": 0.05}


class GrblBench(WireBench):
    driver, controller, origin_um = "grbl", SimulatedGrbl, -10_000.0

    def options(self) -> dict[str, Any]:
        return {**super().options(), "speed_um_s": 2000.0}


class BinaryBench(Bench):
    """The reference firmware on the host."""

    driver = "binary"

    def __init__(self, speed_um_s: float | None = None, through_a_line: bool = False) -> None:
        super().__init__()
        self._speed_um_s = speed_um_s
        self._firmware = self._opened.enter_context(
            HostFirmware(start_nm=5_000_000, boot_id=11, bench=True)
        )
        self._trace = self._opened.enter_context(MotorTrace(self._firmware.trace_path))
        self._port = self._firmware.port
        if through_a_line:  # one that can be damaged; it hides a hang-up from the host
            self._line = self._opened.enter_context(FaultyLine(self._port))
            self._port = self._line.port

    def options(self) -> dict[str, Any]:
        return {"port": self._port, "backlash_um": 0.0, "speed_um_s": self._speed_um_s}

    def motor_um(self) -> float:
        assert self._trace.wait_until(time.monotonic_ns())
        return self._trace.now()[1] / 1000

    def moves_made(self) -> int:
        assert self._trace.wait_until(time.monotonic_ns())
        return self._trace.moves_started

    def damage(self, to_host: Rule | None, to_controller: Rule | None) -> None:
        for name, rule in (("to_host", to_host), ("to_firmware", to_controller)):
            setattr(self._line, name, _framed(rule) if rule else lambda wire, _: [wire])

    def hang_up(self) -> None:
        self._firmware.kill()

    def restart(self) -> None:
        self._firmware = self._opened.enter_context(HostFirmware(start_nm=0, boot_id=12))
        self._line.connect(self._firmware.port)

    def cut_short(self) -> None:
        pins = BoardPins(self._firmware.bench_port)
        self._opened.callback(pins.close)
        pins.upper_switch(True)


class BinaryProcessBench(BinaryBench):
    """The same behind a process of its own."""

    driver = "binary-process"


def _framed(rule: Rule) -> Callable[[bytes, object], list[bytes]]:
    return lambda wire, _: [rule(wire)]


class MmCoreBench(Bench):
    """Micro-Manager's demo stage: it is where it is sent at once, and cannot be stopped."""

    driver, origin_um = "mmcore", -START_UM

    def options(self) -> dict[str, Any]:
        import mm_test_adapters

        folder = mm_test_adapters.device_adapter_path()
        return {
            "config": str(folder) + "/MMConfig_demo.cfg",
            "adapters": str(folder),
            "device": "Z",
            "resolution_um": 0.1,
            "poll_ms": 4,
        }

    def open(self, **changes: Any) -> Stage:
        self._stage = super().open(**changes)
        return self._stage

    def motor_um(self) -> float:
        return self._stage._core.getPosition("Z")  # type: ignore[attr-defined, no-any-return]

    def restart(self) -> None:
        """There is none to be had: it is simply elsewhere."""
        self._stage._core.setPosition("Z", 300.0)  # type: ignore[attr-defined]


BENCHES: dict[str, Callable[..., Bench]] = {
    bench.driver: bench
    for bench in (
        BinaryBench,
        BinaryProcessBench,
        AsiBench,
        PiBench,
        TmclBench,
        ZaberBench,
        PriorBench,
        TangoBench,
        GrblBench,
        MmCoreBench,
    )
}
WIRES = ("asi", "pi", "tmcl", "zaber", "prior", "tango", "grbl")


def missing(driver: str) -> str:
    """Why this driver cannot be tested here, "" = it can."""
    if driver == "mmcore" and importlib.util.find_spec("pymmcore") is None:
        return f"pymmcore has no wheel for {sys.platform} on this processor"
    return ""


OpenBench = Callable[..., Bench]


def at(bench: Bench, z_um: float) -> float:
    """The stage's own number for a place on the bench."""
    return z_um + bench.origin_um


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(StageRefused) as refused:
        call()
    assert len(str(refused.value).splitlines()) == 1
    assert not refused.value.glass_may_have_moved
    return refused.value.reason
