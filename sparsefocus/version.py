"""The version of what is installed."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """Like "0.1.0"; "not installed" for a tree that was not."""
    try:
        return metadata.version("sparsefocus-edge")
    except metadata.PackageNotFoundError:
        return "not installed"
