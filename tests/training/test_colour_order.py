"""The head that knows the order of red and blue: fitted, kept, exported; the trunk stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from training.colour_order import both_ways, fit
from training.heads import ColourOrder
from training.labels import LABELS
from training.nets import DPN
from training.pool import Pool


def test_the_head_learns_what_exchanging_changes_and_no_more() -> None:
    generator = torch.Generator().manual_seed(4)
    same = torch.randn(2000, 20, generator=generator)
    sign = torch.randn(2000, 4, generator=generator).abs() + 0.3
    right, exchanged = torch.cat([same, sign], 1), torch.cat([same, -sign], 1)
    head = ColourOrder(24, hidden=8)
    head.fit(right[:1600], exchanged[:1600], epochs=25)
    given, other = (head(x[1600:, :12], x[1600:, 12:]) for x in (right, exchanged))
    assert (given > other).float().mean() > 0.98
    assert given.mean() > 0.4 > -0.4 > other.mean()
    assert not head.out.requires_grad


def test_a_feature_far_off_says_no_more_than_one_at_the_limit() -> None:
    head = ColourOrder(2, hidden=1)
    head.hidden.copy_(torch.ones(1, 2))
    head.out.fill_(1.0)
    far = torch.tensor([[1e6]])
    assert head(far, torch.zeros(1, 1)) == pytest.approx(ColourOrder.LIMIT)


def red_or_blue_pool(folder: Path) -> Pool:
    """Fields of a stain that takes red away, with the detail that makes a window worth showing."""
    pool = Pool.create(folder, 10, "dpn")
    rng = np.random.default_rng(2)
    for slot in range(pool.capacity):
        image = np.full((512, 512, 3), 230, np.uint8)
        spots = rng.uniform(size=(128, 128)) < 0.2
        image[np.kron(spots, np.ones((4, 4), bool))] = 60, 120, 200
        label = np.ones(LABELS["dpn"], np.float32)
        pool.write(slot, image, label)
    return pool


def test_fitting_tells_pictures_of_others_and_leaves_the_answers_alone(tmp_path: Path) -> None:
    torch.manual_seed(1)
    net, pool = DPN().eval(), red_or_blue_pool(tmp_path / "pool")
    picture = torch.from_numpy(np.array(pool.images[:1, :224, :224]))
    with torch.no_grad():
        before = net(picture)[:4]
    assert fit(net, pool, 128) >= 0.9
    with torch.no_grad():
        *after, order = net(picture)
        exchanged = net(picture.flip(-1))[4]
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other)
    assert order > exchanged


def test_both_ways_are_the_same_patches(tmp_path: Path) -> None:
    net, pool = DPN().eval(), red_or_blue_pool(tmp_path / "pool")
    grey = pool.images[...].mean(3, keepdims=True).astype(np.uint8)
    pool.images[:] = np.repeat(grey, 3, axis=3)
    right, exchanged = both_ways(net, pool, pool.ready(), 3, seed=1)
    assert right.shape == exchanged.shape == (3, len(net.colour_order.mean))
    assert torch.allclose(right, exchanged, atol=1e-3)  # relit alike, a grey level apart at most
