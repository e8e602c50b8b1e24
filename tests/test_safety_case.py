"""The safety case names only tests that exist, and leaves out no hazard."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
CASE = (ROOT / "docs/safety_case.md").read_text(encoding="utf-8")


def proofs() -> list[str]:
    return re.findall(r"`(tests/[^`]+)`", CASE.partition("| # |")[2])


def test_every_named_test_exists():
    assert len(proofs()) > 20
    for proof in proofs():
        path, _, name = proof.partition("::")
        source = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^def {name}" if name else "^def test_", source, re.MULTILINE), proof


def test_every_hazard_has_a_proof_or_is_said_to_be_open():
    table, _, still_open = CASE.partition("## Open")
    for number in range(1, 14):
        row = re.search(rf"^\| H{number} \|.*$", table, re.MULTILINE)
        assert (row and "`tests/" in row[0]) or f"H{number}," in still_open, f"H{number}"
