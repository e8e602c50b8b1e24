"""SparseFocus in a program of yours: the public door. docs/python.md has the ten lines.

    import sparsefocus

    with sparsefocus.open("scanner.yaml") as focus:
        print(focus.focus())

What is named in `__all__` is public and frozen by a test; what lies in the other packages may
change with every version. Importing this costs nothing: what is needed is loaded when a name is
first used, and only from beside this package (an `edge` or `engines` folder of somebody else is
told, not used).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge.appliance.plain_results import Estimate as Estimate
    from edge.appliance.plain_results import Outcome as Outcome
    from edge.camera import Camera as Camera
    from edge.camera import Frame as Frame
    from edge.camera import PixelFormat as PixelFormat
    from edge.errors import CameraLost as CameraLost
    from edge.errors import CameraStalled as CameraStalled
    from edge.errors import ConfigError as ConfigError
    from edge.errors import EngineRejected as EngineRejected
    from edge.errors import MoveRefused as MoveRefused
    from edge.errors import MoveUncertain as MoveUncertain
    from edge.errors import SparseFocusError as SparseFocusError
    from firmware_bridge.errors import LinkLost as LinkLost
    from firmware_bridge.errors import StageError as StageError
    from firmware_bridge.errors import StageRefused as StageRefused
    from firmware_bridge.errors import StageSilent as StageSilent
    from firmware_bridge.errors import StageUncertain as StageUncertain
    from firmware_bridge.stage import Identity as Identity
    from firmware_bridge.stage import Stage as Stage
    from firmware_bridge.stage import StageStatus as StageStatus
    from firmware_bridge.stage import ZAt as ZAt
    from sparsefocus.focus import Focus as Focus
    from sparsefocus.focus import open_focus as open
    from sparsefocus.networks import Networks as Networks

    __version__: str

__all__ = [
    "open", "Focus", "Networks", "Estimate", "Outcome",
    "Camera", "Frame", "PixelFormat", "Stage", "StageStatus", "ZAt", "Identity",
    "SparseFocusError", "ConfigError", "CameraStalled", "CameraLost", "EngineRejected",
    "MoveRefused", "MoveUncertain", "StageError", "StageRefused", "StageUncertain", "StageSilent",
    "LinkLost", "__version__",
]  # fmt: skip

#: name here -> where it lives ("module:name")
_HOMES = {
    "open": "sparsefocus.focus:open_focus",
    "Focus": "sparsefocus.focus:Focus",
    "Networks": "sparsefocus.networks:Networks",
    **dict.fromkeys(("Estimate", "Outcome"), "edge.appliance.plain_results:"),
    **dict.fromkeys(("Camera", "Frame", "PixelFormat"), "edge.camera:"),
    **dict.fromkeys(("Stage", "StageStatus", "ZAt", "Identity"), "firmware_bridge.stage:"),
    **dict.fromkeys(
        ("SparseFocusError", "ConfigError", "CameraStalled", "CameraLost", "EngineRejected",
         "MoveRefused", "MoveUncertain"),
        "edge.errors:",
    ),
    **dict.fromkeys(
        ("StageError", "StageRefused", "StageUncertain", "StageSilent", "LinkLost"),
        "firmware_bridge.errors:",
    ),
    "__version__": "sparsefocus.version:version",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """A public name, loaded now; ImportError, in one line, where somebody's folder is in front of
    a package of ours."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sparsefocus' has no attribute {name!r}")
    from sparsefocus.shadows import refuse_shadows

    refuse_shadows()
    module, _, attribute = _HOMES[name].partition(":")
    value = getattr(importlib.import_module(module), attribute or name)
    if name == "__version__":
        value = value()
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
