"""What the loop relies on of a Z axis: it goes where it is sent only, and says when it rests."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from itertools import pairwise

from firmware_bridge.errors import StageRefused
from firmware_bridge.stage import Stage, StageStatus
from sparsefocus.testing.contract import Contract, check, refused

FUTURE_NS = 10_000_000_000
SLACK_UM = 1e-6


class StageContract(Contract):
    """Tests of one stage: give `open`. They move it, `step_um` up and down about where it stands.

    `wrong_um`: an assumed position so far off must be refused.
    """

    step_um = 5.0
    wrong_um = 2.0

    def open(self) -> Stage:
        """The stage, at rest, not latched, farther than `step_um` from either end of its window."""
        raise NotImplementedError("open must give the stage")

    def test_it_says_what_it_is(self) -> None:
        """Window, resolution and a first status, in um and on the monotonic clock."""
        with self._opened() as stage:
            low, high, grid = stage.z_min_um, stage.z_max_um, stage.resolution_um
            check(isinstance(stage, Stage), f"{type(stage).__name__} is no sparsefocus.Stage")
            check(-math.inf < low < high < math.inf, f"the window {low}..{high} um is none")
            check(0 < grid <= 10, f"resolution_um = {grid} must be above 0, in um")
            before_ns = self.clock()
            status = self._at_rest(stage)
            check(
                before_ns - self.patience_s * 1e9 <= status.time_ns <= self.clock(),
                "status().time_ns is not the monotonic clock's",
            )
            check(
                low + self.step_um <= status.z_um <= high - self.step_um,
                f"it stands at {status.z_um} um, too near the ends of {low:g}..{high:g} um",
            )
            check(status.latched is None, f"it is latched: {status.latched}")

    def test_a_move_arrives_up_and_down_and_is_absolute(self) -> None:
        """Where it is sent it is, within its own steps; sent there again it stays."""
        with self._opened() as stage:
            home = self._at_rest(stage).z_um
            numbers = []
            for target in (home + self.step_um, home - self.step_um, home, home):
                numbers.append(self._move(stage, target))
            check(
                all(b == a + 1 for a, b in pairwise(numbers)),
                f"moves are numbered {numbers}",
            )

    def test_it_rests_only_after_the_move(self) -> None:
        """From the moment a move is accepted, no rest of before it is told: a picture taken while
        the glass still moves must not count."""
        with self._opened() as stage:
            home = self._at_rest(stage).z_um
            sent_ns = self.clock()
            stage.move_to(home + self.step_um, home)
            reports: list[StageStatus] = []
            self.wait_until("a move ends", lambda: self._rests(stage, reports))
            status = reports[-1]
            assert status.settled_ns is not None
            check(not status.moving, "settled, and moving")
            check(
                status.settled_ns >= sent_ns,
                "a move was accepted, and it is said to rest since before it was sent",
            )
            check(status.settled_ns <= self.clock(), "it settled in the future")
            away_um = abs(status.z_um - home - self.step_um)
            check(
                away_um <= self._grid_um(stage),
                f"it is said to rest {away_um:.3g} um from where it was sent",
            )
            self.pause(0.05)
            later = stage.status()
            check(later.settled_ns == status.settled_ns, "at rest, settled_ns changes")
            self._move(stage, home)

    def test_z_is_known_of_the_past_and_not_of_the_future(self) -> None:
        """`z_at` with an honest uncertainty; "no-history" for what it cannot know."""
        with self._opened() as stage:
            self._at_rest(stage)
            status = stage.status()  # not the very first: history may begin after it
            stage.status()
            here = stage.z_at(status.time_ns)
            check(0 < here.uncertainty_um <= 10, f"uncertainty_um = {here.uncertainty_um}")
            check(
                abs(here.z_um - status.z_um) <= here.uncertainty_um + self._grid_um(stage),
                f"at rest at {status.z_um} um, z_at says {here.z_um}",
            )
            error = refused(
                StageRefused, "z_at in ten seconds", lambda: stage.z_at(self.clock() + FUTURE_NS)
            )
            check(
                getattr(error, "reason", "") == "no-history",
                f"z_at of the future is refused as {error}, not as no-history",
            )

    def test_z_at_follows_a_move(self) -> None:
        """The position of a moment after the move is that of after the move."""
        with self._opened() as stage:
            home = self._at_rest(stage).z_um
            self._move(stage, home + self.step_um)
            at = stage.z_at(stage.status().time_ns)
            check(
                abs(at.z_um - home - self.step_um) <= at.uncertainty_um + self._grid_um(stage),
                f"sent to {home + self.step_um} um, z_at says {at.z_um}",
            )
            self._move(stage, home)

    def test_outside_the_window_it_refuses(self) -> None:
        """It refuses, and never goes as far as it may instead."""
        with self._opened() as stage:
            for beyond in (stage.z_min_um - 0.5, stage.z_max_um + 0.5, -1e9, 1e9):
                self._stays(stage, f"a move to {beyond:g} um, outside the window", beyond)

    def test_it_goes_to_no_target_that_is_no_number(self) -> None:
        """NaN and infinity are refused, as target and as assumed position."""
        with self._opened() as stage:
            for bad in (math.nan, math.inf, -math.inf):
                self._stays(stage, f"a move to {bad}", bad)
                self._stays(stage, f"a move from {bad}", stage.status().z_um, assumed_um=bad)

    def test_a_wrong_assumption_moves_nothing(self) -> None:
        """Who believes it elsewhere has read an old position: refused."""
        with self._opened() as stage:
            for wrong in (self.wrong_um, -self.wrong_um):
                z_um = self._at_rest(stage).z_um
                what = f"a move that assumes it {wrong:+g} um from where it is"
                self._stays(stage, what, z_um + self.step_um / 2, assumed_um=z_um + wrong)

    def test_a_stop_is_safe_at_any_moment(self) -> None:
        """At rest, twice, and just after a move was sent: it rests then, at once or on its way."""
        with self._opened() as stage:
            home = self._at_rest(stage).z_um
            stage.move_to(home + self.step_um, home)
            stage.stop()
            stage.stop()
            self.wait_until("after a stop it rests", lambda: not stage.status().moving)
            grid_um = self._grid_um(stage)
            z_um = stage.status().z_um
            check(
                home - grid_um <= z_um <= home + self.step_um + grid_um,
                f"stopped on its way from {home} to {home + self.step_um}, it is at {z_um} um",
            )
            if stage.status().latched is not None:
                stage.clear()
            check(stage.status().latched is None, "clear() leaves it latched")
            self._move(stage, home)

    def test_close_twice_and_open_again(self) -> None:
        """It stays where it was."""
        stage = self.open()
        z_um = self._at_rest(stage).z_um
        stage.close()
        stage.close()
        with self._opened() as again:
            there_um = self._at_rest(again).z_um
            check(
                abs(there_um - z_um) <= self._grid_um(again),
                f"closed at {z_um} um, opened at {there_um} um",
            )

    def _move(self, stage: Stage, target_um: float) -> int:
        """There and at rest; the move's number."""
        number = stage.move_to(target_um, self._at_rest(stage).z_um)
        status = stage.wait(self.patience_s)
        check(isinstance(number, int), f"move_to gives {number!r}, no number")
        check(not status.moving and status.settled_ns is not None, "wait() ends before the move")
        away_um = abs(status.z_um - target_um)
        check(
            away_um <= self._grid_um(stage),
            f"sent to {target_um:.3f} um, it rests at {status.z_um:.3f} um",
        )
        return number

    def _stays(
        self, stage: Stage, what: str, target_um: float, assumed_um: float | None = None
    ) -> None:
        before = self._at_rest(stage)
        here = before.z_um if assumed_um is None else assumed_um
        refused(StageRefused, what, lambda: stage.move_to(target_um, here))
        after = stage.status()
        check(
            not after.moving and abs(after.z_um - before.z_um) <= self._grid_um(stage),
            f"{what} was refused, and it moved to {after.z_um} um",
        )

    @staticmethod
    def _rests(stage: Stage, reports: list[StageStatus]) -> bool:
        """Whether it rests, and by which status."""
        reports.append(stage.status())
        return reports[-1].settled_ns is not None

    def _at_rest(self, stage: Stage) -> StageStatus:
        self.wait_until("at rest", lambda: stage.status().settled_ns is not None)
        status = stage.status()
        check(math.isfinite(status.z_um), f"status().z_um = {status.z_um}")
        return status

    def _grid_um(self, stage: Stage) -> float:
        return 2 * stage.resolution_um + SLACK_UM

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Stage]:
        stage = self.open()
        try:
            yield stage
        finally:
            stage.close()
