"""The mean of several runs: weights averaged, batch statistics measured anew."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.support.made_pools import noisy_pool
from training import average_runs
from training.pool import Pool
from training.run import Run
from training.schedule import Schedule


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """Six noisy fields."""
    return noisy_pool(tmp_path / "pool")


def _saved(folder: Path, seed: int, steps: int = 0, variant: str = "bins") -> Path:
    run = Run(Schedule("dpn", seed=seed, batch=4, steps=10, variant=variant))
    run.step, run.samples, run.seconds = steps, 100 + 4 * steps, 10.0 * steps
    path = folder / f"{seed}_{variant}.pt"
    run.save(path)
    return path


def test_the_result_has_the_mean_weights_and_all_samples(tmp_path: Path) -> None:
    paths = [_saved(tmp_path, 1, 3), _saved(tmp_path, 2, 5)]
    mean_run, one, two = average_runs.average_weights(paths), Run.load(paths[0]), Run.load(paths[1])
    assert (mean_run.samples, mean_run.seconds) == (112 + 20, 80.0)
    states = (run.average.state_dict() for run in (mean_run, one, two))
    for mean, a, b in zip(*(state.values() for state in states), strict=True):
        if mean.is_floating_point():
            torch.testing.assert_close(mean, (a + b) / 2)


def test_other_networks_are_refused(tmp_path: Path) -> None:
    other = _saved(tmp_path, 2, variant="regression")
    with pytest.raises(SystemExit, match=r"2_regression\.pt: not the same network"):
        average_runs.average_weights([_saved(tmp_path, 1), other])


def test_statistics_are_those_of_the_pools_patches(pool: Pool, tmp_path: Path) -> None:
    run = Run.load(_saved(tmp_path, 1))
    norms = [each for each in run.average.modules() if isinstance(each, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.running_mean.fill_(50.0)
    batches: list[torch.Tensor] = []
    hook = norms[0].register_forward_pre_hook(lambda _, given: batches.append(given[0]))
    average_runs.measure_statistics(run, [pool], batches=3)
    hook.remove()
    expected = torch.stack([each.mean(dim=(0, 2, 3)) for each in batches]).mean(dim=0)
    torch.testing.assert_close(norms[0].running_mean, expected)
    assert not any(norm.training for norm in norms)
    assert [norm.momentum for norm in norms] == before
