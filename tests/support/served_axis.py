"""The config of a stage that a simulated controller serves, and a line to a port without a
driver."""

from __future__ import annotations

import os

CONFIG = """
camera: {{driver: simulated, period_ms: 30, options: {{trace: none}}}}
stage:
  driver: {driver}
  z_min_um: {low}
  z_max_um: 9000
  focus_direction: 1
  options: {{port: "{port}", full_step_um: 3.2, poll_ms: 5, settle_ms: 5}}
objective: {{na: 0.75, magnification: 20, um_per_px: 0.34}}
"""


def raw(port: str, *commands: bytes) -> list[bytes]:
    """What any program sees that opens the port."""
    fd = os.open(port, os.O_RDWR | os.O_NOCTTY)
    answers = []
    for command in commands:
        os.write(fd, command)
        answer = b""
        while not answer.endswith(b"\r\n"):
            answer += os.read(fd, 64)
        answers.append(answer)
    os.close(fd)
    return answers
