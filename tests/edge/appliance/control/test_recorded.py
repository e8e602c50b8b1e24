"""What clients changed is in the flight record: it replays to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.appliance.control.desk import Asked as AskedOf
from edge.appliance.control.desk import Desk
from edge.appliance.control.requests import Request
from edge.appliance.record.files import records_in
from edge.appliance.record.recorder import Recorder
from edge.appliance.record.replay import replay
from edge.appliance.run.loop_statistics import LoopStatistics
from edge.appliance.run.verb import Asked, track
from edge.measure.focus_offset import with_offset
from edge.settings import RecordSettings
from tests.support import reference_records
from tests.support.fake_microscope import FakeMeasurer
from tests.support.reference_records import Bench, nominal


def test_holds_offsets_and_fields_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settable = lambda eye: with_offset(FakeMeasurer(eye), 0.0, settable=True)  # noqa: E731
    monkeypatch.setattr(reference_records, "FakeMeasurer", settable)
    answers: list[dict[str, Any]] = []
    with Recorder(RecordSettings(), tmp_path) as recorder:
        bench = Bench(recorder, nominal(), {})
        desk, statistics = Desk(bench.rig), LoopStatistics()

        def frames(*requests: Request) -> None:
            for request in requests:
                desk.put(AskedOf(request, 1, "a test", answers.append, lambda: True))
            until = statistics.frames + 8
            over = lambda so_far: so_far.frames >= until  # noqa: E731
            assert track(bench.rig, statistics, Asked(), over, recorder, desk=desk) == 0

        start_um = bench.stage.glass_um
        bench.eye.focus_um = start_um + 6.0
        frames()
        bench.eye.focus_um = start_um - 6.0
        moves = len(bench.stage.moves)
        frames(Request("hold", None, {"reason": "a z-stack"}))
        assert len(bench.stage.moves) == moves
        frames(Request("resume"))
        assert bench.stage.glass_um == pytest.approx(start_um - 6.0, abs=0.6)
        frames(Request("offset", None, {"um": 3.0}))
        assert bench.stage.glass_um == pytest.approx(start_um - 3.0, abs=0.6)
        frames(Request("focus"))
    assert [answer["ok"] for answer in answers] == [True] * 4
    (path,) = records_in(tmp_path)
    replayed = replay(path)
    assert (replayed.frames, replayed.difference) == (40, None)
