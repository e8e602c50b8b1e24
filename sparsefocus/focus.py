"""One microscope that focuses, for a program: `open_focus` is `sparsefocus.open`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from edge.appliance.config.config_file import read_config, vouched_for
from edge.appliance.plain_results import Estimate, Outcome
from edge.camera import Camera, PixelFormat
from edge.decide.decision import Decision
from edge.errors import ConfigError
from edge.loop import LATCHED, focus_field, step
from edge.rig import Rig, build_rig
from edge.state import State
from firmware_bridge.stage import Stage
from sparsefocus.networks import measure_array

BY_HAND = "held by the program"


class Focus:
    """A microscope that focuses; made by `sparsefocus.open`, and a context manager.

    One thread uses it. `halt` alone may be called from any thread and at any moment. Every move
    passes the guard: window, step, age, sign and the rest; see docs/safety_case.md.
    """

    def __init__(self, rig: Rig, close: Callable[[], None], another: Callable[[], None]) -> None:
        """Not for programs: `sparsefocus.open` makes one."""
        self._rig, self._close, self._another = rig, close, another
        if (latched := rig.latched()) is not None:
            reason = f"{LATCHED}: {latched}; look why, then `sparsefocus stage clear`"
            rig.state.shutdown(reason, stop=False)

    def focus(self) -> Outcome:
        """Focus the field that lies under the objective: look, move, look again. The last look.

        Blocks for as many frames as that takes. What can happen in operation is told by the
        outcome's decision and reason, and raises nothing.
        """
        if self._rig.state.value is State.SHUTDOWN:
            return self._shut_down()
        return Outcome.of(focus_field(self._rig)[-1])

    def frames(self) -> Iterator[Outcome]:
        """Keep the field in focus, a frame at a time, for as long as you ask; ends with
        SHUTDOWN."""
        while self._rig.state.value is not State.SHUTDOWN:
            yield Outcome.of(step(self._rig))

    def measure(
        self, pixels: npt.NDArray[np.uint8], pixel_format: str | PixelFormat | None = None
    ) -> Estimate:
        """The defocus of a picture that you have, taken with the config's objective. Nothing moves.

        `pixels`: uint8, (height, width, 3) or (height, width), at least 2016 px a side at 0.34 um
        per pixel; `pixel_format`: its GenICam name, by default RGB8 or Mono8. ConfigError for
        anything else.
        """
        return measure_array(self._rig.sensor, pixels, pixel_format)

    def new_field(self) -> None:
        """Say that another field lies under the objective: what the last one told counts no
        more."""
        self._another()
        self._rig.controller.new_field()

    def hold(self, reason: str = BY_HAND) -> None:
        """Move nothing until `resume`, as for a z-stack; frames are still measured. No move is
        being sent when this returns, and one that is under way goes on to its end: see
        `at_rest`."""
        self._rig.guard.hold(reason)

    def resume(self) -> None:
        """End a hold. The glass may have been moved meanwhile: what was known counts no more."""
        self._rig.controller.new_field()
        self._rig.guard.resume()

    @property
    def held(self) -> str:
        """Why nothing is moved until `resume`; "" when that is not so."""
        return self._rig.guard.held

    @property
    def state(self) -> str:
        """One of "ready", "tracking", "holding", or "shutdown: " and why."""
        return self._rig.state.name

    @property
    def z_um(self) -> float:
        """Where the stage says that it is, positive = up; StageError when it does not answer."""
        return self._rig.stage.status().z_um

    @property
    def at_rest(self) -> bool:
        """Whether the stage says that it rests and has settled; StageError when it does not
        answer."""
        return self._rig.stage.status().settled_ns is not None

    def halt(self, reason: str = "halted by the program") -> None:
        """Shut down at once: a moving axis stops. From any thread; `restart` leaves it."""
        self._rig.halt(reason)

    def restart(self) -> None:
        """Leave a shutdown because a person, who has looked why, asks for it; StageError when the
        stage does not take that."""
        self._rig.restart()

    def close(self) -> None:
        """Shut down and release camera, stage and networks; safe to call twice."""
        self._close()

    def __enter__(self) -> Focus:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _shut_down(self) -> Outcome:
        reason = self._rig.state.reason
        return Outcome(Decision.SHUTDOWN.value, reason, None, None, None, None, None, None, {})


def open_focus(
    config: str | os.PathLike[str] | None = None,
    *,
    camera: Camera | None = None,
    stage: Stage | None = None,
    simulate: bool = False,
) -> Focus:
    """Open the microscope that a config file describes, warmed up and ready.

    `camera`, `stage`: objects of yours in place of the config's drivers (which may then be called
    `driver: given`); they are closed with the Focus. `simulate` instead of a config: the simulated
    microscope, where `new_field` brings another field.

    Raises ConfigError (a line for the config's first mistake, and for one that nobody calibrated),
    EngineRejected, StageError, CameraStalled or OSError; nothing has moved then.
    """
    if simulate:
        if (config, camera, stage) != (None, None, None):
            raise ConfigError("simulate = True takes no config, camera or stage: it brings its own")
        return _simulated()
    if config is None:
        raise ConfigError("give a config file (`sparsefocus init` writes one), or simulate = True")
    path = Path(config)
    settings = read_config(path)
    vouched_for(path, settings)
    rig = build_rig(settings, camera=camera, stage=stage)
    return Focus(rig, rig.close, lambda: None)


def _simulated() -> Focus:
    from simulator.demo import Demo

    with contextlib.ExitStack() as opened:
        demo = opened.enter_context(Demo(quiet=True, by_itself=False))
        focus = Focus(demo.rig, opened.pop_all().close, demo.camera.go_on)
    return focus
