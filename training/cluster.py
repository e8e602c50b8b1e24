"""Independent jobs on several processes or machines, by Dask: a local cluster, or a scheduler.

A job is a function and its arguments; it may be run twice (its worker was lost half-way), so it
writes what it makes under its final name in one piece and answers the same each time. Results come
back in the order of the jobs, whoever finished first. With a scheduler the workers must see the
same folders as this process, and run the same release.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from edge.errors import ConfigError

T = TypeVar("T")
RETRIES = 3  # of a job whose worker was lost, or that failed
CONNECT_S = 10
MOST_WORKERS = 512


def add_arguments(parser: Any) -> None:
    """--workers and --scheduler."""
    parser.add_argument("--workers", type=int, metavar="N", help="local processes (default: this)")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="of Dask, such as tcp://10.0.0.2:8786"
    )


def in_order(
    function: Callable[..., T],
    jobs: Sequence[tuple[Any, ...]],
    workers: int | None = None,
    scheduler: str | None = None,
) -> Iterator[T]:
    """function(*job) for each job, in their order; in this process without workers and scheduler.

    ConfigError when Dask is missing or the scheduler cannot be reached or used; what a job raises
    passes through after its retries. Stopping early cancels what was not begun.
    """
    if workers is None and scheduler is None:
        yield from (function(*job) for job in jobs)
        return
    with connected(workers, scheduler) as client:
        # at once: a batch of thousands of small jobs is one message, and order is kept below
        pending = client.map(
            lambda job: function(*job), list(jobs), pure=False, retries=RETRIES, batch_size=64
        )
        try:
            for future in pending:
                yield future.result()
        finally:
            client.cancel(pending)


@contextmanager
def connected(workers: int | None, scheduler: str | None) -> Iterator[Any]:
    """A Dask client; ConfigError as in `in_order`."""
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise ConfigError(f"--workers {workers} must be 1 to {MOST_WORKERS}")
    if workers is not None and scheduler is not None:
        raise ConfigError("--workers and --scheduler: give one of them")
    try:
        distributed = importlib.import_module("distributed")
    except ImportError as error:
        raise ConfigError(
            f"several processes need Dask: pip install 'sparsefocus-edge[train]' ({error})"
        ) from error
    opened = _local(distributed, workers) if scheduler is None else _remote(distributed, scheduler)
    with opened as client:
        yield client


@contextmanager
def _local(distributed: Any, workers: int | None) -> Iterator[Any]:
    """One single-threaded process per worker, on the loopback interface only; no dashboard."""
    with (
        tempfile.TemporaryDirectory(prefix="sparsefocus-dask-") as folder,
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1",
            dashboard_address=None, silence_logs=50, local_directory=folder, memory_limit=0,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):  # fmt: skip
        client.run(_one_thread)
        yield client


@contextmanager
def _remote(distributed: Any, scheduler: str) -> Iterator[Any]:
    try:
        client = distributed.Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--scheduler {scheduler}: cannot be reached: {error}") from error
    with client:
        _same_release(client, scheduler)
        client.run(_one_thread)
        yield client


def _same_release(client: Any, scheduler: str) -> None:
    here = release()
    releases = client.run(_release_there)
    if not releases:
        raise ConfigError(f"--scheduler {scheduler}: has no workers")
    for worker, other in releases.items():
        if other != here:
            raise ConfigError(f"--scheduler {scheduler}: {worker} runs {other}, this is {here}")


def release() -> str:
    """What this process runs: version and a digest of the project's sources."""
    import hashlib

    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for package in ("edge", "engines", "simulator", "training"):
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _release_there() -> str:
    """Asked for by name on the worker: what is installed there, not what was sent."""
    module = importlib.import_module("training.cluster")
    return str(module.release())


def shared(folder: Path, client: Any) -> None:
    """ConfigError unless every worker sees `folder` as this process does."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".seen-") as mark:
        visible = client.run(os.path.exists, mark.name)
    blind = [worker for worker, sees in visible.items() if not sees]
    if blind:
        raise ConfigError(f"{folder}: is not shared with {', '.join(sorted(blind))}")


def _one_thread() -> None:
    import cv2

    from training.malloc_tuning import keep_memory

    cv2.setNumThreads(1)
    keep_memory()
