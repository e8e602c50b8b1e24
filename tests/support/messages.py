"""What the program says to people, collected from its source: errors, refusals, reasons, helps."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGES = ("edge", "engines", "firmware_bridge", "simulator", "sparsefocus", "training")
#: calls whose texts are read by somebody: plans and their reasons, helps, prints, keys' texts
TOLD_BY = {
    "Hold", "Shutdown", "InFocus", "Predict", "LookAgain", "key", "options", "Key",
    "print", "say", "tell", "warn", "add_argument", "add_parser", "ArgumentParser",
    "add_argument_group", "error", "exit",
}  # fmt: skip
#: keywords of calls that hold such a text, whoever is called
TOLD_AS = {"help", "description", "epilog", "reason", "text", "why", "hint"}
VALUE = "N"  # stands for what is put in while running


class Message(NamedTuple):
    """One text and where it stands."""

    place: str
    text: str


def text_of(node: ast.expr) -> str | None:
    """A text as it will be read, with `VALUE` where something is put in; None: no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else VALUE for part in node.values]
        return "".join(str(part) for part in parts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text_of(node.left), text_of(node.right)
        return None if left is None and right is None else f"{left or VALUE}{right or VALUE}"
    return None


def _texts_in(call: ast.expr) -> Iterator[tuple[int, str]]:
    if isinstance(call, ast.Call):
        for value in [*call.args, *(keyword.value for keyword in call.keywords)]:
            text = text_of(value)
            if text is not None:
                yield value.lineno, text


def messages_of(path: Path) -> Iterator[Message]:
    """Those of one module, each once."""
    tree, met = ast.parse(path.read_text("utf-8")), set()
    for node in ast.walk(tree):
        texts: list[tuple[int, str]] = []
        if isinstance(node, ast.Raise) and node.exc is not None:
            texts = list(_texts_in(node.exc))
        elif isinstance(node, (ast.Return, ast.Assign)) and node.value is not None:
            text = text_of(node.value)
            texts = [] if text is None else [(node.lineno, text)]
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            name = node.func.id if isinstance(node.func, ast.Name) else name
            if name in TOLD_BY:
                texts = list(_texts_in(node))
            for keyword in node.keywords:
                text = text_of(keyword.value) if keyword.arg in TOLD_AS else None
                if text is not None:
                    texts.append((keyword.value.lineno, text))
        for line, text in texts:
            if (line, text) not in met:
                met.add((line, text))
                yield Message(f"{path.relative_to(ROOT).as_posix()}:{line}", text)


def sentences(text: str) -> list[list[str]]:
    """The words of each sentence; what a semicolon parts could be read alone."""
    parts = re.split(r"(?<=[.!?;])\s+", text.strip())
    return [part.split() for part in parts if part]


def messages() -> list[Message]:
    """All of the program's that have words: four at least."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    every = [message for path in paths for message in messages_of(path)]
    return [one for one in every if len(one.text.split()) >= 4 and "<" not in one.text]
