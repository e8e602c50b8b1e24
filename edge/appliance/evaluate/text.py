"""An evaluation as text for a terminal: fixed-width tables, shares in percent, lengths in um."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edge.appliance.evaluate.bootstrap import Range
from edge.appliance.evaluate.evaluation import Evaluation
from edge.appliance.evaluate.metrics import ALL, PAPER_DOF_UM, BlankLine, Line, start_of
from edge.appliance.frame_result import FrameResult

#: heading, width, value's name, whether it is a share
_COLUMNS = (
    ("sd", 6, "sd_um", False),
    ("median", 7, "median_um", False),
    ("p95", 7, "p95_um", False),
    ("1 DoF", 7, "dof", True),
    ("1/2", 6, "dof_half", True),
    ("1/3", 6, "dof_third", True),
    (f"{PAPER_DOF_UM:g}um", 7, "paper_dof", True),
    ("of all", 7, "dof_of_all", True),
    ("DSS", 7, "dss", True),
    (">=1um", 7, "direction", True),
    ("inside", 7, "coverage", True),
    ("<3um", 6, "coverage_near", True),
    ("+-um", 6, "interval_um", False),
    ("sharp", 7, "sharpness", False),
    ("p10", 6, "sharpness_p10", False),
)
_NAME = 22


def condition_text(result: Evaluation, condition: str) -> str:
    """The groups of one condition, then their mean error by distance."""
    mine = [line for line in result.lines if line.condition == condition]
    whole, groups = result.whole(condition), result.groups(condition)
    if len(groups) > 1:  # else "all" would say the same again
        groups = [*groups, whole]
    head = (
        f"{'group':<{_NAME}}{'frames':>7}{'slides':>7}{'answered':>9}{'MAE um':>8}{'95 %':>12}"
    ) + "".join(f"{name:>{width}}" for name, width, _, _ in _COLUMNS)
    about = (
        f"{condition}: {whole.frames} frames of {whole.slides} slides, "
        f"{whole.frames - whole.answered} not answered{_why(whole)}; DoF = {result.dof_um:.3f} um"
    )
    return "\n".join(
        [about, head, "-" * len(head), *map(_row, groups), "", _distances(mine, groups)]
    )


def _row(line: Line) -> str:
    span = line.ranges["mae_um"]
    answered, mean = line.values["answered_share"], line.values["mae_um"]
    text = f"{line.group:<{_NAME}}{line.frames:>7}{line.slides:>7}"
    text += f"{_share(answered):>9}{_um(mean):>8}{_span(span):>12}"
    for _, width, name, share in _COLUMNS:
        value = line.values[name]
        text += f"{_share(value) if share else _um(value):>{width}}"
    return text


def _distances(lines: list[Line], groups: list[Line]) -> str:
    """MAE of each group by the distance from focus."""
    order = sorted({x.distance for x in lines if x.distance != ALL}, key=start_of)
    by_distance = {(line.group, line.distance): line for line in lines}
    rows = [f"{'MAE um at |d|, um':<{_NAME}}" + "".join(f"{name:>9}" for name in order)]
    for group in (line.group for line in groups):
        cells = [by_distance.get((group, distance)) for distance in order]
        values = ["-" if cell is None else _um(cell.values["mae_um"]) for cell in cells]
        rows.append(f"{group:<{_NAME}}" + "".join(f"{value:>9}" for value in values))
    return "\n".join(rows)


def _why(line: Line) -> str:
    words = ", ".join(f"{count} {reason}" for reason, count in sorted(line.reasons.items()))
    return f" ({words})" if words else ""


def blank_text(line: BlankLine) -> str:
    """False moves of one group without content, in one line."""
    span = "" if line.share_95 is None else f", 95 % {_span(line.share_95, 100.0, 1)}"
    large = "" if line.largest_um is None else f", the largest {line.largest_um:.1f} um"
    return (
        f"{line.condition} {line.group}: {line.frames} frames of {line.slides} slides with nothing "
        f"to focus on, {line.answered} answered, {line.false_moves} false moves "
        f"({_share(line.share)} %{span}){large}"
    )


def worst_text(rows: Iterable[FrameResult]) -> str:
    """The frames with the largest errors."""
    worst = [
        f"  {row.true_um:+7.2f} found {row.found_um:+7.2f} +- {row.interval_um:.2f} um  "
        f"k {row.k:<2} {row.condition}, {row.group}, {row.name}"
        for row in rows
    ]
    return "\n".join(["worst frames: true", *worst])


def unscored_text(unscored: Mapping[str, int]) -> str:
    """Frames that were measured but have nothing to be compared with."""
    each = ", ".join(f"{count} of {condition}" for condition, count in unscored.items())
    return f"not scored, their focus is not known: {each}"


def _um(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100.0 * value:.1f}"


def _span(span: Range | None, times: float = 1.0, digits: int = 2) -> str:
    if span is None:
        return "-"
    return f"{times * span[0]:.{digits}f}-{times * span[1]:.{digits}f}"
