"""An XY stage out of two axes that each have a driver, on one line: five makers.

Each axis keeps what its driver proves of a single one: window, arrival, a hand on the knob, a
restart, silence, its minder. Here both are asked before either is moved; a stage of which one axis
went and the other was refused is stopped, and uncertain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from firmware_bridge.errors import StageError, StageRefused, StageUncertain
from firmware_bridge.stage import Stage
from firmware_bridge.stages.asi import AsiAxis
from firmware_bridge.stages.pi_gcs2 import PiStage
from firmware_bridge.stages.shared_line import SharedLine
from firmware_bridge.stages.tango import TangoX, TangoY
from firmware_bridge.stages.tmcl import TmclStage
from firmware_bridge.stages.zaber_ascii import ZaberStage
from firmware_bridge.xy_stage import Trigger, Triggered, XYAt, XYStage, XYStatus, allowed

Window = tuple[float, float, float, float]


class TwoAxes(XYStage):
    """Holds two stages and closes them. Their z is our x and y."""

    def __init__(self, x: Stage, y: Stage, tolerance_um: float = 1.0) -> None:
        """`tolerance_um`: how far off `assumed` may be, as the axes' own `assumed_tolerance_um`."""
        self._x, self._y, self._tolerance_um = x, y, tolerance_um
        self.x_min_um, self.x_max_um = x.z_min_um, x.z_max_um
        self.y_min_um, self.y_max_um = y.z_min_um, y.z_max_um
        self.resolution_um = max(x.resolution_um, y.resolution_um)
        self._moves = 0

    def status(self) -> XYStatus:
        x, y = self._x.status(), self._y.status()
        settled = None
        if x.settled_ns is not None and y.settled_ns is not None:
            settled = max(x.settled_ns, y.settled_ns)
        latched = x.latched if x.latched is not None else y.latched
        oldest_ns = min(x.time_ns, y.time_ns)
        return XYStatus(x.z_um, y.z_um, x.moving or y.moving, settled, latched, oldest_ns)

    def xy_at(self, time_ns: int) -> XYAt:
        """Since both settled: such controllers cannot tell where they were before."""
        x, y = self._x.z_at(time_ns), self._y.z_at(time_ns)
        return XYAt(x.z_um, y.z_um, max(x.uncertainty_um, y.uncertainty_um))

    def move_to(self, x_um: float, y_um: float, assumed: tuple[float, float]) -> int:
        allowed(self, x_um, y_um, assumed, self._tolerance_um)
        self._x.move_to(x_um, assumed[0])
        try:
            self._y.move_to(y_um, assumed[1])
        except StageRefused as refused:
            self.stop()
            raise StageUncertain(f"X went, and Y was refused: {refused}") from refused
        self._moves += 1
        return self._moves

    def sweep(
        self, x_um: float, speed_um_s: float, assumed: tuple[float, float], trigger: Trigger | None
    ) -> int:
        raise StageRefused("NO_TRIGGER", "two single axes: stop and go, no sweep")

    def triggered(self) -> list[Triggered]:
        """None: there is no sweep."""
        return []

    def wait(self, timeout_s: float) -> XYStatus:
        self._x.wait(timeout_s)
        self._y.wait(timeout_s)
        return self.status()

    def stop(self) -> None:
        _both(self._x.stop, self._y.stop)

    def clear(self) -> None:
        _both(self._x.clear, self._y.clear)

    def close(self) -> None:
        _both(self._x.close, self._y.close)


def _both(first: Callable[[], None], second: Callable[[], None]) -> None:
    """The second whatever the first one says; then what it said."""
    try:
        first()
    finally:
        second()


def open_asi_xy(
    *, port: str, window_um: Window, resolution_um: float, letters: str = "XY",
    baudrate: int = 9600, **motion: Any,
) -> TwoAxes:  # fmt: skip
    """X and Y of an ASI controller; `window_um`: (x_min, y_min, x_max, y_max). As AsiStage."""
    each = [{"axis": letter, "resolution_um": resolution_um} for letter in letters]
    return _opened(AsiAxis, port, baudrate, window_um, each, motion)


def open_zaber_xy(
    *, port: str, window_um: Window, full_step_um: float, device: int = 1,
    axes: tuple[int, int] = (1, 2), baudrate: int = 115_200, **motion: Any,
) -> TwoAxes:  # fmt: skip
    """Two axes of a Zaber controller. As ZaberStage."""
    each = [{"axis": axis, "full_step_um": full_step_um, "device": device} for axis in axes]
    return _opened(ZaberStage, port, baudrate, window_um, each, motion)


def open_pi_xy(
    *, port: str, window_um: Window, resolution_um: float, axes: tuple[str, str] = ("1", "2"),
    baudrate: int = 115_200, **motion: Any,
) -> TwoAxes:  # fmt: skip
    """Two axes of a GCS 2.0 controller, by their names in `SAI?`. As PiStage."""
    each = [{"axis": axis, "resolution_um": resolution_um} for axis in axes]
    return _opened(PiStage, port, baudrate, window_um, each, motion)


def open_tango_xy(
    *, port: str, window_um: Window, resolution_um: float, baudrate: int = 57_600, **motion: Any
) -> TwoAxes:
    """X and Y of a TANGO controller. As TangoStage."""
    each = [{"resolution_um": resolution_um}] * 2
    return _opened((TangoX, TangoY), port, baudrate, window_um, each, motion)


def open_tmcl_xy(
    *, port: str, window_um: Window, full_step_um: float, module: int = 1,
    motors: tuple[int, int] = (0, 1), baudrate: int = 9600, **motion: Any,
) -> TwoAxes:  # fmt: skip
    """Two motors of a Trinamic module. As TmclStage."""
    each = [{"motor": motor, "full_step_um": full_step_um, "module": module} for motor in motors]
    return _opened(TmclStage, port, baudrate, window_um, each, motion)


def _opened(
    drivers: Callable[..., Stage] | tuple[Callable[..., Stage], ...],
    port: str,
    baudrate: int,
    window_um: Window,
    each: list[dict[str, Any]],
    motion: Mapping[str, Any],
) -> TwoAxes:
    """Both axes on one line; what was opened is closed again when the other fails."""
    if len(each) != 2:
        raise StageRefused("CONFIG", f"{len(each)} axes are not two")
    line = SharedLine(port, baudrate)
    opened: list[Stage] = []
    shared: dict[str, Any] = {"port": port, "baudrate": baudrate, "open_link": line.open_link}
    try:
        for number, options in enumerate(each):
            low_um, high_um = window_um[number], window_um[number + 2]
            window: dict[str, Any] = {"z_min_um": low_um, "z_max_um": high_um}
            driver = drivers[number] if isinstance(drivers, tuple) else drivers
            opened.append(driver(**shared, **window, **options, **motion))
    except StageError:
        for stage in opened:
            stage.close()
        line.close()
        raise
    x, y = opened
    return TwoAxes(x, y, float(motion.get("assumed_tolerance_um", 1.0)))
