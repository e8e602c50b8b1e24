"""The page of a calibration: what was commanded, what was seen, and the line through it."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np

from edge.appliance.calibrate.drive_calibration import DriveCalibration
from edge.appliance.calibrate.fit import nut_of
from edge.appliance.files import make_folder, write_result
from edge.appliance.report import plot
from edge.appliance.report.plot import Axis
from edge.appliance.report.report import PAGE, REPORT
from edge.appliance.report.style import style_sheet

COLOURS = {"up": "#0072b2", "down": "#d55e00", "again": "#56b4e9", "far": "#009e73",
           "fine": "#cc79a7", "first": "#7a8794"}  # fmt: skip
NAMES = {"up": "coming up", "down": "coming down", "again": "up again", "far": "far looks",
         "fine": "through focus", "first": "the first look"}  # fmt: skip
WIDTH, HEIGHT = 760, 420


def write_page(calibration: DriveCalibration, folder: Path) -> Path:
    """Write the page into `folder`, made if needed; returns its path."""
    make_folder(REPORT, folder)
    css = style_sheet()
    title = "Calibration of the focus drive"
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="generator" content="sparsefocus report"><title>{title}</title>'
        f'<style>{css}</style></head><body><header><p class="overline">SparseFocus</p>'
        f'<h1>{title}</h1><p class="verdict">{escape(_verdict(calibration))}</p></header><main>'
        f'<section><h2>Commanded and seen</h2><figure class="card">{looks_svg(calibration)}'
        "<figcaption>The play is the distance between the ways up and down.</figcaption></figure>"
        f'</section><section><h2>Sharpness through focus</h2><figure class="card">'
        f"{sharpness_svg(calibration)}<figcaption>A ruler that knows no sign: the picture must be "
        "sharpest where the networks read zero.</figcaption></figure></section></main></body>"
        "</html>"
    )
    write_result(text, folder / PAGE, REPORT)
    return folder / PAGE


def _verdict(result: DriveCalibration) -> str:
    verb = "raises" if result.focus_direction > 0 else "lowers"
    return (
        f"A rising z {verb} the objective, {result.um_per_unit:.3f} \u00b5m per commanded \u00b5m, "
        f"with {result.play_um:.2f} \u00b5m of play."
    )


def looks_svg(calibration: DriveCalibration) -> str:
    """Defocus over the commanded position, a colour per way, with the line of each side."""
    z = [look.z_um for look in calibration.looks]
    d = [look.defocus_um for look in calibration.looks]
    x = Axis(min(z) - 1, max(z) + 1, 64, WIDTH - 14)
    y = Axis(min(d) - 1, max(d) + 1, HEIGHT - 56, 44)
    parts = [*plot.y_axis(y, x.start_px, x.end_px, "defocus seen, \u00b5m")]
    parts += plot.x_axis(x, y.end_px, y.start_px, "commanded z, \u00b5m")
    slope = -calibration.focus_direction * calibration.um_per_unit
    for play in (0.0, calibration.play_um):
        low, high = (slope * (z_um + play - calibration.reference_um) for z_um in (min(z), max(z)))
        parts.append(plot.line(x(min(z)), y(low), x(max(z)), y(high), plot.MUTED))
    for look in calibration.looks:
        tip = f"{NAMES[look.part]}: z {look.z_um:.2f}, defocus {look.defocus_um:+.2f} \u00b5m"
        parts.append(plot.dot(x(look.z_um), y(look.defocus_um), 4, COLOURS[look.part], tip))
    at = x.start_px
    for name in dict.fromkeys(look.part for look in calibration.looks):
        parts += [plot.dot(at + 6, 20, 5, COLOURS[name]), plot.text(at + 16, 24, NAMES[name])]
        at += 34 + 7.0 * len(NAMES[name])
    return plot.svg(WIDTH, HEIGHT, "Defocus over commanded position", parts)


def sharpness_svg(calibration: DriveCalibration) -> str:
    """The focus measure of the looks that were taken coming up, relative to the best."""
    looks = [look for look in calibration.looks if look.part in ("fine", "far")]
    best = max(look.sharpness for look in looks)
    z = np.array([look.z_um for look in looks])
    nut = nut_of(z.tolist(), 0.0)
    x = Axis(float(nut.min()) - 1, float(nut.max()) + 1, 64, WIDTH - 14)
    y = Axis(0.0, 1.05, 300 - 56, 20)
    parts = [*plot.y_axis(y, x.start_px, x.end_px, "sharpness")]
    parts += plot.x_axis(x, y.end_px, y.start_px, "commanded z, \u00b5m")
    reference = x(calibration.reference_um)
    parts.append(plot.line(reference, y.start_px, reference, y.end_px, plot.GOOD))
    for look in looks:
        parts.append(plot.dot(x(look.z_um), y(look.sharpness / best), 4, COLOURS[look.part]))
    return plot.svg(WIDTH, 300, "Sharpness over commanded position", parts)
