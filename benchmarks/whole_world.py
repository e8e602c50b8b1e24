"""What a simulated whole slide costs, and whether its frames are worth as much as single fields.

    python -m benchmarks.whole_world [--fields 24] [--json FILE]

Cost: CPU seconds of one core per 2448 x 2048 field, at random places near focus; the planes that
tiles need are rendered before and counted apart. Ladder: the shipped networks read the same tile
with the same noise, once rendered exactly and once blended from two rungs, midway between them.
Readings: the networks' error on fields of a world and on fields of the single-field microscope.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.appliance.files import write_json
from edge.camera import Frame, PixelFormat
from edge.latency import Lap
from edge.measure.aggregate import FocusEstimate
from edge.measure.importance import ClassRule
from edge.measure.sensor import Measurer
from edge.open_sensor import build_sensor
from edge.optics import NOMINAL
from edge.settings import ModelSettings
from simulator.microscope import SENSOR, Microscope
from simulator.render import expose
from simulator.world import World, WorldParameters
from simulator.world_layout import Specimen, pap
from simulator.world_tiles import LADDER_UM, WHITE
from simulator.world_truth import field_truth

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
DEFOCI_UM = (-10.0, -3.0, -0.5, 0.5, 3.0, 10.0)
MIDWAY_UM = (-15.5, -9.5, -4.25, -1.25, -0.25, 0.25, 1.25, 4.25, 9.5, 15.5, 21.0)


def cpu_s(work: Callable[[], Any]) -> tuple[Any, float]:
    """Result and CPU seconds."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def cost(world: World, fields: int) -> dict[str, float]:
    """CPU seconds per field at random places; `planes`: rendering what the tiles needed, once."""
    rng = np.random.default_rng(1)
    half = world.parameters.specimen.size_mm * 400.0
    places = [(float(x), float(y)) for x, y in rng.uniform(-half, half, (fields, 2))]
    heights = [float(world.surface_um(*place)) + rng.uniform(-0.5, 0.5) for place in places]
    spots = list(zip(places, heights, strict=True))
    _, first = cpu_s(lambda: [world.light(*place, z) for place, z in spots])
    lights, again = cpu_s(lambda: [world.light(*place, z) for place, z in spots])
    _, noise = cpu_s(lambda: [expose(x, world.variation, rng) for x in lights])
    _, truth = cpu_s(lambda: [field_truth(world, *place) for place, _ in spots])
    _, truth_again = cpu_s(lambda: [field_truth(world, *place) for place, _ in spots])
    return {
        "light_s": again / fields, "exposure_s": noise / fields,
        "field_s": (again + noise) / fields, "planes_s": first - again,
        "truth_s": truth_again / fields, "energies_s": truth - truth_again,
    }  # fmt: skip


def read_um(sensor: Measurer, pixels: U8) -> float | None:
    """What the networks say of a picture; None for a refusal."""
    frame = Frame(np.ascontiguousarray(pixels), PixelFormat.RGB8, 1, 0, 1)
    estimate = sensor.measure(frame, Lap()).estimate
    return estimate.defocus_um if isinstance(estimate, FocusEstimate) else None


def ladder(world: World, sensor: Measurer, tiles: int) -> dict[str, float]:
    """Blended less exact readings, um."""
    apart, h, w = [], *SENSOR
    for tile in world.tiles[:tiles]:
        for z in MIDWAY_UM:
            rung = int(np.searchsorted(LADDER_UM, z)) - 1
            share = (z - LADDER_UM[rung]) / (LADDER_UM[rung + 1] - LADDER_UM[rung])
            low, high = (tile.plane(rung + n).astype(np.float32) / WHITE for n in (0, 1))
            blended = low * np.float32(1.0 - share) + high * np.float32(share)
            exact = tile.renderer.intensity(z)
            said = []
            for picture in (blended, exact):
                wide = np.tile(picture, (-(-h // len(picture)), -(-w // len(picture)), 1))[:h, :w]
                noise = np.random.default_rng(3)
                said.append(read_um(sensor, expose(wide, world.variation, noise)))
            if said[0] is not None and said[1] is not None:
                apart.append(said[0] - said[1])
    off = np.array(apart)
    return {
        "pictures": len(off), "mean_um": float(off.mean()),
        "median_off_um": float(np.median(np.abs(off))), "most_um": float(np.abs(off).max()),
    }  # fmt: skip


Row = dict[str, Any]


def summed_up(name: str, errors: dict[float, list[float | None]]) -> list[Row]:
    """A row per defocus."""
    rows = []
    for defocus, of in errors.items():
        off = np.abs([error for error in of if error is not None])
        median = float(np.median(off)) if len(off) else None
        rows.append({"fields": name, "defocus_um": defocus, "shown": len(of),
                     "answered": len(off), "median_um": median})  # fmt: skip
    return rows


def world_readings(worlds: list[World], sensor: Measurer, fields: int) -> list[Row]:
    """So many fields with content at random places of each world."""
    errors: dict[float, list[float | None]] = {defocus: [] for defocus in DEFOCI_UM}
    for world in worlds:
        rng, shown = np.random.default_rng([world.seed, 2]), 0
        half = world.parameters.specimen.size_mm * 400.0
        while shown < fields:
            x, y = (float(v) for v in rng.uniform(-half, half, 2))
            truth = field_truth(world, x, y)
            if truth.sparsity == "blank":
                continue
            shown += 1
            for defocus in DEFOCI_UM:
                said = read_um(sensor, world.frame(x, y, truth.z_focus_um - defocus))
                errors[defocus].append(None if said is None else said - defocus)
    return summed_up(f"world, {worlds[0].parameters.specimen.kind}", errors)


def microscope_readings(kind: str, sensor: Measurer, fields: int) -> list[Row]:
    """Fields of the single-field microscope; classes in turn, without its usual dirt and tilt."""
    errors: dict[float, list[float | None]] = {defocus: [] for defocus in DEFOCI_UM}
    for number in range(fields):
        scope = Microscope(number, dirt=0.0, tilt_um_per_mm=1.0, workers=1)
        sparsity = ("dense", "dense", "sparse", "ex-sparse")[number % 4]
        truth = scope.load_field(kind, sparsity, number)
        for defocus in DEFOCI_UM:
            said = read_um(sensor, scope.picture(truth.z_focus_um - defocus))
            errors[defocus].append(None if said is None else said - defocus)
    return summed_up(f"microscope, {kind}", errors)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fields", type=int, default=24)
    parser.add_argument("--cache", type=Path, help="keep rendered planes here")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    sensor, nets = build_sensor(ModelSettings(threads=1), NOMINAL, ClassRule())
    result: dict[str, Any] = {"readings": []}
    for specimen in (Specimen(), pap()):
        world = World(1, WorldParameters(specimen), cache=options.cache)
        result[specimen.kind] = {
            "cost": cost(world, options.fields),
            "ladder": ladder(world, sensor, 2),
        }
        print(specimen.kind, result[specimen.kind], flush=True)
        worlds = [
            World(seed, WorldParameters(specimen), cache=options.cache) for seed in range(1, 4)
        ]
        result["readings"] += world_readings(worlds, sensor, options.fields // 6)
        result["readings"] += microscope_readings(specimen.kind, sensor, options.fields // 2)
    for row in result["readings"]:
        print(row)
    for net in nets:
        net.close()
    if options.json:
        write_json(options.json, result)


if __name__ == "__main__":
    main()
