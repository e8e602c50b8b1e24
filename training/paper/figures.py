"""The paper's figures from our frames: Fig. 2 regression, Fig. 3 error by distance, Fig. 4 PSF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape

import numpy as np

from edge.appliance.evaluate.charts import (
    PALETTE,
    RANGE_UM,
    distance_svg,
    regression_svg,
)
from edge.appliance.evaluate.metrics import Line
from edge.appliance.frame_result import FrameResult
from training.paper import psf
from training.paper.published import GROUPS

REACH_UM = RANGE_UM * 1.2  # rivals answer beyond the range; what lies outside sticks to the edge
ZOOM = 3.0


def regression(rows: Sequence[FrameResult], methods: Sequence[str], dof_um: float) -> str:
    """Found against true, a row of six panels per method; all but the first two folded away."""
    parts = []
    for number, method in enumerate(methods):
        colour = PALETTE[number % len(PALETTE)]
        mine = [row for row in rows if row.condition == method]
        panels = "".join(
            '<div class="card">'
            + regression_svg(g, [r for r in mine if r.group == g], colour, dof_um, REACH_UM)
            + "</div>"
            for g in GROUPS
        )
        opened = " open" if number < 2 else ""
        parts.append(
            f"<details{opened}><summary>{escape(method)}</summary>"
            f'<div class="panels">{panels}</div></details>'
        )
    return "\n".join(parts)


def by_distance(lines: Sequence[Line], methods: Sequence[str]) -> str:
    """Mean error by distance, one chart per group, a bar per method."""
    colour = {method: PALETTE[i % len(PALETTE)] for i, method in enumerate(methods)}
    parts = []
    for group in GROUPS:
        mine = [replace(x, group=x.condition) for x in lines if x.group == group]
        parts.append(
            f'<figure class="card"><h3>{escape(group)}</h3>{distance_svg(mine, colour)}</figure>'
        )
    return "\n".join(parts)


def point_spread() -> str:
    """Through focus, at +-5 um, and their difference, in green; how much it differs in numbers."""
    depth = psf.through_focus()
    above, below = psf.point(5.0), psf.point(-5.0)
    top = max(float(above.max()), float(below.max()))
    middle = slice(psf.SIDE // 4, 3 * psf.SIDE // 4)
    width_um = psf.SIDE / 2 * psf.PITCH_UM
    difference = above - below
    most = float(np.abs(difference).max())
    pictures = (
        (f"Through focus: height {psf.DEPTH_UM:+g} um at the top to {-psf.DEPTH_UM:+g} um below, "
         f"{width_um:.1f} um wide", psf.grey(depth[::-1, middle])),
        ("5 um above focus", psf.grey(above[middle, middle], top)),
        ("5 um below focus", psf.grey(below[middle, middle], top)),
        ("above less below: orange darker above, blue darker below",
         psf.signed(difference[middle, middle], most)),
    )  # fmt: skip
    images = "".join(
        f'<figure><img alt="{escape(words)}" src="{psf.data_url(picture, ZOOM)}">'
        f"<figcaption>{escape(words)}</figcaption></figure>"
        for words, picture in pictures
    )
    return f'<div class="card psf">{images}</div>'
