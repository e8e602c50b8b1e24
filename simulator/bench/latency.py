"""Milliseconds by stage, by k and by contender, frame by frame in turn."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from simulator.bench.contenders import Contender, Ours
from simulator.bench.frames import Pictures

#: the loop's stages that are not one of the two networks
OUTSIDE = ("preprocess", "select", "plain_look", "aggregate", "plan", "move")
TO_ESTIMATE = ("preprocess", "rin", "select", "dpn", "plain_look", "aggregate")
WARM_UP = 4  # frames that are not counted

Times = dict[int, dict[str, list[float]]]


class Run:
    """The times of one run: `add` them, then ask for the `record`."""

    def __init__(self) -> None:
        self.stages: Times = defaultdict(lambda: defaultdict(list))
        self.others: Times = defaultdict(lambda: defaultdict(list))
        self.held: dict[int, int] = defaultdict(int)

    def add_ours(self, k: int, ms: Mapping[str, float], moved: bool) -> None:
        """One frame of the loop. `total` counts only where a command was sent."""
        self.held[k] += not moved
        for stage in (*TO_ESTIMATE, "plan"):
            self.stages[k][stage].append(ms[stage])
        self.stages[k]["to estimate"].append(sum(ms[stage] for stage in TO_ESTIMATE))
        if moved:
            outside = sum(ms[stage] for stage in OUTSIDE)
            self.stages[k]["move"].append(ms["move"])
            self.stages[k]["outside share"].append(outside / ms["total"])
            self.stages[k]["total"].append(ms["total"])

    def record(self) -> dict[str, Any]:
        """As JSON. `ratios`: a contender's median over ours, both from frame to estimate;
        `ratios_of_least`: of the least times, which other work on the machine touches less."""
        ours = {k: {name: spread(x) for name, x in rows.items()} for k, rows in self.stages.items()}
        others = {
            name: {str(k): spread(self.others[k][name]) for k in self.others}
            for name in next(iter(self.others.values()), {})
        }
        return {
            "ours": {str(k): rows for k, rows in ours.items()},
            "others": others,
            "ratios": _ratios(ours, others, "p50"),
            "ratios_of_least": _ratios(ours, others, "least"),
            "frames_without_a_move": {str(k): count for k, count in self.held.items()},
        }


def _ratios(
    ours: Mapping[int, Mapping[str, Mapping[str, float]]],
    others: Mapping[str, Mapping[str, Mapping[str, float]]],
    key: str,
) -> dict[str, dict[str, float]]:
    return {
        name: {k: round(row[key] / ours[int(k)]["to estimate"][key], 2) for k, row in rows.items()}
        for name, rows in others.items()
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """least, p50, p99, max and the number of values."""
    p50, p99 = np.quantile(values, (0.5, 0.99))
    numbers = {"least": min(values), "p50": p50, "p99": p99, "max": max(values)}
    return {**{name: round(float(x), 3) for name, x in numbers.items()}, "count": len(values)}


def measure(
    loop: Ours,
    others: Mapping[str, Contender],
    pictures: Pictures,
    frames: int,
    every: int,
    done: Callable[[str], None],
) -> Run:
    """`frames` frames at each k for the loop, of which the contenders see each `every`-th; who
    begins changes from frame to frame."""
    run = Run()
    for number in range(-WARM_UP, frames):
        for k, shown in pictures.by_k.items():
            picture = shown[number % len(shown)]
            names = ["ours", *(others if number % every == 0 or number < 0 else ())]
            turn = number // every % len(names)
            for name in (*names[turn:], *names[:turn]):
                if name == "ours":
                    outcome = loop(picture, k)
                    if number >= 0:
                        run.add_ours(k, outcome.latency_ms or {}, outcome.move is not None)
                    continue
                begin = time.perf_counter()
                others[name](picture, k)
                if number >= 0:
                    run.others[k][name].append((time.perf_counter() - begin) * 1e3)
        if number >= 0 and (number + 1) % 25 == 0:
            done(f"{number + 1} frames at each k")
    return run
