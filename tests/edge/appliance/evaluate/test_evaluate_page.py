"""The page of an evaluation: it stands alone, says what the JSON says, draws every frame."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

from edge.appliance import cli


class _Page(HTMLParser):
    """Checks that tags are closed in order."""

    VOID = frozenset({"meta"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_stands_alone_and_says_what_the_json_says(measured):
    folder = measured["report"]
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = _Page(text)
    assert page.open == []
    assert page.tags.count("svg") == 2 + 3  # two groups; errors, coverage, distance
    assert not {"script", "iframe", "link", "img"} & set(page.tags)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text)
    assert "cell <i>" not in text
    assert "cell &lt;i&gt;" in text
    assert "cell <b>" not in text
    assert json.loads((folder / "evaluation.json").read_text()) == json.loads(
        measured["json"].read_text()
    )
    # 0.25, 0, 3, 0.25 of cells and 20 of the one tissue frame that was answered
    assert "mean error 4.70 µm on 5 of 6 frames, 60 % within ±0.60 µm" in text


def test_page_draws_every_frame(measured):
    text = (measured["report"] / "index.html").read_text(encoding="utf-8")
    cells, tissue = re.findall(r"<svg[^>]*Found against true.*?</svg>", text)
    assert cells.count("<circle") == 2 * 3  # in the plot and in the strip below
    assert cells.count("<polygon") == 2 * 1  # the one that is 3 um off, in both
    assert "4 of 4 answered" in cells
    assert "1 of 2 answered" in tissue
    assert "blank</title>" in tissue  # the tick of the silent one says why


def test_a_foreign_page_is_not_overwritten(stacks, models, tmp_path, capsys):
    (tmp_path / "index.html").write_text("mine")
    words = ["evaluate", str(stacks), "--models", str(models), "--quiet"]
    assert cli.main([*words, "--report", str(tmp_path)]) == 2
    assert "will not be overwritten" in capsys.readouterr().err
    assert (tmp_path / "index.html").read_text() == "mine"


def test_blank_fields_alone_make_a_page_too(stacks, models, tmp_path):
    folder = tmp_path / "page"
    head, *rows = stacks.read_text().splitlines()
    alone = stacks.with_name("blank.csv")
    alone.write_text("\n".join([head, *(r for r in rows if ",blank," in r)]) + "\n")
    words = ["evaluate", str(alone), "--models", str(models), "--quiet", "--report", str(folder)]
    assert cli.main(words) == 0
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert _Page(text).open == []
    assert "No frame with a known focus" in text
