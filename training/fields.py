"""Fresh fields to train on: a slide, a specimen and its pictures at several z, with their labels.

A DPN field is a 512 x 512 px torus at the nominal pixel size. A RIN field is the whole crop,
rendered at twice the pixel size and resized as the runtime does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from simulator.optics import NOMINAL, Instrument, SlideOptics
from simulator.photograph import Photographs
from simulator.render import Renderer, expose
from simulator.slide import (
    DIRT,
    KINDS,
    PARTICLES,
    TEXTURE,
    SlideVariation,
    draw_variation,
    field_content,
    make_specimen,
)
from simulator.specimen import Specimen
from simulator.texture import noise_field
from training.labels import FIELD_PX, block_label, pack_label

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
Rng = np.random.Generator
Field = tuple[U8, F32]

#: of pairs: how much higher the second picture of each field is taken
STEP_UM = 2.0
COVERAGE = {"dense": 0.25, "sparse": 0.30, "ex-sparse": 0.45}
#: of photographs, which are hardest where they fill the field
TEXTURE_COVERAGE = {"dense": 0.50, "sparse": 0.25, "ex-sparse": 0.25}
RIN_COVERAGE = {"dense": 0.15, "sparse": 0.20, "ex-sparse": 0.35, "blank": 0.30}
#: chance of grains on a RIN's field, and on an empty one
GRAINS, GRAINS_ALONE = 0.35, 0.7
#: the RIN's field: 9 patches of 76.16 um at twice the nominal pixel, before the last resize
RIN_FIELD_PX = 1008
#: optics well beyond the calibrated range, on this share of the slides: the DPN learns to tell them
WIDE_SHARE, WIDE_W040, WIDE_COLOUR = 0.4, (0.0, 1.25), (0.3, 2.0)
#: thick sections beyond those that `draw_variation` draws: they are the hardest
THICK_SHARE, THICK_UM = 0.25, (0.5, 4.0)
#: share of slides with softer specimens than `draw_variation` draws (sd), and with negative phase
SOFTER_SHARE, SOFTER_UM = 0.2, (0.4, 1.0)
NEGATIVE_SHARE, MOST_NEGATIVE = 0.08, 1.2
#: each object has its own phase for its absorption: ln sd of their ratio, over so many um
OWN_PHASE_SD, OWN_PHASE_UM = 0.4, (4.0, 25.0)
PEN = 2.0  # times as much pen as dirt brings: a mark's rim looks like a cell's
LONE_DIRT = 1.6  # times the dirt beside a lone cell or shred, where nothing else can outvote it
#: share of a DPN's pictures with less charge in a pixel, and how many times less
NOISY, LESS_CHARGE = 0.15, (1.5, 5.0)
#: share of a DPN's pictures that went through JPEG 4:2:0, and its quality
PACKED, JPEG_QUALITY = 0.12, (75, 96)
TEXTURE_SHARE = 0.5  # of the specimens, when there are photographs
#: aperture of the condenser over the objective's: as it is set by the book, and on this share of
#: the instruments as somebody left it
CONDENSER, ANY_CONDENSER, ANY_SHARE = (0.65, 0.75), (0.4, 0.95), 0.35


def draw_slide(rng: Rng) -> SlideVariation:
    """A slide without tilt (0.2 um over a patch at most), its optics sometimes far out."""
    variation = draw_variation(rng, tilt_um_per_mm=0.0)
    if rng.uniform() < THICK_SHARE:
        variation = dataclasses.replace(variation, thickness_um=float(rng.uniform(*THICK_UM)))
    if rng.uniform() < SOFTER_SHARE:
        variation = dataclasses.replace(variation, softness_um=float(rng.uniform(*SOFTER_UM)))
    if rng.uniform() < NEGATIVE_SHARE:
        share = -float(rng.uniform(0.0, MOST_NEGATIVE))
        variation = dataclasses.replace(variation, phase_share=share)
    if rng.uniform() >= WIDE_SHARE:
        return variation
    wide = SlideOptics(float(rng.uniform(*WIDE_W040)), float(rng.uniform(*WIDE_COLOUR)))
    return dataclasses.replace(variation, optics=wide)


def draw_instrument(rng: Rng) -> Instrument:
    """The nominal instrument with a condenser of its own."""
    span = ANY_CONDENSER if rng.uniform() < ANY_SHARE else CONDENSER
    return dataclasses.replace(NOMINAL, condenser_sigma=float(rng.uniform(*span)))


def vary_phase(specimen: Specimen, rng: Rng) -> None:
    """Give every part of the specimen its own phase for its absorption, in place: the painters know
    one ratio for each kind of object, and a network would take it for a rule."""
    for layer in specimen.layers:
        if layer.phase is None or not layer.content:
            continue
        scale = float(rng.uniform(*OWN_PHASE_UM))
        field = noise_field(specimen.shape, specimen.um_per_px, rng, scale)
        layer.phase = layer.phase * np.exp(np.float32(OWN_PHASE_SD) * field)


def photograph(intensity: F32, variation: SlideVariation, rng: Rng) -> U8:
    """The picture a camera takes of `intensity`: on some of them noisier, on some through JPEG."""
    if rng.uniform() < NOISY:
        charge = variation.full_well_e / float(rng.uniform(*LESS_CHARGE))
        variation = dataclasses.replace(variation, full_well_e=charge)
    image = expose(intensity, variation, rng)
    if rng.uniform() < PACKED:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*JPEG_QUALITY))]
        packed = cv2.imencode(".jpg", image[..., ::-1], quality)[1]
        unpacked = cv2.imdecode(packed, cv2.IMREAD_COLOR)
        assert unpacked is not None
        image = np.asarray(unpacked[..., ::-1], np.uint8)
    return image


def draw_kind(rng: Rng, photographs: Photographs | None) -> str:
    """Cell or tissue, or a photograph where there are any."""
    if photographs is not None and rng.uniform() < TEXTURE_SHARE:
        return TEXTURE
    return KINDS[int(rng.integers(2))]


def draw_delta(rng: Rng) -> float:
    """Objective minus the specimen's height 0, um: even over +-26, many near focus, where its
    phase and its softness look like defocus, some far out to +-55.

    The far ones teach the direction outside the calibrated range; see `training.nets.Bins`.
    """
    draw, sign = rng.uniform(), rng.choice((-1.0, 1.0))
    if draw < 0.48:
        return float(sign * rng.uniform(0.0, 26.0))
    if draw < 0.90:
        return float(sign * 2.0 * np.sinh(rng.uniform(0.0, np.arcsinh(13.0))))
    return float(sign * rng.uniform(26.0, 55.0))


def dirt_chances(dirt: float, kind: str) -> dict[str, float]:
    """Chance of each distractor on a DPN's field; cells do not fold."""
    return {
        name: min(1.0, dirt * share * (PEN if name == "pen" else 1.0))
        for name, share in DIRT.items()
        if name != "fold" or kind != "cell"
    }


def dpn_fields(
    rng: Rng,
    photographs: Photographs | None = None,
    heights: int = 5,
    dirt: float = 1.5,
    above_um: Sequence[float] = (0.0,),
    instrument: Instrument = NOMINAL,
) -> Iterator[Field]:
    """One specimen at `heights` random z, each with its truth on blocks (see `pack_label`); at
    each z a picture for every entry of `above_um`, taken that much higher."""
    variation = draw_slide(rng)
    kind = draw_kind(rng, photographs)
    odds = TEXTURE_COVERAGE if kind == TEXTURE else COVERAGE
    coverage = str(rng.choice(list(odds), p=list(odds.values())))
    if coverage == "ex-sparse":
        dirt *= LONE_DIRT
    chances = dirt_chances(dirt, kind)
    specimen = make_specimen(
        kind, coverage, (FIELD_PX, FIELD_PX), NOMINAL.um_per_px, rng, variation, chances,
        photographs,
    )  # fmt: skip
    vary_phase(specimen, rng)
    renderer = Renderer(specimen, variation.optics, instrument)
    energy, sharpness = block_label(specimen, renderer)
    for _ in range(heights):
        height = draw_delta(rng)
        for delta in (height + above for above in above_um):
            image = photograph(renderer.intensity(delta), variation, rng)
            yield image, pack_label(delta, energy, sharpness, variation)


def pair_fields(
    rng: Rng,
    photographs: Photographs | None = None,
    heights: int = 3,
    dirt: float = 1.5,
    instrument: Instrument = NOMINAL,
) -> Iterator[Field]:
    """As `dpn_fields`, each height twice: there and STEP_UM higher, for methods that look twice."""
    yield from dpn_fields(rng, photographs, heights, dirt, (0.0, STEP_UM), instrument)


def rin_fields(
    rng: Rng,
    photographs: Photographs | None = None,
    heights: int = 3,
    dirt: float = 1.5,
    instrument: Instrument = NOMINAL,
) -> Iterator[Field]:
    """One whole crop at `heights` random z within +-30 um; label = delta and 81 W*."""
    variation = draw_slide(rng)
    coverage = str(rng.choice(list(RIN_COVERAGE), p=list(RIN_COVERAGE.values())))
    kind = draw_kind(rng, photographs) if coverage != "blank" else KINDS[0]
    deltas = [float(d) for d in rng.uniform(-30.0, 30.0, heights)]
    chances = dirt_chances(dirt, kind)
    chances[PARTICLES] = GRAINS_ALONE if coverage == "blank" else GRAINS
    yield from render_crop(kind, coverage, rng, variation, deltas, chances, photographs, instrument)


def render_crop(
    kind: str,
    coverage: str,
    rng: Rng,
    variation: SlideVariation,
    deltas_um: Sequence[float],
    dirt: float | Mapping[str, float],
    photographs: Photographs | None = None,
    instrument: Instrument = NOMINAL,
) -> Iterator[Field]:
    """A whole crop at each delta as the RIN sees it: (512, 512, 3) uint8 and label (82,)."""
    instrument = dataclasses.replace(instrument, um_per_px=2.0 * NOMINAL.um_per_px)
    shape = (RIN_FIELD_PX, RIN_FIELD_PX)
    specimen = make_specimen(
        kind, coverage, shape, instrument.um_per_px, rng, variation, dirt, photographs
    )
    content = field_content(specimen)
    assert content is not None
    binned = average_four(variation)
    renderer = Renderer(specimen, variation.optics, instrument)
    for delta in deltas_um:
        half = expose(renderer.intensity(delta), binned, rng)
        image = cv2.resize(half, (FIELD_PX, FIELD_PX), interpolation=cv2.INTER_LINEAR)
        label = np.concatenate([np.array([delta], np.float32), content.richness.ravel()])
        yield np.asarray(image, np.uint8), label


def average_four(variation: SlideVariation) -> SlideVariation:
    """The same camera after averaging 2 x 2 pixels: four times the charge, twice the read noise."""
    return dataclasses.replace(
        variation,
        full_well_e=4.0 * variation.full_well_e,
        read_noise_e=2.0 * variation.read_noise_e,
    )


class MakesFields(Protocol):
    """The pictures of one specimen with their labels."""

    def __call__(
        self,
        rng: Rng,
        photographs: Photographs | None = None,
        *,
        instrument: Instrument = NOMINAL,
    ) -> Iterator[Field]: ...


FIELDS: dict[str, MakesFields] = {"dpn": dpn_fields, "pairs": pair_fields, "rin": rin_fields}
