"""The measurer that edge.rig builds, over plans of the stand-in TensorRT, and its answers as plain
values. Imports wait until a changed module is in its place."""

import os
import tempfile
from pathlib import Path

import numpy as np


def frames_of(path):
    """(name, Frame) of an .npz; a name's first word is the pixel format."""
    from edge.camera import Frame, PixelFormat

    with np.load(path) as held:
        for number, name in enumerate(held.files):
            yield name, Frame(held[name], PixelFormat(name.split()[0]), number, 0, 2)


def write_plans(models, folder, precision="fp16-flag"):
    """Plans of the stand-in TensorRT for the GPU that is here; those before are left to the
    folder."""
    import tensorrt

    from engines.build import fp16
    from engines.build.plan_files import store
    from engines.gpu.device import find_gpu
    from engines.gpu.plan import PROFILES, Host, PlanManifest
    from engines.manifest import Manifest

    for name in ("rin", "dpn"):
        model = Manifest.read(models / f"{name}.json")
        data = b"PLAN" + fp16.prepare(model.model_bytes(), precision)
        names = [tuple(spec.name for spec in specs) for specs in (model.inputs, model.outputs)]
        host = Host.of(tensorrt, find_gpu())
        manifest = PlanManifest(
            name, "", "", 0, model.sha256, host, precision, PROFILES[name], *names
        )
        store(manifest, data, folder)


def settings(models, backend, **more):
    from edge.settings import ModelSettings

    paths = models / "rin.json", models / "dpn.json"
    return ModelSettings(*paths, threads=1, backend=backend, **more)


def opened(models, backend="gpu", precision="fp16-flag", every=True, um_per_px=0.34, **more):
    """What edge.rig builds: (sensor, engines)."""
    from edge.measure.importance import ClassRule
    from edge.open_sensor import build_sensor
    from edge.optics import Objective
    from engines.gpu import open_gpu as gpu_open

    if backend == "gpu":
        folder = Path(tempfile.mkdtemp(dir=os.environ["STAND_IN_SCRATCH"]))
        write_plans(models, folder, precision)
        gpu_open.open_gpu.__defaults__ = (folder,)
    objective = Objective(na=0.75, magnification=20.0, um_per_px=um_per_px)
    return build_sensor(settings(models, backend, **more), objective, ClassRule(every=every))


def described(measurement):
    """A Measurement as plain values."""
    from edge.measure.aggregate import NoFocus

    estimate, patches = measurement.estimate, measurement.patches
    key = "rejected_um" if isinstance(estimate, NoFocus) else "defocus_um"
    return {
        "cells": [list(cell) for cell in measurement.ranked.cells],
        "k": measurement.ranked.k,
        "left_out": patches.left_out,
        "sparsity": measurement.ranked.sparsity.value,
        "reason": getattr(getattr(estimate, "reason", None), "value", ""),
        "um": getattr(estimate, key),
        "interval_um": estimate.interval_um,
        "patches_um": patches.defocus_um.tolist(),
        "spread_um": patches.spread_um.tolist(),
        "importance": patches.importance.tolist(),
        "optics": None if patches.optics is None else patches.optics.tolist(),
        "novelty": None if patches.novelty is None else patches.novelty.tolist(),
        "photometry": list(measurement.photometry.values()),
        "shift": measurement.shift
        and [measurement.shift.score, measurement.shift.feature, measurement.shift.alarm],
    }


def measured(sensor, frames):
    from edge.latency import Lap

    return [described(sensor.measure(frame, Lap())) for _, frame in frames]
