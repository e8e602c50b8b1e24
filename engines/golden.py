"""Golden inputs: pictures of the simulated microscope that every plan must answer like the CPU.

They ship with the models (`models/golden`, made by `training.golden`). The reference is computed
where the plan is built, from the same decoded pixels, so the decoder does not matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.engine import MODELS
from engines.errors import EngineRejected, PlanInaccurate
from engines.gpu.plan import PROFILES
from engines.manifest import Manifest
from engines.onnx_engine import OnnxEngine

U8 = npt.NDArray[np.uint8]
Shape = tuple["int | str", ...]
Answers = dict[str, npt.NDArray[np.float32]]

GOLDEN = MODELS / "golden"
#: side of one picture in the mosaic `<name>.jpg`
SIDE = {"rin": 512, "dpn": 224}
#: largest difference to the CPU reference, in the output's unit (um; 1)
LIMITS: dict[str, float] = {"defocus_um": 0.1, "importance": 0.02}


def batches(name: str, folder: Path = GOLDEN, shape: Shape | None = None) -> list[U8]:
    """What a network is asked: for each profile size k, batches (k, side, side, 3) uint8 RGB, as
    large as its input `shape` where that is another.

    Raises EngineRejected when the pictures cannot be read.
    """
    pictures = _tiles(folder / f"{name}.jpg", SIDE[name])
    if shape is not None:
        pictures = _fitted(pictures, shape)
    largest = max(PROFILES[name])
    if largest == 1:
        return [picture[None] for picture in pictures]
    # mirrored pictures are as good, and a batch must not repeat itself
    turned = np.concatenate(
        [pictures, pictures[:, :, ::-1], pictures[:, ::-1], pictures[:, ::-1, ::-1]]
    )
    if len(turned) < largest:
        raise EngineRejected(f"{folder}: {len(pictures)} pictures are too few for {largest}")
    return [np.ascontiguousarray(turned[:size]) for size in PROFILES[name]]


def digest(given: Sequence[U8]) -> str:
    """SHA-256 over all pixels, lower-case hex: which questions an answer belongs to."""
    total = hashlib.sha256()
    for batch in given:
        total.update(np.ascontiguousarray(batch).tobytes())
    return total.hexdigest()


def reference(model: Manifest, given: Sequence[U8]) -> list[Answers]:
    """What ONNX Runtime answers on the CPU with the shipped float32 model, per batch."""
    engine = OnnxEngine(model)
    names = [output.name for output in model.outputs]
    return [dict(zip(names, engine.infer(batch), strict=True)) for batch in given]


def compare(
    what: str, model: Manifest, expected: Sequence[Answers], answers: Sequence[Answers]
) -> dict[str, float]:
    """The worst difference of each output, in its unit.

    Raises PlanInaccurate when one with a limit exceeds it, when an answer is not finite or has
    another shape.
    """
    worst = {output.name: 0.0 for output in model.outputs}
    for wanted, got in zip(expected, answers, strict=True):
        for name in worst:
            if got[name].shape != wanted[name].shape:
                raise PlanInaccurate(
                    f"{what}: {name} has shape {got[name].shape}, not {wanted[name].shape}"
                )
            difference = np.abs(got[name].astype(np.float64) - wanted[name])
            worst[name] = float(np.maximum(worst[name], difference.max(initial=0.0)))  # keeps NaN
    for output in model.outputs:
        limit = LIMITS.get(output.name, np.inf)
        if not worst[output.name] <= limit or not np.isfinite(worst[output.name]):
            raise PlanInaccurate(
                f"{what}: {output.name} differs from the CPU by {worst[output.name]:.3g} "
                f"{output.unit}, {limit:g} is the limit: not used"
            )
    return worst


def examine(
    what: str,
    model: Manifest,
    run: Callable[[U8], Answers],
    given: Sequence[U8],
    expected: Sequence[Answers],
) -> Mapping[str, Any]:
    """Ask `run` the golden questions `given`, compare with `expected` (see `reference`).

    Returns the record for a plan's manifest.
    Keys: inputs_sha256, limits, worst, answers (of the last, largest batch). Raises PlanInaccurate.
    """
    answers = [run(batch) for batch in given]
    worst = compare(what, model, expected, answers)
    return {
        "inputs_sha256": digest(given),
        "limits": {name: LIMITS[name] for name in worst if name in LIMITS},
        "worst": {name: float(f"{value:.3g}") for name, value in worst.items()},
        "answers": {
            name: [round(float(v), 5) for v in answers[-1][name].reshape(-1)]
            for name in worst
            if name in LIMITS
        },
    }


def _fitted(pictures: U8, shape: Shape) -> U8:
    """Cut from the top left, or repeated, to the height and width of an input."""
    height, width = (int(size) for size in shape[1:3])
    more = -(-height // pictures.shape[1]), -(-width // pictures.shape[2])
    if more != (1, 1):
        pictures = np.tile(pictures, (1, *more, 1))
    return np.ascontiguousarray(pictures[:, :height, :width])


def _tiles(path: Path, side: int) -> U8:
    import cv2

    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise EngineRejected(f"{path}: cannot be read: {error.strerror}") from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None or image.shape[0] % side or image.shape[1] % side:
        raise EngineRejected(f"{path}: is not a mosaic of {side} px pictures")
    rows, columns = image.shape[0] // side, image.shape[1] // side
    rgb = image[:, :, ::-1].reshape(rows, side, columns, side, 3).swapaxes(1, 2)
    return np.ascontiguousarray(rgb).reshape(rows * columns, side, side, 3).astype(np.uint8)
