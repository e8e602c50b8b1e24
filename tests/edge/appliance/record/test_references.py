"""Every release decides alike on what the world said, or says so on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.appliance import cli
from edge.appliance.record.files import RecordReader
from edge.appliance.record.replay import replay
from edge.appliance.record.session import machine
from edge.appliance.record.values import value_of
from edge.decide.conduct import Conduct
from edge.decide.decision import Decision
from edge.decide.hunt import Hunt
from edge.guard import Guard
from tests.support.reference_records import FOLDER, SCENES

RECORDS = sorted(FOLDER.glob("*.mcap"))
RENEW = "if this is meant: python -m tests.support.reference_records (docs/record.md)"
MOST_BYTES = 300_000  # all of them: they are in the repository


def test_every_scene_has_its_record() -> None:
    assert {path.stem for path in RECORDS} >= set(SCENES)
    assert sum(path.stat().st_size for path in RECORDS) < MOST_BYTES


def test_they_are_of_no_machine() -> None:
    """What is in the repository says nothing of whose computer made it."""
    for path in RECORDS:
        session = RecordReader(path).session
        assert (session["boot"], session["system"]) == ("", "")
        paths = [session["config"]["models"][net]["v"] for net in ("rin", "dpn")]
        assert paths == ["rin.json", "dpn.json"]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_the_loop_decides_as_it_did(path: Path) -> None:
    there, here = RecordReader(path).session, machine()
    alike = all(there[key] == here[key] for key in ("processor_flags", "versions"))
    replayed = replay(path, tolerance=0.0 if alike else 1e-9)
    assert replayed.difference is None, f"{replayed.difference}; {RENEW}"
    assert (replayed.passed_over, replayed.ended) == (0, "")
    assert replayed.frames


def test_every_decision_is_among_them() -> None:
    decisions = {
        value_of(message.table()["outcome"]["decision"])
        for path in RECORDS
        for message in RecordReader(path)
        if message.topic == "/frame"
    }
    assert decisions == set(Decision)


def test_a_move_that_is_other_by_its_last_bit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    travel_um = Hunt.travel_um
    monkeypatch.setattr(Hunt, "travel_um", lambda hunt, um: travel_um(hunt, um) * (1 + 2**-50))
    difference = replay(FOLDER / "fields.mcap").difference
    assert difference is not None
    assert difference.field == "stage"
    assert difference.recorded.startswith("stage.move_to(")
    assert difference.now.startswith("stage.move_to(")
    assert difference.recorded != difference.now


def test_a_guard_that_refuses_more_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    settled = Guard._check_settled
    monkeypatch.setattr(
        Guard, "_check_settled",
        lambda guard, frame, status: settled(guard, frame, status) or guard._check_step,
    )  # fmt: skip
    assert replay(FOLDER / "fields.mcap").difference is None  # it only looks so
    monkeypatch.setattr("edge.guard.MAX_SLACK_UM", -30.0)
    difference = replay(FOLDER / "fields.mcap").difference
    assert difference is not None
    assert difference.field == "what the loop asks"
    assert difference.recorded.startswith("stage.move_to(")


def test_a_reason_is_part_of_a_decision(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = FOLDER / "wrong_sign.mcap"
    strike = Conduct.strike
    monkeypatch.setattr(
        Conduct, "strike", lambda conduct, *found: strike(conduct, *found).replace("focus", "Focus")
    )
    assert cli.main(["replay", str(path)]) == 1
    out = capsys.readouterr().out
    assert "outcome.reason" in out or "reason: recorded 'focus sign" in out
    assert "now 'Focus sign" in out
