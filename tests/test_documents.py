"""What the documents say of the tree is so: links, rooms, decisions and commands."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest

from edge.appliance import cli

ROOT = Path(__file__).parents[1]
MOST_WORDS = 25  # of a sentence, on average over a document
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
#: files of tests and of people's own machines have no documents of ours
DOCUMENTS = sorted(
    path
    for path in {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/*.md")}
    if path.parts[len(ROOT.parts)] not in ("build", "mutants", "report", "runs", ".pytest_cache")
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    targets = [
        t for t in LINK.findall(path.read_text("utf-8")) if not t.startswith(("http", "mailto"))
    ]
    assert [target for target in targets if not (path.parent / target).exists()] == []


def sentences(text: str) -> list[list[str]]:
    """The words of each sentence, without code, tables, headings and the targets of links."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    text = "\n".join(line for line in text.splitlines() if not line.startswith(("|", "#", "!")))
    text = re.sub(r"\]\([^)]*\)", "]", text)
    paragraphs = re.split(r"\n\s*\n", re.sub(r"^[-*\d.]+ ", "\n\n", text, flags=re.M))
    parts = [part for each in paragraphs for part in re.split(r"(?<=[.!?])\s+", each.strip())]
    return [words for part in parts if len(words := part.split()) > 2]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_sentences_are_short(path: Path) -> None:
    lengths = [len(words) for words in sentences(path.read_text("utf-8"))]
    assert sum(lengths) <= MOST_WORDS * len(lengths), sum(lengths) / len(lengths)


#: a measured number, of at least two digits that count: 0.17 and 13.2, not 0.5
MEASURED = re.compile(r"(?<![\w.])(?:[1-9]\d*\.\d+|0\.0*[1-9]\d+)(?![\w.]*\d)")
IN_A_ROW = 3  # one or two may be equal by chance


def rows_of_numbers(text: str) -> set[tuple[str, ...]]:
    """Every three different measured numbers that follow each other, whatever stands between."""
    numbers = MEASURED.findall(text)
    rows = (numbers[start : start + IN_A_ROW] for start in range(len(numbers)))
    return {tuple(row) for row in rows if len(set(row)) == IN_A_ROW}


def test_a_number_stands_in_one_document() -> None:
    """A result that is copied is renewed in one place and forgotten in the other: link to it."""
    home: dict[tuple[str, ...], str] = {}
    twice = []
    for path in DOCUMENTS:
        name = path.relative_to(ROOT).as_posix()
        for row in rows_of_numbers(path.read_text("utf-8")):
            if home.setdefault(row, name) != name:
                twice.append(f"{home[row]} and {name}: {', '.join(row)}")
    assert twice == []


def test_a_row_that_was_copied_would_be_seen() -> None:
    card = "| dense | 0.17 (0.12-0.27) | 100 | 0.96 |"
    copied = "On dense slides 0.17 um (0.12 to 0.27), 96 %."
    assert rows_of_numbers(card) & rows_of_numbers(copied)
    chance = "0.17 and 0.96 by chance, 0.5 um, TensorRT 10.13.3.9"
    assert not rows_of_numbers(card) & rows_of_numbers(chance)


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text("utf-8")
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\)", index)
    there = sorted(path.name for path in (ROOT / "docs/decisions").glob("0*.md"))
    assert sorted(listed) == there
    numbers = {int(name[:4]) for name in there}
    missing = sorted(set(range(1, max(numbers) + 1)) - numbers)
    gap = re.search(r"\b(\d+) to (\d+) were given", index)
    assert gap  # which is told, with the reason
    assert missing == list(range(int(gap[1]), int(gap[2]) + 1))
    for line in index.splitlines():
        if line.startswith("| ") and ".md)" in line:
            _, number, _, status, date, _ = (cell.strip() for cell in line.split("|"))
            assert number.isdigit(), line
            assert status in ("holds", "replaced"), line
            assert re.fullmatch(r"\d{4}-\d\d-\d\d", date), line
            name = re.findall(r"\((\d{4}-[\w-]+\.md)\)", line)[0]
            record = (ROOT / "docs/decisions" / name).read_text("utf-8")
            assert f"\nStatus: {status}, {date}\n" in record, name


def test_every_room_of_edge_is_in_the_architecture() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    rooms = {path.name for path in (ROOT / "edge").iterdir() if not path.name.startswith("_")}
    assert [room for room in rooms if f"`{room}" not in text and room != "py.typed"] == []


@cache
def commands() -> list[tuple[str, str]]:
    """(document, command) of each line of a code block that begins with `sparsefocus`."""
    rows = []
    for path in DOCUMENTS:
        for block in re.findall(r"^```\w*\n(.*?)^```", path.read_text("utf-8"), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                line = line.partition(" #")[0].strip().removeprefix("$ ")
                if re.match(r"sparsefocus [a-z]", line):
                    rows.append((path.relative_to(ROOT).as_posix(), line))
    return rows


@pytest.mark.parametrize(("document", "command"), commands())
def test_commands_of_the_documents_are_understood(document: str, command: str) -> None:
    """Every option exists and takes what is written; what a verb then does is its own tests'."""
    words = shlex.split(re.split(r"\s{4,}|[|;>&]", command)[0])[1:]
    assert cli.parse(words).verb in cli.VERBS


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.parse(["--version"])
    assert stop.value.code == 0
    output = capsys.readouterr().out
    networks = r"\(rin [0-9a-f]{12}, dpn [0-9a-f]{12}\)"
    assert re.fullmatch(rf"sparsefocus (\d+\.\d+\.\d+|not installed) {networks}\n", output)


def test_make_targets_of_the_documents_exist() -> None:
    makefiles = (ROOT / "Makefile", ROOT / "firmware_bridge/firmware/Makefile")
    text = "".join(path.read_text("utf-8") for path in makefiles)
    rules = set(re.findall(r"^([\w-]+):", text, re.M))
    named = set()
    for path in DOCUMENTS:
        named |= set(re.findall(r"(?:`|^)make ([a-z][\w-]*)", path.read_text("utf-8"), re.M))
    assert named - rules == set()


def test_typed_packages_say_so() -> None:
    done = subprocess.run(
        ["git", "ls-files", "*/py.typed"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    for name in ("edge", "engines", "firmware_bridge", "simulator", "sparsefocus", "training"):
        assert (ROOT / name / "py.typed").exists()
        assert done.returncode or f"{name}/py.typed" in done.stdout
