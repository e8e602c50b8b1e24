"""What is particular to V4L2: colours, damage, stamps, an exposure set elsewhere, unplugging."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edge.cameras.options import FORMATS
from edge.errors import CameraLost, CameraStalled, ConfigError
from tests.support.camera_benches import (
    Bench,
)
from tests.support.camera_waits import WAIT_S, Open, colour, lost, on, until

# ---- V4L2 ----------------------------------------------------------------------------------------


@on("v4l2")
@pytest.mark.parametrize("padding", [0, 12])
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_v4l2_colours(bench: Bench, opened: Open, pixel_format: str, padding: int) -> None:
    bench.parts["peer"].reset(padding=padding)
    frame = opened(pixel_format=pixel_format, width=64, height=48).next(WAIT_S)
    assert frame.pixels.flags.c_contiguous
    if pixel_format == "Mono8":
        assert set(frame.pixels[1:].ravel().tolist()) == {77}
    else:
        for row, column in ((5, 5), (20, 63 - 2), (46, 30)):
            assert colour(frame, row, column) == [200, 120, 40]


@on("v4l2")
def test_damaged_v4l2_frames_are_refused(bench: Bench, opened: Open) -> None:
    bench.parts["peer"].reset()
    camera = opened()
    before = camera.next(WAIT_S)
    dropped = camera.dropped
    bench.parts["peer"].break_frames(6)  # flagged and too short in turn
    until(lambda: camera.incomplete == 6)
    camera._newest = None
    after = camera.next(WAIT_S)
    assert after.pixels[1:].max() == 77
    assert camera.dropped - dropped == after.frame_id - before.frame_id - 1 >= 6


@on("v4l2")
def test_what_the_kernel_s_stamp_marks(bench: Bench, opened: Open) -> None:
    bench.parts["peer"].reset(stamp_start=True)
    frame = opened(exposure_ms=2.5).next(WAIT_S)
    assert bench.parts["peer"].exposure_ticks() == 25
    assert frame.exposure_end_ns - frame.exposure_start_ns == 2_500_000
    assert frame.time_uncertainty_ns == 1000
    assert abs(frame.exposure_end_ns - bench.parts["peer"].exposure_end_ns(frame)) <= 1000
    bench.parts["peer"].reset(stamp_start=False)
    frame = opened(readout_ms=6.0).next(WAIT_S)
    assert frame.time_uncertainty_ns == 3_000_000
    # the stand-in needs no read-out: the truth lies at the late end of what is possible
    end_ns = bench.parts["peer"].exposure_end_ns(frame)
    assert abs(frame.exposure_end_ns + 3_000_000 - end_ns) <= 1000


@on("v4l2")
def test_v4l2_exposure_set_elsewhere(bench: Bench, opened: Open) -> None:
    bench.parts["peer"].reset(no_exposure=True)
    with pytest.raises(ConfigError, match=r"exposure_ms cannot be set .* set_exposure: false"):
        opened()
    frame = opened(set_exposure=False, exposure_ms=3.0).next(WAIT_S)
    assert frame.exposure_end_ns - frame.exposure_start_ns == 3_000_000
    assert bench.parts["peer"].exposure_ticks() == 0


@on("v4l2")
def test_an_unplugged_v4l2_camera_comes_back(bench: Bench, opened: Open) -> None:
    bench.parts["peer"].reset()
    camera = opened()
    before = camera.next(WAIT_S)
    bench.parts["peer"].unplug(True)
    assert "No such device; trying again every 0.05 s" in lost(camera)
    bench.parts["peer"].reset()
    until(lambda: camera.reconnects == 1)
    assert camera.next(WAIT_S).frame_id > before.frame_id


@on("v4l2")
def test_v4l2_stalls_when_no_frame_comes(bench: Bench, opened: Open) -> None:
    bench.parts["peer"].reset()
    camera = opened()
    camera.next(WAIT_S)
    bench.parts["peer"].pause()
    time.sleep(0.1)  # the thread takes what was exposed before
    camera._newest = None
    with pytest.raises(CameraStalled, match=r"^no frame within 0\.2 s$"):
        camera.next(0.2)


@on("v4l2")
def test_what_v4l2_does_not_take(
    bench: Bench, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.parts["peer"].reset()
    with pytest.raises(ConfigError, match=r"options\.width = 5000 is not offered; .* 4096 \(px\)"):
        opened(width=5000)
    with pytest.raises(ConfigError, match=r"options\.rate_hz = 60 is not offered; .* is 50"):
        opened(rate_hz=60)
    with pytest.raises(CameraLost, match=r"/video9 cannot be opened: No such file"):
        opened(device=str(tmp_path / "video9"))
    with pytest.raises(ConfigError, match=r"options\.device = 'video0' must be a path like /dev"):
        opened(device="video0")
    monkeypatch.undo()
