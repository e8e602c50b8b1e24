"""From a macro picture to where specimen lies: what absorbs or scatters, less what is known not to
be specimen.

A place that is left out is lost, a blank field costs the time of a look: so thresholds are low, the
two lights are united, and whatever is taken away (label, edges of glass, scratches, pen, bubbles,
dust) must show all that makes it one of these; a doubt is specimen. Everything taken away is kept
with its reason, and the thumbnail with it, so that a person sees what was not scanned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.wsi.macro_light import MacroPictures, Signal, absorbance, scatter
from edge.wsi.macro_parts import Part, Scene, bubbles, dust, label, lines, pen, scratches

U8 = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

_THUMBNAIL_PX = 1000


@dataclass(frozen=True, slots=True)
class MacroSettings:
    """Limits: absorbance, grey levels from the side, and so many sd of the noise at least."""

    absorbance: float = 0.012
    scatter_levels: float = 2.0
    noise_sds: float = 4.5
    gap_um: float = 200.0  # holes and gaps narrower than this are specimen, too


@dataclass(frozen=True, slots=True)
class MacroFinding:
    """`specimen` (h, w): where it lies; `parts`: what else there is, each with its reason;
    `thumbnail` (h, w, 3) uint8: the slide as it was seen, 1000 px at most; `label_px`: rows and
    columns of the label."""

    specimen: Bools
    parts: tuple[Part, ...]
    thumbnail: U8
    label_px: tuple[slice, slice] | None

    @property
    def area_mm2(self) -> dict[str, float]:
        """Of each kind of part."""
        kinds: dict[str, float] = {}
        for part in self.parts:
            kinds[part.kind] = kinds.get(part.kind, 0.0) + part.area_mm2
        return kinds


#: in this order: what one takes away, the next does not see
_RULES: tuple[Callable[[Scene], list[Part]], ...] = (label, lines, scratches, pen, bubbles, dust)


def find_specimen(
    pictures: MacroPictures, settings: MacroSettings = MacroSettings()
) -> MacroFinding:
    """Where specimen lies in the pictures. ConfigError as MacroPictures has it."""
    dark = absorbance(pictures, settings.absorbance, settings.noise_sds)
    bright = scatter(pictures, settings.scatter_levels, settings.noise_sds)
    there = np.zeros(pictures.shape, np.bool_)
    for signal in (dark, bright):
        if signal is not None:
            there |= _without_grains(signal)
    scene = Scene(pictures, dark, bright, there)
    parts = [part for rule in _RULES for part in rule(scene)]
    size = 2 * pictures.pixels(settings.gap_um / 2) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    whole = cv2.morphologyEx(scene.there.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    whole[scene.taken] = 0
    return MacroFinding(np.asarray(whole > 0), tuple(parts), _thumbnail(pictures), scene.label_px)


def _without_grains(signal: Signal) -> Bools:
    """What lies above the limit; a lone pixel must lie twice as high."""
    above = (signal.most > signal.limit).astype(np.uint8)
    company = cv2.boxFilter(above, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray((above > 0) & ((company >= 3) | (signal.most > 2.0 * signal.limit)))


def _thumbnail(pictures: MacroPictures) -> U8:
    one = pictures.through if pictures.through is not None else pictures.side
    assert one is not None
    scale = min(1.0, _THUMBNAIL_PX / max(one.shape[:2]))
    size = max(1, round(one.shape[1] * scale)), max(1, round(one.shape[0] * scale))
    return np.asarray(cv2.resize(one, size, interpolation=cv2.INTER_AREA), np.uint8)
