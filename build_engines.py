#!/usr/bin/env python3
"""ONNX to TensorRT: build the FP16 plans of RIN and DPN on the device that will run them."""

from __future__ import annotations

import sys

from engines.build.command import main

if __name__ == "__main__":
    sys.exit(main())
