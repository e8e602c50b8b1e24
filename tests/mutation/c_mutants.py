"""Every small change of a C file that could be a mistake: what `make mutation-c` tries.

A change is made in the text: an operator, a number, a code word, a width or a condition replaced, a
statement left out. Comments, preprocessor lines and strings stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: operator -> what it becomes; the longest operators first, so that `<=` is not taken for `<`
OPERATORS = {
    "<<": (">>",), ">>": ("<<",), "<=": ("<", ">"), ">=": (">", "<"), "==": ("!=",), "!=": ("==",),
    "&&": ("||",), "||": ("&&",), "+=": ("-=",), "-=": ("+=",), "|=": ("&=",), "&=": ("|=",),
    "^=": ("|=",), "++": ("--",), "<": ("<=", ">="), ">": (">=", "<="), "+": ("-",), "-": ("+",),
    "*": ("/",), "/": ("*",), "%": ("/",), "&": ("|",), "|": ("&",), "^": ("&",), "!": ("",),
}  # fmt: skip
LEFT_ALONE = ("->",)
NARROWER = {"uint64_t": "uint32_t", "int64_t": "int32_t", "uint32_t": "uint16_t"}
#: families of code words; each is exchanged for the next of its family in the same file
FAMILIES = (
    "AF_REASON_", "AF_LATCH_", "AF_RESULT_", "AF_FLAG_", "AF_SWITCH_", "AF_TYPE_", "AF_RX_",
)  # fmt: skip
PHASES = ("AF_AT_REST", "AF_MOVING", "AF_BRAKING", "AF_SETTLING")
EVENTS = ("AF_NO_EVENT", "AF_TURNED", "AF_ARRIVED", "AF_SETTLED")

_HIDDEN = re.compile(r"/\*.*?\*/|\"(?:\\.|[^\"\\])*\"|^[ \t]*#[^\n]*", re.S | re.M)
_WORD = re.compile(r"\b[A-Za-z_]\w*\b")
_NUMBER = re.compile(r"\b(0x[0-9A-Fa-f]+|\d+)(U?)\b")
_SYMBOL = re.compile("|".join(re.escape(s) for s in (*LEFT_ALONE, *OPERATORS)))
_CONDITION = re.compile(r"\b(if|while)\s*\(")
_STATEMENT = re.compile(
    r"^[ \t]+(?:case \w+: )?(?=\w)"
    r"((?!(?:return|const|static|struct|enum|break|u?int\w+_t|size_t|bool)"
    r"\b)[^{};]*?;)",
    re.M,
)
_DIMENSION = re.compile(r"\[[^\]]*\]\s*(?:=|;|\))")  # of a declaration: no mistake of logic


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    file: str
    line: int
    before: str  # the line, without indent
    after: str
    text: str  # the whole file


def blanked(text: str) -> str:
    """The same text, with what must not be changed replaced by spaces of the same length."""
    return _HIDDEN.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def _closing(code: str, opening: int) -> int:
    depth = 0
    for at in range(opening, len(code)):
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        if depth == 0:
            return at
    raise ValueError("a parenthesis without an end")


def _edits(code: str) -> Iterator[tuple[int, int, str]]:
    """(from, to, new text) of every change."""
    sizes = [m.span() for m in _DIMENSION.finditer(code)]
    words = [m for m in _WORD.finditer(code) if not m.group().islower() or m.group() in NARROWER
             or m.group() in ("true", "false")]  # fmt: skip
    for match in words:
        for new in _other_words(match.group(), {w.group() for w in words}):
            yield (*match.span(), new)
    for match in _NUMBER.finditer(code):
        if not any(a <= match.start() < b for a, b in sizes):
            value = int(match.group(1), 0)
            for other in {value + 1, max(0, value - 1)} - {value}:
                yield (*match.span(), f"{other}{match.group(2)}")
    for match in _SYMBOL.finditer(code):
        if match.group() in LEFT_ALONE or _is_pointer(code, match):
            continue
        for new in OPERATORS[match.group()]:
            if new or code[match.end()] != "=":
                yield (*match.span(), new)
    for match in _CONDITION.finditer(code):
        opening = match.end() - 1
        closing = _closing(code, opening)
        for new in ("(1)", "(0)") if match.group(1) == "if" else ("(0)",):
            yield opening, closing + 1, new
    for match in re.finditer(r"&&|\|\||\?", code):
        yield from _operands(code, match)
    for match in _STATEMENT.finditer(code):
        yield (*match.span(1), ";")


def _operands(code: str, match: re.Match[str]) -> Iterator[tuple[int, int, str]]:
    """Each side of `&&` and `||` left out, a choice by `?` made for good."""
    left = _reach(code, match.start() - 1, -1)
    if match.group() == "?":
        for new in ("(1)", "(0)"):
            yield left + 1, match.start(), f" {new} "
        return
    neutral = " (1) " if match.group() == "&&" else " (0) "
    yield left + 1, match.start(), neutral
    yield match.end(), _reach(code, match.end(), 1), neutral


def _reach(code: str, at: int, step: int) -> int:
    """Where an operand ends, in this direction."""
    depth = 0
    opens, closes = ("(", ")") if step > 0 else (")", "(")
    while True:
        here = code[at]
        if here in opens + "[]"[0 if step > 0 else 1]:
            depth += 1
        elif depth and here in closes + "[]"[1 if step > 0 else 0]:
            depth -= 1
        elif not depth and (
            here in closes + ";{}?:,"
            or code[at : at + 2] in ("&&", "||")
            or code[at - 1 : at + 1] in ("&&", "||")
            or (here == "=" and code[at - 1] not in "<>=!" and code[at + 1] != "=")
            or code[at - 5 : at + 1] == "return"
        ):
            return at
        at += step


def _other_words(word: str, there: set[str]) -> Iterator[str]:
    if word in NARROWER:
        yield NARROWER[word]
    elif word in ("true", "false"):
        yield "false" if word == "true" else "true"
    for family in (*FAMILIES, PHASES, EVENTS):
        mine = (
            sorted(w for w in there if w.startswith(family))
            if isinstance(family, str)
            else list(family)
        )
        if word in mine and len(mine) > 1:
            yield mine[(mine.index(word) + 1) % len(mine)]


def _is_pointer(code: str, match: re.Match[str]) -> bool:
    """`*p` in a declaration or as a dereference, `&x` as an address, a sign before a number."""
    if match.group() not in ("*", "&", "-", "+"):
        return False
    before = code[: match.start()].rstrip()[-1:]
    after = code[match.end() : match.end() + 1]
    if match.group() in ("-", "+"):
        return before in "(,=<>&|?:" and not before.isalnum() and match.group() == "+"
    binary = after == " " and (before.isalnum() or before in ")]_")
    return not binary


def mutants(file: str, text: str) -> list[Mutant]:
    """All of them, in the order of the text, each once."""
    results: dict[str, Mutant] = {}
    for begin, end, new in sorted(_edits(blanked(text))):
        changed = text[:begin] + new + text[end:]
        line = text.count("\n", 0, begin) + 1
        before, after = _lines(text, begin, end), _lines(changed, begin, begin + len(new))
        if changed != text:
            results.setdefault(changed, Mutant(file, line, before, after, changed))
    return list(results.values())


def _lines(text: str, begin: int, end: int) -> str:
    """The whole lines around a piece of text, without indents."""
    start = text.rfind("\n", 0, begin) + 1
    stop = text.find("\n", end)
    return " ".join(part.strip() for part in text[start:stop].splitlines())
