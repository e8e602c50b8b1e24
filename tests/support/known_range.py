"""A training range with known bounds, and patches whose witnesses say what they are told."""

import json

import numpy as np

from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Sparsity
from edge.measure.training_range import TrainingRange
from edge.optics import Objective
from engines.manifest import NOMINAL_OPTICS, Manifest, Output

OBJECTIVE = Objective(na=0.75, magnification=20, um_per_px=0.34)
OUTPUTS = tuple(
    Output(name, shape, "1")
    for name, shape in (
        ("defocus_um", ("k",)), ("spread_um", ("k",)), ("optics", ("k", 4)), ("novelty", ("k",))
    )
)  # fmt: skip
BOUNDS = {"spherical aberration": [0.2, 0.8], "axial colour": [0.8, 1.2], "novelty": 2.0}


def patches_of(optics=None, novelty=None, k=3):
    ones = np.ones(k, np.float32)
    return PatchDefocus(
        ones, ones, ones, tuple((0, i) for i in range(k)), Sparsity.EX_SPARSE, True,
        None if optics is None else np.array(optics, np.float32),
        None if novelty is None else np.array(novelty, np.float32),
    )  # fmt: skip


def training_range_of(bounds, action="warn", combine="weighted", outputs=OUTPUTS):
    given = {"action": action, "combine": combine, "bounds": bounds}
    calibration = {"envelope": json.loads(json.dumps(given))}
    return TrainingRange.of(
        Manifest("dpn", "dpn.onnx", "0" * 64, (), outputs, NOMINAL_OPTICS, calibration=calibration)
    )
