"""Charts are well-formed SVG, in words as well as in shapes, whatever the numbers."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import numpy as np
import pytest

from edge.appliance.report.charts import (
    MAX_POINTS,
    STAGES,
    Mark,
    error_svg,
    latency_histogram_svg,
    stage_bars_svg,
    z_trace_svg,
)
from edge.appliance.report.plot import Axis, number
from tests.support.sessions import LATENCY, session


def parsed(svg: str) -> ElementTree.Element:
    """The chart as XML; every coordinate is a finite number inside the picture."""
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert "nan" not in svg
    assert "inf" not in svg.replace("info", "")
    width = float(root.get("width", "0"))
    for element in root.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert -1 <= float(element.get(name, "0")) <= width + 1
    return root


def words(root: ElementTree.Element) -> str:
    return " ".join(text for text in root.itertext())


def test_errors_of_all_fields() -> None:
    root = parsed(error_svg(session().fields, 0.604))
    words_shown = words(root)
    assert "µm" in words_shown
    assert "sharp: ≤ 0.60 µm" in words_shown
    assert "field 0, after the first shot: 0.200 µm" in words_shown
    assert "no best focus to compare with: HOLD" in words_shown
    assert "2 · <b>, a&b" in words_shown  # escaped in the source, so it parses


def test_a_sharp_end_is_a_dot_and_another_a_diamond() -> None:
    fields = session().fields
    legend = 1
    sharp = parsed(error_svg(fields[:1], 0.604))
    assert len(sharp.findall("polygon")) == legend
    blurred = parsed(error_svg(fields[1:2], 0.604))
    assert len(blurred.findall("polygon")) == legend + 1


def test_an_error_of_zero_and_no_field_at_all() -> None:
    perfect = session().fields[0]
    perfect.z_final_um = perfect.z_after_first_um = 200.0
    parsed(error_svg([perfect], 0.6))
    parsed(error_svg([], 0.6))


def test_the_trace_rises_with_the_objective() -> None:
    root = parsed(z_trace_svg([(0.0, 190.0), (0.1, 210.0)], 200.0, 0.6))
    line = root.find("polyline")
    assert line is not None
    (x0, y0), (x1, y1) = (map(float, p.split(",")) for p in line.get("points", "").split())
    assert x1 > x0
    assert y1 < y0  # SVG counts downwards: up on the page is up at the microscope
    assert "objective height, µm" in words(root)


def test_marks_stand_on_the_trace() -> None:
    marks = [Mark(0.05, "frame", "frame 7"), Mark(0.08, "move", "move to <5>")]
    root = parsed(z_trace_svg([(0.0, 190.0), (0.1, 210.0)], None, 0.6, marks))
    words_shown = words(root)
    assert "frame 7 (0.050 s)" in words_shown
    assert "move to <5> (0.080 s)" in words_shown
    assert "sharp" not in words_shown  # no focus, no band


@pytest.mark.parametrize("trace", [[], [(0.0, 5.0)], [(0.0, math.nan)], [(0.0, 5.0), (0.0, 5.0)]])
def test_traces_with_little_in_them(trace: list[tuple[float, float]]) -> None:
    parsed(z_trace_svg(trace, 5.0, 0.6))


def test_a_long_trace_keeps_its_peaks() -> None:
    trace = [(i / 1000, 5.0) for i in range(20_000)]
    trace[7777] = (7.777, 9.0)
    line = parsed(z_trace_svg(trace, None, 0.6)).find("polyline")
    assert line is not None
    points = [tuple(map(float, p.split(","))) for p in line.get("points", "").split()]
    assert len(points) <= MAX_POINTS + 2
    assert len({y for _, y in points}) == 2


def test_histogram_names_quantiles_and_period() -> None:
    root = parsed(latency_histogram_svg([30.0, 40.0, 50.0, math.nan], 100.0))
    words_shown = words(root)
    assert "p50 40.0 ms" in words_shown
    assert "p99 49.8 ms" in words_shown
    assert "frame period 100 ms" in words_shown
    assert "(log)" not in words_shown


def test_histogram_counts_every_frame_even_on_a_log_axis() -> None:
    values = [*np.linspace(5, 6, 50), 400.0]
    root = parsed(latency_histogram_svg(values, 50.0))
    assert "(log)" in words(root)
    counts = [int(t.text.rpartition(":")[2]) for t in root.iter("title") if t.text]
    assert sum(counts) == 51


@pytest.mark.parametrize("values", [[], [math.nan], [0.0], [20.0] * 3])
def test_histograms_of_little(values: list[float]) -> None:
    parsed(latency_histogram_svg(values, 100.0))


def test_stages_follow_each_other() -> None:
    root = parsed(stage_bars_svg([LATENCY, LATENCY, {"preprocess": 2.0, "total": 2.0}]))
    words_shown = words(root)
    on_the_cpu = [stage for stage in STAGES if stage != "gpu"]
    assert all(stage in words_shown for stage in on_the_cpu)
    bars = root.findall("rect")
    starts = [float(r.get("x", "0")) for r in bars]
    assert starts == sorted(starts)
    assert len(bars) == len(on_the_cpu)
    on_the_gpu = words(parsed(stage_bars_svg([{"gpu": 3.0, "aggregate": 0.5, "total": 3.5}])))
    assert "gpu" in on_the_gpu
    assert "dpn" not in on_the_gpu
    parsed(stage_bars_svg([]))


def test_axis_ticks_are_round_and_inside() -> None:
    assert Axis(0, 108, 0, 1).ticks() == [0, 20, 40, 60, 80, 100]
    assert Axis(-0.3, 0.3, 0, 1).ticks() == [-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3]
    assert Axis(0.1, 39, 0, 1, log=True).ticks() == pytest.approx([0.1, 1, 10])
    assert Axis(3, 30, 0, 1, log=True).ticks() == pytest.approx([5, 10, 20])
    assert Axis(5, 5, 0, 1).ticks() == [5]
    assert [number(x) for x in (-2.0, 0.1, 1e-3)] == ["−2", "0.1", "0.001"]


def test_axis_sticks_to_its_ends() -> None:
    axis = Axis(1, 100, 50, 150, log=True)
    assert [axis(x) for x in (0.0, 1, 10, 100, 1e9)] == pytest.approx([50, 50, 100, 150, 150])
