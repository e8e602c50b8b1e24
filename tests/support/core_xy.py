"""A CoreHost of a board with X, Y and Z, in a session that has said where the slide may go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from firmware_bridge import messages as m
from firmware_bridge import messages_xy as xy
from tests.support.core_host import SESSION, CoreHost
from tests.support.virtual_board import XY_LIMITS

AT = 10_000_000  # where both axes stand at first
FAR = AT + 20_000_000
XY_HELLO = xy.XyHello(SESSION, m.XY_TABLE_HASH, 1_000_000, 40_000_000, 2_000_000, 20_000_000, 0, 5)


class CoreXY(CoreHost):
    """`go` moves the slide; `cruise` brings X to a speed."""

    def __init__(self, *, xy_hello: bool = True, **board: Any) -> None:
        super().__init__(**{"xy_limits": XY_LIMITS, **board})
        if xy_hello:
            ack, status = self.say(XY_HELLO)
            assert isinstance(ack, xy.XyHelloAck)
            assert ack.result == m.Reason.OK
            assert isinstance(status, xy.XyStatus)

    def a_go(self, number: int, x_nm: int, y_nm: int = AT, **changes: int) -> xy.XyMove:
        here_x, here_y = self.board.xy_nm
        move = xy.XyMove(SESSION, number, x_nm, y_nm, here_x, here_y, 1_000, 0)
        return replace(move, **changes)

    def go(self, number: int, x_nm: int, y_nm: int = AT, **changes: int) -> list[m.Message]:
        """An XY_MOVE from where the slide is."""
        return self.say(self.a_go(number, x_nm, y_nm, **changes))

    def arm(self, number: int, start_nm: int, pitch_nm: int, count: int, **changes: int) -> int:
        """The reason that TRIGGER_ARM got."""
        asked = xy.TriggerArm(SESSION, number, start_nm, pitch_nm, count, 10)
        (answer,) = self.say(replace(asked, **changes))
        assert isinstance(answer, xy.TriggerArmed)
        assert answer.move_id == number
        return answer.reason

    def xy_status(self) -> xy.XyStatus:
        """As it is now: at rest XY_HELLO of the present session changes nothing and brings one."""
        for came in (self.say(XY_HELLO), self.ticks(20)):
            statuses = [one for one in came if isinstance(one, xy.XyStatus)]
            if statuses:
                return statuses[-1]
        raise AssertionError("no XY_STATUS")

    def ended(self, limit: int = 20_000) -> xy.XyDone:
        """Ticks until XY_DONE."""
        for _ in range(limit):
            for heard in self.ticks(1):
                if isinstance(heard, xy.XyDone):
                    return heard
        raise AssertionError("never done")

    def rest(self) -> xy.XyStatus:
        """Ticks until XY_STATUS says that both axes have settled."""
        for _ in range(20_000):
            for heard in self.ticks(1):
                if isinstance(heard, xy.XyStatus) and heard.flags & m.Flag.SETTLED:
                    return heard
        raise AssertionError("never settled")


def refused(answers: list[m.Message]) -> int:
    """The reason of the only answer, which must be XY_REFUSED."""
    (answer,) = answers
    assert isinstance(answer, xy.XyRefused), answer
    return answer.reason


def under_way(ms: int = 150, x_nm: int = FAR, y_nm: int = AT, **board: int) -> CoreXY:
    """A slide that moves by its move 1 since so long."""
    host = CoreXY(**board)
    assert isinstance(host.go(1, x_nm, y_nm)[-1], xy.XyAccepted)
    host.ticks(ms)
    return host
