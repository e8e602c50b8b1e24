"""The public door is frozen: what changes here changes every program that uses us, on purpose."""

from __future__ import annotations

import inspect
import json
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

import sparsefocus
from edge.errors import ConfigError
from edge.loop import focus_field
from firmware_bridge.errors import StageError
from sparsefocus import testing
from sparsefocus.focus import Focus
from sparsefocus.networks import measure_array
from tests.support.fake_microscope import microscope, no_focus

NAMES = {
    "open", "Focus", "Networks", "Estimate", "Outcome", "Camera", "Frame", "PixelFormat", "Stage",
    "StageStatus", "ZAt", "Identity", "SparseFocusError", "ConfigError", "CameraStalled",
    "CameraLost", "EngineRejected", "MoveRefused", "MoveUncertain", "StageError", "StageRefused",
    "StageUncertain", "StageSilent", "LinkLost", "__version__",
}  # fmt: skip
SIGNATURES = {
    "open": "(config=None, *, camera=None, stage=None, simulate=False)",
    "Networks": "(*, na, magnification, um_per_px, refractive_index=1.0, wavelength_um=None, "
    "models=None, threads=0)",
    "Networks.measure": "(self, pixels, pixel_format=None)",
    "Networks.close": "(self)",
    "Focus.focus": "(self)",
    "Focus.frames": "(self)",
    "Focus.measure": "(self, pixels, pixel_format=None)",
    "Focus.new_field": "(self)",
    "Focus.hold": "(self, reason='held by the program')",
    "Focus.resume": "(self)",
    "Focus.halt": "(self, reason='halted by the program')",
    "Focus.restart": "(self)",
    "Focus.close": "(self)",
    "Camera.next": "(self, timeout_s)",
    "Camera.trigger": "(self)",
    "Camera.close": "(self)",
    "Stage.status": "(self)",
    "Stage.z_at": "(self, time_ns)",
    "Stage.move_to": "(self, target_um, assumed_um)",
    "Stage.wait": "(self, timeout_s)",
    "Stage.stop": "(self)",
    "Stage.clear": "(self)",
    "Stage.close": "(self)",
}
PROPERTIES = {"held", "state", "z_um", "at_rest"}
FIELDS = {
    "Estimate": ["defocus_um", "interval_um", "reason", "sparsity", "patches", "outside"],
    "Outcome": ["decision", "reason", "estimate", "moved_to_um", "frame_id", "exposure_start_ns",
                "exposure_end_ns", "age_ms", "latency_ms"],
    "Frame": ["pixels", "pixel_format", "frame_id", "exposure_start_ns", "exposure_end_ns",
              "time_uncertainty_ns"],
    "StageStatus": ["z_um", "moving", "settled_ns", "latched", "time_ns"],
    "ZAt": ["z_um", "uncertainty_um"],
    "Identity": ["text", "resolution_um", "travel_um", "serial", "referenced", "port"],
}  # fmt: skip
ABSTRACT = {
    "Camera": {"next", "close"},
    "Stage": {"status", "z_at", "move_to", "wait", "stop", "clear", "close"},
}


def plain(call: Any) -> str:
    """A signature without its annotations."""
    signature = inspect.signature(call)
    empty = inspect.Parameter.empty
    bare = [each.replace(annotation=empty) for each in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=empty))


def public(name: str) -> Any:
    owner, _, attribute = name.partition(".")
    there = getattr(sparsefocus, owner)
    return getattr(there, attribute) if attribute else there


def test_the_names_are_these() -> None:
    assert set(sparsefocus.__all__) == NAMES
    assert all(getattr(sparsefocus, name) is not None for name in NAMES)
    assert set(dir(sparsefocus)) >= NAMES
    with pytest.raises(AttributeError, match="no attribute 'opn'"):
        sparsefocus.opn  # noqa: B018


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_signatures_are_these(name: str) -> None:
    assert plain(public(name)) == SIGNATURES[name]


def test_focus_has_nothing_else() -> None:
    methods = {name.partition(".")[2] for name in SIGNATURES if name.startswith("Focus.")}
    assert {name for name in dir(Focus) if not name.startswith("_")} == methods | PROPERTIES


@pytest.mark.parametrize("name", FIELDS)
def test_the_fields_and_the_keys_are_these(name: str) -> None:
    assert [each.name for each in fields(public(name))] == FIELDS[name]


def test_the_contracts_ask_for_this() -> None:
    for name, abstract in ABSTRACT.items():
        assert public(name).__abstractmethods__ == abstract
    assert set(testing.__all__) == {"CameraContract", "Contract", "StageContract", "failures"}


def opened(**eye: Any) -> tuple[Focus, Any, Any]:
    rig, eye_there = microscope(**eye)
    return Focus(rig, rig.close, lambda: None), rig, eye_there


def test_it_focuses_and_says_how() -> None:
    with opened(focus_um=6.0)[0] as focus:
        outcome = focus.focus()
        assert (outcome.decision, outcome.in_focus) == ("IN_FOCUS", True)
        assert focus.z_um == pytest.approx(6.0, abs=0.6)
        assert (focus.state, focus.at_rest) == ("tracking", True)
    assert focus.state == "shutdown: closed"


def test_outcomes_are_plain_values() -> None:
    focus, _, _ = opened(focus_um=6.0)
    outcomes = [next(focus.frames()) for _ in range(2)]
    record = json.loads(json.dumps(outcomes[0].as_dict(), allow_nan=False))
    assert list(record) == FIELDS["Outcome"]
    assert list(record["estimate"]) == FIELDS["Estimate"]
    assert record["moved_to_um"] == pytest.approx(6.0)
    assert record["estimate"]["defocus_um"] == pytest.approx(6.0)
    assert record["decision"] in ("MOVE", "VERIFY")


def test_no_estimate_says_why() -> None:
    focus, _, _ = opened(answer=no_focus())
    record = next(focus.frames()).as_dict()
    assert record["decision"] == "HOLD"
    assert record["estimate"]["reason"] == "blank"
    assert record["estimate"]["defocus_um"] is None
    json.dumps(record, allow_nan=False)


def test_a_camera_without_frames_has_no_estimate() -> None:
    focus, rig, _ = opened()
    rig.camera.stalls = 1
    record = next(focus.frames()).as_dict()
    assert (record["estimate"], record["frame_id"], record["decision"]) == (None, None, "HOLD")


def test_frames_end_with_a_shutdown() -> None:
    focus, rig, _ = opened(focus_um=9.0, sign=-1)
    decisions = [outcome.decision for outcome in focus.frames()]
    assert decisions[-1] == "SHUTDOWN"
    assert list(focus.frames()) == []
    last = focus.focus()
    assert (last.decision, last.estimate) == ("SHUTDOWN", None)
    assert "sign" in last.reason
    before = len(rig.stage.moves)
    focus.restart()
    assert focus.state == "ready"
    assert len(rig.stage.moves) == before


def test_nothing_moves_while_it_is_held() -> None:
    focus, rig, eye = opened(focus_um=6.0)
    focus.hold("a z-stack")
    assert focus.held == "a z-stack"
    outcome = focus.focus()
    assert (outcome.decision, outcome.reason) == ("REFUSE", "held: a z-stack")
    assert rig.stage.moves == []
    eye.focus_um = -6.0
    focus.resume()
    assert focus.held == ""
    assert focus.focus().in_focus
    assert rig.stage.glass_um == pytest.approx(-6.0, abs=0.6)


def test_a_resume_forgets_what_was_known(monkeypatch: pytest.MonkeyPatch) -> None:
    focus, rig, _ = opened()
    fields_there: list[int] = []
    monkeypatch.setattr(rig.controller, "new_field", lambda: fields_there.append(1))
    focus.hold()
    assert fields_there == []
    focus.resume()
    focus.new_field()
    assert fields_there == [1, 1]


def test_a_latched_axis_is_not_moved() -> None:
    rig, _ = microscope(focus_um=6.0)
    rig.stage.latched = "SAFE_STOP"
    focus = Focus(rig, rig.close, lambda: None)
    assert "SAFE_STOP" in focus.state
    assert focus.focus().decision == "SHUTDOWN"
    assert rig.stage.moves == []
    rig.stage.latched = None


def test_a_halt_stops_a_move() -> None:
    focus, rig, _ = opened(focus_um=6.0)
    next(focus.frames())
    assert rig.stage.status().moving
    focus.halt()
    assert (rig.stage.stops, focus.state) == (1, "shutdown: halted by the program")


def test_a_stage_that_does_not_answer_raises_for_z() -> None:
    focus, rig, _ = opened()
    rig.stage.fail_status = StageError("gone")
    with pytest.raises(sparsefocus.StageError, match="gone"):
        focus.z_um  # noqa: B018


PICTURE = np.full((2016, 2016, 3), 200, np.uint8)


@pytest.mark.parametrize(
    ("pixels", "pixel_format", "says"),
    [
        (PICTURE.astype(np.uint16), None, "must be an array of uint8"),
        (PICTURE[0, 0], None, "must be an array of uint8"),
        (PICTURE[..., :2], None, r"shape \(2016, 2016, 2\) is no RGB8 picture"),
        (PICTURE, "Mono8", "is no Mono8 picture"),
        (PICTURE[..., 0], "RGB8", "is no RGB8 picture"),
        (PICTURE, "CMYK", "pixel_format = 'CMYK' must be one of Mono8, RGB8"),
        ([[1, 2]], None, "must be an array of uint8"),
    ],
)
def test_what_is_no_picture_is_told(pixels: Any, pixel_format: Any, says: str) -> None:
    rig, _ = microscope()
    with pytest.raises(ConfigError, match=says):
        measure_array(rig.sensor, pixels, pixel_format)


def test_a_picture_is_measured_and_nothing_moves() -> None:
    focus, rig, _ = opened(focus_um=3.0)
    estimate = focus.measure(PICTURE)
    assert estimate.defocus_um == pytest.approx(3.0)
    assert list(estimate.as_dict()) == FIELDS["Estimate"]
    assert focus.measure(PICTURE[..., 0]).reason == ""
    assert rig.stage.moves == []


def test_open_says_what_it_needs() -> None:
    with pytest.raises(ConfigError, match="give a config file"):
        sparsefocus.open()
    with pytest.raises(ConfigError, match="brings its own"):
        sparsefocus.open("scanner.yaml", simulate=True)
    with pytest.raises(ConfigError, match=r"na = 2 must be a number 0.02 to 0.99"):
        sparsefocus.Networks(na=2, magnification=20, um_per_px=0.34)
    with pytest.raises(ConfigError, match="um_per_px = nan must be"):
        sparsefocus.Networks(na=0.75, magnification=20, um_per_px=float("nan"))


def test_the_loop_of_the_door_is_the_loop() -> None:
    """The same numbers as the runtime's own."""
    focus, _, _ = opened(focus_um=6.0)
    rig, _ = microscope(focus_um=6.0)
    last = focus_field(rig)[-1]
    assert focus.focus().exposure_end_ns == last.exposure_end_ns
