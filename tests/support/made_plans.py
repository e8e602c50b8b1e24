"""Plans as a builder would leave them: their manifest, host and bytes."""

import pytest

from engines.errors import EngineRejected
from engines.gpu.plan import (
    FLAG,
    PROFILES,
    Host,
    PlanManifest,
    PlanRefused,
    load_plan,
)

ORIN = Host("10.3.0", "Orin", (8, 7))
DATA = bytes(range(256)) * 40


def plan_manifest(model, host=ORIN, **changes):
    values = {
        "name": model.name,
        "file": "",
        "sha256": "",
        "size_bytes": 0,
        "onnx_sha256": model.sha256,
        "host": host,
        "precision": FLAG,
        "profiles": PROFILES[model.name],
        "inputs": tuple(spec.name for spec in model.inputs),
        "outputs": tuple(spec.name for spec in model.outputs),
        "golden": {"worst": {"defocus_um": 0.01}},
        "build": {"seconds": 1.5},
    }
    return PlanManifest(**{**values, **changes})


def refused_plan(model, folder, host=ORIN):
    with pytest.raises(PlanRefused) as caught:
        load_plan(model, host, folder)
    assert str(folder) in str(caught.value)
    assert isinstance(caught.value, EngineRejected)
    return caught.value.reason
