"""CHANGELOG.md keeps its shape and size, and what an upgrade asks of a user stands in one table."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args, get_type_hints

from edge.optics import Objective
from edge.settings import OBJECTIVE_KEYS, Config

ROOT = Path(__file__).parents[1]
#: of Keep a Changelog 1.1.0, in its order
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
MOST_LINES = 15  # of one version; what must be known beside goes to docs/upgrade.md
MOST_WORDS = 40  # of one line


def versions() -> dict[str, dict[str, list[str]]]:
    """version -> kind of change -> its lines, as they stand."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    result = {}
    for part in text.split("\n## ")[1:]:
        name, _, body = part.partition("\n")
        kinds = {kind.partition("\n")[0]: kind for kind in body.split("\n### ")[1:]}
        result[name] = {kind: re.findall(r"^- (.*)$", block, re.M) for kind, block in kinds.items()}
        rest = re.sub(r"^(### .*|- .*|)$", "", body, flags=re.M)
        assert rest.strip() == "", rest  # one line each, and nothing beside them
    return result


def test_newest_first_each_kind_once_and_in_order() -> None:
    names = list(versions())
    assert names[0].startswith("[Unreleased]")
    assert all(re.match(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d$", name) for name in names[1:])
    for kinds in versions().values():
        assert list(kinds) == [kind for kind in KINDS if kind in kinds]
        assert all(kinds.values())


def test_few_lines_that_can_be_read() -> None:
    for name, kinds in versions().items():
        lines = [line for block in kinds.values() for line in block]
        assert len(lines) <= MOST_LINES, name
        assert [line for line in lines if len(line.split()) > MOST_WORDS] == []
        assert [line for line in lines if not line.endswith(".")] == []


def keys() -> set[str]:
    """`section.key` of each key that a config may give."""
    result = {f"objective.{key}" for key in OBJECTIVE_KEYS}
    for name, hint in get_type_hints(Config).items():
        for kind in (hint, *get_args(hint)):
            if is_dataclass(kind) and kind is not Objective:
                result |= {f"{name}.{field.name}" for field in fields(kind)}
    return result


def test_what_an_upgrade_names_is_there() -> None:
    """Keys of the config that no longer exist would send a reader on a search."""
    text = (ROOT / "docs/upgrade.md").read_text("utf-8")
    for heading in ("Config keys", "Exit statuses", "Files", "Commands and imports"):
        assert f"\n## {heading}\n" in text
    sections = "camera|stage|objective|models|loop|realtime|scan"
    named = set(re.findall(rf"`((?:{sections})\.[a-z_]+)", text))
    assert named
    assert named - keys() == set()
