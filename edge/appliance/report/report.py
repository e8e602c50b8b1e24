"""The report of a session: a page for people, a JSON file for scripts, pictures of each field.

A reader who opens the page while it is rewritten sees the old one or the new one: every file is
written under another name first, the page last. Files that are not ours are never touched.
"""

from __future__ import annotations

from pathlib import Path

import cv2

from edge.appliance.files import make_folder, try_folder, write_json, write_result
from edge.appliance.report.field import Pictures
from edge.appliance.report.focus_record import FieldRecord, SessionRecord
from edge.appliance.report.page import page
from edge.appliance.report.pictures import U8, before_after, draw_patches, side_by_side
from edge.errors import ConfigError

PAGE, DATA, PICTURES = "index.html", "report.json", "pictures"
OURS = '<meta name="generator" content="sparsefocus report">'
JPEG_QUALITY = 90
REPORT = "--report"  # the option that names the folder, for messages


def check_folder(folder: Path) -> None:
    """ConfigError where a report cannot be written, or would overwrite what is not ours."""
    try_folder(REPORT, folder)
    there = folder / PAGE
    if there.exists() and OURS not in there.read_text(encoding="utf-8", errors="replace"):
        raise ConfigError(f"{there}: is not a report of sparsefocus, it will not be overwritten")


def write_report(session: SessionRecord, folder: Path, um_per_px: float | None = None) -> Path:
    """Write the report into `folder`, made if needed; returns the page's path.

    `um_per_px` is that of a full-size frame; without it the pictures have no scale bar.
    ConfigError as in `check_folder`, and when the disk says no.
    """
    check_folder(folder)
    make_folder(REPORT, folder / PICTURES)
    pictures = [_pictures(field, folder, um_per_px) for field in session.fields]
    write_json(session.as_json(), folder / DATA, REPORT)
    write_result(page(session, pictures), folder / PAGE, REPORT)
    return folder / PAGE


def _pictures(field: FieldRecord, folder: Path, um_per_px: float | None) -> Pictures:
    stem = f"{PICTURES}/field-{field.number:03d}"
    names = tuple(f"{stem}-{i}.jpg" for i in range(1, len(field.views) + 1))
    for name, view in zip(names, field.views, strict=True):
        write_result(_jpeg(draw_patches(view, um_per_px)), folder / name, REPORT)
    if not names:
        return Pictures()
    detail = f"{stem}-detail.jpg"
    shown = before_after(field.views[0], field.views[-1])
    write_result(_jpeg(shown), folder / detail, REPORT)
    if field.end_detail is None or field.sharpest_detail is None:
        return Pictures(names, detail)
    sharpest = f"{stem}-sharpest.jpg"
    shown = side_by_side(field.end_detail, field.sharpest_detail)
    write_result(_jpeg(shown), folder / sharpest, REPORT)
    return Pictures(names, detail, sharpest)


def _jpeg(rgb: U8) -> bytes:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise OSError("a picture of the report could not be compressed")
    return bytes(data.tobytes())
