"""The build for the Cortex-M3: its size, what is in it, and its own clock."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from firmware_bridge import messages as m
from firmware_bridge.firmware import qemu
from firmware_bridge.firmware.build import BuildError
from firmware_bridge.firmware.qemu import QemuFirmware, build_qemu, missing_tools, section_sizes
from tests.support.boards import NEEDS_BOARD
from tests.support.raw_host import HELLO, RawHost


def symbols(elf: Path) -> set[str]:
    out = subprocess.run(["arm-none-eabi-nm", str(elf)], capture_output=True, text=True, check=True)
    return set(re.findall(r" \w (\w+)$", out.stdout, re.MULTILINE))


@NEEDS_BOARD
def test_size(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = section_sizes(build_qemu())
    with capsys.disabled():
        print(f"\nCortex-M3 firmware: {sizes}")
    assert 0 < sizes[".text"] <= qemu.TEXT_LIMIT == 12_288
    assert sizes[".data"] + sizes[".bss"] <= 4096
    assert qemu.main([]) == 0


@NEEDS_BOARD
def test_no_libc_and_no_faults_in_a_release() -> None:
    release, faulty = symbols(build_qemu()), symbols(build_qemu(faults=True))
    assert {"af_fault_due", "af_fault_arm"} <= faulty
    assert not {name for name in release if "fault" in name.lower()}
    assert not {"malloc", "free", "printf", "_start", "__libc_init_array"} & release


@NEEDS_BOARD
def test_the_hardware_timer_keeps_the_hosts_time() -> None:
    with QemuFirmware(start_nm=5_000_000, boot_id=11) as board:
        raw = RawHost(board.port)
        raw.hello()
        pairs = []
        for pause_s in (0.0, 1.0):
            time.sleep(pause_s)
            asked = time.monotonic()
            answer = raw.ask(m.Sync(HELLO.session, 7), m.SyncAck)
            pairs.append((asked, answer.time_us / 1e6, time.monotonic()))
        raw.close()
    (begin, first, begin_later), (end, second, end_later) = pairs
    assert end - begin_later <= second - first + 1e-4
    assert second - first <= end_later - begin + 1e-4


@NEEDS_BOARD
def test_ends_with_its_owner() -> None:
    board = QemuFirmware(start_nm=0, boot_id=1)
    assert board.running()
    assert board.pid > 0
    board.close()
    assert not board.running()
    board.close()


def test_without_tools_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "apt install qemu-system-arm gcc-arm-none-eabi" in missing_tools()
    with pytest.raises(BuildError, match="apt install"):
        build_qemu()
