"""Does every use of TensorRT in our source exist in the TensorRT that is imported here?

Run in a process of its own with one release's genuine Python bindings on the path:
    PYTHONPATH=FOLDER_OF_BINDINGS python api_contract.py MODULE SOURCE...
It walks the source, infers which TensorRT class each expression is from the bindings' own
docstrings, and checks attributes, settable properties, argument counts and keywords, and the
methods that we override. Prints JSON: {"version", "uses": [...], "problems": [...]}.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import sys
from pathlib import Path

#: what a parameter or attribute of this name is, where nothing else tells; `_engine` counts too
NAMES = {
    "builder": "Builder",
    "network": "INetworkDefinition",
    "config": "IBuilderConfig",
    "parser": "OnnxParser",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "context": "IExecutionContext",
    "inspector": "EngineInspector",
    "profile": "IOptimizationProfile",
    "timings": "ITimingCache",
}


class Instance:
    """A value of which only the class is known."""

    def __init__(self, cls):
        self.cls = cls


class ListOf:
    """A list, of whose elements the kind is known."""

    def __init__(self, kind):
        self.kind = kind


class Contract(ast.NodeVisitor):
    """`uses` and `problems` of the sources visited."""

    def __init__(self, trt):
        self.trt, self.uses, self.problems = trt, set(), []
        self.file, self.scopes = "", [{}]

    def check(self, path):
        self.file, self.scopes = path.name, [{}]
        self.visit(ast.parse(path.read_text("utf-8")))

    # -- what things are

    def infer(self, node):
        """The object itself, an Instance, a ListOf, or None for what is not TensorRT's."""
        if isinstance(node, ast.Name):
            return self.lookup(node.id)
        if isinstance(node, ast.Attribute):
            return self.attribute(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, ast.ListComp):
            self.bind_generators(node)
            return ListOf(self.infer(node.elt))
        if isinstance(node, ast.Subscript):
            whole = self.infer(node.value)
            return whole.kind if isinstance(whole, ListOf) else None
        return None

    def lookup(self, name):
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        return self.trt if name == "trt" else None

    def attribute(self, node):
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            name = node.attr.lstrip("_")
            return self.trt if name == "trt" else self.by_name(name)
        base = self.infer(node.value)
        if base is None or isinstance(base, ListOf):
            return None
        owner = base.cls if isinstance(base, Instance) else base
        use = f"{getattr(owner, '__name__', type(owner).__name__)}.{node.attr}"
        self.uses.add(use)
        if not hasattr(owner, node.attr):
            self.problem(node, f"{use} does not exist")
            return None
        member = getattr(owner, node.attr)
        if isinstance(base, Instance) and isinstance(member, property):
            return self.returned(member.fget.__doc__)
        return member

    def by_name(self, name):
        return Instance(getattr(self.trt, NAMES[name])) if name in NAMES else None

    def call(self, node):
        function = self.infer(node.func)
        if function is None or function is self.trt:
            return None
        if isinstance(function, type):
            signatures = self.signatures(function.__init__)
            self.arguments(node, function.__name__, signatures, len(node.args))
            return Instance(function)
        signatures = self.signatures(function)
        of_class = isinstance(
            self.infer(node.func.value), type
        )  # then `self` is among the arguments
        given = len(node.args) - of_class
        self.arguments(node, getattr(function, "__name__", "?"), signatures, given)
        kinds = [self.returned(line) for line in signatures]
        return next((kind for kind in kinds if kind is not None), None)

    def signatures(self, function):
        """Lines such as "parse(self: x.OnnxParser, model: buffer, path: str = None) -> bool"."""
        lines = (getattr(function, "__doc__", None) or "").strip().splitlines()
        pattern = re.compile(r"^(\d+\. )?\w+\(.*\)( -> .*)?$")
        return [line for line in lines if pattern.match(line) and "*args" not in line]

    def returned(self, line):
        match = re.search(r"-> .*?(\w+)\]?$", line or "")
        name = {"IParserError": "ParserError"}.get(match[1], match[1]) if match else ""
        cls = getattr(self.trt, name, None)
        return Instance(cls) if isinstance(cls, type) else None

    def arguments(self, node, name, signatures, given):
        keywords = {keyword.arg for keyword in node.keywords}
        for line in signatures:
            inside = re.sub(r"<[^>]*>", "0", line[line.index("(") + 1 : line.rindex(")")])
            inside = re.sub(r"\[[^\]]*\]", "", inside)
            parts = [part.strip() for part in inside.split(",") if part.strip()]
            parts = [part for part in parts if not part.startswith(("self", "arg0: self"))]
            names = [part.split(":")[0].split("=")[0].strip() for part in parts]
            needed = {n for n, part in zip(names, parts, strict=True) if "=" not in part}
            covered = set(names[:given]) | keywords
            if given <= len(names) and needed <= covered and covered <= set(names):
                self.uses.add(f"{name}()")
                return
        if signatures:
            self.problem(node, f"{name}: {ast.unparse(node)} fits none of {signatures}")

    # -- what is done with them

    def visit_FunctionDef(self, node):
        untyped = (
            arg.arg
            for arg in node.args.args
            if arg.annotation is None or ast.unparse(arg.annotation) == "Any"
        )
        self.scopes.append({name: self.by_name(name) for name in untyped if name in NAMES})
        self.generic_visit(node)
        self.scopes.pop()

    def visit_ClassDef(self, node):
        for base in map(self.infer, node.bases):
            for method in (m for m in node.body if isinstance(m, ast.FunctionDef)):
                if isinstance(base, type) and not method.name.startswith("_"):
                    self.overridden(base, method)
        self.generic_visit(node)

    def overridden(self, base, method):
        use = f"{base.__name__}.{method.name}"
        self.uses.add(use)
        lines = self.signatures(getattr(base, method.name, None))
        counts = [len(re.findall(r"\w+: ", line[: line.rindex(")")])) for line in lines]
        if not hasattr(base, method.name):
            self.problem(method, f"{use} does not exist to be overridden")
        elif counts and len(method.args.args) not in counts:
            self.problem(method, f"{use} is called as {lines}")

    def visit_Assign(self, node):
        self.visit(node.value)
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for each, value in zip(target.elts, node.value.elts, strict=True):
                    self.bind(each, value)
            else:
                self.bind(target, node.value)

    def bind(self, target, value):
        if isinstance(target, ast.Name):
            kind = self.infer(value)
            ours = isinstance(value, ast.Call) and ast.unparse(value.func).startswith(
                ("_", "self._")
            )
            self.scopes[-1][target.id] = self.by_name(target.id) if ours and kind is None else kind
        elif isinstance(target, ast.Attribute):
            self.settable(target)

    def settable(self, target):
        base = self.infer(target.value) if not self._is_self(target.value) else None
        if isinstance(base, Instance):
            use = f"{base.cls.__name__}.{target.attr} ="
            self.uses.add(use)
            member = getattr(base.cls, target.attr, None)
            if not isinstance(member, property) or member.fset is None:
                self.problem(target, f"{use} cannot be set")

    def visit_ListComp(self, node):
        self.bind_generators(node)
        self.generic_visit(node)

    def bind_generators(self, node):
        for generator in node.generators:
            whole = self.infer(generator.iter)
            if isinstance(whole, ListOf) and isinstance(generator.target, ast.Name):
                self.scopes[-1][generator.target.id] = whole.kind

    def visit_Attribute(self, node):
        self.infer(node)
        self.generic_visit(node)

    def visit_Call(self, node):
        self.infer(node)
        self.generic_visit(node)

    @staticmethod
    def _is_ours(function):
        return ast.unparse(function).startswith(("_", "self._"))

    @staticmethod
    def _is_self(node):
        return isinstance(node, ast.Name) and node.id == "self"

    def problem(self, node, text):
        where = f"{self.file}:{node.lineno}: {text}"
        if where not in self.problems:
            self.problems.append(where)


def main():
    module, *sources = sys.argv[1:]
    trt = importlib.import_module(module)
    contract = Contract(trt)
    for source in sources:
        contract.check(Path(source))
    facts = {"version": trt.__version__, "uses": sorted(contract.uses)}
    print(json.dumps({**facts, "problems": contract.problems}))


if __name__ == "__main__":
    main()
