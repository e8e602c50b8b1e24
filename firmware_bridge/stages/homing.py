"""Looking for the reference: for controllers that do it by themselves and know when they have it.

The controller moves the axis to its switch, at its own speed and outside any window; no leg and no
guard can bound that. So only a person asks for it, nothing else is done meanwhile, and the stage is
opened anew afterwards: what it counted from before is worth nothing. It is minded as a move is.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from contextlib import suppress
from dataclasses import replace

from firmware_bridge.errors import StageError, StageRefused, StageUncertain
from firmware_bridge.stages.line_stage import LineStage
from firmware_bridge.stages.rest_detector import START_NS, Reading


class HomingStage(LineStage):
    """What a driver adds: `_begin_homing`, and `_has_reference` while it is under way."""

    _homing = False
    _homing_stopped = False

    @abstractmethod
    def _begin_homing(self) -> None:
        """Have it accepted; may be sent twice. StageRefused when nothing moved."""

    @abstractmethod
    def _has_reference(self) -> bool:
        """Whether the controller says that it has found it."""

    def home(self, timeout_s: float) -> None:
        """Move to the reference and come to rest there; then open the stage anew.

        StageRefused when the controller said no and nothing moved; StageUncertain when it did not
        end there in time, or was stopped.
        """
        with self._changed:
            self._check_heard()
            reading = self._look()
            if reading.latched is not None:
                raise StageRefused("LATCHED", f"{reading.latched}: nothing moves")
            if reading.moving or self._rest.target_um is not None:
                raise StageRefused("BUSY", f"it moves, at {reading.z_um:.3f} um")
            self._homing = True
            try:
                self._before_a_move(goes_on=False)
                self._begin_homing()
            except StageRefused:
                self._homing = False
                raise
        self._await_reference(timeout_s)
        with self._changed:
            self._homing = False
            self._lost = "it was referenced: open it anew"
            self._trouble = StageUncertain(self._lost)

    def _await_reference(self, timeout_s: float) -> None:
        begun_ns = time.monotonic_ns()
        while True:
            with self._changed:
                self._check_heard()
                if self._homing_stopped:
                    raise StageUncertain("it was stopped on its way to the reference")
                reading = self._read()
                if not reading.moving:
                    if self._has_reference():
                        return
                    if time.monotonic_ns() - begun_ns > START_NS:
                        raise StageUncertain(
                            f"it rests at {reading.z_um:.3f} um and has not found its reference"
                        )
            if time.monotonic_ns() - begun_ns > 1e9 * timeout_s:
                raise StageUncertain(f"no reference was found within {timeout_s:g} s")
            time.sleep(self._poll_s)

    def _observe(self) -> Reading:
        """On its way there numbers jump as they like; it counts as moving until it has arrived."""
        if not self._homing:
            return super()._observe()
        if self._trouble is not None:
            raise self._trouble
        self._asked_ns = time.monotonic_ns()
        self._newest = replace(self._read(), moving=True)
        self._answered_ns = time.monotonic_ns()
        return self._newest

    def _may_move(self) -> bool:
        return self._homing or super()._may_move()

    def stop(self) -> None:
        """As Stage.stop; the reference is not found then."""
        self._homing_stopped = self._homing
        super().stop()

    def close(self) -> None:
        """As Stage.close; what still looks for its reference is stopped."""
        if self._homing:
            with suppress(StageError):
                self.stop()
        super().close()
