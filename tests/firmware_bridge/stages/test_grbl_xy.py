"""X and Y of a GRBL board: both by one jog, and no doubt left where it was refused."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from firmware_bridge.errors import StageRefused, StageUncertain
from firmware_bridge.stages.grbl import GrblStage
from firmware_bridge.stages.grbl_xy import GrblXY
from firmware_bridge.xy_stage import open_xy_stage
from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.grbl import SimulatedGrbl
from simulator.controllers.serving import Served
from tests.support.patience import ANSWER_S

WINDOW = (-9000.0, -8500.0, -1000.0, -1500.0)
SLOW_NM_S, FAST_NM_S = 20_000, 100_000_000
HERE = (-5000.0, -5000.0)


class Board:
    """Three axes at -5 mm of -10 to 0."""

    def __init__(self) -> None:
        self.x, self.y, self.z = (
            SimulatedAxis(-5_000_000, -10_000_000, 0, FAST_NM_S) for _ in range(3)
        )
        self.twin = SimulatedGrbl(self.z, slide=(self.x, self.y))
        self.served = Served(self.twin)
        self.opened: list[GrblXY] = []

    def open(self, **changes: object) -> GrblXY:
        options = {"window_um": WINDOW, "speed_um_s": 10_000, "poll_ms": 4, "settle_ms": 5}
        stage = open_xy_stage("grbl", {"port": self.served.port, **options, **changes})
        assert isinstance(stage, GrblXY)
        self.opened.append(stage)
        return stage

    def jogs(self) -> list[str]:
        return re.findall(r"\$J=[^\n]*", bytes(self.served.heard).decode("latin-1"))


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board()
    yield made
    for stage in made.opened:
        stage.close()
    with made.served:
        pass


def test_one_jog_moves_both(board: Board) -> None:
    xy = board.open()
    assert xy.move_to(-4251.0, -5627.0, HERE) == 1
    status = xy.wait(ANSWER_S)
    assert (status.x_um, status.y_um) == (pytest.approx(-4251.0), pytest.approx(-5627.0))
    assert board.jogs() == ["$J=G53G21G90X-4.2510Y-5.6270F600.000"]
    assert (board.x.position_nm(), board.y.position_nm()) == (-4_251_000, -5_627_000)
    assert status.settled_ns is not None
    assert xy.xy_at(status.settled_ns).y_um == pytest.approx(-5627.0)
    assert xy.move_to(-4251.0, -5000.0, (-4251.0, -5627.0)) == 2  # one axis has no way to go
    assert xy.wait(ANSWER_S).y_um == pytest.approx(-5000.0)
    assert board.z.moves == 0


@pytest.mark.parametrize(
    ("x", "y", "off", "reason"),
    [(-999.0, -5000.0, 0.0, "WINDOW"), (-5000.0, -8501.0, 0.0, "WINDOW"),
     (-5001.0, -5000.0, 20.0, "ASSUMED_DIFFERS")],
)  # fmt: skip
def test_what_is_refused_moves_neither(
    board: Board, x: float, y: float, off: float, reason: str
) -> None:
    xy = board.open()
    with pytest.raises(StageRefused, match=reason):
        xy.move_to(x, y, (HERE[0], HERE[1] + off))
    with pytest.raises(StageRefused, match="NO_TRIGGER"):
        xy.sweep(-4000.0, 1000.0, HERE, None)
    assert board.jogs() == []


def test_a_jog_that_the_board_refuses_leaves_both_at_rest_and_certain(board: Board) -> None:
    xy = board.open()
    board.x.blocked = True
    with pytest.raises(StageRefused, match="LATCHED"):
        xy.move_to(-4251.0, -5627.0, HERE)
    status = xy.wait(ANSWER_S)
    assert (status.x_um, status.y_um, status.moving) == (*HERE, False)
    board.x.blocked = False
    assert xy.move_to(-4251.0, -5627.0, HERE) == 1
    assert xy.wait(ANSWER_S).y_um == pytest.approx(-5627.0)


def test_a_stop_stops_both_and_a_second_move_waits(board: Board) -> None:
    xy = board.open()
    board.x.speed_nm_s = board.y.speed_nm_s = SLOW_NM_S
    xy.move_to(-1000.0, -1500.0, HERE)
    with pytest.raises(StageRefused, match="BUSY"):
        xy.move_to(*HERE, HERE)
    xy.stop()
    assert not board.x.moving
    assert not board.y.moving


def test_an_axis_that_does_not_get_there_is_uncertain(board: Board) -> None:
    xy = board.open()
    board.y.speed_nm_s = SLOW_NM_S
    xy.move_to(-4251.0, -1500.0, HERE)
    board.y.halt()  # jammed
    with pytest.raises(StageUncertain, match="ended at"):
        xy.wait(ANSWER_S)


def test_a_board_that_lacks_x_is_not_set_up(board: Board) -> None:
    del board.twin.settings[130]
    with pytest.raises(StageRefused, match=r"\$130 \(travel of X\)"):
        board.open()
    board.twin.settings[130] = 10.0
    assert board.open().status().x_um == pytest.approx(-5000.0)


def test_z_of_such_a_board_is_read_from_its_own_place(board: Board) -> None:
    board.z.turn_knob(-2_000_000)
    stage = GrblStage(port=board.served.port, speed_um_s=1000, z_min_um=-9000.0, z_max_um=-1000.0)
    assert stage.status().z_um == pytest.approx(-2000.0)
    stage.close()
