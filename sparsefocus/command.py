"""Entry point of the command `sparsefocus`: that the packages are ours, then the verbs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sparsefocus.shadows import first_shadow

FAILED = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: see edge.appliance.cli; 4 and one line when a package of ours is hidden."""
    if shadow := first_shadow():
        print(shadow, file=sys.stderr)
        return FAILED
    from edge.appliance import cli

    return cli.main(arguments)
