"""Any focus drive that Micro-Manager has an adapter for, through pymmcore (x86 only, optional).

The adapter hides the wire, so nothing here can tell a lost move from a slow one but the position
afterwards. MMCore has no call for a stage's travel, resolution or reference: the first two come
from the config. Not every adapter can stop its stage (Micro-Manager's ASI adapter cannot), so a
stop is tried once when it is opened: without one, a Ctrl-C would promise what nobody does.
"""

from __future__ import annotations

from typing import Any

from firmware_bridge.errors import LinkLost, StageRefused, StageUncertain
from firmware_bridge.stages.polled import Identity, PolledStage
from firmware_bridge.stages.rest_detector import Reading


class MmCoreStage(PolledStage):
    """One stage device of a Micro-Manager configuration."""

    def __init__(
        self,
        *,
        config: str,
        adapters: str,
        device: str,
        resolution_um: float,
        without_stop: bool = False,
        **motion: Any,
    ) -> None:
        """`config`: a Micro-Manager .cfg file; `adapters`: folder of its adapters, of the same
        interface version; `device`: label of the focus drive in it; `without_stop`: a person
        accepts that nothing ends a move before its target.

        StageRefused("CONFIG") when pymmcore or an adapter is missing, does not load, or cannot
        stop the stage and nobody accepted that.
        """
        super().__init__(**motion)
        if not isinstance(without_stop, bool):
            raise StageRefused("CONFIG", f"without_stop = {without_stop!r} must be true or false")
        self._without_stop, self._cannot_stop = without_stop, ""
        try:
            import pymmcore
        except ImportError as error:
            raise StageRefused("CONFIG", "needs pymmcore: the extra `mmcore`") from error
        self._device, self._asked_resolution_um = device, resolution_um
        self._core = pymmcore.CMMCore()
        self._core.setDeviceAdapterSearchPaths([adapters])
        try:
            self._core.loadSystemConfiguration(config)
        except (RuntimeError, OSError) as error:
            raise StageRefused("CONFIG", f"{config}: {error}") from error
        self._begin()

    counts_from_reference = False

    def _identify(self) -> Identity:
        core = self._core
        if self._device not in core.getLoadedDevices():
            raise StageRefused("CONFIG", f"device = {self._device!r} is not in the configuration")
        name = f"{core.getDeviceLibrary(self._device)} {core.getDeviceName(self._device)}"
        self._cannot_stop = self._try_to_stop()
        if self._cannot_stop and not self._without_stop:
            raise StageRefused(
                "CONFIG",
                f"{name} cannot be stopped ({self._cannot_stop}): take another driver, or accept "
                "it with `without_stop: true` under stage.options",
            )
        # what its positions count from is the adapter's: there is nothing to ask
        remark = ", cannot be stopped" if self._cannot_stop else ""
        return Identity(f"MMCore {name}{remark}", self._asked_resolution_um, None, referenced=True)

    def _try_to_stop(self) -> str:
        """Why the adapter cannot, "" = it can, or says so. An axis at rest is none the worse."""
        try:
            self._core.stop(self._device)
        except RuntimeError as error:
            return str(error).splitlines()[0] if str(error) else "it does not say why"
        return ""

    def _read(self) -> Reading:
        try:
            moving = bool(self._core.deviceBusy(self._device))
            return Reading(float(self._core.getPosition(self._device)), moving)
        except RuntimeError as error:
            raise LinkLost(f"MMCore: {error}") from error

    def _go(self, target_um: float) -> None:
        try:
            self._core.setPosition(self._device, target_um)
        except RuntimeError as error:  # it does not say whether anything moved
            raise LinkLost(f"MMCore: {error}") from error

    def _halt(self) -> None:
        why = self._try_to_stop()
        if why:
            raise StageUncertain(f"MMCore: the axis goes on to its target, it has no stop: {why}")

    def _hang_up(self) -> None:
        core = getattr(self, "_core", None)
        if core is not None:
            core.reset()
