"""Jobs on real local workers: the same results, also when one of them is killed half-way."""

from __future__ import annotations

import dataclasses
import importlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from edge.errors import ConfigError
from simulator.optics import NOMINAL
from tests.support.patience import PATIENCE_S
from training import cluster
from training.cluster import connected, in_order, shared
from training.stack_render import Job
from training.stacks import fill

COARSE = dataclasses.replace(NOMINAL, um_per_px=4 * NOMINAL.um_per_px)
SMALL = Job("test", 1, 2, False, shape=(504, 504), instrument=COARSE)

pytestmark = pytest.mark.filterwarnings("default")  # of Dask's own parts


def slow_square(number: int, folder: str) -> tuple[int, int]:
    """The square and who made it; the first jobs take longest."""
    time.sleep(0.02 * (5 - min(number, 5)))
    Path(folder, f"{number}.done").touch()
    return number * number, os.getpid()


def square_or_die(number: int, folder: str) -> int:
    """The square; but the first to get number 3 kills its process."""
    mark = Path(folder, "killed")
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def broken(number: int) -> int:
    """Fails on 2."""
    if number == 2:
        raise ValueError("two is too many")
    return number


def test_without_workers_it_is_this_process(tmp_path: Path) -> None:
    results = list(in_order(slow_square, [(n, str(tmp_path)) for n in range(3)]))
    assert [square for square, _ in results] == [0, 1, 4]
    assert {pid for _, pid in results} == {os.getpid()}


def test_two_workers_share_the_jobs_and_keep_their_order(tmp_path: Path) -> None:
    results = list(in_order(slow_square, [(n, str(tmp_path)) for n in range(12)], workers=2))
    assert [square for square, _ in results] == [n * n for n in range(12)]
    assert len({pid for _, pid in results} - {os.getpid()}) == 2


def test_a_killed_workers_jobs_are_done_again(tmp_path: Path) -> None:
    jobs = [(n, str(tmp_path)) for n in range(8)]
    assert list(in_order(square_or_die, jobs, workers=2)) == [n * n for n in range(8)]
    assert (tmp_path / "killed").exists()


def test_what_a_job_raises_comes_through() -> None:
    with pytest.raises(ValueError, match="two is too many"):
        list(in_order(broken, [(n,) for n in range(4)], workers=1))


def files(folder: Path) -> dict[str, bytes]:
    """Everything that was made, by name."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != ".lock"
    }


def test_a_set_is_the_same_though_a_worker_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    alone, together = tmp_path / "alone", tmp_path / "together"
    assert fill(alone, SMALL, ["folded"], 3, quiet=True) == 12
    killed: list[int] = []

    def kill_one() -> None:
        """When the first picture is there, the process that holds most memory goes."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and not list(together.rglob("*.tif")):
            time.sleep(0.02)
        workers = psutil.Process().children(recursive=True)
        victim = max(workers, key=lambda p: p.memory_info().rss)
        victim.kill()
        killed.append(victim.pid)

    thread = threading.Thread(target=kill_one)
    thread.start()
    frames = fill(together, SMALL, ["folded"], 3, quiet=True, workers=2)
    thread.join()
    assert killed
    assert frames == 12
    leftovers = [p.name for p in together.rglob("*.part")]
    for name in leftovers:  # of the process that was killed: nobody's, and not in the manifest
        next(together.rglob(name)).unlink()
    assert files(together) == files(alone)


def test_wrong_numbers_and_a_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"workers": 1, "scheduler": "tcp://a:1"}
    wrong = (({"workers": 0}, "must be 1 to"), ({"workers": 513}, "must be 1 to"))
    for words, message in (*wrong, (both, "give one of them")):
        with pytest.raises(ConfigError, match=message):
            list(in_order(broken, [(1,)], **words))
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    with pytest.raises(ConfigError, match="cannot be reached"):
        list(in_order(broken, [(1,)], scheduler="tcp://127.0.0.1:9"))

    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigError, match="several processes need Dask"):
        list(in_order(broken, [(1,)], workers=1))


def test_another_machines_scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(1, None) as client:
        address = client.scheduler.address
        results = list(in_order(slow_square, [(n, str(tmp_path)) for n in range(3)],
                              scheduler=address))  # fmt: skip
        assert [square for square, _ in results] == [0, 1, 4]
        shared(tmp_path, client)
        monkeypatch.setattr(cluster, "release", lambda: "an older one")
        with pytest.raises(ConfigError, match=r"runs .*, this is an older one"):
            list(in_order(broken, [(1,)], scheduler=address))


def test_a_folder_that_workers_do_not_see_is_refused(tmp_path: Path) -> None:
    class Blind:
        def run(self, function: object, *arguments: object) -> dict[str, bool]:
            return {"tcp://a": True, "tcp://b": False}

    with pytest.raises(ConfigError, match="is not shared with tcp://b"):
        shared(tmp_path, Blind())
