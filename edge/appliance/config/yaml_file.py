"""A config file to its top section: size, encoding and plainness are checked before any key."""

from __future__ import annotations

from pathlib import Path

import yaml

from edge.appliance.config.strict_yaml import Section, printable
from edge.errors import ConfigError

SIZE_LIMIT = 64 * 1024
DEPTH_LIMIT = 8


def read_yaml(path: Path) -> Section:
    """The top level of a file. ConfigError when it is not one plain YAML mapping."""
    try:
        with open(path, "rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: the config cannot be read: {why}") from error
    if len(data) > SIZE_LIMIT:
        raise ConfigError(f"{path}: the config must be at most {SIZE_LIMIT} bytes")
    try:
        text = data.decode("utf-8")
        _check_plain(path, text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: the config must be UTF-8 text") from error
    except yaml.YAMLError as error:
        raise ConfigError(_yaml_error(path, error)) from error
    if node is None:
        raise ConfigError(f"{path}:1: the config is empty")
    return Section(Path(path), "", node)


def _check_plain(path: Path, text: str) -> None:
    """Refuse tags, anchors and deep nesting while they are still a stream of events."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
        if depth > DEPTH_LIMIT:
            raise ConfigError(f"{path}:{line}: nested deeper than {DEPTH_LIMIT} levels")
        if getattr(event, "anchor", None) is not None:
            raise ConfigError(f"{path}:{line}: anchors and aliases (&, *) are not allowed")
        if getattr(event, "tag", None) is not None:
            raise ConfigError(f"{path}:{line}: tags (!) are not allowed")


def _yaml_error(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    line = f":{mark.line + 1}" if mark else ""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    return f"{path}{line}: {' '.join(printable(str(problem)).split())}"
