"""A default stands in one place: what decides and guards has none of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

EDGE = Path(__file__).parents[2] / "edge"
DECIDING = sorted([*(EDGE / "decide").glob("*.py"), EDGE / "guard.py", EDGE / "loop.py"])
#: what is assumed of specimens, and stands nowhere else
OF_SPECIMENS = {"SurfaceNoise"}


def literal_defaults(tree: ast.Module) -> Iterator[str]:
    """Numbers written as the default of a field or an argument; 0 and 1 say "nothing" and "as it
    is"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name not in OF_SPECIMENS:
            defaults = [each.value for each in node.body if isinstance(each, ast.AnnAssign)]
        elif isinstance(node, ast.FunctionDef):
            defaults = [*node.args.defaults, *node.args.kw_defaults]
        else:
            continue
        for default in defaults:
            if not isinstance(default, ast.Constant) or default.value in (0, 1):
                continue
            if type(default.value) in (int, float):
                yield f"{node.name}: {default.value!r}, line {default.lineno}"


@pytest.mark.parametrize("path", DECIDING, ids=lambda path: path.name)
def test_defaults_of_decisions_are_those_of_the_settings(path: Path) -> None:
    assert list(literal_defaults(ast.parse(path.read_text("utf-8")))) == []


def test_one_that_is_written_here_would_be_seen() -> None:
    text = "class Settings:\n    deadband_um: float = 0.1\ndef f(x: int = 1, *, y: int = 3): ...\n"
    assert len(list(literal_defaults(ast.parse(text)))) == 2
