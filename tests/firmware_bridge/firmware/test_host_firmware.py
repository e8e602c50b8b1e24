"""The firmware as a process: built once, fed junk, ended with its parent."""

from __future__ import annotations

import os
import random
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from firmware_bridge import messages as m
from firmware_bridge.firmware import host, qemu
from firmware_bridge.firmware.host import BuildError, HostFirmware, build_host
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.framing import Frame, encode_frame
from tests.support.patience import ANSWER_S
from tests.support.raw_host import HELLO, RawHost


def test_built_once() -> None:
    program = build_host()
    built_ns = program.stat().st_mtime_ns
    assert build_host() == program
    assert program.stat().st_mtime_ns == built_ns


def test_no_compiler_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(BuildError, match="no C compiler"):
        build_host()


def test_makefile_and_builder_agree() -> None:
    """Same sources, same warnings."""
    makefile = (host.HERE / "Makefile").read_text().replace("\\\n", " ")
    for name, sources in (
        ("CORE", host.CORE),
        ("HOST", host.HOST),
        ("MPS2", qemu.SOURCES[len(host.CORE) :]),
        ("MPS2_FLAGS", qemu.OPTIONS),
    ):
        match = re.search(rf"^{name} = (.*)$", makefile, re.M)
        assert match is not None
        assert tuple(match.group(1).split()) == sources
    strict = re.search(r"^STRICT = (.*)$", makefile, re.M)
    assert strict is not None
    assert tuple(strict.group(1).split()) == host.STRICT


def test_core_needs_no_library(tmp_path: Path) -> None:
    """Freestanding, so that a board without libc links it: only port_*() is left open."""
    subprocess.run(
        [
            "cc",
            *host.STRICT,
            "-ffreestanding",
            "-Os",
            "-c",
            *(str(host.HERE / c) for c in host.CORE),
        ],
        cwd=tmp_path,
        check=True,
    )
    names = subprocess.run(
        ["nm", "-u", *(str(path) for path in tmp_path.glob("*.o"))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    undefined = {name for name in names if name != "U" and not name.endswith(".o:")}
    assert {name for name in undefined if not name.startswith("af_")} <= {
        "port_send",
        "port_motor",
        "port_xy_motor",
        "port_xy_switches",
        "port_trigger",
        "port_encoder",
        "port_switches",
        "memset",
        "_GLOBAL_OFFSET_TABLE_",
        "__stack_chk_fail",
    }


def test_a_terminals_ctrl_c_is_not_for_it() -> None:
    """The runtime that is told to end stops the axis, and must still find it there."""
    with HostFirmware() as firmware:
        assert os.getpgid(firmware._process.pid) != os.getpgid(0)


def test_ends_with_its_parent() -> None:
    """The parent is killed and cannot tidy up: the closing of stdin must do."""
    program = (
        "from firmware_bridge.firmware.host import HostFirmware\n"
        "import os\n"
        "firmware = HostFirmware()\n"
        "print(firmware.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    root = host.HERE.parent.parent
    out = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)
    status = Path(f"/proc/{int(out.stdout)}/cmdline")
    deadline = time.monotonic() + ANSWER_S
    while status.exists() and b"z-firmware" in status.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_bad_options_are_named() -> None:
    with pytest.raises(RuntimeError, match="--start-nm is outside"):
        HostFirmware(start_nm=-50)
    with pytest.raises(RuntimeError, match="--speed-um-s 0: must be"):
        HostFirmware(speed_um_s=0)


def test_trace_is_complete_up_to_its_heartbeat() -> None:
    with HostFirmware(start_nm=1000) as firmware, MotorTrace(firmware.trace_path) as trace:
        times, motor = trace.read_new()
        assert motor.tolist() == [1000]
        assert trace.wait_until(time.monotonic_ns())
        heartbeat_ns, motor_nm = trace.now()
        assert (motor_nm, len(trace.read_new()[0])) == (1000, 0)
        assert heartbeat_ns - int(times[0]) > 0
        assert abs(time.monotonic_ns() - heartbeat_ns) < 500_000_000


def test_trace_refuses_other_files(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(bytes(200))
    with pytest.raises(ValueError, match="not a motor trace"):
        MotorTrace(other)


def test_trace_counts_what_it_missed(tmp_path: Path) -> None:
    """A ring of four, written seven times: the oldest slot may be under the writer's pen."""
    path = tmp_path / "trace"

    def write(count: int) -> None:
        ring = [(0, 0, 0)] * 4
        for n in range(count):
            ring[n % 4] = (n, 10 * n, 1)
        header = struct.pack("<4sIIIQqiIQ16x", b"SFTR", 1, 4, 16, count, count, 0, 1, 0)
        path.write_bytes(header + b"".join(struct.pack("<qiI", *entry) for entry in ring))

    write(7)
    with MotorTrace(path) as trace:
        times, motor = trace.read_new()
        assert times.tolist() == [4, 5, 6]
        assert motor.tolist() == [40, 50, 60]
        assert trace.lost == 4


def test_junk_harms_nothing() -> None:
    """Under the address and undefined-behaviour sanitizers: junk, damaged and well-formed frames
    with any content; every honest question in between is answered."""
    dice = random.Random(3)
    with HostFirmware(start_nm=5_000_000, sanitize=True) as firmware:
        raw = RawHost(firmware.port)
        raw.hello()
        for token in range(60):
            for _ in range(20):
                raw.link.write(_nastiness(dice))
            raw.link.write(b"\0")
            raw.hello()  # junk may have said BYE
            while raw.ask(m.Sync(HELLO.session, token), m.SyncAck).token != token:
                pass
        raw.close()
        with MotorTrace(firmware.trace_path) as trace:
            _, motor = trace.read_new()
            assert motor.min() >= 1_000_000
            assert motor.max() <= 9_000_000
        assert firmware.close() == ""  # no sanitizer report


def _nastiness(dice: random.Random) -> bytes:
    kind = dice.choice((1, 3, 3, 3, 4, 5, 6, 9))
    payload = bytearray(dice.randbytes(dice.choice((0, 4, 20, 20, 27, 48))))
    if kind == 1 or dice.random() < 0.7:
        payload[:4] = HELLO.session.to_bytes(4, "little")
    if kind == 1 and len(payload) == 27:
        payload[4:9] = bytes([1]) + m.TABLE_HASH.to_bytes(4, "little")
        payload[9:17] = HELLO.z_min_nm.to_bytes(4, "little") + HELLO.z_max_nm.to_bytes(4, "little")
    wire = bytearray(encode_frame(Frame(1, kind, dice.randrange(256), bytes(payload[:48]))))
    if dice.random() < 0.3:
        wire[dice.randrange(len(wire))] ^= 1 << dice.randrange(8)
    return bytes(wire) if dice.random() < 0.8 else dice.randbytes(dice.randrange(1, 90))
