"""The loop's numbers as Prometheus has them: read from the statistics when somebody asks.

The loop counts nothing for this. Names and units by Prometheus' conventions (seconds, micrometres
where focus is meant, totals that only rise); docs/fleet.md has the list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from edge.appliance.run.loop_statistics import LoopStatistics
from edge.latency import LatencyHistogram
from edge.measure.aggregate import FocusEstimate
from edge.rig import Rig
from edge.state import State
from engines.device_health import read_health

#: s; upper edges of the latencies that are shown
EDGES_S = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 5.0)
PREFIX = "sparsefocus"


class LoopCollector(Collector):
    """`record`: what the flight recorder says of itself, None without one."""

    def __init__(
        self,
        rig: Rig,
        statistics: LoopStatistics,
        record: Callable[[], dict[str, Any] | None],
        info: dict[str, str],
        health: Callable[[], dict[str, Any]] = read_health,
    ) -> None:
        self._rig, self._statistics, self._record = rig, statistics, record
        self._info, self._health = info, health

    def collect(self) -> Iterator[Metric]:
        """All of them, as they are now."""
        yield InfoMetricFamily(PREFIX, "What runs here.", value=self._info)
        yield from self._counts()
        yield from self._focus()
        yield from self._times()
        yield from self._device()
        yield from self._recorded()

    def _counts(self) -> Iterator[Metric]:
        s, rig = self._statistics, self._rig
        frames = _counter("frames", "Frames by how they ended.", "decision")
        for name, count in dict(s.decisions).items():
            frames.add_metric([name], count)
        yield frames
        yield _counter("moves", "Moves that were sent.", value=s.moves)
        refused = _counter("refused", "Moves that the guard refused.", "reason")
        for name, count in dict(rig.guard.refused).items():
            refused.add_metric([name], count)
        yield refused
        lost = _counter("frames_lost", "Frames that moved nothing for their lateness, or that were "
                        "never seen.", "by")  # fmt: skip
        for by, count in (("camera", rig.camera.dropped), ("late", s.late), ("stale", s.stale),
                          ("missing", s.missing), ("stalled", s.stalls)):  # fmt: skip
            lost.add_metric([by], count)
        yield lost
        outside = _counter("outside_training", "Frames outside the training, by what.", "feature")
        for name, count in dict(s.outside).items():
            outside.add_metric([name], count)
        yield outside

    def _focus(self) -> Iterator[Metric]:
        states = {each.value: each is self._rig.state.value for each in State}
        yield StateSetMetricFamily(f"{PREFIX}_state", "What the runtime does.", value=states)
        last = self._statistics.last
        estimate = last.estimate if last is not None else None
        if isinstance(estimate, FocusEstimate) and last is not None:
            yield _gauge("defocus_micrometers", "Of the last frame; positive = objective up.",
                         estimate.defocus_um)  # fmt: skip
            interval_um = last.interval_um
            assert interval_um is not None
            yield _gauge("interval_micrometers", "Half-width of its 95 % interval.", interval_um)
            yield _gauge("patches", "That were measured of it.", estimate.patches)
        shift = last.measurement.shift if last is not None and last.measurement else None
        if shift is not None:
            yield _gauge("shift_score", "How far it lies outside the training; above 1 = outside.",
                         shift.score)  # fmt: skip
        scale = self._statistics.scale
        if scale is not None:
            yield _gauge("reading_scale", "Micrometres read for each that the glass moves.",
                         scale.value)  # fmt: skip

    def _times(self) -> Iterator[Metric]:
        stages = HistogramMetricFamily(
            f"{PREFIX}_stage_seconds", "Of the loop's stages.", labels=["stage"]
        )
        for name, times in self._statistics.latency.items():
            if name != "age" and times.total:
                _histogram(stages, [name], times)
        yield stages
        age = HistogramMetricFamily(
            f"{PREFIX}_age_seconds", "From mid-exposure to the move.", labels=[]
        )
        _histogram(age, [], self._statistics.latency["age"])
        yield age

    def _device(self) -> Iterator[Metric]:
        health = self._health()
        heat = GaugeMetricFamily(f"{PREFIX}_temperature_celsius", "By zone.", labels=["zone"])
        for zone, degrees in health.get("temperatures_c", {}).items():
            heat.add_metric([zone], degrees)
        yield heat
        power = GaugeMetricFamily(f"{PREFIX}_power_watts", "By rail.", labels=["rail"])
        for rail, milliwatts in health.get("power_mw", {}).items():
            power.add_metric([rail], milliwatts / 1e3)
        yield power

    def _recorded(self) -> Iterator[Metric]:
        record = self._record()
        if record is None:
            return
        yield _counter("record_bytes", "Of the flight record.", value=record["bytes"])
        lost = _counter("record_lost", "What it lacks.", "what")
        for what in ("decisions", "pictures"):
            lost.add_metric([what], record[f"lost_{what}"])
        yield lost


def exposition(collector: Collector) -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry)


def _counter(
    name: str, text: str, label: str | None = None, value: float | None = None
) -> CounterMetricFamily:
    labels = None if label is None else [label]
    return CounterMetricFamily(f"{PREFIX}_{name}", text, value=value, labels=labels)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value=value)


def _histogram(family: HistogramMetricFamily, labels: list[str], times: LatencyHistogram) -> None:
    counts = times.below_ms([edge * 1e3 for edge in EDGES_S])
    edges = [f"{edge:g}" for edge in EDGES_S]
    buckets = [*zip(edges, counts, strict=True), ("+Inf", max([times.total, *counts]))]
    family.add_metric(labels, buckets, times.sum_ms / 1e3)
