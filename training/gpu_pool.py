"""A DPN's pools in the memory of an accelerator, where batches are cut, lit and turned too.

What `training.augment.dpn_batch` does one patch at a time on a core, for a whole batch at once on
any PyTorch device: a GPU learns from patches far faster than a core can cut them. Many writers,
each with a pool of its own, feed it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from simulator.specimen import DETAIL_SCALE
from training.augment import (
    BRIGHTNESS,
    CONTRAST,
    FLOOR_ODDS,
    FLOORS,
    KEPT,
    LUMA,
    PATCH_PX,
    SATURATION,
    WHITE,
)
from training.labels import BLOCK_PX, BLOCKS, FIELD_PX, HEAD, LABELS, PARTS, PLANES_UM
from training.pool import Pool

#: fields taken over at once: 50 MB on their way
AT_ONCE = 64
#: fields drawn for each patch wanted; many hold no window that is full enough
TRIES = 3


class GpuPool:
    """The fields of `pools` on `device`, 0.8 MB for every slot. ValueError for other pools than a
    DPN's."""

    def __init__(self, pools: Sequence[Pool], device: torch.device) -> None:
        for pool in pools:
            if pool.labels.shape[1] != LABELS["dpn"]:
                raise ValueError(f"{pool.folder}: not a pool of DPN fields")
        self.pools, self.device, self._turn = tuple(pools), device, 0
        self._starts = np.cumsum([0, *(pool.capacity for pool in pools)])
        count = int(self._starts[-1])
        self._seen = np.full(count, np.nan, np.float32)  # each slot's delta when it was taken
        self._images = torch.empty(count, FIELD_PX, FIELD_PX, 3, dtype=torch.uint8, device=device)
        self._heads = torch.empty(count, HEAD, device=device)
        self._truth = torch.empty(count, PARTS, BLOCKS, BLOCKS, device=device)
        self._held = torch.empty(0, dtype=torch.long, device=device)
        self.told_optics = True  # by every label so far; real slides do not tell them

    @property
    def capacity(self) -> int:
        """Fields at most."""
        return len(self._seen)

    def __len__(self) -> int:
        """Fields held."""
        return len(self._held)

    def refresh(self, limit: int = AT_ONCE) -> int:
        """Take over up to `limit` fields that the next pool in turn has got since it was last
        looked at; returns how many."""
        pool, start = self.pools[self._turn], int(self._starts[self._turn])
        self._turn = (self._turn + 1) % len(self.pools)
        numbers = self._seen[start : start + pool.capacity]
        deltas = np.array(pool.labels[:, 0])
        slots = np.flatnonzero(np.isfinite(deltas) & (deltas != numbers))[:limit]
        if not len(slots):
            return 0
        images, labels = torch.from_numpy(pool.images[slots]), pool.labels[slots]
        whole = pool.labels[slots, 0] == deltas[slots]  # not overwritten meanwhile
        place = torch.from_numpy(slots + start).to(self.device)
        self._images[place] = images.to(self.device)
        self._heads[place] = torch.from_numpy(labels[:, :HEAD]).to(self.device)
        truth = torch.from_numpy(labels[:, HEAD:]).to(self.device)
        self._truth[place] = truth.reshape(-1, PARTS, BLOCKS, BLOCKS)
        self.told_optics &= bool(np.isfinite(labels[:, 1:HEAD]).all())
        numbers[slots] = np.where(whole, deltas[slots], np.nan)
        self._held = torch.from_numpy(np.flatnonzero(np.isfinite(self._seen))).to(self.device)
        return int(whole.sum())

    def batch(self, seed: Sequence[int], size: int, crop: int) -> tuple[Tensor, Tensor]:
        """As `dpn_batch`, drawn from `seed` alone: patches (size, crop, crop, 3) uint8 and labels
        (size, 4) float32, on the device. ValueError while no field is held."""
        if not len(self):
            raise ValueError("no field to train on yet")
        word = np.random.SeedSequence(list(seed)).generate_state(1, np.uint64)[0]
        random = torch.Generator(self.device).manual_seed(int(word >> np.uint64(1)))
        slots, rows, columns, labels = self._windows(random, size, crop)
        return relight(self._cut(random, slots, rows, columns, crop), random), labels

    def _windows(
        self, random: torch.Generator, size: int, crop: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Fields, top and left block (size,) of windows with content, and their labels."""
        windows: list[tuple[Tensor, ...]] = []
        odds = torch.tensor(FLOOR_ODDS, device=self.device)
        floors = torch.tensor(FLOORS, device=self.device)
        while sum(len(part[0]) for part in windows) < size:
            count = TRIES * size
            slots = self._held[
                torch.randint(len(self), (count,), generator=random, device=self.device)
            ]
            heads = self._heads[slots]
            richness, focus = window_label(self._truth[slots], crop)
            # a small window must hold as much detail as a whole patch of that W*, not as dense
            richness = 1.0 - (1.0 - richness) ** ((crop / PATCH_PX) ** 2)
            floor = floors[torch.multinomial(odds, count, True, generator=random)]
            draw = torch.rand(richness.shape, generator=random, device=self.device)
            draw = torch.where(richness > floor[:, None, None], draw, draw.new_tensor(-1.0))
            best, where = draw.flatten(1).max(dim=1)
            chosen = torch.nonzero(best >= 0.0)[:, 0]
            slots, heads, where = slots[chosen], heads[chosen], where[chosen]
            side = richness.shape[2]
            correction = focus[chosen].flatten(1).gather(1, where[:, None])[:, 0] - heads[:, 0]
            labels = torch.cat([correction[:, None], heads[:, 1:]], dim=1)
            windows.append((slots, where // side, where % side, labels))
        whole = [torch.cat(parts)[:size] for parts in zip(*windows, strict=True)]
        return whole[0], whole[1], whole[2], whole[3]

    def _cut(
        self, random: torch.Generator, slots: Tensor, rows: Tensor, columns: Tensor, crop: int
    ) -> Tensor:
        """The windows in one of the eight symmetries of the square each: (n, crop, crop, 3)."""
        there = torch.arange(crop, device=self.device)
        turns = torch.randint(8, (len(slots),), generator=random, device=self.device)
        down = torch.where((turns & 1).bool()[:, None], crop - 1 - there, there)
        across = torch.where((turns & 2).bool()[:, None], crop - 1 - there, there)
        swap = (turns & 4).bool()[:, None, None]
        down, across = down + BLOCK_PX * rows[:, None], across + BLOCK_PX * columns[:, None]
        # along the first axis of a swapped patch runs the field's second
        y = torch.where(swap, down[:, None, :], down[:, :, None])
        x = torch.where(swap, across[:, :, None], across[:, None, :])
        return self._images[slots[:, None, None], y, x]


def window_label(truth: Tensor, size_px: int) -> tuple[Tensor, Tensor]:
    """As `training.labels.window_label`, of (n, 1 + planes, 32, 32) energy and sharpness: W* and
    the height (um) at which every block-aligned window is sharpest, both (n, m, m)."""
    blocks = size_px // BLOCK_PX
    integral = nn.functional.pad(truth.double().cumsum(2).cumsum(3), (1, 0, 1, 0))
    rows = integral[:, :, blocks:] - integral[:, :, :-blocks]
    boxes = (rows[..., blocks:] - rows[..., :-blocks]) / blocks**2
    richness = 1.0 - torch.exp(-boxes[:, 0] / DETAIL_SCALE)
    return richness.float(), _peak_um(boxes[:, 1:]).float()


def _peak_um(sharpness: Tensor) -> Tensor:
    """As `simulator.sharpness.peak_um`, over the second axis of (n, planes, m, m)."""
    heights = torch.as_tensor(PLANES_UM, device=sharpness.device)
    best = sharpness.argmax(dim=1, keepdim=True).clamp(1, len(PLANES_UM) - 2)
    below, top, above = (sharpness.gather(1, best + d)[:, 0] for d in (-1, 0, 1))
    bend = below - 2.0 * top + above
    away = (0.5 * (below - above) / bend).nan_to_num(0.0).clamp(-2.0, 2.0)
    height = heights[best[:, 0]] + float(heights[1] - heights[0]) * away
    return torch.where(bend < 0.0, height, heights[heights.abs().argmin()])


def relight(patches: Tensor, random: torch.Generator) -> Tensor:
    """As `training.augment.relight`, each of (n, h, w, 3) uint8 by a light of its own."""
    n, device = len(patches), patches.device

    def draw(span: tuple[float, float]) -> Tensor:
        low, high = span
        return low + (high - low) * torch.rand(n, 1, 1, generator=random, device=device)

    brightness, contrast, saturation = draw(BRIGHTNESS), draw(CONTRAST), draw(SATURATION)
    luma = torch.tensor(LUMA, dtype=torch.float32, device=device)
    light = patches.float().reshape(n, -1, 3)
    grey = (light.mean(dim=1, keepdim=True) @ luma)[..., None]
    mix = saturation * torch.eye(3, device=device) + (1.0 - saturation) * luma
    matrix = (brightness * contrast * mix).transpose(1, 2)
    offset = brightness * (1.0 - contrast) * grey
    kept = torch.rand(n, 1, 1, generator=random, device=device) < KEPT
    small = nn.functional.avg_pool2d(patches.permute(0, 3, 1, 2).float(), 8)
    lit = torch.baddbmm(offset, small.flatten(2).transpose(1, 2), matrix)
    brightest = lit.amax(dim=(1, 2)).clamp(min=1.0)[:, None, None]
    dim = torch.where(kept, (WHITE / brightest).clamp(max=1.0), torch.ones_like(brightest))
    lit = torch.baddbmm(offset * dim, light, matrix * dim)
    return lit.round_().clamp_(0.0, 255.0).to(torch.uint8).reshape(patches.shape)
