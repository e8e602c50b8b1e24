"""A microscope that focuses, in pymmcore-plus: camera, stage and hardware autofocus of its core.

    core = Core(sparsefocus.open("scanner.yaml"))
    core.run_mda(useq.MDASequence(..., autofocus_plan=useq.AxesBasedAF(axes=("p",))))

Needs the extra `mmcore-plus` (x86 workstations). Its Python devices are experimental there, and it
knows no autofocus among them: the core's own calls are answered here instead. Every move passes the
guard, those of an acquisition, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pymmcore_plus.experimental.unicore import CameraDevice, StageDevice, UniMMCore

from edge.appliance.plain_results import Outcome
from edge.errors import ConfigError, MoveRefused, MoveUncertain
from firmware_bridge.errors import StageError
from sparsefocus.focus import Focus

CAMERA, STAGE, AUTOFOCUS = "SparseFocusCamera", "SparseFocusZ", "SparseFocus"
_NO_FOLLOWING = "continuous focus needs `sparsefocus run`: this core focuses when it is asked"
FRAME_S, MOVE_S = 10.0, 30.0


class Camera(CameraDevice):
    """The camera that the focus is measured with; exposure and size are the config's."""

    def __init__(self, focus: Focus) -> None:
        super().__init__()
        self._focus = focus
        self._shape: tuple[int, ...] | None = None
        self._exposure_ms = 0.0

    def get_exposure(self) -> float:
        """Of the last frame, ms."""
        return self._exposure_ms or 1.0

    def set_exposure(self, exposure: float) -> None:
        """Not here: camera.options.exposure_ms of the config."""

    def shape(self) -> tuple[int, ...]:
        """Of a frame; the first one is taken for it."""
        if self._shape is None:
            self._next()
        assert self._shape is not None
        return self._shape

    def dtype(self) -> Any:
        """Frames are of bytes."""
        return np.uint8

    def start_sequence(
        self, n: int | None, get_buffer: Callable[[Sequence[int], Any], Any]
    ) -> Iterator[Mapping[str, Any]]:
        """n frames, or for ever; each was exposed after it was asked for."""
        number = 0
        while n is None or number < n:
            pixels, frame_id = self._next()
            get_buffer(pixels.shape, np.uint8)[:] = pixels
            yield {"frame_id": frame_id}
            number += 1

    def _next(self) -> tuple[Any, int]:
        frame = self._focus._rig.camera.next(FRAME_S)
        self._shape = frame.pixels.shape
        self._exposure_ms = (frame.exposure_end_ns - frame.exposure_start_ns) / 1e6
        return frame.pixels, frame.frame_id


class Stage(StageDevice):
    """The focus drive, um, positive = up. A move outside the window raises and moves nothing."""

    def __init__(self, focus: Focus) -> None:
        super().__init__()
        self._focus = focus

    def get_position_um(self) -> float:
        """As the controller says it."""
        return self._focus.z_um

    def set_position_um(self, val: float) -> None:
        """Through the guard, and until it rests."""
        rig = self._focus._rig
        try:
            rig.guard.send_by_hand(float(val))
            rig.stage.wait(MOVE_S)
        except (MoveRefused, MoveUncertain, StageError) as error:
            raise RuntimeError(f"Z to {val:g} um: {error}") from error
        self._focus.new_field()

    def busy(self) -> bool:
        """Until it has settled."""
        return not self._focus.at_rest

    def stop(self) -> None:
        """Shut down at once; only a person leaves that."""
        self._focus.halt("stopped by Micro-Manager")

    def home(self) -> None:
        """Never by a program."""
        raise RuntimeError("the axis is not homed by a program: see `sparsefocus stage`")

    def set_origin(self) -> None:
        """The window is in the controller's own coordinates."""
        raise RuntimeError("the origin stays: the window is counted from it")


class Core(UniMMCore):
    """A core with the three devices loaded; closes the Focus when its devices are unloaded."""

    def __init__(self, focus: Focus, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._focus = focus
        self._offset_um = 0.0
        self._last: Outcome | None = None
        for label, device in ((CAMERA, Camera(focus)), (STAGE, Stage(focus))):
            self.loadPyDevice(label, device)
            self.initializeDevice(label)
        self.setCameraDevice(CAMERA)
        self.setFocusDevice(STAGE)
        self.setAutoShutter(False)  # the light is not ours

    def getAutoFocusDevice(self) -> str:
        """Always the one."""
        return AUTOFOCUS

    def setAutoFocusDevice(self, autofocusLabel: str) -> None:
        """The one, or nothing to do with it."""
        if autofocusLabel not in ("", AUTOFOCUS):
            raise RuntimeError(f"the autofocus here is {AUTOFOCUS}, not {autofocusLabel!r}")

    def fullFocus(self) -> None:
        """Focus this field; RuntimeError where that did not end in focus, with the reason."""
        self._focus.new_field()
        self._last = self._focus.focus()
        if not self._last.in_focus:
            raise RuntimeError(f"{self._last.decision}: {self._last.reason}")

    def incrementalFocus(self) -> None:
        """The same: one look tells the way."""
        self.fullFocus()

    def enableContinuousFocus(self, enable: bool) -> None:
        """Off, as it always is."""
        if enable:
            raise RuntimeError(_NO_FOLLOWING)

    def isContinuousFocusEnabled(self) -> bool:
        """Never."""
        return False

    def isContinuousFocusLocked(self) -> bool:
        """Never."""
        return False

    def setAutoFocusOffset(self, offset: float) -> None:
        """um that are called sharp above the plane where the specimen is sharpest."""
        if not abs(offset) <= 10:
            raise ConfigError(f"an offset of {offset:g} um must be -10 to 10")
        self._focus._rig.offset_by(float(offset))
        self._focus.new_field()
        self._offset_um = float(offset)

    def getAutoFocusOffset(self) -> float:
        """As it was last set."""
        return self._offset_um

    def getLastFocusScore(self) -> float:
        """How far the last look was from focus, um; NaN where it could not tell."""
        estimate = None if self._last is None else self._last.estimate
        known = estimate is not None and estimate.defocus_um is not None
        return abs(estimate.defocus_um) if known else float("nan")  # type: ignore

    def getCurrentFocusScore(self) -> float:
        """Of the last look."""
        return self.getLastFocusScore()
