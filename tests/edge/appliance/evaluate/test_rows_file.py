"""Cells of the CSV of an evaluation: no spreadsheet runs them, and they come back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.appliance.evaluate.rows_file import harmless, read_rows, rows_file, unharmed
from edge.appliance.frame_result import FrameResult
from edge.errors import ConfigError

BAD = ("=1+1", "@SUM(A1)", "+1", "-1", "\tx", "\rx", "=cmd|' /C calc'!A0", "'quoted", "''", "'=")


@pytest.mark.parametrize("text", [*BAD, "", "plain", "a=b", "it's", " =1"])
def test_every_text_comes_back(text: str) -> None:
    assert unharmed(harmless(text)) == text
    assert harmless(text)[:1] not in ("=", "+", "-", "@", "\t", "\r")


@pytest.mark.parametrize("text", BAD)
def test_what_looks_like_a_formula_is_a_text_in_the_file(tmp_path: Path, text: str) -> None:
    result = FrameResult(group=text, slide=text, true_um=-1.5, k=3)
    path = tmp_path / "rows.csv"
    with rows_file(path) as keep:
        keep(result)
    assert b",-1.5," in path.read_bytes()  # a number stays one
    (only,) = read_rows(path)
    assert (only.group, only.true_um, only.k) == (text, -1.5, 3)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"", b"a,b\n1,2\n", b'"' + b"x" * 2_000_000])
def test_what_is_no_file_of_rows_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        read_rows(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
