"""The paper's rivals: their shapes, what they are shown, and that they learn."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from simulator.slide import draw_variation
from training.augment import BATCHES, pair_batch
from training.baselines import backbones
from training.baselines.networks import BASELINES, Dastidar, Li, intensity
from training.baselines.weights import TRAINED, facts, main, read
from training.fields import STEP_UM, pair_fields
from training.labels import BLOCKS, pack_label, sharpness_at
from training.nets import DPN
from training.pool import Pool
from training.run import Run
from training.schedule import Schedule

ENERGY = np.full((BLOCKS, BLOCKS), 0.01, np.float32)
SLIDE = draw_variation(np.random.default_rng(2))
SMALL_CROPS = ((1.01, 64),)


def made_pool(folder: Path, step_um: float = STEP_UM) -> Pool:
    """Three pairs of noisy fields; their grey, and how much darker the second is, tell the
    distance."""
    rng = np.random.default_rng(0)
    pool = Pool.create(folder / "pool", 6, "pairs")
    for index in range(6):
        delta = 16.0 * (index // 2) - 20.0 + step_um * (index % 2)
        grey = 60 + 40 * (index // 2) - 20 * (index // 2) * (index % 2)
        image = rng.integers(grey, grey + 30, (512, 512, 3), dtype=np.uint8)
        pool.write(index, image, pack_label(delta, ENERGY, sharpness_at(ENERGY, 0.0), SLIDE))
    return pool


def parameters(net: torch.nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(p.numel() for p in net.parameters())


def test_backbones_are_the_published_ones_in_size() -> None:
    # torchvision's counts less its classifier of 1000 classes, plus one of 1 number
    assert parameters(backbones.resnet_18()) == 11_689_512 - 513_000 + 513
    assert parameters(backbones.mobilenet_v2()) == 3_504_872 - 1_281_000 + 1_281
    small = parameters(backbones.mobilenet_v3_small())
    assert small == 2_542_856 - 1_025_000 + 1_025


@pytest.mark.parametrize("name", BASELINES)
def test_a_rival_answers_one_distance_per_patch(name: str) -> None:
    net = BASELINES[name]().eval()
    shape = (3, 2, 64, 64, 3) if net.shots == 2 else (3, 64, 64, 3)
    image = torch.from_numpy(np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8))
    with torch.no_grad():
        um = net.defocus_um(image)
        assert um.shape == (3,)
        assert torch.allclose(um, 10.0 * net(image))
        # each patch alone: no patch sees its neighbour
        assert torch.allclose(net.defocus_um(image[1:2]), um[1:2], atol=1e-3)


@pytest.mark.parametrize("name", BASELINES)
def test_a_rival_learns_what_can_be_seen(name: str, tmp_path: Path) -> None:
    pool = made_pool(tmp_path)
    most = 120 if name == "dastidar" else 60  # a difference of two pictures is learned slowly
    run = Run(Schedule(name, seed=1, steps=most, batch=8, crops=SMALL_CROPS))
    losses: list[float] = []
    while not (len(losses) >= 15 and np.mean(losses[-10:]) < 0.6 * np.mean(losses[:5])):
        assert len(losses) < most, losses
        losses.append(run.advance(pool))
    assert run.samples == 8 * len(losses)


def test_a_rival_resumes_to_the_same_weights(tmp_path: Path) -> None:
    pool = made_pool(tmp_path)
    schedule = Schedule("dastidar", seed=2, steps=4, batch=4, crops=SMALL_CROPS)
    whole, first = Run(schedule), Run(schedule)
    for _ in range(4):
        whole.advance(pool)
    for _ in range(2):
        first.advance(pool)
    first.save(tmp_path / "checkpoint.pt")
    second = Run.load(tmp_path / "checkpoint.pt")
    for _ in range(2):
        second.advance(pool)
    pairs = zip(whole.net.state_dict().values(), second.net.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_dastidar_sees_nothing_but_the_difference() -> None:
    net = Dastidar().train()  # batch statistics: an untrained network's own kill the signal
    rng = np.random.default_rng(3)
    one = rng.integers(0, 200, (2, 1, 64, 64, 3), dtype=np.uint8)
    same = torch.from_numpy(np.concatenate([one, one], 1))
    other = torch.from_numpy(np.concatenate([one, one[::-1]], 1))
    with torch.no_grad():
        still = net(same)
        assert torch.allclose(still[0], still[1])
        answer = net(other)
        assert not torch.allclose(answer[0], answer[1])


def test_li_takes_the_sign_from_the_side_and_the_size_from_that_sides_network() -> None:
    net = Li().eval()
    image = torch.from_numpy(np.zeros((1, 64, 64, 3), np.uint8))

    def answering(number: float) -> torch.nn.Module:
        class Fixed(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.full((len(x), 1), number)

        return Fixed()

    net.above, net.below = answering(0.7), answering(0.2)
    net.side = answering(1.0)
    assert net.defocus_um(image).item() == pytest.approx(7.0)
    net.side = answering(-1.0)
    assert net.defocus_um(image).item() == pytest.approx(-2.0)
    net.below = answering(-0.4)  # a distance below nothing does not turn the direction
    assert net.defocus_um(image).item() == pytest.approx(0.0)


def test_li_trains_each_distance_on_its_own_side_only() -> None:
    net = Li().train()
    image = torch.rand(4, 64, 64, 3)
    net.loss(image, torch.tensor([5.0, 8.0, 3.0, 1.0])).backward()
    assert all(p.grad is None for p in net.below.parameters())
    assert any(p.grad is not None and bool(p.grad.any()) for p in net.above.parameters())


def test_a_pair_is_one_window_under_one_light(tmp_path: Path) -> None:
    pool = made_pool(tmp_path)
    for slot in (0, 2, 4):  # the second picture is the first, one grey level brighter
        pool.images[slot] = np.minimum(pool.images[slot], 150)
        pool.images[slot + 1] = pool.images[slot] + 1
    rng = np.random.default_rng(5)
    images, labels = pair_batch(pool, pool.ready(), rng, 16, 64)
    assert images.shape == (16, 2, 64, 64, 3)
    first, second = images[:, 0].astype(int), images[:, 1].astype(int)
    assert first.std((1, 2, 3)).min() > 3  # there is something to misalign
    # one level, times the same contrast and brightness everywhere
    assert np.abs(second - first).max() <= 4
    assert (second - first).mean() > 0.3
    assert set(np.round(labels[:, 0])) <= {20.0, 4.0, -12.0}  # of the first picture


def test_a_pool_without_pairs_is_refused(tmp_path: Path) -> None:
    pool = made_pool(tmp_path, step_um=3.0)
    with pytest.raises(ValueError, match="holds no pairs"):
        pair_batch(pool, pool.ready(), np.random.default_rng(0), 4, 64)


def test_pairs_are_the_same_field_a_step_apart() -> None:
    fields = list(islice(pair_fields(np.random.default_rng(4)), 4))
    for (_, low), (_, high) in (fields[:2], fields[2:]):
        assert high[0] - low[0] == pytest.approx(STEP_UM)
        assert np.array_equal(low[1:], high[1:])
    assert fields[0][1][0] != fields[2][1][0]
    assert not np.array_equal(fields[0][0], fields[1][0])


def test_every_rival_has_a_way_to_draw_its_batch() -> None:
    assert {"dpn", "rin", *BASELINES} == set(BATCHES)


def test_weights_come_back_in_half_precision(tmp_path: Path) -> None:
    run = Run(Schedule("liao", seed=7, steps=2, batch=4, crops=SMALL_CROPS))
    run.advance(made_pool(tmp_path))
    (tmp_path / "liao").mkdir()
    run.save(tmp_path / "liao" / "checkpoint.pt")
    main([str(tmp_path / "liao" / "checkpoint.pt"), "--out", str(tmp_path / "out")])
    net = read(tmp_path / "out" / "liao.pt")
    result = facts(tmp_path / "out" / "liao.pt")
    assert (result["kind"], result["samples"]) == ("liao", 4)
    for kept, own in zip(net.state_dict().values(), run.average.state_dict().values(), strict=True):
        assert torch.allclose(kept, own, rtol=2e-3, atol=1e-6)
    assert not isinstance(net, DPN)
    size = (tmp_path / "out" / "liao.pt").stat().st_size
    assert size < 2.3 * parameters(net)


def test_a_rin_is_no_rival(tmp_path: Path) -> None:
    (tmp_path / "rin").mkdir()
    Run(Schedule("rin")).save(tmp_path / "rin" / "checkpoint.pt")
    main([str(tmp_path / "rin" / "checkpoint.pt"), "--out", str(tmp_path)])
    with pytest.raises(ValueError, match="RIN"):
        read(tmp_path / "rin.pt")


def test_grey_levels_are_normalised_as_the_table_does() -> None:
    from training.baselines.networks import grey_table

    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(1, 16, 16, 3)
    by_table = torch.from_numpy(grey_table())[levels.long()]
    assert torch.allclose(intensity(levels), intensity(by_table), atol=1e-6)


def test_the_kept_weights_can_be_read() -> None:
    kept = sorted(TRAINED.glob("*.pt"))
    assert kept
    for path in kept:
        net = read(path)
        image = torch.zeros((2, 224, 224, 3), dtype=torch.uint8)
        assert facts(path)["core_minutes"] >= 11.9
        if isinstance(net, DPN):
            assert net(image)[0].shape == (2,)
