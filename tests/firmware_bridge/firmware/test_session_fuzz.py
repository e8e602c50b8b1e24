"""The structure-aware fuzzer: its histories under ASan and UBSan, and what it must notice.

`make fuzz-sessions` looks for more with libFuzzer, ten minutes long.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from firmware_bridge.firmware.build import CORE, HERE, SANITIZE, compile_c
from tests.support.broken_firmware import MISTAKES, spoilt
from tests.support.broken_xy import LONG_WAYS, XY_MISTAKES

TARGET = Path(__file__).parents[2] / "fuzz" / "session_fuzz.c"
CONTENT = TARGET.read_bytes() + TARGET.with_name("xy_model.h").read_bytes()
NOTICED = (
    "does not check the upper end of the window", "forgets that a refused number is used up",
    "has a watchdog that is late", "ends the way to a pressed switch by a ramp",
    "gives pulses on after a stop", "forgets to count the pulses", "moves X past its window",
    "lets the slide move on while Z is latched",
)  # fmt: skip


def histories(program: Path, seed: int, count: int) -> subprocess.CompletedProcess[str]:
    words = [str(program), "--random", str(seed), str(count)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_valid_frames_in_any_order_break_nothing() -> None:
    options = ("-O1", "-g", "-DREPLAY", f"-I{HERE}", *SANITIZE)
    program = compile_c("session-replay", (str(TARGET), *CORE), options, CONTENT)
    result = histories(program, 2, 150)
    assert (result.returncode, result.stdout) == (0, "150 inputs\n"), result.stderr


@pytest.mark.parametrize("name", NOTICED)
def test_it_notices(name: str, tmp_path: Path) -> None:
    """It is no proof when it cannot fail."""
    (mistake,) = [one for one in (*MISTAKES, *XY_MISTAKES, *LONG_WAYS) if one.name == name]
    folder = tmp_path / "firmware"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("build", "*.py", "__pycache__"))
    (folder / mistake.file).write_text(spoilt(mistake), encoding="utf-8")
    compiler = shutil.which("tcc") or "cc"
    command = [compiler, "-w", "-DREPLAY", "-I.", "-o", "replay", str(TARGET), *CORE]
    subprocess.run(command, cwd=folder, check=True)
    result = histories(folder / "replay", 1, 200)
    assert result.returncode != 0
    assert "broken:" in result.stderr
