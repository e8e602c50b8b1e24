"""What is particular to industrial cameras: triggers, losses, unplugging, formats, wrong
settings."""

from __future__ import annotations

import itertools
import sys
import time
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from edge.camera import open_camera
from edge.cameras import pylon
from edge.cameras.aravis import steps
from edge.cameras.grabbing import GrabbingCamera
from edge.cameras.shared_library import load
from edge.errors import CameraStalled, ConfigError
from tests.support.camera_benches import (
    LIVE,
    Bench,
    aravis,
    kinds,
    missing,
)
from tests.support.camera_waits import MS, WAIT_S, Open, lost, on, until

# ---- triggers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bench", kinds("pylon", "aravis"), indirect=True)
def test_a_software_trigger_exposes_once(opened: Open, bench: Bench) -> None:
    camera = opened(trigger="software", rate_hz=None, packet_resend=False) if (
        bench.driver == "aravis"
    ) else opened(trigger="software", rate_hz=None)  # fmt: skip
    ids = []
    for _ in range(4):
        sent_ns = time.monotonic_ns()
        for _ in range(20):  # a frame may be incomplete: the next call triggers again
            try:
                frame = camera.next(0.5 if bench.loses else WAIT_S)
                break
            except CameraStalled:
                assert bench.loses
        ids.append(frame.frame_id)
        assert frame.exposure_start_ns + frame.time_uncertainty_ns >= sent_ns
    assert all(b > a for a, b in itertools.pairwise(ids))
    time.sleep(0.2)  # ten periods: nobody asked
    assert camera._newest is None


@on("pylon")
def test_a_trigger_before_it_is_needed(opened: Open) -> None:
    camera = opened(trigger="software", rate_hz=None)
    first = camera.next(WAIT_S)
    camera.trigger()
    until(lambda: camera._newest is not None)
    assert camera.next(0).frame_id == first.frame_id + 1
    assert camera.dropped == 0  # nothing is exposed unasked


@pytest.mark.parametrize("bench", kinds("pylon", "aravis"), indirect=True)
def test_a_hardware_trigger_waits_for_its_line(opened: Open, bench: Bench) -> None:
    line = {"pylon": "Line1", "aravis": "Line0"}[bench.driver]
    camera = opened(trigger="hardware", trigger_line=line)
    with pytest.raises(CameraStalled, match=r"no frame within 0\.2 s"):
        camera.next(0.2)
    camera.close()
    with pytest.raises(ConfigError, match=r"options\.trigger_line is not taken by the camera"):
        opened(trigger="hardware", trigger_line="Line99")


@on("pylon")
def test_the_trigger_s_features(opened: Open) -> None:
    camera = opened(trigger="hardware", trigger_line="Line2", trigger_edge="falling")
    nodes = camera._device._nodes
    names = ("TriggerMode", "TriggerSelector", "TriggerSource", "TriggerActivation")
    assert [nodes.GetNode(name).ToString() for name in names] == [
        "On", "FrameStart", "Line2", "FallingEdge",
    ]  # fmt: skip
    assert nodes.GetNode("ExposureAuto").ToString() == "Off"


@pytest.mark.parametrize("driver", ["v4l2", "gstreamer"])
def test_no_trigger_where_there_is_none(driver: str) -> None:
    with pytest.raises(ConfigError, match=r"options\.trigger = 'hardware' must be one of free$"):
        open_camera(driver, {**LIVE, "device": "/dev/video0", "trigger": "hardware"})


# ---- pylon ---------------------------------------------------------------------------------------


@on("pylon")
def test_failed_buffers_are_refused_and_counted(opened: Open) -> None:
    camera = opened()
    before = camera.next(WAIT_S)
    dropped = camera.dropped
    nodes = camera._device._nodes
    nodes.GetNode("ForceFailedBufferCount").SetValue(7)
    nodes.GetNode("ForceFailedBuffer").Execute()
    until(lambda: camera.incomplete == 7)
    until(lambda: camera._newest is not None and camera._newest.frame_id > before.frame_id + 7)
    after = camera.next(0)
    assert camera.dropped - dropped == after.frame_id - before.frame_id - 1 >= 7


@on("pylon")
def test_a_camera_that_stops_is_opened_again(opened: Open) -> None:
    camera = opened()
    before = camera.next(WAIT_S)
    camera._device._camera.StopGrabbing()
    until(lambda: camera.reconnects == 1)
    assert camera.next(WAIT_S).frame_id > before.frame_id


@on("pylon")
def test_what_pylon_says_in_one_line(opened: Open) -> None:
    wrong: list[tuple[dict[str, object], str]] = [
        ({"width": 9000}, r"^camera\.options\.width is not taken by the camera: Width = 9000: "),
        ({"serial": "1"}, r"no camera 1 on emulated: found \['0815-0000'\]"),
        ({"link": "gige", "address": "127.0.0.1"}, "no camera on gige: "),
        ({"link": "gige"}, r"options\.address must be given with link: gige, and only then"),
        ({"serial": 24}, r"options\.serial = 24 must be a serial number in quotes"),
        ({"link": "firewire"}, r"options\.link = 'firewire' must be one of usb, gige, emulated"),
    ]
    for changes, says in wrong:
        with pytest.raises((ConfigError, CameraStalled), match=says) as caught:
            opened(**changes)
        assert "\n" not in str(caught.value)
        assert "thrown" not in str(caught.value)


@on("pylon")
def test_the_middle_of_the_sensor_with_its_mosaic(opened: Open) -> None:
    camera = opened(pixel_format="BayerRG8", width=1022, height=1022)
    nodes = camera._device._nodes
    assert nodes.GetNode("OffsetX").GetValue() == (4096 - 1022) // 4 * 2
    assert nodes.GetNode("OffsetY").GetValue() % 2 == 0
    assert camera.next(WAIT_S).pixels.shape == (1022, 1022)


@pytest.mark.parametrize(("answers", "ready"), [((False, True), True), ((False, False), False)])
def test_who_had_no_turn_looks_once_more_before_giving_a_trigger_up(
    monkeypatch: pytest.MonkeyPatch, answers: tuple[bool, ...], ready: bool
) -> None:
    clock = itertools.count(0, 100)  # s: between any two looks we stand still
    stand_in = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
    monkeypatch.setattr(pylon, "time", stand_in)
    device: Any = SimpleNamespace(_exposure_ns=4 * MS, _pylon=SimpleNamespace())
    device._pylon.TimeoutHandling_Return = 0
    device._camera = SimpleNamespace(CanWaitForFrameTriggerReady=lambda: True)
    looks = iter(answers)
    device._camera.WaitForFrameTriggerReady = lambda *_: next(looks)
    with nullcontext() if ready else pytest.raises(CameraStalled, match="not ready for a trigger"):
        pylon.PylonDevice._await_trigger_ready(device)


def test_without_pypylon_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypylon.pylon", None)
    with pytest.raises(ConfigError, match=r"needs pypylon: pip install 'sparsefocus-edge\[pylon"):
        open_camera("pylon", {"link": "emulated", **LIVE})


def test_without_a_library_the_package_is_named() -> None:
    with pytest.raises(ConfigError, match=r"libnothing\.so\.0 is missing: apt install nothing"):
        load("libnothing.so.0", "apt install nothing")


# ---- Aravis --------------------------------------------------------------------------------------


@on("aravis")
def test_incomplete_frames_are_refused_and_counted(opened: Open) -> None:
    """Two of a thousand packets are lost, a frame has 190: about a third of the frames."""
    camera = opened()
    first = camera.next(WAIT_S)
    dropped = camera.dropped
    until(lambda: camera.incomplete >= 5)
    frames = 1
    while True:
        frame = camera.next(WAIT_S)
        frames += 1
        if frames > 10:
            break
    assert frame.pixels.shape == (512, 512)
    assert camera.dropped - dropped + frames == frame.frame_id - first.frame_id + 1
    assert camera.dropped >= 5


@pytest.mark.skipif(bool(missing("aravis")), reason=missing("aravis"))
def test_an_unplugged_camera_comes_back() -> None:
    with aravis("aravis", lost_per_thousand=0) as bench:
        camera = bench.open()
        assert isinstance(camera, GrabbingCamera)
        before = camera.next(WAIT_S)
        with pytest.raises(CameraStalled, match=r"127\.0\.0\.1 is in use by another program"):
            bench.open()
        bench.parts["peer"].kill()
        assert "the camera is lost: " in lost(camera)
        bench.parts["peer"].start()
        until(lambda: camera.reconnects == 1)
        after = camera.next(WAIT_S)
        assert after.frame_id > before.frame_id
        assert after.exposure_start_ns > before.exposure_end_ns
        camera.close()


@on("aravis")
def test_what_the_gige_camera_does_not_take(opened: Open) -> None:
    with pytest.raises(ConfigError, match=r"options\.width = 4000 must be at most 2048 \(px\)"):
        opened(width=4000)
    with pytest.raises(ConfigError, match=r"options\.device = 'a b' must be an address"):
        opened(device="a b")


@pytest.mark.parametrize(
    ("before", "now", "step"),
    [(1, 2, 1), (65_534, 65_535, 1), (65_535, 1, 1), (65_530, 3, 8), (65_535, 65_536, 1),
     (10**9, 10**9 + 5, 5), (0, 1, 1)],
)  # fmt: skip
def test_frame_ids_of_16_bits_go_on(before: int, now: int, step: int) -> None:
    assert steps(before, now) == step
