"""The report opens offline, escapes what it is told, and says the same as its JSON."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.appliance.files import json_safe
from edge.appliance.report.field import is_sharp, marks
from edge.appliance.report.focus_record import SessionRecord
from edge.appliance.report.page import verdict
from edge.appliance.report.pictures import STRIP
from edge.appliance.report.report import check_folder, write_report
from edge.decide.reading_scale import Scale
from edge.errors import ConfigError
from tests.support.sessions import SIDE, session


class _Page(HTMLParser):
    """Collects references and ids, and checks that tags are closed in order."""

    VOID = frozenset({"meta", "img", "br", "rect", "line", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID or tag == "rect":
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "poster", "data"):
                self.references.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of the session with everything in it."""
    target = tmp_path_factory.mktemp("report") / "made" / "for it"
    assert write_report(session(), target, 0.34) == target / "index.html"
    return target


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "index.html").read_text(encoding="utf-8")


def test_tags_are_closed_and_nothing_runs(text: str) -> None:
    page = _Page(text)
    assert page.open == []
    assert not page.tags & {"script", "iframe", "object", "link"}


def test_nothing_comes_from_outside(text: str) -> None:
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text)


def test_every_reference_is_a_file_or_a_place_on_the_page(folder: Path, text: str) -> None:
    page = _Page(text)
    assert len(page.ids) == len(set(page.ids)) == 6
    for reference in page.references:
        if reference.startswith("#"):
            assert reference[1:] in page.ids
        else:
            assert (folder / reference).is_file()
    # fields 0..4 have 2, 1, 1, 1, 1 views and a detail each, field 5 saw no frame
    assert sum(reference.endswith(".jpg") for reference in page.references) == 6 + 5


def test_pictures_are_readable_and_keep_their_colours(folder: Path) -> None:
    drawn = cv2.imread(str(folder / "pictures/field-000-1.jpg"))
    assert drawn is not None
    assert drawn.shape == (SIDE + STRIP, SIDE, 3)
    # the ring of the best patch, (1, 6), is yellow: blue is the weakest channel of OpenCV's BGR
    blue, green, red = drawn[28 + 2, 6 * 28 + 14].astype(int)
    assert red > 150
    assert green > 150
    assert blue < 120


def test_text_is_escaped(text: str) -> None:
    assert "<b>, a" not in text
    assert "&lt;b&gt;, a&amp;b" in text
    assert "<i>title" not in text
    assert "camera-stalled: &lt;none&gt;" in text
    assert "<script>" not in text


def test_json_is_strict_and_the_session_s(folder: Path) -> None:
    def never(word: str) -> None:
        raise AssertionError(word)

    data = json.loads((folder / "report.json").read_text(), parse_constant=never)
    assert data == json_safe(session().as_json())
    assert [row["decision"] for row in data["fields"]] == [
        "IN_FOCUS", "HOLD", "REFUSE", "HOLD", "HOLD", "HOLD",
    ]  # fmt: skip
    assert data["fields"][3]["frames"][0]["interval_um"] is None
    assert data["summary"]["moves_refused"] == 1


def test_strict_makes_plain_numbers() -> None:
    given = {1: (np.float32(0.5), np.nan, np.inf), "a": [np.int64(3), None, True, "x"]}
    assert json_safe(given) == {"1": [0.5, None, None], "a": [3, None, True, "x"]}


def test_the_verdict_counts(text: str) -> None:
    tone, sentence = verdict(session())
    assert tone == "warn"
    assert sentence == (
        "1 of 5 fields ended sharp, within ±0.60 µm of best focus; "
        "the one field with nothing to focus on was left alone."
    )
    assert sentence in text
    assert "SHUTDOWN</b>" not in text


def test_a_good_session_is_called_good() -> None:
    good = session()
    good.fields = [good.fields[0], good.fields[3]]
    assert verdict(good)[0] == "good"
    assert is_sharp(good, good.fields[0])
    assert not is_sharp(good, good.fields[1])  # nothing to be sharp


def test_a_shutdown_is_loud(tmp_path: Path) -> None:
    stopped = session(shutdown="the stage's position is <uncertain>")
    page = write_report(stopped, tmp_path).read_text(encoding="utf-8")
    assert verdict(stopped)[0] == "bad"
    assert '<header class="bad">' in page
    assert 'role="alert"><b>SHUTDOWN</b> the stage&#x27;s position is &lt;uncertain&gt;' in page


def test_a_session_without_fields_or_latencies(tmp_path: Path) -> None:
    empty = SessionRecord([], 0.6, 0.3, 100.0, "nothing", {})
    page = write_report(empty, tmp_path).read_text(encoding="utf-8")
    assert "No field was focused." in page
    assert "no frame was measured" in page
    assert _Page(page).open == []


def test_marks_need_the_time_at_which_the_field_began() -> None:
    first = session().fields[0]
    places = [(m.what, round(m.seconds, 3)) for m in marks(first)]
    assert places == [("frame", 0.001), ("move", 0.04), ("frame", 0.201)]
    first.start_ns = None  # type: ignore[attr-defined]
    assert marks(first) == []


def test_an_earlier_report_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    write_report(session(), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "pictures" / "own.jpg").write_text("mine too")
    later = session()
    later.fields, later.title = later.fields[:1], "later"
    page = write_report(later, tmp_path)
    assert "<h1>later</h1>" in page.read_text(encoding="utf-8")
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "pictures" / "own.jpg").read_text() == "mine too"
    assert not list(tmp_path.rglob("*.part"))


def test_a_foreign_page_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<html>my home page</html>")
    with pytest.raises(ConfigError, match="not a report of sparsefocus"):
        write_report(session(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]


def test_a_file_in_the_folder_s_place(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("")
    with pytest.raises(ConfigError, match="not a folder"):
        check_folder(tmp_path / "report")


def test_the_page_is_the_last_thing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    replace = os.replace

    def note(source: Path, target: Path) -> None:
        written.append(target.name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", note)
    write_report(session(), tmp_path)
    assert written[-2:] == ["report.json", "index.html"]


def test_a_full_disk_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = write_report(session(), tmp_path).read_bytes()

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ConfigError, match=r"^--report .*: cannot be written: No space"):
        write_report(session(), tmp_path)
    assert (tmp_path / "index.html").read_bytes() == old
    assert not list(tmp_path.rglob("*.part"))


def test_the_page_says_what_a_reading_is_worth(tmp_path: Path) -> None:
    whole = session()
    assert "What a reading is worth" not in _text_of(write_report(whole, tmp_path / "a", 0.34))
    first, second = whole.fields[0].outcomes[:2]
    outcomes = [replace(first, scale=Scale()), replace(second, scale=Scale(0.84, 0.15, True, 2))]
    fields = [replace(whole.fields[0], outcomes=outcomes), *whole.fields[1:]]
    page = _text_of(write_report(replace(whole, fields=fields), tmp_path / "b", 0.34))
    assert "<dd>0.84 read per µm, ±15 % (known, it jumped 2 times)</dd>" in page
    fields[0] = replace(fields[0], outcomes=outcomes[:1])
    page = _text_of(write_report(replace(whole, fields=fields), tmp_path / "c", 0.34))
    assert "1.00 read per µm, ±49 % (not known yet" in page


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")
