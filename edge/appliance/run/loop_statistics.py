"""What a long run was like, in constant memory: how frames ended, how late, what was lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from edge.decide.decision import Decision
from edge.decide.reading_scale import Scale
from edge.latency import LatencyHistogram
from edge.loop import LATE, Outcome
from edge.measure.training_range import FEATURES

#: of a step, and "age": from mid-exposure to the end
STAGES = (
    "preprocess", "rin", "select", "dpn", "gpu", "plain_look", "aggregate", "plan", "move",
    "second_look", "total", "age",
)  # fmt: skip


class LoopStatistics:
    """Counts outcomes; `add` is called once for each, from one thread, and allocates nothing that
    stays. Other threads may read."""

    def __init__(self) -> None:
        self.decisions: Counter[str] = Counter({d.value: 0 for d in Decision})
        self.frames = 0  # that came
        self.late = 0  # measured, and dropped because the result came too late
        self.stale = 0  # refused by the guard for their age
        self.missing = 0  # gaps in the frame ids: exposures that were never seen
        self.repeated = 0  # frame ids that did not rise
        self.stalls = 0  # time-outs
        self.moves = 0
        self.compared = 0  # with what the model was trained on
        self.outside: Counter[str] = Counter(dict.fromkeys(FEATURES, 0))  # by the furthest
        self.scale: Scale | None = None  # what a reading is worth
        self.last: Outcome | None = None
        self.latency = {stage: LatencyHistogram() for stage in STAGES}
        self._last_id: int | None = None

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.decisions[outcome.decision.value] += 1
        self.last = outcome
        if outcome.frame_id is None:
            self.stalls += 1
            return
        self.frames += 1
        self._follow(outcome.frame_id)
        self.scale = outcome.scale
        self.late += outcome.reason.startswith(LATE)
        self.stale += outcome.decision is Decision.REFUSE and outcome.reason.startswith("stale")
        self.moves += outcome.sent_ns is not None
        shift = outcome.measurement.shift if outcome.measurement else None
        if shift is not None:
            self.compared += 1
            self.outside[shift.feature] += shift.alarm
        for stage, ms in (outcome.latency_ms or {}).items():
            self.latency[stage].add(ms)
        if outcome.age_ms is not None:
            self.latency["age"].add(outcome.age_ms)

    def _follow(self, frame_id: int) -> None:
        if self._last_id is not None:
            step = frame_id - self._last_id
            self.missing += max(0, step - 1)
            self.repeated += step < 1
        self._last_id = frame_id

    def outside_share(self) -> float:
        """Share of the frames outside the model's training, of those that could be compared."""
        return sum(self.outside.values()) / self.compared if self.compared else 0.0

    def record(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        return {
            "frames": self.frames,
            "decisions": {name: count for name, count in self.decisions.items() if count},
            "moves": self.moves,
            "late": self.late,
            "stale": self.stale,
            "missing_frames": self.missing,
            "repeated_frames": self.repeated,
            "stalls": self.stalls,
            "outside_training": {
                "compared_frames": self.compared,
                "share": round(self.outside_share(), 4),
                "frames": {name: count for name, count in self.outside.items() if count},
            },
            "scale": asdict(self.scale) if self.scale else None,
            "latency_ms": {
                stage: {
                    "p50": round(times.quantile_ms(0.5), 3),
                    "p99": round(times.quantile_ms(0.99), 3),
                    "max": round(times.max_ms, 3),
                }
                for stage, times in self.latency.items()
                if times.total
            },
        }

    def line(self) -> str:
        """One line for a person."""
        total, age = self.latency["total"], self.latency["age"]
        words = f"{self.frames} frames, {self.moves} moves, {self.late + self.stale} late"
        if self.missing:
            words += f", {self.missing} missed"
        share = self.outside_share()
        if share:
            feature = max(self.outside, key=lambda name: self.outside[name])
            words += f", {100 * share:.2g} % outside the training ({feature})"
        if total.total:
            words += (
                f"; p50 {total.quantile_ms(0.5):.1f}, p99 {total.quantile_ms(0.99):.1f}, "
                f"max {total.max_ms:.1f} ms, age {age.quantile_ms(0.5):.0f} ms"
            )
        if self.scale is not None and (self.scale.jumps or self.scale.value != 1.0):
            words += f"; a reading is worth {self.scale.value:.2f} +- {self.scale.interval:.2f}"
            if self.scale.jumps:
                words += f", changed {self.scale.jumps} times: has the iris been turned?"
        if self.last is not None:
            words += f"; {self.last.decision.value}: {self.last.reason}"
        return words
