"""A JSON Schema of the config file, for editors that complete and underline while one types.

Made from what the reader reads: the fields of edge.settings, the table of the stages' options, and
the names that the cameras' own readers ask for. The reader stays the judge: it knows more.

python -m edge.appliance.config.schema >docs/sparsefocus.schema.json
"""

from __future__ import annotations

from dataclasses import MISSING
from typing import Any

from edge.appliance.config.reference import SECTIONS, keys
from edge.appliance.files import json_text
from edge.camera import CAMERAS, check_options
from edge.errors import OptionError
from edge.settings import Key
from firmware_bridge.plug_ins import GIVEN
from firmware_bridge.stage_options import STAGE_OPTIONS, Number, Option, Text

NAME = "sparsefocus.schema.json"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NOBODYS = "?"  # an option that no driver has: what it has is told then


def schema(installed: bool = False) -> dict[str, Any]:
    """The whole schema, plain values; `installed`: also with what is installed on this machine."""
    sections = {
        name: _section(what, settings, installed) for name, (what, settings) in SECTIONS.items()
    }
    for name in ("camera", "stage"):  # brought by the program: nothing to be told
        sections[name]["allOf"] = [_then(GIVEN, _object({}, []))]
    # who names a calibration need not say which way is up: the file knows
    stage = sections["stage"]
    stage["required"].remove("focus_direction")
    stage["anyOf"] = [{"required": ["focus_direction"]}, {"required": ["calibration"]}]
    stage["allOf"] += [_then(driver, stage_options(driver)) for driver in sorted(STAGE_OPTIONS)]
    sections["camera"]["allOf"] += [_then(name, camera_options(name)) for name in sorted(CAMERAS)]
    return {
        "$schema": DRAFT,
        "title": "SparseFocus: one instrument",
        "type": "object",
        "properties": sections,
        "required": [name for name, (what, _) in SECTIONS.items() if what == "must be given"],
        "additionalProperties": False,
    }


def stage_options(driver: str) -> dict[str, Any]:
    """What may stand under stage.options."""
    table = STAGE_OPTIONS[driver]
    return _object(
        {name: _option(option) for name, option in table.items()},
        [name for name, option in table.items() if option.needed],
    )


def camera_options(driver: str) -> dict[str, Any]:
    """What may stand under camera.options, by name: each driver reads its own."""
    try:
        check_options(driver, {_NOBODYS: 0})
    except OptionError as error:
        faults = (error, *error.others)
    else:
        raise AssertionError(f"{driver} takes every option")
    (known,) = (fault.why for fault in faults if fault.key == _NOBODYS)
    names = known.partition(", which has ")[2].split(", ")
    needed = [fault.key for fault in faults if fault.why == "must be given"]
    return _object({name: {} for name in names}, needed)


def _section(what: str, settings: type[Any], installed: bool) -> dict[str, Any]:
    known = list(keys(settings))
    described = {name: _key(how, default, installed) for name, how, default in known}
    needed = [name for name, how, default in known if default is MISSING and how.kind != "options"]
    return {"description": f"The section {what}.", **_object(described, needed)}


def _object(properties: dict[str, Any], needed: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": needed,
        "additionalProperties": False,
    }


def _then(driver: str, options: dict[str, Any]) -> dict[str, Any]:
    then: dict[str, Any] = {"properties": {"options": options}}
    if options["required"]:
        then["required"] = ["options"]
    return {"if": {"properties": {"driver": {"const": driver}}, "required": ["driver"]},
            "then": then}  # fmt: skip


def _key(how: Key, default: Any, installed: bool) -> dict[str, Any]:
    by_kind: dict[str, dict[str, Any]] = {
        "number": {"type": "number", "minimum": how.low, "maximum": how.high},
        "integer": {"type": "integer", "minimum": how.low, "maximum": how.high},
        "integers": {"type": "array", "uniqueItems": True,
                     "items": {"type": "integer", "minimum": how.low, "maximum": how.high}},
        "truth": {"type": "boolean"},
        "choice": {"enum": [*how.choices, *(how.more() if installed else ())]},
        "path": {"type": "string", "minLength": 1},
        "word_or_path": {"type": "string", "minLength": 1},
        "options": {"type": "object"},
    }  # fmt: skip
    shown = isinstance(default, (bool, int, float, str)) and default != ""
    return {"description": how.text, **by_kind[how.kind], **({"default": default} if shown else {})}


def _option(option: Option) -> dict[str, Any]:
    if isinstance(option, Number):
        least = "exclusiveMinimum" if option.above else "minimum"
        kind = "integer" if option.whole else "number"
        return {
            "description": option.unit, "type": kind, least: option.least, "maximum": option.most
        }  # fmt: skip
    if isinstance(option, Text):
        return {"description": option.says, "type": "string"}
    return {"type": "boolean"}


if __name__ == "__main__":
    print(json_text(schema()), end="")
