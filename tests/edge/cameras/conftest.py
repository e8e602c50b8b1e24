"""A camera on its bench, opened as the test asks for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge.camera import Camera
from tests.support.camera_benches import Bench, bench_of
from tests.support.camera_waits import Open


@pytest.fixture(scope="module")
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with bench_of(request.param) as made:
        yield made


@pytest.fixture
def opened(bench: Bench) -> Iterator[Open]:
    cameras: list[Camera] = []

    def open_one(**changes: object) -> Camera:
        cameras.append(bench.open(**changes))
        return cameras[-1]

    yield open_one  # type: ignore[misc]
    for camera in cameras:
        camera.close()
