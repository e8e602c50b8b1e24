"""The report of a session: a page for people, a JSON file for scripts, pictures of each field.

A reader who opens the page while it is rewritten sees the old one or the new one: every file is
written under another name first, the page last. Files that are not ours are never touched.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.appliance.report.field import Pictures
from edge.appliance.report.focus_record import FieldRecord, SessionRecord
from edge.appliance.report.page import page
from edge.appliance.report.pictures import U8, before_after, draw_patches
from edge.errors import ConfigError

PAGE, DATA, PICTURES = "index.html", "report.json", "pictures"
OURS = '<meta name="generator" content="sparsefocus report">'
JPEG_QUALITY = 90


def check_folder(folder: Path) -> None:
    """ConfigError when a report here would overwrite something that is not a report of ours."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is not a folder")
    there = folder / PAGE
    if there.exists() and OURS not in there.read_text(encoding="utf-8", errors="replace"):
        raise ConfigError(f"{there}: is not a report of sparsefocus, it will not be overwritten")


def write_report(session: SessionRecord, folder: Path, um_per_px: float | None = None) -> Path:
    """Write the report into `folder`, made if needed; returns the page's path.

    `um_per_px` is that of a full-size frame; without it the pictures have no scale bar.
    ConfigError as in `check_folder`, OSError when the disk says no.
    """
    check_folder(folder)
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    pictures = [_pictures(field, folder, um_per_px) for field in session.fields]
    text = json.dumps(strict(session.as_json()), indent=1, allow_nan=False)
    _replace(folder / DATA, (text + "\n").encode())
    _replace(folder / PAGE, page(session, pictures).encode())
    return folder / PAGE


def strict(value: Any) -> Any:
    """The same as JSON can say it: NaN and infinity become null, numpy numbers plain ones."""
    if isinstance(value, Mapping):
        return {str(key): strict(x) for key, x in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [strict(x) for x in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _pictures(field: FieldRecord, folder: Path, um_per_px: float | None) -> Pictures:
    stem = f"{PICTURES}/field-{field.number:03d}"
    names = tuple(f"{stem}-{i}.jpg" for i in range(1, len(field.views) + 1))
    for name, view in zip(names, field.views, strict=True):
        _replace(folder / name, _jpeg(draw_patches(view, um_per_px)))
    if not names:
        return Pictures()
    detail = f"{stem}-detail.jpg"
    _replace(folder / detail, _jpeg(before_after(field.views[0], field.views[-1])))
    return Pictures(names, detail)


def _jpeg(rgb: U8) -> bytes:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise OSError("a picture of the report could not be compressed")
    return bytes(data.tobytes())


def _replace(path: Path, data: bytes) -> None:
    """Write beside, then rename: nobody reads half a file."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
