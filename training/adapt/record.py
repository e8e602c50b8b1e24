"""What an adaptation found: a record for scripts and the page, and its sentence."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from edge.appliance.frame_result import FrameResult
from engines.manifest import Optics
from training.adapt.judge import Score, score
from training.adapt.material import AdaptRefused, Material, Stack


def results_of(
    material: Material,
    options: argparse.Namespace,
    optics: Optics,
    mirrored: bool,
    measured: tuple[list[FrameResult], list[FrameResult]],
) -> dict[str, Any]:
    """All that the page, the JSON and the sentence say; `measured`: the judged planes, before and
    after. AdaptRefused when the adapted models are no better."""
    scores = [score(results) for results in measured]
    if not scores[1].left_um < scores[0].left_um:
        raise AdaptRefused(
            f"not better: the adapted models leave {scores[1].left_um:.2f} um, the shipped ones "
            f"{scores[0].left_um:.2f} um: more stacks, or more --minutes"
        )
    judged = material.held or material.kept
    return {
        "manifest": options.zstacks.name,
        "grid": [material.grid.rows, material.grid.columns],
        "um_per_px": material.um_per_px,
        "range_um": optics.range_um,
        "mirrored": mirrored,
        "minutes": options.minutes,
        "steps": options.steps,
        "judged_on": "held-out stacks" if material.held else "the stacks the interval is from",
        "taught": [_stack_facts(stack) for stack in material.taught],
        "kept": [_stack_facts(stack) for stack in material.kept],
        "held": [_stack_facts(stack) for stack in material.held],
        "left_out": list(material.left_out),
        "before": asdict(scores[0]),
        "after": asdict(scores[1]),
        "error_gone": 1.0 - scores[1].left_um / scores[0].left_um,
        "stacks": {
            stack.name: [
                asdict(score([r for r in results if r.stack_id == stack.name]))
                for results in measured
            ]
            for stack in judged
        },
        "planes": [
            {"stack": b.stack_id, "true_um": b.true_um, "before_um": b.found_um,
             "after_um": a.found_um, "interval_um": a.interval_um, "reason": a.reason}
            for b, a in zip(*measured, strict=True)
        ],
    }  # fmt: skip


def _stack_facts(stack: Stack) -> dict[str, Any]:
    labels = stack.labels
    return {
        "name": stack.name,
        "planes": len(stack.planes),
        "focus_z_um": round(labels.focus_um, 3),
        "focus_from": "manifest" if labels.own else "sharpness",
        "sharpest_z_um": round(labels.measured_um, 3),
        "reversed_contrast": labels.reversed_contrast,
        "octave": labels.octave,
        "tilt_um": round(labels.tilt_um, 2),
        "informative_patches": labels.informative,
    }


def words_of(result: Score) -> str:
    """A score in a line."""
    if result.direction is None or result.mae_um is None:
        return f"{result.answered} of {result.frames} frames answered"
    return (
        f"{result.left_um:.2f} um left of {result.away_um:.2f}, direction {result.direction:.1%}, "
        f"{result.answered} of {result.frames} frames answered"
    )


def sentence(kept: dict[str, Any]) -> str:
    """The result for a person."""
    before, after = kept["before"], kept["after"]
    words = (
        f"{kept['judged_on']}, {after['frames']} planes: one shot left {before['left_um']:.2f} um "
        f"before, {after['left_um']:.2f} um after ({kept['error_gone']:.0%} gone)"
    )
    if after["direction"] is not None and before["direction"] is not None:
        words += f"; direction {before['direction']:.1%} before, {after['direction']:.1%} after"
    if after["coverage"] is not None:
        words += (
            f"; interval +-{after['interval_um']:.2f} um holds {after['coverage']:.0%} of the "
            f"{after['answered']} answered"
        )
    return words
