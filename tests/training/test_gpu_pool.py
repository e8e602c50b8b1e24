"""Batches made on a device are those a core would make: same windows, labels, light; new fields
are seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from simulator.slide import draw_variation
from training import augment, gpu_pool, labels
from training.gpu_pool import GpuPool, relight, window_label
from training.labels import (
    BLOCK_PX,
    BLOCKS,
    FIELD_PX,
    HEAD,
    PARTS,
    PLANES_UM,
    pack_label,
    sharpness_at,
)
from training.pool import Pool
from training.run import CPU, Run
from training.schedule import Schedule
from training.train import open_pools

SLIDE = draw_variation(np.random.default_rng(1))


def write(made: Pool, index: int, seed: int, delta_um: float) -> None:
    """A field of noise whose every window has a focus height of its own."""
    rng = np.random.default_rng(seed)
    energy = rng.uniform(0.001, 0.02, (BLOCKS, BLOCKS)).astype(np.float32)
    away = PLANES_UM[:, None, None] - rng.normal(0.0, 1.0, (BLOCKS, BLOCKS))
    sharpness = (energy * np.exp(-(away**2))).astype(np.float32)
    image = rng.integers(0, 256, (FIELD_PX, FIELD_PX, 3), dtype=np.uint8)
    made.write(index, image, pack_label(delta_um, energy, sharpness, SLIDE))


@pytest.fixture
def pools(tmp_path: Path) -> list[Pool]:
    """Two pools of three slots, two of each filled."""
    made = [Pool.create(tmp_path / str(number), 3, "dpn") for number in range(2)]
    for number, each in enumerate(made):
        for index in range(2):
            write(each, index, 10 * number + index, 5.0 * number + index - 3.5)
    return made


def filled(pools: list[Pool]) -> GpuPool:
    """Both pools, taken over."""
    made = GpuPool(pools, CPU)
    made.refresh()
    made.refresh()
    return made


def test_new_and_changed_fields_are_taken_over_and_no_half_written_one(pools: list[Pool]) -> None:
    made = GpuPool(pools, CPU)
    assert [made.refresh(1), len(made)] == [1, 1]  # of the first, no more than asked for
    assert [made.refresh(), len(made)] == [2, 3]  # the second's turn
    assert [made.refresh(), made.refresh(), len(made)] == [1, 0, 4]
    write(pools[0], 4, 77, 9.5)  # over the first pool's second
    pools[1].labels[0, 0] = np.nan  # being written
    assert [made.refresh(), made.refresh(), len(made)] == [1, 0, 4]
    assert np.array_equal(made._images[1].numpy(), pools[0].images[1])
    assert float(made._heads[1, 0]) == 9.5


@pytest.mark.parametrize("size_px", [96, 224, FIELD_PX])
def test_the_truth_of_windows_is_the_cores(pools: list[Pool], size_px: int) -> None:
    label = np.array(pools[0].labels[0])
    richness, correction = labels.window_label(label, size_px)
    packed = torch.from_numpy(label[HEAD:]).reshape(1, PARTS, BLOCKS, BLOCKS)
    result, focus = window_label(packed, size_px)
    assert np.allclose(result[0], richness, atol=1e-6)
    assert np.allclose(focus[0].numpy() - label[0], correction, atol=1e-5)


def test_every_patch_is_a_window_of_a_field_turned_and_has_its_label(
    pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_pool, "relight", lambda patches, random: patches)
    crop = 96
    patches, drawn = filled(pools).batch([3, 4], 64, crop)
    assert patches.shape == (64, crop, crop, 3)
    assert patches.dtype == torch.uint8
    fields = [(each, slot) for each in pools for slot in range(2)]
    heights = [labels.window_label(np.array(each.labels[slot]), crop)[1] for each, slot in fields]
    turns, chosen = set(), set()
    for patch, label in zip(patches.numpy(), drawn.numpy(), strict=True):
        assert np.array_equal(label[1:], pools[0].labels[0, 1:HEAD])
        which = min(range(4), key=lambda i: np.abs(heights[i] - label[0]).min())
        place = np.abs(heights[which] - label[0]).argmin()
        row, column = np.unravel_index(place, heights[which].shape)
        each, slot = fields[which]
        top, left = BLOCK_PX * row, BLOCK_PX * column
        window = np.array(each.images[slot, top : top + crop, left : left + crop])
        looks = {
            (quarter, mirror)
            for quarter in range(4)
            for mirror in (False, True)
            if np.array_equal(patch, augment.turn(window, quarter, mirror))
        }
        assert len(looks) == 1
        turns |= looks
        chosen.add((which, int(row), int(column)))
    assert len(turns) == 8
    assert len({which for which, _, _ in chosen}) == 4
    assert len(chosen) > 50


def test_empty_windows_are_rare(pools: list[Pool]) -> None:
    """One field holds content in its upper left only: windows lie there."""
    energy = np.zeros((BLOCKS, BLOCKS), np.float32)
    energy[:4, :4] = 0.05
    image = np.zeros((FIELD_PX, FIELD_PX, 3), np.uint8)
    image[..., 0] = np.arange(FIELD_PX, dtype=np.uint16)[None, :] // 2
    for each in pools:
        for index in range(3):
            each.write(
                index, image, pack_label(index + 1.0, energy, sharpness_at(energy, 0.0), SLIDE)
            )
    patches, _ = filled(pools).batch([1], 200, 96)
    corner = (patches[..., 0].float().mean(dim=(1, 2)) < 90).float().mean()
    assert corner > 0.9


def test_light_varies_as_on_a_core() -> None:
    rng = np.random.default_rng(5)
    picture = rng.integers(60, 230, (64, 64, 3), dtype=np.uint8)
    core = np.stack([augment.relight(picture, rng) for _ in range(1500)]).astype(np.float64)
    many = torch.from_numpy(picture).expand(1500, -1, -1, -1)
    lit = relight(many, torch.Generator().manual_seed(5)).numpy().astype(np.float64)
    for measure in (
        lambda x: x.mean(axis=(1, 2, 3)),
        lambda x: x.std(axis=(1, 2, 3)),
        lambda x: x.max(axis=(1, 2, 3)),
        lambda x: (x[..., 0] - x[..., 1]).std(axis=(1, 2)),
    ):
        one, other = measure(core), measure(lit)
        assert np.allclose(np.quantile(one, [0.1, 0.5, 0.9]), np.quantile(other, [0.1, 0.5, 0.9]),
                           rtol=0.06)  # fmt: skip


def test_a_run_on_a_device_learns_and_resumes(pools: list[Pool], tmp_path: Path) -> None:
    schedule = Schedule("dpn", seed=2, steps=6, batch=4, crops=((1.01, 96),), mixed_until=0.4)
    whole, first = Run(schedule), Run(schedule)
    for _ in range(6):
        loss = whole.advance(filled(pools))
    assert torch.isfinite(loss)
    for _ in range(3):
        first.advance(filled(pools))
    first.save(tmp_path / "checkpoint.pt")
    second = Run.load(tmp_path / "checkpoint.pt")
    for _ in range(3):
        second.advance(filled(pools))
    for a, b in zip(whole.net.parameters(), second.net.parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_cannot_be_trained_so_is_refused(pools: list[Pool], tmp_path: Path) -> None:
    folders = [each.folder for each in pools]
    with pytest.raises(SystemExit, match="one pool, not 2"):
        open_pools(folders, "dpn", CPU)
    with pytest.raises(SystemExit, match="trains a dpn, no rin"):
        open_pools(folders, "rin", torch.device("cuda"))
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit, match="no such device"):
            open_pools(folders, "dpn", torch.device("cuda"))
    other = Pool.create(tmp_path / "rin", 2, "rin")
    with pytest.raises(ValueError, match="not a pool of DPN fields"):
        GpuPool([other], CPU)
    with pytest.raises(ValueError, match="no field"):
        GpuPool(pools, CPU).batch([0], 2, 96)
