"""pymmcore-plus runs an acquisition with hardware autofocus on our camera, stage and focus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("pymmcore_plus", reason="needs the extra mmcore-plus")

import useq

from sparsefocus.focus import Focus
from sparsefocus.micro_manager import AUTOFOCUS, Core
from tests.support.fake_microscope import MS, microscope, no_focus

pytestmark = pytest.mark.filterwarnings("default")  # the other packages' own


@pytest.fixture
def bench() -> Iterator[tuple[Core, Any, Any]]:
    """The core, the rig behind it and its eye; waiting costs no time."""
    rig, eye = microscope(focus_um=6.0)

    def wait(timeout_s: float) -> Any:
        rig.clock.now_ns += 100 * MS
        return rig.stage.status()

    rig.stage.wait = wait
    core = Core(Focus(rig, rig.close, lambda: None))
    yield core, rig, eye
    core.reset()


def test_the_stage_is_guarded(bench: Any) -> None:
    core, rig, _ = bench
    core.setPosition(3.0)
    assert core.getPosition() == pytest.approx(3.0)
    with pytest.raises(RuntimeError, match="outside-window"):
        core.setPosition(5000.0)
    assert rig.stage.moves == [3.0]


def test_full_focus(bench: Any) -> None:
    core, rig, eye = bench
    assert core.getAutoFocusDevice() == AUTOFOCUS
    core.fullFocus()
    assert core.getPosition() == pytest.approx(6.0, abs=0.6)
    assert core.getLastFocusScore() < 0.6
    core.setAutoFocusOffset(2.0)
    core.fullFocus()
    assert rig.stage.glass_um == pytest.approx(8.0, abs=0.6)
    eye.answer = lambda frame: no_focus(
        start_ns=frame.exposure_start_ns, mid_ns=frame.exposure_mid_ns
    )
    with pytest.raises(RuntimeError, match="HOLD: blank"):
        core.fullFocus()
    with pytest.raises(RuntimeError, match="continuous focus needs"):
        core.enableContinuousFocus(True)


def test_a_snap_is_a_frame(bench: Any) -> None:
    core, _, _ = bench
    core.snapImage()
    assert core.getImage().shape[:2] == (1, 1)


def test_an_acquisition_with_hardware_autofocus(bench: Any) -> None:
    """At each position the focus is elsewhere; each frame is taken where it was found."""
    core, rig, eye = bench
    focus_um = iter((6.0, -5.0, 9.0))
    heights: list[float] = []
    new_field = core._focus.new_field

    def another() -> None:
        eye.focus_um = next(focus_um, eye.focus_um)
        new_field()

    full_focus = core.fullFocus

    def focus() -> None:
        eye.focus_um = next(focus_um)
        full_focus()

    core.fullFocus = focus
    sequence = useq.MDASequence(
        axis_order="pz",
        stage_positions=[{"z": 0.0}, {"z": 0.0}, {"z": 0.0}],
        autofocus_plan=useq.AxesBasedAF(axes=("p",), autofocus_motor_offset=0.0),
        channels=[],
    )
    core.mda.events.frameReady.connect(
        lambda image, event, meta: heights.append(rig.stage.glass_um)
    )
    core.mda.run(sequence)
    assert heights == pytest.approx([6.0, -5.0, 9.0], abs=0.6)
