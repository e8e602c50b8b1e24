"""Whether the packages that we import are ours: others use words like `edge` and `engines`, too.

Python takes the first folder of a name on its path. A script beside an `engines/` of its own would
get that one for ours, and fail somewhere deep inside; here it is told whose folder is in front.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

OURS = ("edge", "engines", "firmware_bridge", "simulator")


def refuse_shadows() -> None:
    """ImportError with one line when something else stands in front of a package of ours."""
    if shadow := first_shadow():
        raise ImportError(shadow)


def first_shadow() -> str:
    """That line; "" when there is none. Nothing is imported to find it out."""
    home = Path(__file__).resolve().parents[1]
    for name in OURS:
        place = _place(name)
        if place is None:
            return f"sparsefocus: its package {name!r} is missing in {home}; install it again"
        if place.parent != home:
            return (
                f"sparsefocus: {place} is in front of its own package {name!r} ({home / name}); "
                "rename that, or run from another folder"
            )
    return ""


def _place(name: str) -> Path | None:
    """The folder or file that `import name` would take, or took."""
    taken = sys.modules.get(name)
    if taken is not None and getattr(taken, "__spec__", None) is None:  # made by hand
        file = getattr(taken, "__file__", None)
        return Path(file or f"/{name} (made by the program)").resolve()
    spec = find_spec(name)
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    return Path(folders[0] if folders else spec.origin or f"/{name}").resolve()
