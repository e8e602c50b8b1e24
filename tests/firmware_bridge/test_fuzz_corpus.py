"""What the fuzzer found worth keeping, replayed under ASan and UBSan.

`make fuzz` looks for more with libFuzzer.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from firmware_bridge.firmware.build import CORE, HERE, SANITIZE, compile_c
from tests.fuzz import seeds

FUZZ = Path(__file__).parents[1] / "fuzz"
TARGET = FUZZ / "protocol_fuzz.c"


def replayer() -> Path:
    options = ("-O1", "-g", "-DREPLAY", f"-I{HERE}", *SANITIZE)
    return compile_c("protocol-replay", (str(TARGET), *CORE), options, TARGET.read_bytes())


def replay(folder: Path) -> int:
    files = [str(path) for path in sorted(folder.iterdir())]
    result = subprocess.run([replayer(), *files], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return int(result.stdout.split()[0])


def test_corpus() -> None:
    assert replay(FUZZ / "corpus") >= 20


def test_seeds_of_the_present_table(tmp_path: Path) -> None:
    """A corpus of an older table would be refused at HELLO and test little."""
    subprocess.run([sys.executable, str(FUZZ / "seeds.py"), str(tmp_path)], check=True)
    assert replay(tmp_path) == 25
    kept = {path.read_bytes() for path in (FUZZ / "corpus").iterdir()}
    assert {path.read_bytes() for path in tmp_path.iterdir()} <= kept, (
        "run: python tests/fuzz/seeds.py tests/fuzz/corpus"
    )


def test_the_target_notices(tmp_path: Path) -> None:
    """It is no proof when it cannot fail: a motion that ignores its window must end in abort()."""
    seed = tmp_path / "seeds" / "outside"
    seed.parent.mkdir()
    wide = [seeds.HELLO, seeds.move(1, 30_000_000, seeds.START)]
    keep_on: list[object] = []
    for _ in range(130):
        keep_on += [(seeds.PASS, 100), seeds.m.Sync(seeds.SESSION, 1)]
    seed.write_bytes(seeds.script([*wide, *keep_on]))
    assert replay(seed.parent) == 1  # ours refuses it

    copy = tmp_path / "firmware"
    copy.mkdir()
    for path in HERE.glob("*.[ch]"):
        (copy / path.name).write_bytes(path.read_bytes())
    motion = copy / "motion.c"
    text = motion.read_text()
    check = "(target_nm >= s->z_min_nm)"
    right = f"(turn <= s->z_max_nm) && {check}\n        && (target_nm <= s->z_max_nm);"
    assert right in text
    motion.write_text(text.replace(right, f"{check};"))
    options = ("-O1", "-DREPLAY", f"-I{copy}")
    broken = compile_c(
        "replay-broken", (str(TARGET), *CORE), options, TARGET.read_bytes(), folder=copy
    )
    result = subprocess.run([broken, str(seed)], capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "outside the hard limits" in result.stderr
