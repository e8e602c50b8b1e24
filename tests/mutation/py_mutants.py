"""Every small change of a Python file that could be a mistake: what `make mutation` tries.

An operator, a number, a text or a condition replaced, one side of `and` or `or`, a `not`, an `abs`
or a statement left out, constants of the module, defaults and the values of an Enum included.
Docstrings, annotations, decorators, imports and asserts stay as they are.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

COMPARE: dict[type[ast.cmpop], tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">=")), ast.LtE: ("<=", ("<", ">")), ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")), ast.Eq: ("==", ("!=",)), ast.NotEq: ("!=", ("==",)),
    ast.Is: ("is", ("is not",)), ast.IsNot: (r"is\s+not", ("is",)), ast.In: ("in", ("not in",)),
    ast.NotIn: (r"not\s+in", ("in",)),
}  # fmt: skip
BINARY: dict[type[ast.operator], tuple[str, tuple[str, ...]]] = {
    ast.Add: ("+", ("-",)), ast.Sub: ("-", ("+",)), ast.Mult: ("*", ("/",)),
    ast.Div: ("/", ("*",)), ast.FloorDiv: ("//", ("*",)), ast.Mod: ("%", ("//",)),
    ast.Pow: ("**", ("*",)), ast.BitAnd: ("&", ("|",)), ast.BitOr: ("|", ("&",)),
    ast.BitXor: ("^", ("|",)), ast.LShift: ("<<", (">>",)), ast.RShift: (">>", ("<<",)),
}  # fmt: skip
OTHER_NAME = {"min": "max", "max": "min", "all": "any", "any": "all"}
SIMPLE = (ast.Expr, ast.Raise, ast.AugAssign, ast.Assign, ast.AnnAssign, ast.Delete)


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    file: str
    line: int
    before: str  # the line, without indent
    after: str
    text: str  # the whole file


def mutants(file: str, text: str) -> list[Mutant]:
    """All of them, in the order of the text, each once."""
    results: dict[str, Mutant] = {}
    raw = text.encode()
    for begin, end, new in sorted(set(_Edits(text).all())):
        changed = (raw[:begin] + new.encode() + raw[end:]).decode()
        if changed != text and changed not in results:
            line = raw.count(b"\n", 0, begin) + 1
            after = _lines(changed.encode(), begin, begin + len(new.encode()))
            results[changed] = Mutant(file, line, _lines(raw, begin, end), after, changed)
    return list(results.values())


def _lines(raw: bytes, begin: int, end: int) -> str:
    """The whole lines around a piece of text, without indents."""
    stop = raw.find(b"\n", end)
    piece = raw[raw.rfind(b"\n", 0, begin) + 1 : stop if stop >= 0 else None]
    return " ".join(part.strip() for part in piece.decode().splitlines())


class _Edits:
    """(from byte, to byte, new text) of every change of one file."""

    def __init__(self, text: str) -> None:
        self._raw = text.encode()
        self._tree = ast.parse(text)
        starts = [0]
        for line in self._raw.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        self._starts = starts

    def all(self) -> Iterator[tuple[int, int, str]]:
        yield from self._visit(self._tree)

    def _span(self, node: ast.AST) -> tuple[int, int]:
        assert isinstance(node, ast.expr | ast.stmt | ast.keyword | ast.arg)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (self._starts[node.lineno - 1] + node.col_offset,
                self._starts[node.end_lineno - 1] + node.end_col_offset)  # fmt: skip

    def _source(self, node: ast.AST) -> str:
        begin, end = self._span(node)
        return self._raw[begin:end].decode()

    def _visit(self, node: ast.AST) -> Iterator[tuple[int, int, str]]:
        yield from self._of(node)
        for child in self._children(node):
            yield from self._visit(child)

    def _children(self, node: ast.AST) -> Iterator[ast.AST]:
        """Without annotations, decorators, docstrings, and the parts of an f-string."""
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "bases"):
                continue
            for child in value if isinstance(value, list) else [value]:
                left_alone = (ast.Import, ast.ImportFrom, ast.Assert, ast.FormattedValue)
                if not isinstance(child, ast.AST) or isinstance(child, left_alone):
                    continue
                if isinstance(child, ast.Call) and ast.unparse(child.func) == "TypeVar":
                    continue
                if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                    continue  # a docstring, or `...`
                if isinstance(node, ast.JoinedStr):
                    continue
                yield child

    def _of(self, node: ast.AST) -> Iterator[tuple[int, int, str]]:
        match node:
            case ast.Compare():
                yield from self._compare(node)
            case ast.BoolOp():
                yield from self._bool(node)
            case ast.BinOp(left, op, right) if type(op) in BINARY:
                sign, others = BINARY[type(op)]
                yield from self._between(left, right, re.escape(sign), others)
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
                yield (*self._span(node), f"({self._source(operand)})")
            case ast.Constant():
                yield from self._constant(node)
            case ast.JoinedStr():
                yield (*self._span(node), '"XX"')
            case ast.If(test=test) | ast.IfExp(test=test):
                yield from ((*self._span(test), word) for word in ("True", "False"))
            case ast.While(test=test):
                yield (*self._span(test), "False")
            case ast.comprehension(ifs=ifs):
                yield from ((*self._span(test), "True") for test in ifs)
            case ast.Call():
                yield from self._call(node)
            case ast.Return(value=value) if value is not None and not _is_word(value):
                yield (*self._span(value), "None")
            case ast.Break():
                yield (*self._span(node), "continue")
            case ast.Continue():
                yield (*self._span(node), "break")
        if isinstance(node, SIMPLE):
            yield from self._statement(node)

    def _compare(self, node: ast.Compare) -> Iterator[tuple[int, int, str]]:
        left: ast.expr = node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            sign, others = COMPARE[type(op)]
            yield from self._between(left, right, sign, others)
            left = right

    def _bool(self, node: ast.BoolOp) -> Iterator[tuple[int, int, str]]:
        is_and = isinstance(node.op, ast.And)
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield from self._between(
                left, right, "and" if is_and else "or", ("or" if is_and else "and",)
            )
        for value in node.values:
            yield (*self._span(value), "True" if is_and else "False")

    def _between(
        self, left: ast.expr, right: ast.expr, sign: str, others: tuple[str, ...]
    ) -> Iterator[tuple[int, int, str]]:
        begin, end = self._span(left)[1], self._span(right)[0]
        match = re.search(sign, self._raw[begin:end].decode())
        assert match is not None
        for other in others:
            yield begin + match.start(), begin + match.end(), other

    def _constant(self, node: ast.Constant) -> Iterator[tuple[int, int, str]]:
        value, span = node.value, self._span(node)
        if isinstance(value, bool):
            yield (*span, str(not value))
        elif isinstance(value, int):
            yield from ((*span, str(v)) for v in {value + 1, max(0, value - 1)} - {value})
            if value >= 20:
                yield from ((*span, str(v)) for v in (2 * value, value // 2))
        elif isinstance(value, float):
            yield from ((*span, repr(v)) for v in ((2 * value, value / 2) if value else (1.0,)))
        elif isinstance(value, str):
            yield (*span, repr(f"XX{value}"))

    def _call(self, node: ast.Call) -> Iterator[tuple[int, int, str]]:
        name = ast.unparse(node.func)
        if name in OTHER_NAME:
            yield (*self._span(node.func), OTHER_NAME[name])
        if name in ("abs", "math.sqrt", "round", "sorted", "not") and len(node.args) == 1:
            yield (*self._span(node), f"({self._source(node.args[0])})")
        for word in node.keywords:
            # no factory at all is noticed by whoever makes one
            if word.arg not in (None, "default_factory") and not isinstance(
                word.value, ast.Constant
            ):
                yield (*self._span(word.value), "None")

    def _statement(self, node: ast.stmt) -> Iterator[tuple[int, int, str]]:
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        if isinstance(node, ast.AugAssign):
            sign, others = BINARY[type(node.op)]
            yield from self._between(
                node.target, node.value, re.escape(sign) + "=", (*(f"{o}=" for o in others), "=")
            )
        if isinstance(node, ast.AnnAssign) and node.value is None:
            return  # a field of a dataclass
        if not any(_are_names(t) for t in targets) or isinstance(node, ast.AugAssign):
            yield (*self._span(node), "pass")


def _are_names(target: ast.expr) -> bool:
    """Whether without the assignment its names would not be known, which says nothing."""
    if isinstance(target, ast.Tuple):
        return all(_are_names(part) for part in target.elts)
    return isinstance(target, ast.Name)


def _is_word(value: ast.expr) -> bool:
    """None, True or False: the last two are exchanged for each other, which says more."""
    return isinstance(value, ast.Constant) and (value.value is None or value.value in (True, False))
