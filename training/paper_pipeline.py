"""The paper's pipeline written plainly: what `sparsefocus bench` compares the runtime with.

Crop, cv2.resize, eager PyTorch for both networks with its own choice of threads, numpy.median.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from simulator.bench.contenders import plain_crop, plain_patches
from training.export import WEIGHTS
from training.run import Run
from training.schedule import Schedule

U8 = npt.NDArray[np.uint8]


class PaperPipeline:
    """Both networks in eager mode with the shipped weights; `trained` is False where the
    checkout does not have them: times are then right, answers are not."""

    def __init__(self) -> None:
        self.trained = all((WEIGHTS / f"{kind}.pt").is_file() for kind in ("rin", "dpn"))
        self._rin, self._dpn = (self._net(kind) for kind in ("rin", "dpn"))

    def _net(self, kind: str) -> torch.nn.Module:
        run = Run(Schedule(kind))
        if self.trained:
            run.begin_from(WEIGHTS / f"{kind}.pt")
        return run.average.eval()

    def __call__(self, pixels: U8, k: int) -> float:
        """(h, w, 3) uint8 RGB -> defocus in um, the median over k patches."""
        crop, small = plain_crop(pixels)
        with torch.inference_mode():
            scores = self._rin(torch.from_numpy(small[None])).numpy()
            patches = plain_patches(crop, scores, k)
            defocus = self._dpn(torch.from_numpy(patches))[0].numpy()
        return float(np.median(defocus))
