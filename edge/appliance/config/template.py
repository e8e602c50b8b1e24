"""A config file with a remark at every key, made from the fields that the reader reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from edge.appliance.config.reference import SECTIONS, keys
from edge.appliance.config.schema import NAME

HEAD = f"""\
# yaml-language-server: $schema={NAME}
# One instrument. Keys behind a # have the value that is written there. What is wrong, all at once:
#   sparsefocus check-config FILE
"""
_COLUMN = 34  # of the remarks


def config_text(values: Mapping[str, Mapping[str, Any]]) -> str:
    """The file: what `values` gives by section and key, and everything else as a remark."""
    lines = [HEAD]
    for name, (what, settings) in SECTIONS.items():
        given = values.get(name, {})
        mark = "" if given else "# "
        lines.append(_line(f"{mark}{name}:", f"this section {what}"))
        for key, how, default in keys(settings):
            if key not in given:
                lines.append(_line(f"{mark or '  # '}{'  ' * bool(mark)}{key}:{_shown(default)}",
                                   how.text))  # fmt: skip
            elif isinstance(given[key], Mapping):
                lines.append(_line(f"  {key}:", how.text))
                lines += [f"    {each}: {scalar(value)}" for each, value in given[key].items()]
            else:
                lines.append(_line(f"  {key}: {scalar(given[key])}", how.text))
        lines.append("")
    return "\n".join(lines)


def scalar(value: Any) -> str:
    """A value as our strict reader takes it back."""
    if isinstance(value, str):
        plain = re.fullmatch(r"[a-z][a-z-]{3,}", value) and value not in ("true", "false", "null")
        return value if plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)


def _shown(default: Any) -> str:
    if default is MISSING or default in (None, "", ()) or isinstance(default, (Path, Mapping)):
        return ""
    return f" {scalar(default)}"


def _line(text: str, remark: str) -> str:
    return f"{text:<{_COLUMN}}  # {remark}"
