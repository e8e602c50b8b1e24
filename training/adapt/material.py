"""The stacks of an instrument: read, looked through, dealt out, refused where they cannot teach."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge.errors import ConfigError
from edge.images.zstack import Exposure, read_manifest, read_pixels, stacks
from edge.measure.preprocess import PATCH_PX, PatchGrid
from training.adapt.label import Labels, label

LEAST_PLANES = 5  # of a stack that teaches where another is kept
LEAST_ALONE = 7  # of a single stack, of which planes are kept
LEAST_SIDE = 2  # planes above and below focus, each at least so far from it:
CLEAR_UM = 1.0
EVERY = 4  # one stack in four, or one plane, is left to judge the interval by
ROOM = 1.08
REACH_UM = 55.0  # the DPN's bins end at 60
Say = Callable[[str], None]


class AdaptRefused(ConfigError):
    """The stacks cannot support an adaptation; says why and what would."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Planes of one field at rising z, and what they say of it (None before it was looked at)."""

    name: str
    planes: tuple[Exposure, ...]
    labels: Labels

    def defocus_um(self, plane: Exposure) -> float:
        """The correction that would focus that plane: positive = a higher z."""
        return self.labels.focus_um - plane.z_um


@dataclass(frozen=True, slots=True)
class Material:
    """`taught` is trained on; `kept` gives the interval and is looked at by no training; `held` is
    what the user left out, judged and nothing else."""

    grid: PatchGrid
    frame_px: tuple[int, int]
    um_per_px: float
    taught: tuple[Stack, ...]
    kept: tuple[Stack, ...]
    held: tuple[Stack, ...]
    left_out: tuple[str, ...] = ()  # why, of each that cannot teach

    @property
    def range_um(self) -> float:
        """|defocus| that the taught stacks show on both sides of focus, and room for the error of
        an estimate there, as the shipped models have it (27 for 25 um)."""
        away = [s.defocus_um(p) for s in self.taught for p in s.planes]
        return min(ROOM * min(max(away), -min(away)), REACH_UM)


def read_material(
    manifest: Path, hold_out: Sequence[str], um_per_px: float | None, say: Say
) -> Material:
    """Read and label all stacks of a manifest. AdaptRefused, or ConfigError for a bad file."""
    by_name = stacks(read_manifest(manifest))
    for name in hold_out:
        if name not in by_name:
            known = ", ".join(list(by_name)[:8])
            raise AdaptRefused(f"{manifest}: --hold-out {name}: there is no such stack ({known})")
    pitch = _um_per_px(manifest, list(by_name.values()), um_per_px)
    first = next(iter(by_name.values()))[0]
    height, width = read_pixels(first).shape[:2]
    grid = _grid(first, height, width)
    labelled = []
    for name, planes in by_name.items():
        stack = _labelled(name, planes, grid, (height, width))
        labelled.append(stack)
        say(_line(stack))
    held = tuple(s for s in labelled if s.name in hold_out)
    rest = [s for s in labelled if s.name not in hold_out]
    if not rest:
        raise AdaptRefused(f"{manifest}: --hold-out names every stack, nothing is left to learn")
    faults = {stack.name: fault for stack in rest if (fault := _fault(stack, LEAST_PLANES))}
    usable = [stack for stack in rest if stack.name not in faults]
    if len(usable) == 1 and (fault := _fault(usable[0], LEAST_ALONE)):
        faults[usable[0].name] = f"{fault} of a stack that is alone"
        usable = []
    for fault in faults.values():
        say(f"left out: {fault}")
    if not usable:
        raise AdaptRefused(f"{manifest}: {next(iter(faults.values()))}")
    taught, kept = _dealt(usable)
    left_out = tuple(faults.values())
    return Material(grid, (height, width), pitch, taught, kept, held, left_out)


def _um_per_px(manifest: Path, stacks: Sequence[Sequence[Exposure]], given: float | None) -> float:
    pitches = {planes[0].um_per_px for planes in stacks}
    if given is not None:
        pitches = {given}
    if len(pitches) > 1:
        words = ", ".join("unknown" if p is None else f"{p:g}" for p in pitches)
        raise AdaptRefused(
            f"{manifest}: um_per_px differs between stacks ({words}): one instrument"
        )
    (pitch,) = pitches
    if pitch is None:
        raise AdaptRefused(f"{manifest}: um_per_px is empty: name it with --um-per-px")
    return pitch


def _grid(first: Exposure, height: int, width: int) -> PatchGrid:
    try:
        return PatchGrid.of_frame(height, width)
    except ConfigError as error:
        raise AdaptRefused(f"{first.path}: {error}") from error


def _labelled(
    name: str, planes: Sequence[Exposure], grid: PatchGrid, size: tuple[int, int]
) -> Stack:
    def read(index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        pixels = read_pixels(planes[index])
        if pixels.shape[:2] != size:
            raise AdaptRefused(
                f"{planes[index].path}: {pixels.shape[1]} x {pixels.shape[0]} px, the first frame "
                f"has {size[1]} x {size[0]}: one manifest is one instrument"
            )
        return pixels

    heights = [plane.z_um for plane in planes]
    return Stack(name, tuple(planes), label(heights, read, grid, planes[0].focus_z_um))


def _line(stack: Stack) -> str:
    labels = stack.labels
    words = [f"{stack.name}: {len(stack.planes)} planes, focus at {labels.focus_um:.2f} um"]
    if labels.own and math.isfinite(labels.measured_um):
        words.append(f"(the manifest's; sharpest at {labels.measured_um:.2f})")
    if labels.reversed_contrast:
        words.append("where contrast is least (it reverses)")
    if labels.octave:
        words.append(f"told by detail {2**labels.octave} times as coarse as the pixel")
    if labels.tilt_um:
        words.append(f"tilted by {labels.tilt_um:.1f} um")
    return f"{' '.join(words)}, {labels.informative} of {labels.richness.size} patches with content"


def _fault(stack: Stack, least: int) -> str | None:
    """Why a stack cannot teach, None where it can; `least`: planes that it must have."""
    here, labels = f"stack {stack.name!r}", stack.labels
    if len(stack.planes) < least:
        return f"{here}: {len(stack.planes)} planes are too few, {least} are the least"
    if not math.isfinite(labels.focus_um) or not labels.informative:
        return (
            f"{here}: no content: no patch of {PATCH_PX} px is sharper at one height than at others"
        )
    if labels.edge and not labels.own:
        low, high = stack.planes[0].z_um, stack.planes[-1].z_um
        return (
            f"{here}: the sharpest plane is at an end of z {low:g}..{high:g} um: "
            "the focus may lie outside; take planes on both sides, or name focus_z_um"
        )
    away = [stack.defocus_um(plane) for plane in stack.planes]
    near = sum(abs(d) <= REACH_UM for d in away)
    if near < least:
        return (
            f"{here}: {near} of {len(away)} planes lie within {REACH_UM:g} um of focus, as far as "
            f"the networks reach: {least} are the least"
        )
    for side, count in (
        ("below", sum(d > CLEAR_UM for d in away)),
        ("above", sum(d < -CLEAR_UM for d in away)),
    ):
        if count < LEAST_SIDE:
            return (
                f"{here}: {count} planes more than {CLEAR_UM:g} um {side} focus, {LEAST_SIDE} are "
                "the least: no sign can be learned from one side"
            )
    return None


def _dealt(rest: Sequence[Stack]) -> tuple[tuple[Stack, ...], tuple[Stack, ...]]:
    """One stack in four is kept; of a single stack, one plane in four where seven remain."""
    if len(rest) > 1:
        kept = tuple(rest[EVERY - 1 :: EVERY]) or (rest[-1],)
        return tuple(s for s in rest if s not in kept), kept
    stack = rest[0]
    order = sorted(stack.planes, key=stack.defocus_um)[1:-1]  # the ends stay: they are the reach
    spare = max(len(stack.planes) - LEAST_ALONE, 0)
    kept_planes = order[1::EVERY][: max(spare, 1)]
    taught = tuple(p for p in stack.planes if p not in kept_planes)
    return (replace(stack, planes=taught),), (replace(stack, planes=tuple(kept_planes)),)
