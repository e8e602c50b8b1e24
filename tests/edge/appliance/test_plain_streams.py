"""Nothing that a file is called, or a device answers, gives orders to a terminal."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from edge.appliance import cli
from edge.appliance.plain_streams import CLEAR, PlainStream, plain, plain_streams
from edge.images.image_file import printable

EVIL = "a\x1b]0;owned\x07b\x9b2Jc\rd\x08\u202ee\udcff"
SHOWN = "a\\x1b]0;owned\\x07b\\x9b2Jc\\rd\\x08\\u202ee\\udcff"


def test_what_moves_a_cursor_is_spelt_out() -> None:
    assert plain(EVIL) == SHOWN
    assert plain("um, 20 °C\tµm 焦点\n") == "um, 20 °C\tµm 焦点\n"
    assert plain(f"\r{CLEAR}line") == f"\r{CLEAR}line"  # our own status line
    assert plain("\r[##..]") == "\r[##..]"
    assert plain(f"x\r{CLEAR}") == "x\\r\\x1b[K"
    assert plain(f"{CLEAR}\r") == "\\x1b[K\\r"


def test_a_name_is_one_line() -> None:
    assert printable("a\nb\x1b[2Jc\udcff") == "a b\\x1b[2Jc\\udcff"
    assert printable(Path("µm 焦点.png")) == "µm 焦点.png"


def test_a_stream_is_itself_in_all_else() -> None:
    below = io.StringIO()
    stream = PlainStream(below)
    assert stream.write(EVIL) == len(EVIL)
    stream.writelines(["\x1b", "\n"])
    stream.flush()
    assert below.getvalue() == f"{SHOWN}\\x1b\n"
    assert not stream.isatty()
    before = sys.stdout, sys.stderr
    with pytest.raises(KeyError), plain_streams():
        raise KeyError
    assert (sys.stdout, sys.stderr) == before


@pytest.mark.parametrize(
    "words",
    [
        ["focus", "{name}.png"],
        ["check-config", "{name}.yaml"],
        ["run", "--config", "{name}.yaml"],
        ["stage", "watch", "--config", "{name}.yaml"],
        ["evaluate", "{name}.csv"],
        ["init", "--{name}"],
        ["{name}"],
    ],
)
def test_every_verb_is_behind_it(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{tmp_path}/\x1b]0;owned\x07\n"
    status: object = None
    try:
        status = cli.main([word.format(name=name) for word in words])
    except SystemExit as wrong:  # argparse's
        status = wrong.code
    assert status == 2
    told = capsys.readouterr()
    assert "owned" in told.err
    assert not any(c in told.out + told.err for c in "\x1b\x07\r")
