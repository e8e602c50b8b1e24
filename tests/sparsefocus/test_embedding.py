"""The embedding promise: the ten lines of examples/embed.py focus, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
EMBED = ROOT / "examples/embed.py"


def code(text: str) -> list[str]:
    """Lines that are code: without the docstring and empty ones."""
    return [line for line in text.split('"""')[2].splitlines() if line.strip()]


def test_they_are_ten_at_most() -> None:
    assert len(code(EMBED.read_text(encoding="utf-8"))) <= 10


def test_the_document_shows_them() -> None:
    document = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```python\n(.*?)^```", document, re.M | re.S)
    assert "\n".join(code(EMBED.read_text(encoding="utf-8"))) in [
        "\n".join(line for line in block.splitlines() if line.strip()) for block in shown
    ]


@pytest.mark.long
def test_they_run(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(EMBED)], cwd=tmp_path, env=environment, timeout=PATIENCE_S,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.match(r"IN_FOCUS .* z = \d+\.\d\d um\n", done.stdout), done.stdout + done.stderr
