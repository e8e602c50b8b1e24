"""Training in several processes: what they agree on, and that it is what is promised."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.support.made_pools import noisy_pool
from tests.support.patience import PATIENCE_S
from training import depthwise
from training.data_parallel import Alone, shared_state
from training.pool import Pool
from training.run import Run
from training.schedule import Schedule

PLAN = Schedule("dpn", seed=3, steps=3, batch=8, crops=((1.01, 64),))


@pytest.fixture(autouse=True)
def _without_our_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its buffer is one per process: two threads would write into it at once."""
    monkeypatch.setattr(depthwise, "compiled", lambda: None)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """Six noisy fields."""
    return noisy_pool(tmp_path / "pool")


class Threads:
    """A group of threads: what Processes does, without processes."""

    def __init__(self, rank: int, meeting: threading.Barrier, table: list[list[Tensor]]) -> None:
        self.rank, self.size = rank, meeting.parties
        self._meeting, self._table = meeting, table

    def average(self, tensors: Iterable[Tensor]) -> None:
        results = list(tensors)
        self._table[self.rank] = [t.detach().clone() for t in results]
        self._meeting.wait(60)
        for place, tensor in enumerate(results):
            tensor.detach().copy_(sum(row[place] for row in self._table) / self.size)
        self._meeting.wait(60)

    def anybody(self, flag: bool) -> bool:
        return flag

    def from_first(self, value: float) -> float:
        return value

    def part(self) -> None:
        """Threads end by themselves."""


def group(pool: Pool, steps: int, eval_mode: bool = False) -> list[Run]:
    """Two runs that train as a group."""
    meeting, table = threading.Barrier(2), [[], []]
    runs = [Run(PLAN, Threads(rank, meeting, table)) for rank in (0, 1)]

    def advance(run: Run) -> None:
        if eval_mode:
            still(run)
        for _ in range(steps):
            run.advance(pool)

    threads = [threading.Thread(target=advance, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return runs


def still(run: Run) -> None:
    """Batch normalisation by its running statistics: no picture sees another."""
    run.net.eval()
    run.net.train = lambda mode=True: run.net  # type: ignore[method-assign]


def test_all_have_the_same_weights_and_statistics(pool: Pool) -> None:
    first, second = group(pool, 3)
    for a, b in zip(first.net.state_dict().values(), second.net.state_dict().values(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=0)
    assert first.samples == second.samples == 24


def test_a_step_is_that_of_the_whole_batch_where_pictures_do_not_see_each_other(pool: Pool) -> None:
    alone = Run(PLAN)
    still(alone)
    for _ in range(3):
        alone.advance(pool)
    first, _ = group(pool, 3, eval_mode=True)
    for a, b in zip(alone.net.parameters(), first.net.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-5)


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    group = Threads(0, threading.Barrier(3), [[], [], []])
    with pytest.raises(SystemExit, match="3 processes must share it evenly"):
        Run(PLAN, group)


def test_running_statistics_are_all_that_is_shared_beside_the_weights() -> None:
    net = Run(PLAN, Alone()).net
    names = {n for n, _ in net.named_buffers() if n.endswith(("running_mean", "running_var"))}
    assert len(shared_state(net)) == len(names) > 10


def torchrun(pool: Pool, out: Path, *words: str) -> subprocess.Popen[str]:
    """Two processes on this machine, single-threaded."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port",
        "0", "--standalone", "-m", "training.train", "dpn", "--pool", str(pool.folder), "--out",
        str(out), "--seed", "3", "--batch", "8", "--crops", "1:64", *words,
    ]  # fmt: skip
    # no compiler on the path: PyTorch's own gradient, as in this process
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": str(Path(sys.executable).parent)}
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip


def test_torchrun_trains_as_the_team_of_threads_does_and_resumes(
    pool: Pool, tmp_path: Path
) -> None:
    process = torchrun(pool, tmp_path / "run", "--steps", "3")
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output
    kept = Run.load(tmp_path / "run" / "checkpoint.pt")
    assert (kept.step, kept.samples) == (3, 24)
    (first, _) = group(pool, 3)
    for a, b in zip(kept.net.state_dict().values(), first.net.state_dict().values(), strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_killed_process_ends_all_and_the_checkpoint_is_whole(pool: Pool, tmp_path: Path) -> None:
    out = tmp_path / "run"
    Run(PLAN).save_weights(out / "before.pt")  # also makes the folder
    process = torchrun(pool, out, "--steps", "100000")
    try:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and not (out / "log.jsonl").exists():
            time.sleep(0.2)
        children = subprocess.run(
            ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
        os.kill(int(children[-1]), signal.SIGKILL)
        output, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode != 0
        assert "SIGKILL" in output or "Signal 9" in output
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    left = sorted(p.name for p in out.iterdir())
    if "checkpoint.pt" in left:
        assert Run.load(out / "checkpoint.pt").step > 0
