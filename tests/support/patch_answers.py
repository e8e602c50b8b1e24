"""What a DPN may answer on a frame's patches, and what is made of it."""

import numpy as np

from edge.camera import Frame, PixelFormat
from edge.measure.aggregate import aggregate
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Sparsity
from edge.measure.interval import IntervalModel
from tests.support.fake_microscope import PIXELS

FRAME = Frame(PIXELS, PixelFormat.RGB8, 7, 1000, 3000)
CALIBRATION = IntervalModel(range_um=25.0)


def patch_answers(defocus, spread=None, finite=True, importance=1.0):
    defocus = np.array(defocus, np.float32)
    spread = np.full_like(defocus, 0.3) if spread is None else np.array(spread, np.float32)
    cells = tuple((0, i) for i in range(len(defocus)))
    weights = np.broadcast_to(np.float32(importance), defocus.shape)
    return PatchDefocus(defocus, spread, weights, cells, Sparsity.SPARSE, finite)


def aggregate_of(*args, interval_model=CALIBRATION, shift=None, photometry=None, **more):
    return aggregate(patch_answers(*args, **more), FRAME, interval_model, shift, photometry or {})
