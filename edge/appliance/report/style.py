"""The style sheet that every page of the appliance carries within itself."""

from __future__ import annotations

from pathlib import Path


def style_sheet() -> str:
    """Its text, for a page's `<style>`."""
    return Path(__file__).with_name("report.css").read_text(encoding="utf-8")
