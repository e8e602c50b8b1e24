"""Controllers that answer in another firmware's words: understood by their fields, or shown."""

from __future__ import annotations

from typing import Any

import pytest

from firmware_bridge.errors import LinkLost, StageRefused
from tests.support.stage_benches import WIRES, OpenBench, WireBench

GRBL_REPORTS = {
    "grblHAL": "<{s}|MPos:0.000,0.000,{z:.3f},12.000,0.000|Bf:35,1024|FS:0,0|WCO:1,2,3,4,5|H:1>",
    "more decimals": "<{s}|MPos:0.00000,0.00000,{z:.5f}|Ov:100,100,100>",
    "work's coordinates": "<{s}|WPos:-1.000,0.000,{w:.3f}|FS:0,0|WCO:1.000,0.000,2.500>",
    "no more than a place": "<{s}|MPos:0,0,{z:.3f}>",
}


@pytest.mark.parametrize("words", GRBL_REPORTS.values(), ids=GRBL_REPORTS)
def test_grbl_in_other_words(make_bench: OpenBench, words: str) -> None:
    bench = make_bench("grbl")
    assert isinstance(bench, WireBench)
    board: Any = bench.served.controller
    single = board.single

    def report(byte: bytes) -> Any:
        if byte != b"?":
            return single(byte)
        z_mm = board.axis.position_nm() / 1e6
        return f"{words.format(s=board._state(), z=z_mm, w=z_mm - 2.5)}\r\n".encode()

    board.single = report
    stage = bench.open()
    assert stage.status().z_um == pytest.approx(-5000)
    stage.move_to(-4990, -5000)
    assert stage.wait(10.0).z_um == pytest.approx(-4990, abs=1)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ("<{s}|WPos:0.000,0.000,{z:.3f}|FS:0,0>", r"\$10=1"),  # where its work begins is not told
        ("<{s}|MPos:0.000,0.000|FS:0,0>", "words not known"),  # two axes
        ("<{s},MPos:0.000,0.000,0.000,WPos:0,0,0>", "words not known.*MPos"),  # GRBL 0.9
    ],
)
def test_what_grbl_does_not_tell_is_named(make_bench: OpenBench, answer: str, hint: str) -> None:
    bench = make_bench("grbl")
    assert isinstance(bench, WireBench)
    board: Any = bench.served.controller
    board.single = lambda byte: f"{answer.format(s='Idle', z=-5.0)}\r\n".encode()
    with pytest.raises((StageRefused, LinkLost), match=hint):
        bench.open(answer_s=0.1)
    board.single = type(board).single.__get__(board)
    del board.settings[132]
    with pytest.raises(StageRefused, match=r"\$132 \(travel of Z\)"):
        bench.open()


@pytest.mark.parametrize(
    ("driver", "question", "answer"),
    [
        ("asi", b"V\r", b":A v3.44\r\n"),
        ("asi", b"UM Z?\r", b":A X=1000.0 Y=1000.0 Z=10000.000 \r\n"),
        ("asi", b"SU Z?\r", b":Z=10.000000 A\r\n"),
        ("asi", b"/\r", b":A N\r\n"),
        ("asi", b"W Z\r", b":A Z=50000\n"),
        ("prior", b"COMP,0\r", b"R\r"),
        ("prior", b"RES,Z\r", b".1\r"),
        ("prior", b"SERIAL\r", b"E,5\r"),
        ("tango", b"?statusaxis z\r", b"@@@.-\r"),
        ("pi", b"FRF? 1\nERR?\n", b"2\n"),
    ],
)
def test_other_firmwares_words_are_understood(
    make_bench: OpenBench, driver: str, question: bytes, answer: bytes
) -> None:
    bench = make_bench(driver)
    assert isinstance(bench, WireBench)
    controller: Any = bench.served.controller
    receive = controller.receive
    controller.receive = lambda data: answer if data == question else receive(data)
    stage = bench.open()
    assert question in bench.served.heard
    assert stage.status().z_um == pytest.approx(5000)
    stage.move_to(5010, 5000)


@pytest.mark.parametrize("driver", WIRES)
def test_an_answer_that_nobody_understands_is_shown(make_bench: OpenBench, driver: str) -> None:
    bench = make_bench(driver)
    bench.damage(lambda data: b"HELLO, WORLD 1234\r\n" if driver != "tmcl" else b"\x01" * 9, None)
    with pytest.raises(LinkLost) as lost:
        bench.open(answer_s=0.05)
    assert ("HELLO, WORLD" if driver != "tmcl" else "01 01 01") in str(lost.value)
    assert "no answer" not in str(lost.value)
    bench.damage(lambda data: b"", None)
    with pytest.raises(LinkLost, match="no answer"):
        bench.open(answer_s=0.05)
