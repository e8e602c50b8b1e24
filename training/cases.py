"""What a test set consists of: conditions of slides, each slide and height drawn from its seed.

A case is one condition ("clean", "tilted", "outside-w040") and the groups of fields it is shown
on. Every slide has a number, one field, and one seed, [domain, seed, condition, slide], so a
bootstrap over slides is honest and a set may grow without changing what it holds.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.field_truth import FieldTruth, find_truth
from simulator.microscope import SENSOR
from simulator.optics import NOMINAL, Instrument, SlideOptics
from simulator.photograph import Photographs
from simulator.render import Renderer, expose
from simulator.slide import (
    CLASS_RANGE,
    INFORMATIVE,
    KINDS,
    SPARSITIES,
    TEXTURE,
    SlideVariation,
    draw_variation,
    field_content,
    make_specimen,
)
from simulator.specimen import PatchContent, Specimen

U8 = npt.NDArray[np.uint8]
Rng = np.random.Generator
Range = tuple[float, float]
Frame = tuple[U8, float, FieldTruth]

#: first word of every seed, after training (1) and validation (2) of `training.pool`
CALIBRATION, TEST = 3, 4
RANGE_UM = 25.0
NEAR_UM = 3.0  # where the specimen's phase and softness look like defocus
ALL_PLANES = 101
#: where slides lie on the simulated stage; each field's surface is within 5 um of it
SLIDE_Z_UM = 200.0
ATTEMPTS = 6


@dataclass(frozen=True, slots=True)
class Case:
    """One condition. Ranges are drawn evenly, one value per slide.

    `tilt_um_per_mm` and `thickness_um`: None = as `draw_variation` spreads them. `corners`: both
    optics at an end of their range, the four corners in turn. `dirt` lists which distractors are
    forced, one entry per slide in turn; None = what comes by chance. `planes`: heights per field.
    """

    name: str
    kinds: tuple[str, ...] = KINDS
    sparsities: tuple[str, ...] = SPARSITIES
    w040_waves: Range = (0.27, 0.63)
    axial_colour_um: Range = (0.85, 1.15)
    corners: bool = False
    tilt_um_per_mm: Range | None = (0.0, 0.0)
    thickness_um: Range | None = (0.0, 0.0)
    dirt: tuple[tuple[str, ...], ...] | None = ((),)
    slides: int = 30
    planes: int = 4

    @property
    def groups(self) -> tuple[str, ...]:
        """Names such as "cell dense"; fields without content are all called "blank"."""
        pairs = ((kind, sparsity) for kind in self.kinds for sparsity in self.sparsities)
        return tuple("blank" if s == "blank" else f"{kind} {s}" for kind, s in pairs)

    def dirt_of(self, slide: int) -> tuple[str, ...] | None:
        """The distractors forced on this slide; None = by chance."""
        return None if self.dirt is None else self.dirt[self._turn(slide) % len(self.dirt)]

    def draw(self, rng: Rng, slide: int) -> SlideVariation:
        """Draw the slide's optics, stain, light and geometry."""
        drawn = draw_variation(
            rng, w040_waves=self.w040_waves, axial_colour_um=self.axial_colour_um
        )
        if self.corners:
            turn = self._turn(slide)
            corner = (self.w040_waves[turn % 2], self.axial_colour_um[turn // 2 % 2])
            drawn = dataclasses.replace(drawn, optics=SlideOptics(*corner))
        if self.tilt_um_per_mm is not None:
            angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(*self.tilt_um_per_mm)
            tilt = (float(slope * np.cos(angle)), float(slope * np.sin(angle)))
            drawn = dataclasses.replace(drawn, tilt_um_per_mm=tilt)
        if self.thickness_um is not None:
            thickness = float(rng.uniform(*self.thickness_um))
            drawn = dataclasses.replace(drawn, thickness_um=thickness)
        return drawn

    def _turn(self, slide: int) -> int:
        return slide // len(self.groups)


def _cases(*cases: Case) -> Mapping[str, Case]:
    return {case.name: case for case in cases}


CASES: Mapping[str, Case] = _cases(
    Case("clean"),
    Case("thick", thickness_um=(1.0, 4.0)),
    Case("tilted", tilt_um_per_mm=(1.0, 3.0)),
    Case("dusty", dirt=(("dust", "debris"),)),
    Case("bubbles", dirt=(("bubbles",),)),
    Case("pen", dirt=(("pen",),)),
    # a shred of tissue does not fold
    Case("folded", kinds=("tissue",), sparsities=("dense", "sparse"), dirt=(("fold",),)),
    Case("edge", corners=True),
    # beyond what anything was trained on: the alarm must ring
    Case("outside-w040", w040_waves=(0.95, 0.95)),
    Case("outside-axial", axial_colour_um=(1.6, 1.6)),
    Case("outside-both", w040_waves=(0.95, 0.95), axial_colour_um=(1.6, 1.6)),
    # the interval is calibrated on this one
    Case("everyday", tilt_um_per_mm=None, thickness_um=None, dirt=None),
    # and on this one: what one, two or three patches are worth needs many slides that have no more
    Case(
        "lone",
        kinds=("cell",),
        sparsities=("ex-sparse",),
        tilt_um_per_mm=None,
        thickness_um=None,
        dirt=None,
        slides=150,
    ),
    Case("texture", kinds=(TEXTURE,)),
    Case(
        "nothing",
        kinds=("cell",),
        sparsities=("blank",),
        dirt=((), ("dust",), ("debris",), ("bubbles",), ("pen",)),
        slides=50,
    ),
)


class Field:
    """One field of one slide under the objective: its truth and what is seen of it."""

    def __init__(
        self, renderer: Renderer, variation: SlideVariation, truth: FieldTruth, surface_um: float,
        noise: Rng,
    ) -> None:  # fmt: skip
        self.variation, self.truth = variation, truth
        self._renderer, self._surface_um, self._noise = renderer, surface_um, noise

    def picture(self, z_um: float) -> U8:
        """What the camera sees with the objective at `z_um`: (h, w, 3) uint8 RGB, fresh noise."""
        intensity = self._renderer.intensity(z_um - self._surface_um)
        return expose(intensity, self.variation, self._noise)


def load(
    case: Case,
    seed: int,
    slide: int,
    group: str,
    domain: int = TEST,
    photographs: Photographs | None = None,
    shape: tuple[int, int] = SENSOR,
    instrument: Instrument = NOMINAL,
    workers: int = 1,
) -> Field:
    """Paint the field of a slide. ValueError for a group the case does not have, for textures
    without `photographs`, and for a field that never falls into its class."""
    if group not in case.groups:
        raise ValueError(f"case {case.name} has no group {group!r}: {', '.join(case.groups)}")
    kind, _, sparsity = group.rpartition(" ")
    kind, words = kind or case.kinds[0], seed_words(case, seed, slide, domain)
    rng = np.random.default_rng(words)
    variation = case.draw(rng, slide)
    forced = case.dirt_of(slide)
    dirt = 1.0 if forced is None else dict.fromkeys(forced, 1.0)
    for _ in range(ATTEMPTS):
        specimen = make_specimen(
            kind, sparsity, shape, instrument.um_per_px, rng, variation, dirt, photographs
        )
        content = field_content(specimen)
        if content is None:
            raise ValueError(f"a field of {shape} px does not hold the 9 x 9 patches")
        if _fits(specimen, content, sparsity, forced):
            break
    else:
        raise ValueError(f"case {case.name}: no {group} field of its class, seed {words}")
    surface_um = round(SLIDE_Z_UM + float(rng.uniform(-5.0, 5.0)), 2)
    renderer = Renderer(specimen, variation.optics, instrument, workers)
    truth = find_truth(specimen, renderer, kind, sparsity, surface_um)
    return Field(renderer, variation, truth, surface_um, np.random.default_rng([*words, 1]))


def frames(
    case: Case,
    seed: int,
    slide: int,
    group: str,
    planes: int | str,
    domain: int = TEST,
    photographs: Photographs | None = None,
    shape: tuple[int, int] = SENSOR,
    instrument: Instrument = NOMINAL,
) -> Iterator[Frame]:
    """Pictures `shape` x 3 uint8 RGB of one field, the stage's z in um, and the truth.

    From the lowest z to the highest; `planes` as in `offsets_um`. Errors as in `load`.
    """
    field = load(case, seed, slide, group, domain, photographs, shape, instrument)
    for z_um in stage_z_um(case, seed, slide, planes, field.truth.z_focus_um, domain):
        yield field.picture(z_um), z_um, field.truth


def seed_words(case: Case, seed: int, slide: int, domain: int) -> list[int]:
    """What the slide's generator is seeded with."""
    # a stable hash: Python's own changes from run to run
    return [domain, seed, zlib.crc32(case.name.encode()), slide]


def stage_z_um(
    case: Case, seed: int, slide: int, planes: int | str, z_focus_um: float, domain: int = TEST,
    near: int = 0,
) -> list[float]:  # fmt: skip
    """Where the stage stands for each picture of a field, rising, rounded to 0.1 nm; `near` more
    pictures are taken within `NEAR_UM` of focus."""
    rng = np.random.default_rng([*seed_words(case, seed, slide, domain), 2])
    offsets = np.concatenate([offsets_um(planes, rng), rng.uniform(-NEAR_UM, NEAR_UM, near)])
    return [round(z_focus_um + float(z), 4) for z in np.sort(offsets)]


def offsets_um(planes: int | str, rng: Rng) -> npt.NDArray[np.float64]:
    """Objective minus focus, ascending, um: "all" = every 0.5 um of +-25; N = one even draw from
    each of N strata of equal width."""
    if planes == "all":
        return np.linspace(-RANGE_UM, RANGE_UM, ALL_PLANES)
    count = int(planes)
    width = 2 * RANGE_UM / count
    return np.asarray(-RANGE_UM + width * (np.arange(count) + rng.uniform(size=count)))


def _fits(
    specimen: Specimen, content: PatchContent, sparsity: str, forced: tuple[str, ...] | None
) -> bool:
    low, high = CLASS_RANGE[sparsity]
    above = sum(not layer.content for layer in specimen.layers)
    count = int((content.richness > INFORMATIVE).sum())
    return low <= count <= high and (forced is None or above == len(forced))
