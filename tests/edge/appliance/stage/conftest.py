"""A simulated axis, a controller that serves it, and the config that names it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.serving import Served
from simulator.controllers.zaber import SimulatedZaber
from tests.support.served_axis import CONFIG


@pytest.fixture
def axis() -> SimulatedAxis:
    return SimulatedAxis(speed_nm_s=4_000_000)


@pytest.fixture
def served(axis: SimulatedAxis) -> Iterator[Served]:
    with Served(SimulatedZaber(axis)) as running:
        yield running


@pytest.fixture
def config(served: Served, tmp_path: Path) -> Callable[..., str]:
    def write(driver: str = "zaber", low: float = 1000, port: str = "") -> str:
        path = tmp_path / "scanner.yaml"
        path.write_text(CONFIG.format(driver=driver, low=low, port=port or served.port))
        return str(path)

    return write
