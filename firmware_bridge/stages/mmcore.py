"""Any focus drive that Micro-Manager has an adapter for, through pymmcore (x86 only, optional).

The adapter hides the wire, so nothing here can tell a lost move from a slow one but the position
afterwards. MMCore has no call for a stage's travel or resolution: both come from the config.
"""

from __future__ import annotations

from typing import Any

from firmware_bridge.errors import LinkLost, StageRefused
from firmware_bridge.stages.polled import Identity, PolledStage
from firmware_bridge.stages.rest import Reading


class MmCoreStage(PolledStage):
    """One stage device of a Micro-Manager configuration."""

    def __init__(
        self, *, config: str, adapters: str, device: str, resolution_um: float, **motion: Any
    ) -> None:
        """`config`: a Micro-Manager .cfg file; `adapters`: folder of its adapters, of the same
        interface version; `device`: label of the focus drive in it.

        StageRefused("CONFIG") when pymmcore or an adapter is missing or does not load.
        """
        super().__init__(**motion)
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

    def _identify(self) -> Identity:
        core = self._core
        if self._device not in core.getLoadedDevices():
            raise StageRefused("CONFIG", f"device = {self._device!r} is not in the configuration")
        name = f"{core.getDeviceLibrary(self._device)} {core.getDeviceName(self._device)}"
        return Identity(f"MMCore {name}", self._asked_resolution_um, None)

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
        try:
            self._core.stop(self._device)
        except RuntimeError as error:
            raise LinkLost(f"MMCore: {error}") from error

    def _hang_up(self) -> None:
        core = getattr(self, "_core", None)
        if core is not None:
            core.reset()
