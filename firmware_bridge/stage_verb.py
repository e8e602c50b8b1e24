"""`sparsefocus stage ...`: what can be done with a controller from the command line."""

from __future__ import annotations

import argparse
import importlib

#: word -> (module with add_arguments(parser), its function, one line of help)
ACTIONS: dict[str, tuple[str, str, str]] = {
    "conformance": (
        "firmware_bridge.conformance.verb",
        "conformance",
        "put a firmware of the binary protocol through every rule of PROTOCOL.md",
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for word, (module, _, summary) in ACTIONS.items():
        sub = actions.add_parser(word, help=summary, description=summary)
        importlib.import_module(module).add_arguments(sub)


def run(options: argparse.Namespace) -> int:
    """The action's exit status."""
    module, function, _ = ACTIONS[options.action]
    return int(getattr(importlib.import_module(module), function)(options))
