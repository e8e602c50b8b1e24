"""X and Y of one controller on one line: the XY contract on the wires of five makers."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import pytest
from tigerasi.tiger_controller import TigerController
from zaber_motion.ascii import Connection

from firmware_bridge.errors import StageRefused, StageUncertain
from firmware_bridge.stages.asi import AsiStage
from firmware_bridge.stages.shared_line import SharedLine
from firmware_bridge.stages.two_axes import TwoAxes
from firmware_bridge.xy_stage import open_xy_stage
from simulator.controllers.asi import SimulatedAsiAxes
from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.pi import SimulatedPi
from simulator.controllers.serving import Served
from simulator.controllers.tango import SimulatedTango
from simulator.controllers.tmcl import SimulatedTmcl
from simulator.controllers.zaber import SimulatedZaber
from tests.support.patience import ANSWER_S

WINDOW = (1000.0, 1500.0, 9000.0, 9000.0)
SLOW_NM_S, FAST_NM_S = 20_000, 100_000_000


class Bench:
    """A controller of two axes at (5000, 5000) um, and one more where it has a Z."""

    def __init__(self, maker: str, speed_nm_s: int = FAST_NM_S) -> None:
        self.x, self.y, self.z = (SimulatedAxis(speed_nm_s=speed_nm_s) for _ in range(3))
        self.maker = maker
        axes = (self.x, self.y, self.z)
        self.controller = {
            "asi": lambda: SimulatedAsiAxes(dict(zip("XYZ", axes, strict=True))),
            "zaber": lambda: SimulatedZaber(*axes),
            "pi": lambda: SimulatedPi(self.z, ("1", "2", "3"), more=(self.x, self.y)),
            "tango": lambda: SimulatedTango(self.z, (self.x, self.y)),
            "tmcl": lambda: SimulatedTmcl(self.x, more=(self.y, self.z)),
        }[maker]()
        self.served = Served(self.controller)
        self._xy: TwoAxes | None = None

    def open(self, **changes: object) -> TwoAxes:
        more: dict[str, float] = {"resolution_um": 0.05}
        if self.maker in ("zaber", "tmcl"):
            more = {"full_step_um": 3.2 if self.maker == "zaber" else 0.8}
        options = {"window_um": WINDOW, "poll_ms": 4, "settle_ms": 5, **more, **changes}
        stage = open_xy_stage(self.maker, {"port": self.served.port, **options})
        assert isinstance(stage, TwoAxes)
        self._xy = stage
        return stage

    def close(self) -> None:
        if self._xy is not None:
            self._xy.close()
        with self.served:
            pass


@pytest.fixture(params=["asi", "zaber", "pi", "tango", "tmcl"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(request.param)
    yield made
    made.close()


def here(xy: TwoAxes) -> tuple[float, float]:
    status = xy.status()
    return status.x_um, status.y_um


def test_both_axes_go_where_they_are_sent(bench: Bench) -> None:
    xy = bench.open()
    assert xy.status().settled_ns == 0
    assert xy.move_to(5749.0, 5627.0, here(xy)) == 1
    status = xy.wait(ANSWER_S)
    assert (status.x_um, status.y_um) == (pytest.approx(5749.0), pytest.approx(5627.0))
    assert (bench.x.position_nm(), bench.y.position_nm()) == (5_749_000, 5_627_000)
    assert status.settled_ns is not None
    assert xy.xy_at(status.settled_ns).x_um == pytest.approx(5749.0)
    assert xy.move_to(5749.0, 5000.0, here(xy)) == 2  # one axis has no way to go
    assert xy.wait(ANSWER_S).y_um == pytest.approx(5000.0)
    assert bench.z.moves == 0


@pytest.mark.parametrize(
    ("x", "y", "off", "reason"),
    [(9001.0, 5000.0, 0.0, "WINDOW"), (5000.0, 1499.0, 0.0, "WINDOW"),
     (math.nan, 5000.0, 0.0, "NOT_FINITE"), (5001.0, 5000.0, 20.0, "ASSUMED_DIFFERS")],
)  # fmt: skip
def test_what_is_refused_moves_neither_axis(
    bench: Bench, x: float, y: float, off: float, reason: str
) -> None:
    xy = bench.open()
    with pytest.raises(StageRefused) as refused:
        xy.move_to(x, y, (5000.0, 5000.0 + off))
    assert refused.value.reason == reason
    with pytest.raises(StageRefused, match="NO_TRIGGER"):
        xy.sweep(6000.0, 1000.0, here(xy), None)
    assert (bench.x.moves, bench.y.moves, xy.triggered()) == (0, 0, [])


def test_one_axis_that_moves_does_not_make_the_other_busy(bench: Bench) -> None:
    """And Z on the same controller may move meanwhile."""
    bench.z.speed_nm_s = SLOW_NM_S
    bench.z.move_to(9_000_000)
    xy = bench.open()
    xy.move_to(5749.0, 5627.0, here(xy))
    assert xy.wait(ANSWER_S).x_um == pytest.approx(5749.0)
    assert bench.z.moving


def test_a_stop_stops_both(bench: Bench) -> None:
    xy = bench.open()
    bench.x.speed_nm_s = bench.y.speed_nm_s = SLOW_NM_S
    xy.move_to(9000.0, 9000.0, here(xy))
    with pytest.raises(StageRefused, match="BUSY"):
        xy.move_to(5000.0, 5000.0, here(xy))
    xy.stop()
    assert not bench.x.moving
    assert not bench.y.moving


@pytest.mark.parametrize("axis", ["x", "y"])
def test_an_axis_that_cannot_move_leaves_no_doubt(bench: Bench, axis: str) -> None:
    """X first: nothing has moved, and that is a refusal; Y after X went is uncertain."""
    xy = bench.open()
    getattr(bench, axis).blocked = True
    bench.x.speed_nm_s = SLOW_NM_S
    with pytest.raises(StageRefused if axis == "x" else StageUncertain) as error:
        xy.move_to(5749.0, 5627.0, here(xy))
    assert error.value.glass_may_have_moved == (axis == "y")
    assert not bench.x.moving
    assert bench.y.moves == 0


def test_answers_are_never_taken_for_another_axis(bench: Bench) -> None:
    """Both pollers and two askers on one line."""
    xy = bench.open(poll_ms=1)
    wrong: list[tuple[float, float]] = []

    def ask() -> None:
        for _ in range(50):
            at = here(xy)
            if at != (pytest.approx(5000.0), pytest.approx(3000.0)):
                wrong.append(at)

    xy.move_to(5000.0, 3000.0, here(xy))
    xy.wait(ANSWER_S)
    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert wrong == []


def test_the_line_is_one_and_closes_with_the_last_axis(bench: Bench) -> None:
    xy = bench.open()
    with pytest.raises(StageRefused, match="PORT_LOCKED"):
        SharedLine(bench.served.port, 9600)
    xy._x.close()
    xy._x.close()
    assert xy._y.status().z_um == pytest.approx(5000.0)
    xy.close()
    line = SharedLine(bench.served.port, 9600)
    with pytest.raises(ValueError, match="is not"):
        line.open_link(bench.served.port, 115_200)
    line.close()


def test_what_fails_at_the_start_lets_the_line_go(bench: Bench) -> None:
    if bench.maker == "tmcl":  # a module knows no limits of its own
        with pytest.raises(StageRefused, match="CONFIG"):
            bench.open(motors=(0, 9), poll_ms=-1)
    else:
        with pytest.raises(StageRefused, match="WINDOW"):
            bench.open(window_um=(1000.0, -5000.0, 9000.0, 9000.0))
    assert here(bench.open()) == (pytest.approx(5000.0), pytest.approx(5000.0))


def test_each_axis_of_an_asi_asks_for_itself() -> None:
    """`RS X?` as the public client asks it (tigerasi, is_axis_moving); Z alone asks for all."""
    bench = Bench("asi")
    bench.open(poll_ms=10_000)
    heard = bytes(bench.served.heard)
    assert b"RS X?\r" in heard
    assert b"RS Y?\r" in heard
    assert b"/\r" not in heard
    bench.close()
    alone = Bench("asi")
    stage = AsiStage(port=alone.served.port, axis="Z", resolution_um=0.05, poll_ms=10_000,
                     z_min_um=1000.0, z_max_um=9000.0)  # fmt: skip
    assert b"/\r" in bytes(alone.served.heard)
    stage.close()
    alone.close()


def test_a_public_asi_client_drives_several_axes_by_one_command() -> None:
    """tigerasi, as for Z alone."""
    x, y, z = (SimulatedAxis(speed_nm_s=FAST_NM_S) for _ in range(3))
    with Served(SimulatedAsiAxes({"X": x, "Y": y, "Z": z})) as served:
        client = TigerController(served.port)
        assert client.ordered_axes == ["X", "Y", "Z"]
        x.turn_knob(4_000_000)
        assert client.get_position("y", "x") == {"X": 40_000.0, "Y": 50_000.0}
        client.move_absolute(x=51_502, y=48_000)
        assert (x.target_nm, y.target_nm, z.moves) == (5_150_200, 4_800_000, 0)
        z.speed_nm_s = SLOW_NM_S
        client.move_absolute(z=60_000)
        while client.is_axis_moving("x") or client.is_axis_moving("y"):
            pass
        assert client.are_axes_moving("x", "z", "y") == {"X": False, "Z": True, "Y": False}
        client.move_relative(x=-2, y=2)
        with pytest.raises(SyntaxError, match="OUT_OF_RANGE"):
            client.move_absolute(x=1_000, y=100_001)
        assert (x.target_nm, y.target_nm) == (5_150_000, 4_800_200)  # neither went
        with pytest.raises(SyntaxError, match="AXIS_PARAMETER"):
            client.send("M X=1 Q=2\r")
        client.ser.close()


def test_zabers_client_drives_both_axes_of_the_simulated_zaber() -> None:
    x, y = SimulatedAxis(speed_nm_s=SLOW_NM_S), SimulatedAxis(speed_nm_s=FAST_NM_S)
    with (
        Served(SimulatedZaber(x, y), tcp=True) as served,
        Connection.open_tcp("127.0.0.1", served.tcp_port) as connection,
    ):
        device = connection.get_device(1)
        assert connection.generic_command("get system.axiscount", 1).data == "2"
        connection.generic_command("move abs 103000", 1, 2)
        device.get_axis(2).wait_until_idle()
        assert (x.position_nm(), y.position_nm()) == (5_000_000, 5_150_000)
        connection.generic_command("move abs 150000", 1, 1)
        assert device.get_axis(1).is_busy()
        assert not device.get_axis(2).is_busy()
        device.get_axis(1).stop()
        assert not x.moving
