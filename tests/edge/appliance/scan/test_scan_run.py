"""A scan on a simulated scanner: every field once, in focus; what goes wrong ends as it should, and
what ended anywhere is taken up with the same fields."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from edge.appliance.scan.frame_file import encode
from edge.appliance.scan.regions import RegionOf, read_regions
from edge.appliance.scan.run_scan import Scan
from edge.errors import CameraStalled, DiskFailed, MoveRefused, MoveUncertain
from edge.wsi import scan_folder
from edge.wsi.focus_map import FocusMap, MapLimits
from edge.wsi.grade import Grade
from edge.wsi.pipelines import KeyPoints, OneStep, TwoStep
from edge.wsi.scan_folder import LOOKED, create, take_up
from firmware_bridge.errors import StageUncertain
from simulator.scanner import Harm
from tests.support.scan_bed import PlainSlide, TableNets, bed

PIPELINES = {
    "one-step": OneStep,
    "two-step": TwoStep,
    "key-points": lambda z_um: KeyPoints(z_um, 5),
}
HALF_UM = 0.605


def go(scanner, path: Path, name: str = "one-step", report=lambda record: None, encoded=encode):
    """Begin, or take up, a scan; its records by field."""
    with contextlib.ExitStack() as opened:
        if path.exists():
            folder = opened.enter_context(take_up(path))
        else:
            folder = opened.enter_context(create(path, scanner.scanner.plan(), {}))
        offsets = RegionOf(scanner.scanner.regions)
        eye = scanner.scanner.eye(lambda: folder.walk.plan, offsets.offset_um)
        pipeline = PIPELINES[name](scanner.rig.stage.status().z_um)
        focus_map = FocusMap(limits=MapLimits(nearest=48))
        Scan(folder, pipeline, eye, focus_map, HALF_UM, encoded, report, scanner.time).run()
        assert folder.walk.left == 0
        return dict(folder.records)


def places(records) -> set[tuple[float, float]]:
    return {(record.x_um, record.y_um) for record in records.values()}


@pytest.mark.parametrize("name", PIPELINES)
def test_every_field_is_taken_once_and_in_focus(tmp_path: Path, name: str) -> None:
    with bed() as scanner:
        records = go(scanner, tmp_path / "scan", name)
        slide = scanner.slide
        assert len(places(records)) == len(records)
        content = 0
        for record in records.values():
            assert record.grade != LOOKED
            assert (tmp_path / "scan" / record.file).stat().st_size == record.size
            focus_um = slide.focus_um(record.x_um, record.y_um, 0.0)
            if focus_um is not None:
                content += 1
                assert abs(record.z_um - focus_um) <= (1.5 if name == "key-points" else 0.4)
        if name != "key-points":  # those do not look, and so never grow
            blank = {i for i, r in records.items() if r.grade == Grade.EMPTY.value}
            assert len(records) - len(blank) == content >= 12  # grown from one region
            assert blank


def test_a_noisy_eye_that_does_not_always_answer(tmp_path: Path) -> None:
    slide = PlainSlide(radius_um=2000.0)
    with bed(slide, TableNets(slide, 0.15, 0.9)) as scanner:
        records = go(scanner, tmp_path / "scan")
        errors = [
            abs(r.z_um - slide.focus_um(r.x_um, r.y_um, 0.0))
            for r in records.values()
            if r.grade != Grade.EMPTY.value
        ]
        assert sum(error <= HALF_UM for error in errors) >= 0.97 * len(errors)


class Killed(BaseException):
    """The process is gone."""


STEPS = ("write", "fsync", "replace", "encode", "report")


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("step", STEPS)
def test_a_scan_killed_at_any_step_gives_the_same_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, step: str
) -> None:
    """At every third occurrence of that step, over and over, until the scan is through."""
    with bed() as scanner:
        whole = go(scanner, tmp_path / "whole", name)
    path, count = tmp_path / "cut", [0]

    def maybe_killed(call):
        def calling(*given, **more):
            count[0] += 1
            if count[0] % 4 == 0:
                raise Killed
            return call(*given, **more)

        return calling

    report = lambda record: None  # noqa: E731
    for _ in range(200):
        with bed() as scanner, monkeypatch.context() as patch:
            hooks = {"report": report, "encoded": encode}
            if step == "encode":
                hooks["encoded"] = maybe_killed(encode)
            elif step == "report":
                hooks["report"] = maybe_killed(report)
            elif path.exists():
                patch.setattr(os, step, maybe_killed(getattr(os, step)))
            try:
                records = go(scanner, path, name, **hooks)
                break
            except Killed:
                continue
    else:
        pytest.fail("it never came to its end")
    assert places(records) == places(whole)
    assert len(records) == len(whole)
    with take_up(path) as folder:
        assert not folder.spoilt
        assert folder.walk.next() is None


def test_a_lost_frame_is_taken_again(tmp_path: Path) -> None:
    with bed() as scanner:
        scanner.camera.harm = Harm(lost=frozenset({3, 4, 9}))
        records = go(scanner, tmp_path / "scan")
    with bed() as scanner:
        assert places(records) == places(go(scanner, tmp_path / "sound"))


def harmed(scanner, harm: str) -> None:
    if harm == "camera":
        scanner.camera.harm = Harm(gone=scanner.camera._id + 4)
    elif harm == "z":
        scanner.z.jammed = True
    else:
        scanner.xy.jammed = harm


@pytest.mark.parametrize(
    ("harm", "error"),
    [
        ("camera", CameraStalled),
        ("x", StageUncertain),
        ("y", StageUncertain),
        ("z", StageUncertain),
    ],
)
def test_what_breaks_ends_the_scan_and_what_was_done_stays(
    tmp_path: Path, harm: str, error: type[Exception]
) -> None:
    path, done = tmp_path / "scan", []

    def report(record):
        done.append(record.id)
        if len(done) == 3:
            harmed(scanner, harm)

    with bed() as scanner, pytest.raises((error, MoveUncertain)):
        go(scanner, path, report=report)
    with take_up(path) as folder:
        assert list(folder.records) == list(dict.fromkeys(done))
        assert 3 <= len(done) < 12
    with bed() as scanner:  # repaired
        records = go(scanner, path)
    with bed() as scanner:
        assert places(records) == places(go(scanner, tmp_path / "sound"))


@pytest.mark.parametrize("name", ["one-step", "two-step"])
def test_an_inverted_axis_is_found_out_and_nothing_is_driven_far(tmp_path: Path, name: str) -> None:
    with bed(inverted=True) as scanner, pytest.raises(MoveRefused, match="shut down"):
        go(scanner, tmp_path / "scan", name)
    lowest = min(z_um for _, _, z_um in scanner.camera.exposures)
    assert lowest > 200.0 - 30.0


def test_a_full_disk_ends_it_before_the_next_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, done = tmp_path / "scan", []

    def report(record):
        done.append(record.id)
        if len(done) == 4:
            monkeypatch.setattr(scan_folder, "RESERVE_BYTES", 1 << 62)

    with bed() as scanner, pytest.raises(DiskFailed, match="can be taken up"):
        go(scanner, path, report=report)
    frames = scanner.camera._id
    monkeypatch.undo()
    assert frames < 20
    with bed() as scanner:
        records = go(scanner, path)
    with bed() as scanner:
        assert places(records) == places(go(scanner, tmp_path / "sound"))


def test_a_region_may_be_sharp_elsewhere(tmp_path: Path) -> None:
    regions = read_regions(["-450,-450,900,900,1.5"], [])
    with bed(regions=regions) as scanner:
        records = go(scanner, tmp_path / "scan")
        slide = scanner.slide
        inside = [r for r in records.values() if r.offset_um == 1.5]
        others = [r for r in records.values() if r.offset_um == 0 and r.grade != "EMPTY"]
        assert inside
        assert others
        for record, wish in [*((r, 1.5) for r in inside), *((r, 0.0) for r in others)]:
            off_um = record.z_um - slide.focus_um(record.x_um, record.y_um, 0.0) - wish
            assert abs(off_um) <= 0.4
        assert Grade.BLURRED.value not in {record.grade for record in inside}


def test_z_never_goes_far_below_what_was_measured(tmp_path: Path) -> None:
    """Whatever a map says: a step below the last measured focus, and no farther."""
    with bed() as scanner:
        plan = scanner.scanner.plan()
        eye = scanner.scanner.eye(lambda: plan)
        field = plan.fields[0]
        reading = eye.one_shot(field, scanner.z.status().z_um)
        assert scanner.rig.controller.sign_confirmed
        for z_um in (reading.focus_um - 28.0, float("nan"), -1e9):
            with pytest.raises(MoveRefused):
                eye.one_shot(field, z_um)
        moved = scanner.z.status().z_um
        assert moved > reading.focus_um - 27.5
        eye.one_shot(field, reading.focus_um - 20.0)  # within a step


def test_z_goes_up_for_a_long_way_and_comes_back(tmp_path: Path) -> None:
    slide = PlainSlide(radius_um=9000.0)
    regions = read_regions(["-450,-450,900,900", "5000,3000,900,900"], [])
    with bed(slide, regions=regions) as scanner:
        plan = scanner.scanner.plan()
        eye = scanner.scanner.eye(lambda: plan)
        fields = [plan.fields[0], plan.fields[-1]]
        for field in fields:
            eye.one_shot(field, slide.surface_um(field.x_um, field.y_um))
        heights = [ramp.target_um for _, ramp in scanner.z._past]
        assert max(heights) == pytest.approx(scanner.scanner.travel_z_um)


def test_the_slide_leaves_while_a_frame_is_measured() -> None:
    with bed() as scanner:
        slide, plan = scanner.slide, scanner.scanner.plan()
        eye = scanner.scanner.eye(lambda: plan)
        here, there = plan.fields[:2]
        eye.one_shot(here, scanner.z.status().z_um)
        eye.one_shot(here, slide.surface_um(here.x_um, here.y_um), there)
        before_s = scanner.time.seconds
        assert scanner.xy.targets[-1] == (there.x_um, there.y_um)
        eye.take(there, slide.surface_um(there.x_um, there.y_um))
        assert len(scanner.xy.targets) == 2
        assert scanner.time.seconds > before_s
        assert scanner.camera.exposures[-1][:2] == pytest.approx((there.x_um, there.y_um), abs=0.01)
