"""`sparsefocus calibrate --zstacks MANIFEST --out MODELS`: models for an instrument, from stacks.

    read, label, deal out   material     a quarter of the stacks is kept for the interval
    the shipped models      before       what the instrument would have without this
    tune both networks      tune         from the shipped weights, z mirrored where it must be
    interval, range         interval     on the kept stacks
    judge, write            judge        on the stacks that the user held out

Nothing is written unless the kept stacks show that the sign was learned and the error fell.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge.appliance.files import (
    is_standard,
    json_safe,
    json_text,
    put_in_place,
    replace_file,
    write_json,
)
from edge.appliance.frame_result import FrameResult
from edge.errors import ConfigError
from edge.images.zstack import UM_PER_PX
from edge.measure.interval import IntervalModel
from edge.measure.preprocess import PAPER
from engines.engine import MODELS
from engines.manifest import Manifest, Optics
from training.adapt.interval import fit_few
from training.adapt.judge import examined, score, signs
from training.adapt.material import CLEAR_UM, AdaptRefused, Material, Say, Stack, read_material
from training.adapt.page import write_page
from training.adapt.pools import dpn_pool, rin_pool
from training.adapt.record import results_of, sentence, words_of
from training.adapt.tune import Wishes, start, tune
from training.export import export
from training.run import Run

SEED = 1
MINUTES = (0.05, 600.0)
MOST_STEPS = 1_000_000
FAR_UM = 3.0  # out of focus, to look for the sign
LEAST_SIGNS = 6  # fewer tell no share
LOOKS = 24  # planes that tell whether z is mirrored
MIRRORED = 0.35  # share of right signs below which it is
LEAST_DIRECTION = 0.75  # of the kept planes: below it no sign was learned
OPERATING_POINT = 0.5  # as the shipped RIN has it
DISK_BYTES = 4e9  # what the tiles and the RIN's pictures take at most
OURS = ("rin.onnx", "rin.json", "dpn.onnx", "dpn.json", "adaptation.json")


def run(options: argparse.Namespace) -> int:
    """0 = the models are in --out. AdaptRefused says why nothing was written."""
    begin = time.monotonic()
    _check(options)

    def say(line: str) -> None:
        if not options.quiet:
            print(f"[{time.monotonic() - begin:4.0f} s] {line}", file=sys.stderr, flush=True)

    material = read_material(options.zstacks, options.hold_out, options.um_per_px, say)
    optics = _optics(options, material)
    parent = options.out.absolute().parent
    with tempfile.TemporaryDirectory(prefix=".adapting-", dir=parent) as scratch:
        record = _adapt(material, optics, options, Path(scratch), say)
        record["seconds"] = round(time.monotonic() - begin, 1)
        _put(Path(scratch) / "after", options.out, record)
    _tell(record, options)
    return 0


def _check(options: argparse.Namespace) -> None:
    low, high = MINUTES
    if not low <= options.minutes <= high:
        raise ConfigError(f"--minutes {options.minutes:g} must be {low:g} to {high:g}")
    if not 0 <= options.steps <= MOST_STEPS:
        raise ConfigError(f"--steps {options.steps} must be 0 to {MOST_STEPS}")
    low, high = UM_PER_PX
    if options.um_per_px is not None and not low <= options.um_per_px <= high:
        raise ConfigError(f"--um-per-px {options.um_per_px:g} must be {low:g} to {high:g}")
    out = options.out.absolute()
    if not out.parent.is_dir():
        raise ConfigError(f"--out {options.out}: {out.parent} is not a folder")
    if out.exists() and (not out.is_dir() or any(f.name not in OURS for f in out.iterdir())):
        raise ConfigError(f"--out {options.out}: holds other things than adapted models")
    if out == MODELS.absolute():
        raise ConfigError(f"--out {options.out}: these are the shipped models")
    free = shutil.disk_usage(out.parent).free
    if free < DISK_BYTES:
        raise ConfigError(
            f"{out.parent}: {free / 1e9:.1f} GB are free, tuning takes {DISK_BYTES / 1e9:.0f} GB"
        )


def _optics(options: argparse.Namespace, material: Material) -> Optics:
    """Of the instrument: what is not named is taken from the shipped models."""
    shipped = Manifest.read(MODELS / "dpn.json").optics
    na = shipped.na if options.na is None else options.na
    magnification = (
        shipped.magnification if options.magnification is None else options.magnification
    )
    for name, value, most in (("--na", na, 1.6), ("--magnification", magnification, 200.0)):
        if not 0.0 < value <= most:
            raise ConfigError(f"{name} {value:g} must be above 0 and at most {most:g}")
    return replace(
        shipped,
        objective=f"{magnification:g}x/{na:g}, adapted",
        na=na,
        magnification=magnification,
        um_per_px=material.um_per_px,
        range_um=round(material.range_um, 3),
        family=None,  # tuned to this one
    )


def _adapt(
    material: Material, optics: Optics, options: argparse.Namespace, scratch: Path, say: Say
) -> dict[str, Any]:
    judged = material.held or material.kept
    before = _shipped(material, scratch / "before")
    looks = _looks(material)
    right = signs(examined(before, looks), FAR_UM)
    sign = float(np.mean(right)) if len(right) >= LEAST_SIGNS else None
    mirrored = sign is not None and sign < MIRRORED
    say(_sign_words(sign, mirrored))
    old = examined(before, judged)
    say(f"the shipped models: {words_of(score(old))}")
    folders = {name: scratch / name for name in ("dpn_pool", "rin_pool", "tuned")}
    for folder in folders.values():
        folder.mkdir()
    tiles = dpn_pool(material, folders["dpn_pool"], np.random.default_rng(SEED))
    pictures = rin_pool(material, folders["rin_pool"])
    say(f"{len(tiles.ready())} tiles and {len(pictures.labels)} pictures to tune from")
    wishes = Wishes(options.minutes, options.steps, SEED, mirrored)
    rin, dpn = tune(tiles, pictures, material.grid, wishes, folders["tuned"])
    after = scratch / "after"
    _export(rin, dpn, material, optics, after)
    kept = examined(after, material.kept)
    _refuse_unlearned(kept)
    model = Manifest.read(MODELS / "dpn.json")
    shipped = replace(IntervalModel.of(model), range_um=optics.range_um)
    _write_calibration(after, fit_few(kept, shipped, model.calibration["envelope"]["bounds"]))
    new = examined(after, judged)
    say(f"the adapted models: {words_of(score(new))}")
    return results_of(material, options, optics, mirrored, (old, new))


def _shipped(material: Material, folder: Path) -> Path:
    """The shipped models as this sensor's size needs them."""
    if material.grid == PAPER:
        return MODELS
    shipped = Manifest.read(MODELS / "dpn.json")
    for kind in ("rin", "dpn"):
        calibration = dict(shipped.calibration) if kind == "dpn" else None
        export(
            start(kind, material.grid), folder, calibration=calibration,
            operating_point=OPERATING_POINT, grid=material.grid,
        )  # fmt: skip
    return folder


def _looks(material: Material) -> list[Stack]:
    """Some planes well out of focus, of as many taught stacks as there are."""
    each = max(2, LOOKS // len(material.taught))
    looks = []
    for stack in material.taught:
        far = [p for p in stack.planes if FAR_UM <= abs(stack.defocus_um(p)) <= 20.0]
        far = far or list(stack.planes)
        chosen = np.unique(np.linspace(0, len(far) - 1, min(each, len(far))).round().astype(int))
        looks.append(replace(stack, planes=tuple(far[i] for i in chosen)))
    return looks


def _sign_words(sign: float | None, mirrored: bool) -> str:
    if sign is None:
        return "the shipped models answer on too few planes to tell the sign of z"
    way = "the other sign: mirrored" if mirrored else "the same sign"
    return f"right signs on {sign:.0%} of the planes looked at: z has {way}"


def _export(rin: Run, dpn: Run, material: Material, optics: Optics, folder: Path) -> None:
    names = ", ".join(stack.name for stack in material.taught[:12])
    data = f"adapted to stacks {names}"[:400]
    for each in (rin, dpn):
        export(
            each, folder, operating_point=OPERATING_POINT, data=data, optics=optics,
            grid=material.grid,
        )  # fmt: skip


def _refuse_unlearned(kept: Sequence[FrameResult]) -> None:
    """Above and below focus must look different to the tuned networks."""
    right = signs(kept, CLEAR_UM)
    if len(right) >= LEAST_SIGNS:
        sign = float(np.mean(right))
    else:  # too few to count: then none may be wrong
        sign = float(bool(right) and all(right))
    if sign < LEAST_DIRECTION:
        raise AdaptRefused(
            f"no sign: of {len(right)} planes that did not teach, {sign:.0%} have the right "
            f"direction; {LEAST_DIRECTION:.0%} is the least. The stacks are too few, or above and "
            "below focus look alike (little spherical aberration and axial colour)"
        )


def _write_calibration(folder: Path, calibration: dict[str, Any]) -> None:
    path = folder / "dpn.json"
    replace(Manifest.read(path), calibration=calibration).write(path)


def _put(made: Path, out: Path, numbers: dict[str, Any]) -> None:
    """Into place, each file in one piece, a network before the manifest that names it."""
    record = {k: v for k, v in numbers.items() if k != "planes"}
    replace_file(made / "adaptation.json", json_text(record))
    path = made / "dpn.json"
    accuracy = {name: numbers[name] for name in ("judged_on", "before", "after")}
    replace(Manifest.read(path), accuracy=json_safe(accuracy)).write(path)
    out.mkdir(exist_ok=True)
    for name in OURS:
        put_in_place(made / name, out / name)


def _tell(record: dict[str, Any], options: argparse.Namespace) -> None:
    out = sys.stderr if is_standard(options.json) else sys.stdout
    write_json(record, options.json)
    if options.report is not None:
        print(f"report: {write_page(record, options.report)}", file=out)
    print(sentence(record), file=out)
    print(f"models: {options.out} (models.rin and models.dpn of a config)", file=out)
