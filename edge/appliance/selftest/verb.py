"""`sparsefocus selftest`: is everything right on this machine, and how fast; one page to send.

Runs on the GPU where there is one (building the plans first with --build), else on the CPU. Nothing
moves. Exit status 4 when a check fails.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge.appliance.config.config_file import read_config
from edge.appliance.files import add_json, is_standard, try_result, write_json, write_result
from edge.appliance.selftest.checks import (
    Check,
    Findings,
    frame_of,
    golden_check,
    machine,
    picture,
    timed,
)
from edge.appliance.selftest.text import as_page, as_text
from edge.errors import ConfigError, EngineRejected
from edge.measure.importance import ClassRule
from edge.open_sensor import build_sensor
from edge.optics import Objective
from edge.settings import BACKENDS, ModelSettings
from engines.device_health import read_health, warnings_of
from engines.errors import BuildFailed
from engines.gpu.ready import gpu_is_ready
from engines.manifest import Manifest

FRAMES = {"gpu": 300, "cpu": 20}
FAILED = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add = parser.add_argument
    add("--config", type=Path, metavar="FILE", help="models and classes from this file")
    add("--backend", choices=BACKENDS, help="default: as the config says, else auto")
    add("--build", action="store_true", help="build the plans that are missing, then test them")
    add("--frames", type=int, metavar="N", help="frames to time (default: 300 on a GPU, else 20)")
    add_json(parser, "the findings")
    add("--report", type=Path, metavar="FILE", help="write them as one HTML page")
    add("--quiet", action="store_true", help="print nothing but errors")


def run(options: argparse.Namespace) -> int:
    """0 when every check holds, else 4."""
    if options.frames is not None and not 1 <= options.frames <= 100_000:
        raise ConfigError(f"--frames {options.frames} must be from 1 to 100000")
    if options.report is not None:
        try_result("--report", options.report)
    models, classes = ModelSettings(), ClassRule()
    if options.config is not None:
        config = read_config(options.config)
        models, classes = config.models, config.loop.classes
    if options.backend is not None:
        models = dataclasses.replace(models, backend=options.backend)
    if options.build:
        _build(models, options.quiet)
    findings = examine(models, classes, options.frames)
    _publish(findings, options)
    return 0 if findings.ok else FAILED


def examine(models: ModelSettings, classes: ClassRule, frames: int | None = None) -> Findings:
    """The whole self-test. EngineRejected when the models or plans cannot even be opened."""
    on_gpu = models.backend == "gpu" or (models.backend == "auto" and gpu_is_ready())
    backend = "gpu" if on_gpu else "cpu"
    manifests = [Manifest.read(path) for path in (models.rin, models.dpn)]
    findings = Findings(backend, facts=dict(machine()))
    findings.facts["models"] = {each.name: each.sha256[:12] for each in manifests}
    findings.health["before"] = read_health()
    count = frames or FRAMES[backend]
    optics = manifests[1].optics
    objective = Objective(optics.na, optics.magnification, optics.um_per_px)
    reference = dataclasses.replace(models, backend="cpu")
    rgb = picture()
    cpu, nets = build_sensor(reference, objective, classes)
    with contextlib.ExitStack() as opened:
        for net in nets:
            opened.callback(net.close)
        if on_gpu:
            with _as_rejected():
                _on_gpu(findings, manifests, cpu, classes, count)
        else:
            findings.checks += [golden_check(net, one_by_one=True) for net in nets]
            findings.checks.append(_content(cpu, rgb))
            findings.latency_ms = timed(cpu, [frame_of(rgb, "RGB8")], count)
    findings.facts["frames timed"] = count
    findings.health["after"] = read_health()
    findings.warnings = warnings_of(findings.health["after"])
    return findings


def _on_gpu(
    findings: Findings, manifests: list[Manifest], cpu: Any, classes: ClassRule, count: int
) -> None:
    from edge.appliance.selftest.gpu_checks import GpuTest
    from engines.gpu.device import find_gpu
    from engines.gpu.open_gpu import open_gpu
    from engines.gpu.tensorrt_library import import_tensorrt

    gpu = find_gpu()
    findings.facts["gpu"] = f"{gpu.name}, {gpu.architecture}, {gpu.memory_bytes >> 20} MiB"
    findings.facts["tensorrt"] = str(import_tensorrt().__version__)
    cuda, rin, dpn = open_gpu(manifests[0], manifests[1])
    try:
        findings.checks += [golden_check(rin), golden_check(dpn)]
        GpuTest(cuda, rin, dpn, classes).fill(findings, picture(), cpu, count)
    finally:
        rin.close()
        dpn.close()


def _content(sensor: Any, rgb: Any) -> Check:
    """The test picture must give the patches' stage something to do, or its time means nothing."""
    from edge.latency import Lap
    from edge.measure.sensor import measure

    measurement = measure(sensor, frame_of(rgb, "RGB8"), Lap())
    ok = measurement.ranked.k > 0 and measurement.patches.finite
    return Check("whole frame", ok, f"{measurement.ranked.k} patches, all answers finite: {ok}")


def _build(models: ModelSettings, quiet: bool) -> None:
    from engines.build.run import Wishes, build_all

    if models.rin.parent != models.dpn.parent:
        raise ConfigError("--build needs both models in one folder")
    try:
        for line in build_all(Wishes(models=models.rin.parent, quiet=quiet)):
            if not quiet:
                print(line, flush=True)
    except BuildFailed as error:
        raise EngineRejected(f"--build: {error}") from error


@contextlib.contextmanager
def _as_rejected() -> Iterator[None]:
    try:
        yield
    except (EngineRejected, BuildFailed) as error:
        raise EngineRejected(str(error)) from error


def _publish(findings: Findings, options: argparse.Namespace) -> None:
    write_json({**dataclasses.asdict(findings), "ok": findings.ok}, options.json)
    if options.report is not None:
        write_result(as_page(findings), options.report, "--report")
    if not options.quiet and not is_standard(options.json):
        print(as_text(findings))
