"""Answers of a method on every patch of a frame, as judging writes them."""

from __future__ import annotations

import numpy as np

from training.baselines.networks import BASELINES
from training.paper.answers import SAME_TIME, Answers


def answered(group: str = "cell sparse", slide: int = 0, true_um: float = 5.0) -> Answers:
    """Twelve patches above 0.8 that say 5.0; all others say 50. The darkest are patches 40..48."""
    importance = np.full(81, 0.1, np.float32)
    importance[:12] = np.linspace(0.99, 0.82, 12)
    um = np.full(81, 50.0, np.float32)
    um[:12] = 5.0
    um[40:49] = 7.0
    brightness = np.full(81, 200.0, np.float32)
    brightness[40:49] = 90.0
    richness = np.zeros(81, np.float32)
    richness[[0, 1, 2, 3, 4, 5, 6, 7, 8, 77]] = 0.95
    grid = dict.fromkeys(BASELINES, um + 1.0) | {SAME_TIME: um + 0.5}
    return Answers(group, slide, true_um, 5.1, 0.3, 9, importance, richness, brightness, um, grid)
