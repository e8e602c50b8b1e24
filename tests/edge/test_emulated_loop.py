"""pylon's emulator drives the whole loop: no move is begun on a frame that is too old, and every
exposure is accounted for. Speed is not tested here (benchmarks/emulated_loop.py measures it)."""

import numpy as np
import pytest

from benchmarks import emulated_loop
from edge.cameras.pylon import read_options
from edge.errors import OptionError
from tests.support.camera_benches import missing


@pytest.fixture
def bench():
    return emulated_loop


def golden_frame():
    """2448 x 2048 with content of the simulated microscope in every patch."""
    from engines.golden import batches

    tiles = [tile for batch in batches("dpn") for tile in batch]
    frame = np.full((2048, 2448, 3), 225, np.uint8)
    for place in range(81):
        top, left = 16 + 224 * (place // 9), 216 + 224 * (place % 9)
        frame[top : top + 224, left : left + 224] = tiles[place % 3]
    return frame


@pytest.mark.skipif(bool(missing("pylon")), reason=missing("pylon"))
def test_no_move_is_begun_on_a_late_frame_and_every_exposure_is_accounted_for(bench):
    record = bench.run([golden_frame()], seconds=3.0, rate_hz=10.0, k=3)
    assert record["frames"] > 0
    assert record["moves_late"] == 0
    assert record["repeated_frames"] == 0
    # one exposure may fall between the end of the warm-up and the first frame that is counted
    assert record["missing_frames"] <= record["dropped_by_the_camera"] + 1
    assert sum(record["decisions"].values()) == record["frames"] + record["stalls"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"link": "usb", "images": "/tmp"}, "images needs link: emulated"),
        ({"link": "emulated", "images": "/nowhere"}, "images = /nowhere must be a folder"),
        ({"link": "emulated", "images": "/tmp\0"}, "images"),
    ],
)
def test_pictures_are_for_the_emulated_camera(options, why):
    with pytest.raises(OptionError, match=why):
        read_options({"exposure_ms": 4.0, "pixel_format": "RGB8", **options})
