"""Waiting at the start for a port or a camera that comes up later than the service.

Only at the start: after a shutdown nothing is waited for and nothing begins by itself.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

from edge.appliance.telling import tell
from edge.errors import CameraStalled, ConfigError
from firmware_bridge.errors import LinkLost, StageRefused

WAIT_S = 10.0  # a USB device that was plugged in at the same moment
MOST_S = 3600.0
_AGAIN_S = 1.0

T = TypeVar("T")


def add_wait(parser: argparse.ArgumentParser) -> None:
    """`--wait S`, the same on every verb that may be a service."""
    what = (
        f"for a port or camera that is not there yet, at the start (default: {WAIT_S:g}, 0 = not)"
    )
    parser.add_argument("--wait", type=float, default=WAIT_S, metavar="S", help=what)


def once_there(
    build: Callable[[], T],
    wait_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """What `build` returns, tried for `wait_s` while the port or the camera is not there, or is
    still held by a predecessor that ends. Its last error afterwards; any other at once."""
    if not 0.0 <= wait_s <= MOST_S:
        raise ConfigError(f"--wait {wait_s:g} must be 0 to {MOST_S:g}")
    until = clock() + wait_s
    announced = False
    while True:
        try:
            return build()
        except (CameraStalled, LinkLost, StageRefused, OSError) as error:
            locked = isinstance(error, StageRefused) and error.reason == "PORT_LOCKED"
            if (isinstance(error, StageRefused) and not locked) or clock() >= until:
                raise
            if not announced:
                announced = True
                tell(f"sparsefocus: not there yet, waiting up to {wait_s:g} s (--wait): {error}")
        sleep(_AGAIN_S)
