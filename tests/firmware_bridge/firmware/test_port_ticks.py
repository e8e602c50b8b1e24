"""The Cortex-M3's ticks go by its clock: interrupts that were lost leave the time of the ticks no
lag behind, which would make its watchdog late."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from firmware_bridge.firmware.build import HERE

PORT = HERE / "ports/mps2_an385/main.c"
BED = """
#include <stdint.h>
#include <stdio.h>
#define TICK_US {tick}
#define LATE_LIMIT_TICKS {limit}
static uint64_t clock_us;
static int protocol;
static uint64_t now_us(void) {{ return clock_us; }}
static void af_protocol_tick(int *core, uint64_t at_us)
{{
    (void)core;
    printf(" %u", (unsigned)at_us);
}}
{run_ticks}
int main(void)
{{
    static const unsigned turns_us[] = {{{turns}}};
    uint64_t tick_us = 0U;
    for (unsigned i = 0U; i < sizeof turns_us / sizeof *turns_us; i++) {{
        clock_us = turns_us[i];
        run_ticks(&tick_us);
        printf(";");
    }}
    return 0;
}}
"""


def ticks(turns_us: list[int], folder: Path) -> list[list[int]]:
    """The nominal times of the ticks that run at each turn of main(), us."""
    compiler = shutil.which("tcc") or shutil.which("cc")
    if compiler is None and not os.environ.get("CI"):
        pytest.skip("no C compiler")
    text = PORT.read_text("utf-8")
    number = {
        name: re.search(rf"#define {name} (\d+U)", text) for name in ("TICK_US", "LATE_LIMIT_TICKS")
    }
    function = re.search(r"^static void run_ticks\(.*?^}$", text, re.M | re.S)
    assert function is not None
    assert all(number.values())
    tick, limit = (match[1] for match in number.values() if match)
    source, program = folder / "bed.c", folder / "bed"
    turns = ", ".join(f"{at}U" for at in turns_us)
    source.write_text(BED.format(tick=tick, limit=limit, run_ticks=function[0], turns=turns))
    subprocess.run([str(compiler), "-o", str(program), str(source)], check=True)
    out = subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout
    return [[int(at) for at in turn.split()] for turn in out.split(";")[:-1]]


def test_each_turn_runs_what_is_due_by_the_clock(tmp_path: Path) -> None:
    """One interrupt may stand for many ticks: 37 of them, and then one of 100 ms to the last us."""
    assert ticks([999, 1_000, 1_001, 38_400, 138_000, 138_999, 139_000], tmp_path) == [
        [], [1_000], [], [*range(2_000, 39_000, 1_000)], [*range(39_000, 139_000, 1_000)], [],
        [139_000],
    ]  # fmt: skip


def test_after_a_longer_pause_time_stood_still(tmp_path: Path) -> None:
    assert ticks([1_000, 101_001, 102_000, 102_001], tmp_path) == [
        [1_000], [101_001], [], [102_001],
    ]  # fmt: skip
