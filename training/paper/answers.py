"""What every method says about one frame, from the same pixels, before anything is chosen.

A network's answers on all 81 patches are kept: which patches a method takes, and how many, is
decided afterwards on the numbers (`training.paper.choose`), so that no choice costs a new frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from edge.appliance.files import replacing
from edge.camera import Frame, PixelFormat
from edge.latency import Lap
from edge.measure.aggregate import FocusEstimate
from edge.measure.importance import ClassRule
from edge.measure.preprocess import GRID, PATCH_PX, centre_crop
from edge.measure.sensor import Measurer
from edge.open_sensor import build_sensor
from edge.optics import Objective
from edge.settings import ModelSettings
from engines.engine import Engine
from engines.manifest import Manifest
from training.baselines.networks import BASELINES, Baseline
from training.baselines.weights import read
from training.nets import DPN

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

PATCHES = GRID * GRID
AT_ONCE = 27  # patches through a network at a time: more do not fit into a core's cache
#: our own network after as many core minutes as the rivals had
SAME_TIME = "dpn"


@dataclass(frozen=True, slots=True)
class Answers:
    """One frame. `true_um`: correction, + = raise. `found_um`: the shipped pipeline's, NaN where it
    gave none; `interval_um` its half-width; `k` its patches.

    importance (81,) of the RIN, richness (81,) the true W*, brightness (81,) mean grey level;
    shipped_um (81,) the shipped DPN's; grid_um: name -> (81,), each method's on every patch.
    """

    group: str
    slide: int
    true_um: float
    found_um: float
    interval_um: float
    k: int
    importance: F32
    richness: F32
    brightness: F32
    shipped_um: F32
    grid_um: Mapping[str, F32]


class Methods:
    """Everything that answers, loaded once per process."""

    def __init__(self, models: Path, weights: Path) -> None:
        """ConfigError or EngineRejected for models that cannot be used, FileNotFoundError for
        missing weights."""
        torch.set_num_threads(1)
        settings = ModelSettings(models / "rin.json", models / "dpn.json", threads=1, backend="cpu")
        optics = Manifest.read(settings.dpn).optics
        self.objective = Objective(optics.na, optics.magnification, optics.um_per_px)
        nets: tuple[Engine, ...]
        self.sensor: Measurer
        self.sensor, nets = build_sensor(settings, self.objective, ClassRule())
        self._dpn = nets[1]
        self._rivals: dict[str, Baseline | DPN] = {
            name: read(weights / f"{name}.pt") for name in (SAME_TIME, *BASELINES)
        }

    def __call__(
        self, first: U8, second: U8, true_um: float, richness: F32, group: str, slide: int
    ) -> Answers:
        """Judge one frame (h, w, 3) uint8 RGB; `second` is taken training.fields.STEP_UM higher."""
        frame = _frame(first)
        measurement = self.sensor.measure(frame, Lap())
        estimate = measurement.estimate
        known = isinstance(estimate, FocusEstimate)
        patches, above = all_patches(first), all_patches(second)
        return Answers(
            group=group,
            slide=slide,
            true_um=true_um,
            found_um=estimate.defocus_um if isinstance(estimate, FocusEstimate) else np.nan,
            interval_um=estimate.interval_um if known else np.nan,
            k=measurement.ranked.k,
            importance=measurement.ranked.scores.reshape(-1).copy(),
            richness=richness.reshape(-1).astype(np.float32),
            brightness=patches.mean((1, 2, 3), dtype=np.float32),
            shipped_um=np.concatenate([self._dpn.infer(p)[0] for p in _parts(patches)]),
            grid_um={name: answers(net, patches, above) for name, net in self._rivals.items()},
        )


def all_patches(pixels: U8) -> U8:
    """(h, w, 3) -> (81, 224, 224, 3), row by row from the top left of the centre crop."""
    crop = centre_crop(_frame(pixels))
    tiles = crop.reshape(GRID, PATCH_PX, GRID, PATCH_PX, 3).swapaxes(1, 2)
    return np.ascontiguousarray(tiles.reshape(PATCHES, PATCH_PX, PATCH_PX, 3))


@torch.no_grad()
def answers(net: Baseline | DPN, patches: U8, above: U8) -> F32:
    """(n,) um: what `net` says of each patch, + = raise; `above` for those that look twice."""
    rows = []
    for low, high in zip(_parts(patches), _parts(above), strict=True):
        if isinstance(net, DPN):
            rows.append(net(torch.from_numpy(low))[0].numpy())
        else:
            given = np.stack([low, high], 1) if net.shots == 2 else low
            rows.append(net.defocus_um(torch.from_numpy(given)).numpy())
    return np.concatenate(rows)


def save(path: Path, rows: list[Answers]) -> None:
    """One file per slide, written in one piece."""
    names = tuple(rows[0].grid_um)
    columns: dict[str, npt.NDArray[np.generic]] = {
        name: np.array([getattr(row, name) for row in rows])
        for name in Answers.__dataclass_fields__
        if name != "grid_um"
    }
    grids = {f"grid_{name}": np.array([row.grid_um[name] for row in rows]) for name in names}
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **columns, **grids)


def load(path: Path) -> list[Answers]:
    """What `save` wrote; ValueError or KeyError when it is something else."""
    with np.load(path, allow_pickle=False) as data:
        columns = {name: data[name] for name in data.files}
    grids = {name[5:]: value for name, value in columns.items() if name.startswith("grid_")}
    return [
        Answers(
            group=str(columns["group"][i]),
            slide=int(columns["slide"][i]),
            true_um=float(columns["true_um"][i]),
            found_um=float(columns["found_um"][i]),
            interval_um=float(columns["interval_um"][i]),
            k=int(columns["k"][i]),
            importance=columns["importance"][i],
            richness=columns["richness"][i],
            brightness=columns["brightness"][i],
            shipped_um=columns["shipped_um"][i],
            grid_um={name: value[i] for name, value in grids.items()},
        )
        for i in range(len(columns["group"]))
    ]


def _parts(patches: U8) -> list[U8]:
    return [patches[i : i + AT_ONCE] for i in range(0, len(patches), AT_ONCE)]


def _frame(pixels: U8) -> Frame:
    return Frame(pixels, PixelFormat.RGB8, 1, 0, 0)
