"""OpenVINO, without the package that tells its maker that it was imported.

`import openvino` asks for www.google-analytics.com and writes ~/intel when the package
`openvino-telemetry`, which comes with it, can be imported. It has a stub for where it cannot.
"""

from __future__ import annotations

import sys
from typing import Any

_TELEMETRY = "openvino_telemetry"


def import_openvino() -> Any:
    """The module `openvino`; ImportError when it is not installed."""
    if _TELEMETRY not in sys.modules:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # an import of it fails
    import openvino

    return openvino
