"""Every real stack through `evaluate` and `calibrate --zstacks`, and what came of it.

    python benchmarks/real_stacks.py FOLDER/manifest.csv ... [--minutes 2] [--json FILE]

Stacks of one manifest with one size of frame and one scale count as an instrument; each is copied
into a folder of its own, with a manifest of its own. Nothing is known of most of them: neither the
step, nor the sign of z, nor where they are in focus. So beside what the two commands say stands how
the answers agree with the stack's own sharpest plane, as training.adapt.label measures it: on how
many planes the answer points towards it, or, where z counts the other way, away from it. A stack
whose scale is unknown is adapted at the shipped models' 0.34 um per pixel.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from edge.appliance.files import write_json
from edge.errors import ConfigError
from edge.images.zstack import COLUMNS, Exposure, read_manifest, read_pixels, stacks
from edge.measure.preprocess import PatchGrid
from engines.engine import MODELS
from simulator.optics import NOMINAL
from training.adapt.label import Labels, label

LIMIT_S = 3600
SAID = 200  # characters of what a command said
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Instrument:
    """Stacks that one camera took at one scale."""

    name: str
    size_px: tuple[int, int]
    um_per_px: float | None
    stacks: Mapping[str, tuple[Exposure, ...]]


def instruments(manifest: Path) -> list[Instrument]:
    """The manifest's stacks, those of one size and scale together."""
    groups: dict[tuple[tuple[int, int], float | None], dict[str, tuple[Exposure, ...]]] = {}
    for name, planes in stacks(read_manifest(manifest)).items():
        height, width = read_pixels(planes[0]).shape[:2]
        key = (height, width), planes[0].um_per_px
        groups.setdefault(key, {})[name] = planes
    folder = manifest.resolve().parent.name
    several = len(groups) > 1
    return [
        Instrument(next(iter(each)) if several else folder, size, pitch, each)
        for (size, pitch), each in groups.items()
    ]


def copied(instrument: Instrument, folder: Path) -> Path:
    """Its pictures in `folder`, with a manifest."""
    rows = []
    for name, planes in instrument.stacks.items():
        for plane in planes:
            copy = folder / plane.path.name
            if not copy.exists():
                copy.write_bytes(plane.path.read_bytes())
            page = "" if plane.page is None else plane.page
            known = ("" if v is None else v for v in (plane.focus_z_um, plane.um_per_px))
            rows.append((copy.name, page, name, plane.z_um, *known))
    path = folder / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def sparsefocus(*arguments: str | Path) -> tuple[int, str]:
    """Exit status and the last line that the command said."""
    command = [sys.executable, "-m", "edge.appliance.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    lines = (done.stderr if done.returncode else done.stdout).strip().splitlines()
    text = lines[-1] if lines else ""
    if "Traceback" in done.stderr:
        text = f"TRACEBACK: {text}"
    return done.returncode, text.removeprefix("sparsefocus: ")


def own_focus(planes: Sequence[Exposure]) -> Labels | None:
    """What the stack says of itself; None where its frames hold no patch."""
    first = read_pixels(planes[0])
    try:
        grid = PatchGrid.of_frame(*first.shape[:2])
    except ConfigError:
        return None
    return label([p.z_um for p in planes], lambda i: read_pixels(planes[i]), grid, None)


def evaluated(
    known: Mapping[str, Labels | None], manifest: Path, models: Path, scratch: Path
) -> Row:
    """What `evaluate` made of it; `known`: what each stack says of itself."""
    rows = scratch / "rows.csv"
    status, words = sparsefocus("evaluate", manifest, "--models", models, "--rows", rows)
    if status:
        return {"status": status, "said": _short(words, scratch)}
    with rows.open(encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    answers = [r for r in records if r["found_um"]]
    towards = away = 0
    for name, labels in known.items():
        if labels is None or not math.isfinite(labels.measured_um):
            continue
        for record in (r for r in answers if r["stack_id"] == name):
            way = (labels.measured_um - float(record["z_um"])) * float(record["found_um"])
            towards, away = towards + (way > 0), away + (way < 0)
    return {
        "status": 0,
        "frames": len(records),
        "answered": len(answers),
        "alarms": sum(r["shift_alarm"].lower() in ("true", "1") for r in records),
        "towards_the_sharpest": towards,
        "away_from_it": away,
        "answers_um": [
            [r["stack_id"], float(r["z_um"]), float(r["found_um"]) if r["found_um"] else None]
            for r in records
        ],
    }


def adapted(instrument: Instrument, manifest: Path, minutes: float, scratch: Path) -> Row:
    """What `calibrate --zstacks` made of it."""
    out, record = scratch / "models", scratch / "adaptation.json"
    assumed = instrument.um_per_px is None
    scale = ("--um-per-px", str(NOMINAL.um_per_px)) if assumed else ()
    status, words = sparsefocus(
        "calibrate", "--zstacks", manifest, "--out", out, "--minutes", str(minutes),
        "--json", record, "--quiet", *scale,
    )  # fmt: skip
    if status:
        return {"status": status, "said": _short(words, scratch), "scale_assumed": assumed}
    kept = json.loads(record.read_text(encoding="utf-8"))
    return {"status": 0, "scale_assumed": assumed, "mirrored": kept["mirrored"],
            "before": kept["before"], "after": kept["after"]}  # fmt: skip


def _short(words: str, scratch: Path) -> str:
    """Without the names of folders on this machine."""
    return words.replace(f"{scratch}/", "").replace(f"{MODELS.parent.parent}/", "")[:SAID]


def sharpest(instrument: Instrument, known: Mapping[str, Labels | None]) -> list[Row]:
    """Per stack: where it is sharpest by its own pictures, and in which octave."""
    rows: list[Row] = []
    for name, planes in instrument.stacks.items():
        labels = known[name]
        row: Row = {"stack": name, "planes": len(planes)}
        if labels is not None and math.isfinite(labels.measured_um):
            row |= {
                "sharpest_z": round(labels.measured_um, 2), "at_an_end": labels.edge,
                "reversed": labels.reversed_contrast, "octave": labels.octave,
                "patches": int(labels.richness.size), "with_content": labels.informative,
            }  # fmt: skip
        rows.append(row)
    return rows


def measure(manifests: Sequence[Path], models: Path, minutes: float) -> list[Row]:
    """A row per instrument."""
    rows = []
    for manifest in manifests:
        for instrument in instruments(manifest):
            with tempfile.TemporaryDirectory() as folder:
                scratch = Path(folder)
                own = copied(instrument, scratch)
                height, width = instrument.size_px
                known = {name: own_focus(planes) for name, planes in instrument.stacks.items()}
                row: Row = {
                    "name": instrument.name, "frame_px": [width, height],
                    "um_per_px": instrument.um_per_px, "stacks": sharpest(instrument, known),
                    "evaluate": evaluated(known, own, models, scratch),
                }  # fmt: skip
                if minutes:
                    row["calibrate"] = adapted(instrument, own, minutes, scratch)
                print(json.dumps(row), flush=True)
                rows.append(row)
    return rows


def main() -> None:
    """Prints a line of JSON per instrument."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("manifests", type=Path, nargs="+", metavar="MANIFEST")
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--minutes", type=float, default=2.0,
                        help="of an adaptation, core minutes; 0 = none")  # fmt: skip
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rows = measure(options.manifests, options.models, options.minutes)
    write_json({"minutes": options.minutes, "instruments": rows}, options.json)


if __name__ == "__main__":
    main()
