"""YAML without surprises: a section is read key by key, and every value knows its line.

`yaml.safe_load` keeps the last of two equal keys, reads `1e-3` as text, `no` as False and
`1:30` as 90. Here the nodes are read directly: a scalar becomes what its reader asks for, or
it is a fault with file, line, key and limit. The faults of a file are kept and raised together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import yaml

from edge.errors import ConfigError, ConfigFaults
from edge.settings import Key

_NUMBER = re.compile(r"[-+]?(0|[1-9]\d{0,15})(\.\d{0,15})?([eE][-+]?\d{1,3})?", re.ASCII)
_TRUTH = re.compile("true|false")
_INTEGER = re.compile(r"[-+]?(0|[1-9]\d{0,15})", re.ASCII)
# Words and shapes that YAML 1.1 turns into something else than the text they look like.
_SURPRISE = re.compile(
    r"(?i:y|yes|n|no|on|off|true|false|null|~|[-+]?\.inf|\.nan)|"
    r"[-+]?[\d_]+(:[0-5]?\d)+(\.\d*)?|[-+]?0[\dxobXOB_][\w]*|[-+]?\d[\d_]*_[\d_]*",
    re.ASCII,
)
REQUIRED: Any = object()
#: what `Section.read` answers for a value that has a fault; nothing is built of it
WRONG: Any = object()


class Fault(ConfigError):
    """One mistake and its line."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


class Section:
    """One mapping of the file. Take every key you know, then call `done`; the faults of all its
    sections are kept in `faults`, and raised by `stop` of the top level."""

    def __init__(
        self, file: Path, name: str, node: yaml.Node, faults: list[Fault] | None = None
    ) -> None:
        self.file, self.name, self._mark = file, name, node.start_mark
        self.faults: list[Fault] = [] if faults is None else faults
        if not isinstance(node, yaml.MappingNode):
            self.reject(node, "", f"{_shown(node)} must be a section of keys")
        self._nodes: dict[str, yaml.Node] = {}
        self._keys: dict[str, yaml.Node] = {}
        self._known: list[str] = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.keep(key, "", "a key must be a word")
            elif key.value in self._nodes:
                before = self._keys[key.value].start_mark.line + 1
                self.keep(key, key.value, f"is given twice, first in line {before}")
            else:
                self._nodes[key.value], self._keys[key.value] = value, key

    def reject(self, node: yaml.Node | None, key: str, why: str) -> NoReturn:
        """Raise a Fault `file:line: section.key why`."""
        line = (node.start_mark if node is not None else self._mark).line + 1
        where = ".".join(part for part in (self.name, printable(key)) if part)
        raise Fault(line, f"{self.file}:{line}: {where} {why}".replace("  ", " "))

    def keep(self, node: yaml.Node | None, key: str, why: str) -> None:
        """`reject`, but only kept: other keys are looked at, too."""
        self.kept(lambda: self.reject(node, key, why))

    def stop(self) -> None:
        """ConfigError with all faults, in the order of the lines; nothing when there is none."""
        faults = sorted(self.faults, key=lambda fault: fault.line)
        if faults:
            raise ConfigFaults([str(fault) for fault in faults])

    def kept(self, ask: Callable[[], Any]) -> Any:
        """What is asked; WRONG, and the fault is kept, where it raises one."""
        try:
            return ask()
        except Fault as fault:
            self.faults.append(fault)
            return WRONG

    def read(self, name: str, key: Key, default: Any = REQUIRED) -> Any:
        """The value of a key as its section's dataclass declares it (edge.settings); WRONG, and
        the fault is kept, where it is not as declared."""
        if default is MISSING:
            default = REQUIRED
        return self.kept(lambda: self._read(name, key, default))

    def _read(self, name: str, key: Key, default: Any) -> Any:
        if key.kind == "options":
            return self.options(name)
        if key.kind == "word_or_path":
            given = self._take(name, default) is not None
            return self.word_or_path(name, *key.choices) if given else default
        ask = getattr(self, key.kind)
        if key.kind == "choice":
            return ask(name, (*key.choices, *key.more()), default=default)
        if key.kind in ("truth", "path"):
            return ask(name, default=default)
        return ask(name, key.low, key.high, default=default)

    def number(
        self, key: str, least: float, most: float, default: Any = REQUIRED, above: str = ""
    ) -> Any:
        """A float in least..most, both allowed. With `above`, strictly above that key's value,
        which is `least`."""
        node = self._take(key, default)
        if node is None:
            return default
        value = float(node.value) if _plain(node, _NUMBER) else math.nan
        if above and not value > least:
            self.reject(node, key, f"= {_shown(node)} must be above {above} = {least:g}")
        if not least <= value <= most:
            self.reject(node, key, f"= {_shown(node)} must be a number {least:g} to {most:g}")
        return value

    def integer(self, key: str, least: int, most: int, default: Any = REQUIRED) -> Any:
        """An int in least..most, both allowed."""
        node = self._take(key, default)
        if node is None:
            return default
        if not _plain(node, _INTEGER) or not least <= int(node.value) <= most:
            self.reject(node, key, f"= {_shown(node)} must be a whole number {least} to {most}")
        return int(node.value)

    def integers(self, key: str, least: int, most: int, default: Any = REQUIRED) -> Any:
        """A list of different ints in least..most, as a tuple."""
        node = self._take(key, default)
        if node is None:
            return default
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for item in items:
            if not _plain(item, _INTEGER) or not least <= int(item.value) <= most:
                span = f"whole numbers {least} to {most}"
                self.reject(item, key, f"= {_shown(item)} must be a list of {span}")
        numbers = tuple(int(item.value) for item in items)
        if len(set(numbers)) != len(numbers):
            self.reject(node, key, "must not name a number twice")
        return numbers

    def truth(self, key: str, default: Any = REQUIRED) -> Any:
        """true or false, written so."""
        node = self._take(key, default)
        if node is None:
            return default
        if not _plain(node, _TRUTH):
            self.reject(node, key, f"= {_shown(node)} must be true or false")
        return node.value == "true"

    def choice(self, key: str, allowed: Sequence[str], default: Any = REQUIRED) -> Any:
        """One of the words in `allowed`."""
        node = self._take(key, default)
        if node is None:
            return default
        if not isinstance(node, yaml.ScalarNode) or node.value not in allowed:
            self.reject(node, key, f"= {_shown(node)} must be one of {', '.join(allowed)}")
        return node.value

    def path(self, key: str, default: Any = REQUIRED) -> Any:
        """A path, relative to the folder of the config file."""
        node = self._take(key, default)
        if node is None:
            return default
        text = self._text(node, key)
        if not text or "\0" in text or len(text) > 1000:
            self.reject(node, key, f"= {_shown(node)} must be a path")
        return self.file.parent / text

    def word_or_path(self, key: str, word: str) -> Any:
        """This very word, or a path as from `path`. A path that ends in the word is neither: what
        it says must not depend on the folder."""
        path: Path = self.path(key)
        node = self._nodes[key]
        if node.value == word:
            return word
        if path.name == word:
            self.reject(node, key, f"= {_shown(node)} must be {word} alone, or another file's name")
        return path

    def options(self, key: str) -> dict[str, Any]:
        """A free mapping of numbers, true/false, text and lists of them; {} when absent."""
        node = self._take(key, None)
        if node is None:
            return {}
        section = Section(self.file, f"{self.name}.{key}", node, self.faults)
        values = {
            name: section.kept(partial(section._value, value, name))
            for name, value in section._nodes.items()
        }
        return WRONG if WRONG in values.values() else values

    def keep_option(self, key: str, option: str, why: str) -> None:
        """`keep` for one of the options that `options` read."""
        node = self._nodes.get(key)
        if node is None:  # there are no options at all: the section's own line
            self.keep(None, f"{key}.{option}", why)
            return
        section = Section(self.file, f"{self.name}.{key}", node)
        self.kept(lambda: section.reject(section._keys.get(option, node), option, why))

    def section(self, key: str, required: bool = True) -> Section | None:
        """A section inside this one; an empty one when it is absent and not required, None, and
        the fault is kept, when it is required or no section at all."""
        name = f"{self.name}.{key}".lstrip(".")
        empty = yaml.MappingNode("", [], self._mark, self._mark)

        def read() -> Section:
            node = self._take(key, REQUIRED if required else None)
            return Section(self.file, name, node or empty, self.faults)

        section = self.kept(read)
        return None if section is WRONG else section

    def has(self, key: str) -> bool:
        """Whether the key is there; known from now on."""
        return self._take(key, None) is not None

    def done(self) -> None:
        """Keep a fault for each key that nobody took."""
        for key, node in self._keys.items():
            if key not in self._known:
                known = ", ".join(self._known)
                self.keep(node, key, f"is not a key of this section, which has {known}")

    def _take(self, key: str, default: Any) -> yaml.Node | None:
        if key not in self._known:
            self._known.append(key)
        if key not in self._nodes and default is REQUIRED:
            self.reject(None, key, "must be given")
        return self._nodes.get(key)

    def _text(self, node: yaml.Node, key: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self.reject(node, key, "must be text")
        if node.style is None and (not node.value or _SURPRISE.fullmatch(node.value)):
            self.reject(node, key, f"= {_shown(node)} must be in quotes to be taken as text")
        return str(node.value)

    def _value(self, node: yaml.Node, key: str) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, key) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            inner = Section(self.file, f"{self.name}.{key}", node, self.faults)
            return {name: inner._value(value, name) for name, value in inner._nodes.items()}
        if _plain(node, _INTEGER):
            return int(node.value)
        if _plain(node, _NUMBER):
            return float(node.value)
        if _plain(node, _TRUTH):
            return node.value == "true"
        return self._text(node, key)


def _plain(node: yaml.Node, pattern: re.Pattern[str]) -> bool:
    return (
        isinstance(node, yaml.ScalarNode)
        and node.style is None
        and pattern.fullmatch(node.value) is not None
    )


def _shown(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        return "a list" if isinstance(node, yaml.SequenceNode) else "a section"
    text = printable(node.value)
    return f"'{text}'" if node.style or not text else text


def printable(text: str) -> str:
    """Of foreign text, what a line of an error can show."""
    return "".join(c if c.isprintable() else "?" for c in text[:60])
