"""A continuous scan at 11 mm/s over a tilt: the share in focus with and without feed-forward.

Real: the loop, guard, serial port, the reference firmware and the drive's mechanics, in real time.
The slide, and what a frame shows of it, are simulated, in two ways (simulator/scan.py):

model     a MODEL of the networks' error (0.15 um, with its interval), for every latency asked for
pictures  the shipped networks on rendered frames: of six fields, at heights 0.5 um apart

python -m benchmarks.continuous_scan [--lines 4] [--length-mm 40] [--latencies 12,30] [--pictures]
                                     [--json FILE] [--picture FILE.svg]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from edge.appliance.report import plot
from edge.appliance.report.plot import Axis
from edge.measure.importance import ClassRule
from edge.open_sensor import build_sensor
from edge.optics import Objective
from edge.settings import ModelSettings
from simulator.microscope import Microscope
from simulator.scan import MakeSensor, ModelSensor, PictureSensor, Stack, Strip
from simulator.scan_line import SPEED_UM_S, Scanned, scan
from simulator.slide import KINDS, SPARSITIES

OFFSETS_UM = tuple(np.arange(-4.0, 4.01, 0.5).tolist())
NOMINAL = Objective(na=0.75, magnification=20, um_per_px=0.34)


def strips(count: int, length_mm: float) -> list[tuple[str, Strip]]:
    """Tilt, with steps of a section's thickness and blank stretches; each line its own."""
    strips = [
        ("tilt 3 um/mm", Strip(z_um=160.0, tilt_um_per_mm=3.0, relief_um=0.0)),
        ("tilt -3 um/mm, relief", Strip(z_um=280.0, tilt_um_per_mm=-3.0, relief_um=0.5)),
        ("tilt 3 um/mm, relief, steps of 1 to 2 um, a blank millimetre",
         Strip(tilt_um_per_mm=2.4, steps=((length_mm * 0.3, 1.0), (length_mm * 0.6, -2.0)),
               blank=((length_mm * 0.45, length_mm * 0.45 + 1.0),))),
        ("tilt 1 um/mm, relief, steps every 8 mm",
         Strip(tilt_um_per_mm=1.0, relief_um=0.5,
               steps=tuple((8.0 * n, (-1.0) ** n * 1.2) for n in range(1, int(length_mm / 8))))),
    ]  # fmt: skip
    return [strips[n % len(strips)] for n in range(count)]


def stacks(seed: int) -> tuple[list[Stack], Any]:
    """Six fields, dense to extremely sparse, each at OFFSETS_UM; and a blank one."""
    microscope = Microscope(seed, dirt=0.0, tilt_um_per_mm=0.0)
    rows = []
    for number, (kind, sparsity) in enumerate((k, s) for s in SPARSITIES for k in KINDS):
        focus_um = microscope.load_field(kind, sparsity, number, slide=number).z_focus_um
        pictures = tuple(microscope.picture(focus_um + off) for off in OFFSETS_UM)
        rows.append(Stack(OFFSETS_UM, pictures))
        print(f"rendered {kind} {sparsity}", file=sys.stderr, flush=True)
    surface_um = microscope.load_field("tissue", "blank", 9, slide=9).z_focus_um
    return rows, microscope.picture(surface_um)


def both(
    name: str, strip: Strip, make: MakeSensor, length_mm: float, seed: int
) -> tuple[dict[str, Any], dict[bool, Scanned]]:
    """The same line with and without feed-forward."""
    scans = {on: scan(strip, make, on, length_mm, seed=seed) for on in (True, False)}
    row = {"strip": name, "with": scans[True].as_json(), "without": scans[False].as_json()}
    print(
        f"{name}: {scans[True].share:.1%} with, {scans[False].share:.1%} without", file=sys.stderr
    )
    return row, scans


def _models(latency_ms: float, seed: int) -> MakeSensor:
    return lambda stand: ModelSensor(stand, latency_ms, seed=seed)


def _networks(fields: list[Stack], blank: Any) -> MakeSensor:
    models = ModelSettings(backend="cpu")
    inner, _ = build_sensor(models, NOMINAL, ClassRule(dense=9))
    return lambda stand: PictureSensor(stand, inner, fields, blank)


def picture(shown: dict[bool, Scanned], name: str) -> str:
    """Surface and objective over x, and the error with and without."""
    width, height = 940, 420
    looks = {on: scanned.exposures for on, scanned in shown.items()}
    x_mm = [s.x_um / 1e3 for s in looks[True]]
    heights = [v for s in looks[True] for v in (s.focus_um, s.glass_um)]
    x = Axis(0.0, max(x_mm), 64, width - 14)
    y = Axis(min(heights) - 1, max(heights) + 1, 200, 34)
    e = Axis(-4.0, 4.0, 372, 236)
    half = NOMINAL.half_depth_um
    parts = [plot.text(x.start_px, 18, f"{name}, 11 mm/s", more='font-weight="600"')]
    parts += plot.y_axis(y, x.start_px, x.end_px, "height, µm")
    parts += plot.y_axis(e, x.start_px, x.end_px, "objective above focus, µm")
    parts += plot.x_axis(x, y.end_px, e.start_px, "along the scan, mm")
    parts.append(plot.rect(x.start_px, e(half), x.end_px - x.start_px, e(-half) - e(half),
                           plot.BAND))  # fmt: skip
    line = [(x(s.x_um / 1e3), y(s.focus_um)) for s in looks[True]]
    parts.append(plot.polyline(line, plot.MUTED))
    for on, colour, words in ((False, plot.BAD, "without"), (True, plot.BLUE, "with")):
        for s in looks[on]:
            if not s.blank:
                parts.append(plot.dot(x(s.x_um / 1e3), e(s.error_um), 2.4, colour))
                if on:
                    parts.append(plot.dot(x(s.x_um / 1e3), y(s.glass_um), 2.0, colour))
        share = f"{words} feed-forward: {shown[on].share:.1%} in focus"
        parts.append(plot.text(x.end_px - (0 if on else 300), 18, share, "end", colour))
    return plot.svg(width, height, "Continuous scan", parts)


def main() -> int:
    """0 = at least 95 % in focus with feed-forward on every kind of line that was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", type=int, default=4)
    parser.add_argument("--length-mm", type=float, default=40.0)
    parser.add_argument("--latencies", default="12,20,30", help="ms, of the model")
    parser.add_argument("--pictures", action="store_true", help="the networks on rendered frames")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    lines = strips(options.lines, options.length_mm)
    record: dict[str, Any] = {"speed_um_s": SPEED_UM_S, "length_mm": options.length_mm}
    shown: tuple[dict[bool, Scanned], str] | None = None
    ways: list[tuple[str, Callable[[int], MakeSensor]]] = [
        (f"model, {ms} ms", lambda n, ms=ms: _models(float(ms), options.seed + n))  # type: ignore[misc]
        for ms in options.latencies.split(",")
    ]
    if options.pictures:
        networks = _networks(*stacks(options.seed))
        ways.append(("networks", lambda _: networks))
    for way, make in ways:
        rows = []
        for number, (name, strip) in enumerate(lines):
            row, scans = both(name, strip, make(number), options.length_mm, options.seed + number)
            rows.append(row)
            shown = shown or (scans, name)
        shares = {
            side: float(np.average([r[side]["share"] for r in rows],
                                   weights=[r[side]["frames"] for r in rows]))
            for side in ("with", "without")
        }  # fmt: skip
        record[way] = {"share_in_focus": shares, "lines": rows}
    machine.write(options.json, record)
    if options.picture and shown:
        options.picture.write_text(picture(*shown), encoding="utf-8")
    reached = [v["share_in_focus"]["with"] for v in record.values() if isinstance(v, dict)]
    return int(not min(reached) >= 0.95)


if __name__ == "__main__":
    sys.exit(main())
