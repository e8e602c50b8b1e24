"""`sparsefocus bench`: latency by stage and by k, against other ways and against the floors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge.appliance.config.config_file import read_config
from edge.appliance.files import add_json, is_standard, write_json, write_result
from edge.appliance.machine import description, load_average
from edge.appliance.objective import add_objective, objective_of
from edge.appliance.progress import Progress
from edge.errors import ConfigError
from edge.settings import RUNTIMES, Config
from engines.estimate import latency_model
from engines.onnx_runtime import ort
from simulator.bench import climb, floors, frames, latency
from simulator.bench.contenders import Ours, others
from simulator.bench.picture import draw
from simulator.closed_loop import RANGE_UM, Scenario, SimulatedInstrument
from simulator.simulate_verb import NOMINAL
from simulator.slide import KINDS, SPARSITIES

#: what the loop is to reach on two cores that do nothing else
FASTER = 5.0
OUTSIDE = 0.25
OUTSIDE_K = 9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add = parser.add_argument
    add("--frames", type=int, default=500, metavar="N", help="at each k (default: 500)")
    add("--every", type=int, default=5, metavar="N",
        help="the other pipelines see each N-th frame (default: 5)")  # fmt: skip
    add("--fields", type=int, default=6, metavar="N",
        help="for hill climbing, 0 = leave it out (default: 6)")  # fmt: skip
    add("--config", type=Path, default=NOMINAL, help="instrument (default: the nominal one)")
    add("--runtime", choices=RUNTIMES, help="of the networks (default: the config's)")
    add("--seed", type=int, default=5, help="of slides, starts and noise (default: 5)")
    add_json(parser, "the numbers")
    add("--picture", type=Path, metavar="FILE", help="write them as an SVG")
    add("--quiet", action="store_true", help="no progress, no table")
    add("--predict", action="store_true",
        help="measure nothing: estimate a frame on Jetsons from counted work")  # fmt: skip
    latency_model.add_arguments(parser)
    add_objective(parser)


def run(options: argparse.Namespace) -> int:
    """0 = measured, whatever came out."""
    if options.predict:
        return _predict(options)
    for name in ("board", "power_mode", "gpu_mhz"):
        if getattr(options, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')} belongs to --predict")
    if options.frames < 1 or options.every < 1 or options.fields < 0:
        raise ConfigError("--frames and --every must be at least 1, --fields at least 0")
    config = read_config(options.config)
    if options.runtime is not None:
        config = replace(config, models=replace(config.models, runtime=options.runtime))
    asked = objective_of(options, config.models.dpn, config)
    if asked.objective != config.objective:
        if options.fields:
            raise ConfigError("another objective than the config's needs --fields 0: only time is "
                              "measured, on the same pictures")  # fmt: skip
        config = replace(config, objective=asked.objective)
    record = measure(config, options)
    write_json(record, options.json)
    if options.picture is not None:
        write_result(draw(record, config.camera.period_ms), options.picture, "--picture")
    if not options.quiet and not is_standard(options.json):
        print(table(record))
    return 0


def _predict(options: argparse.Namespace) -> int:
    models = read_config(options.config).models
    if models.rin.parent != models.dpn.parent:
        raise ConfigError("--predict needs rin.json and dpn.json in one folder")
    try:
        text, numbers = latency_model.report(options, models.dpn.parent)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    write_json(numbers, options.json)
    if not options.quiet and not is_standard(options.json):
        print(text)
    return 0


def measure(config: Config, options: argparse.Namespace) -> dict[str, Any]:
    """Everything, as JSON."""
    progress = Progress(options.frames // 25 + 2 * options.fields + 2, options.quiet)
    before = load_average()
    pictures = frames.render(options.seed)
    progress.done("pictures rendered")
    contenders, missing = others()
    for name, why in missing.items():
        print(f"sparsefocus: {name} is left out: {why}", file=sys.stderr)
    with Ours(config) as loop:
        run_ = latency.measure(
            loop, contenders, pictures, options.frames, options.every, progress.done
        )
        interruptions = loop.interruptions
    least = floors.measure(pictures.all)
    progress.done("floors measured")
    record = {
        "command": "sparsefocus " + " ".join(sys.argv[1:]),
        "machine": {
            **description(),
            "load_average_before": before,
            "onnxruntime": ort.__version__,
        },
        "objective": asdict(config.objective),
        "left_out": missing,
        "latency": run_.record(),
        "interruptions": interruptions,
        "floors": least,
    }
    record["near_the_floor"] = _near(record)
    if options.fields:
        with SimulatedInstrument(config, options.seed) as instrument:
            record["hill_climbing"] = climb.compare(
                instrument, _scenarios(options.fields, options.seed), progress.done
            )
    record["targets"] = _targets(record, config.camera.period_ms)
    return record


def _scenarios(count: int, seed: int) -> list[Scenario]:
    groups = [(kind, sparsity) for sparsity in SPARSITIES for kind in KINDS]
    starts = np.random.default_rng([seed, 25]).uniform(-RANGE_UM, RANGE_UM, count)
    return [Scenario(n, *groups[n % len(groups)], float(z)) for n, z in enumerate(starts)]


def _near(record: Mapping[str, Any]) -> dict[str, Any]:
    """How much of the matrix product's GFLOP/s each network reaches, by its median time."""
    floor, nearest = record["floors"], {}
    for k, row in record["latency"]["ours"].items():
        for name, count in (("rin", 1), ("dpn", int(k))):
            speed = floor["gflop"][name] * count / row[name]["p50"] * 1e3
            key = "rin" if name == "rin" else f"dpn, k = {k}"
            share = round(speed / floor["peak_gflops"], 3)
            nearest[key] = {"gflops": round(speed, 1), "share": share}
    return nearest


def _targets(record: Mapping[str, Any], period_ms: float) -> dict[str, dict[str, Any]]:
    """Each goal with what was found. A busy machine misses them for no fault of the loop."""
    rows = record["latency"]["ours"]
    targets: dict[str, tuple[float | None, float, bool]] = {}
    for k, key in (("3", "p99"), ("9", "p99"), ("31", "p50")):
        total = rows[k].get("total")
        targets[f"k = {k}: {key}, ms"] = (total and total[key], period_ms, False)
    share = rows[str(OUTSIDE_K)].get("outside share")
    targets[f"k = {OUTSIDE_K}: outside the networks"] = (share and share["p50"], OUTSIDE, False)
    for k, ratio in record["latency"]["ratios"].get("pytorch", {}).items():
        targets[f"k = {k}: times faster than PyTorch"] = (ratio, FASTER, True)
    if "hill_climbing" in record:
        ways = record["hill_climbing"]
        climbed = ways["hill climbing"]["mean_error_um"]
        targets["images for a field"] = (ways["ours"]["images"], 2, False)
        targets["mean error, um, hill climbing's"] = (ways["ours"]["mean_error_um"], climbed, False)
    return {
        name: {
            "found": value,
            "at_least" if more else "at_most": limit,
            "met": value is not None and (value >= limit if more else value <= limit),
        }
        for name, (value, limit, more) in targets.items()
    }


def table(record: Mapping[str, Any]) -> str:
    """Fixed width, for a terminal."""
    latency_ms = record["latency"]
    lines = [f"{'ms':<30}{'p50':>9}{'p99':>9}{'max':>9}"]
    for k, row in latency_ms["ours"].items():
        for stage in (*latency.TO_ESTIMATE, "plan", "move", "total"):
            if stage in row:
                lines.append(_line(f"k = {k:<3} {stage}", row[stage]))
        for name, by_k in latency_ms["others"].items():
            ratio = latency_ms["ratios"][name][k]
            lines.append(_line(f"k = {k:<3} {name}, plain", by_k[k]) + f"   {ratio:.1f} x")
    floor = record["floors"]
    lines.append(
        f"floors: frame read {floor['memory_read_ms']:.2f} ms, crop copied "
        f"{floor['copy_crop_ms']:.2f} ms, matrix product {floor['peak_gflops']:.0f} GFLOP/s"
    )
    for name in ("ours", "hill climbing") if "hill_climbing" in record else ():
        row = record["hill_climbing"][name]
        lines.append(
            f"{name}: {row['images']:g} images, {row['seconds']:.2f} s, "
            f"mean error {row['mean_error_um']:.2f} um, worst {row['worst_error_um']:.2f} um"
        )
    for name, goal in record["targets"].items():
        sign = ">=" if "at_least" in goal else "<="
        limit = goal.get("at_least", goal.get("at_most"))
        value = "none" if goal["found"] is None else f"{goal['found']:.3g}"
        met = "met" if goal["met"] else "MISSED"
        lines.append(f"{met:<7}{name}: {value} ({sign} {limit:.3g})")
    load = record["machine"]["load_average"][0]
    cores = record["machine"]["cores"]
    lines.append(f"load average at the end {load:.1f} on {cores} cores: more than ours is noise")
    return "\n".join(lines)


def _line(name: str, row: Mapping[str, float]) -> str:
    return f"{name:<30}{row['p50']:>9.2f}{row['p99']:>9.2f}{row['max']:>9.2f}"
