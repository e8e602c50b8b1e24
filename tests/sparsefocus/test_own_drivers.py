"""The contracts that we hand out, on drivers of ours with their peers: they ask for nothing that a
sound driver does not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.camera import Camera
from firmware_bridge.stage import Stage
from sparsefocus.testing import CameraContract, StageContract, failures
from tests.support.camera_benches import recorded
from tests.support.patience import PATIENCE_S
from tests.support.stage_benches import BENCHES, HIGH_UM, LOW_UM, Bench, at


class OnABench(StageContract):
    patience_s = PATIENCE_S

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def open(self) -> Stage:
        return self._bench.open()


@pytest.mark.parametrize("driver", ["asi", "zaber", "binary"])
def test_stages_of_ours(driver: str) -> None:
    bench = BENCHES[driver]()
    try:
        assert at(bench, LOW_UM) < at(bench, HIGH_UM)
        assert failures(OnABench(bench)) == []
    finally:
        bench.close()


def test_a_camera_of_ours(tmp_path: Path) -> None:
    with recorded("folder") as bench:

        class Recorded(CameraContract):
            patience_s = PATIENCE_S

            def open(self) -> Camera:
                return bench.open()

        assert failures(Recorded()) == []
