"""ONNX Runtime, told to keep to itself before it is loaded.

The official builds (seen with 1.32) send events to their maker: a look-up of an outside host some
seconds after the first network is opened, a device's identifier and a database under the user's
home, and a thread. The switch is read when the library is loaded, so this is the one module that
imports it; docs/privacy.md.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

# a program that had loaded it before us: from here on at least
ort.disable_telemetry_events()

__all__ = ["ort"]
