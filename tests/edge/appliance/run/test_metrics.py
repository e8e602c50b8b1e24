"""The loop's numbers for Prometheus: read by its own parser, on this machine only, GET only."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge.appliance.run import outlets
from edge.appliance.run.loop_statistics import LoopStatistics
from edge.appliance.run.metrics import LoopCollector, exposition
from edge.appliance.run.outlets import FILE, metrics_at, metrics_in, open_outlets
from edge.appliance.run.verb import Asked, track
from edge.errors import ConfigError
from edge.latency import LatencyHistogram
from tests.support.counted_frames import after
from tests.support.fake_microscope import microscope

HEALTH = {"temperatures_c": {"cpu": 51.5}, "power_mw": {"VDD_IN": 9000.0}}


def measured(record: dict[str, Any] | None = None) -> tuple[LoopCollector, LoopStatistics, Any]:
    rig, _ = microscope(focus_um=6.0)
    statistics = LoopStatistics()
    track(rig, statistics, Asked(), after(12))
    rig.guard.refused["stale"] = 3
    info = {"version": "1.2", "dpn": "abc"}
    return LoopCollector(rig, statistics, lambda: record, info, lambda: HEALTH), statistics, rig


def samples(collector: LoopCollector) -> dict[tuple[str, tuple[str, ...]], float]:
    text = exposition(collector).decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_numbers_are_those_of_the_statistics() -> None:
    record = {"bytes": 5000, "lost_decisions": 1, "lost_pictures": 2}
    collector, statistics, _ = measured(record)
    says = samples(collector)
    for decision, count in statistics.decisions.items():
        assert says["sparsefocus_frames_total", (decision,)] == count
    assert says["sparsefocus_moves_total", ()] == statistics.moves > 0
    assert says["sparsefocus_refused_total", ("stale",)] == 3
    assert says["sparsefocus_state", ("tracking",)] == 1
    assert says["sparsefocus_state", ("shutdown",)] == 0
    assert says["sparsefocus_interval_micrometers", ()] == 0.2
    assert says["sparsefocus_info", ("abc", "1.2")] == 1
    assert says["sparsefocus_temperature_celsius", ("cpu",)] == 51.5
    assert says["sparsefocus_power_watts", ("VDD_IN",)] == 9.0
    assert says["sparsefocus_record_bytes_total", ()] == 5000
    assert says["sparsefocus_record_lost_total", ("pictures",)] == 2
    assert says["sparsefocus_age_seconds_count", ()] == 12


def test_before_the_first_frame_there_are_zeros_and_nothing_fails() -> None:
    rig, _ = microscope()
    collector = LoopCollector(rig, LoopStatistics(), lambda: None, {}, dict)
    says = samples(collector)
    assert says["sparsefocus_moves_total", ()] == 0
    assert not any("defocus" in name for name, _ in says)


def test_a_histogram_counts_what_was_at_most_its_edge() -> None:
    times = LatencyHistogram()
    for ms in (0.5, 4.0, 4.0, 40.0, 900.0, 2e5):
        times.add(ms)
    assert times.below_ms([1.0, 5.0, 30.0, 50.0, 1000.0]) == [1, 3, 3, 4, 5]
    assert times.sum_ms == pytest.approx(200_948.5)


def ask(port: int, method: str = "GET", path: str = "/metrics", host: str = "localhost") -> Any:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, headers={"Host": f"{host}:{port}"})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read()
    finally:
        connection.close()


def test_it_is_there_for_get_alone_and_by_this_machines_names() -> None:
    collector, _, _ = measured()
    with metrics_at(0, lambda: exposition(collector)) as port:
        status, kind, body = ask(port)
        assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert b"sparsefocus_moves_total" in body
        assert ask(port, path="/")[0] == 404
        assert ask(port, host="evil.example")[0] == 403
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
            assert ask(port, method)[0] == 501
    with pytest.raises(ConnectionRefusedError):
        ask(port)


def test_who_does_not_ask_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlets, "REQUEST_S", 0.05)
    with metrics_at(0, lambda: b"") as port, socket.create_connection(("127.0.0.1", port)):
        assert ask(port)[0] == 200


def test_the_file_is_whole_and_the_last_one_stays(tmp_path: Path) -> None:
    collector, statistics, rig = measured()
    with metrics_in(tmp_path, lambda: exposition(collector)):
        track(rig, statistics, Asked(), after(15))
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    text = (tmp_path / FILE).read_text()
    families = {family.name for family in text_string_to_metric_families(text)}
    assert "sparsefocus_frames" in families
    assert (
        sum(
            int(float(line.split()[1]))
            for line in text.splitlines()
            if line.startswith("sparsefocus_frames_total")
        )
        == 15
    )


@pytest.mark.parametrize(
    "options",
    [{"metrics": 0}, {"metrics": 70000}, {"textfile": Path("/nonexistent")}],
)
def test_what_cannot_be_is_told_before_anything_moves(options: dict[str, Any]) -> None:
    rig, _ = microscope()
    with ExitStack() as opened, pytest.raises(ConfigError, match="--"):
        open_outlets(opened, SimpleNamespace(**options), rig, LoopStatistics(), lambda: None)


def test_a_port_that_is_taken_is_one_line() -> None:
    with metrics_at(0, lambda: b"") as port, pytest.raises(ConfigError, match="in use"):
        metrics_at(port, lambda: b"").__enter__()
