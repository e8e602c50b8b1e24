"""Focus is the height at which the specimen's own detail is sharpest."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from edge.measure.sharpness import LUMINANCE, gradient_energy
from simulator.field_truth import FieldTruth, find_truth
from simulator.render import Renderer
from simulator.sharpness import peak_um, planes_um
from simulator.slide import SlideVariation, draw_variation, make_specimen
from simulator.specimen import Layer, Specimen, detail_energy

HEIGHTS = planes_um((0.0,))


def slide(**changes: float) -> SlideVariation:
    """A flat thin slide, hard and with the usual phase."""
    base = draw_variation(np.random.default_rng(3), tilt_um_per_mm=0.0, thickness_um=0.0)
    return dataclasses.replace(base, **{"phase_share": 1.0, "softness_um": 0.0, **changes})


def sharpest_um(variation: SlideVariation, kind: str = "cell") -> float:
    """Of a whole field of 384 px."""
    rng = np.random.default_rng(11)
    specimen = make_specimen(kind, "dense", (384, 384), 0.34, rng, variation, 0.0)
    renderer = Renderer(specimen, variation.optics)
    energy = np.array([gradient_energy(renderer.luminance(z)).mean() for z in HEIGHTS])
    return float(peak_um(HEIGHTS, energy))


def test_gradient_energy_is_the_squared_slope() -> None:
    ramp = np.tile(np.arange(32, dtype=np.float32) * 0.5, (32, 1))
    energy = gradient_energy(ramp)
    np.testing.assert_allclose(energy[2:-2, 2:-2], 0.25, rtol=1e-5)
    np.testing.assert_allclose(gradient_energy(ramp.T)[2:-2, 2:-2], 0.25, rtol=1e-5)


def test_peak_is_a_parabolas_vertex() -> None:
    curves = np.stack([5.0 - (HEIGHTS - at) ** 2 for at in (-1.3, 0.2, 1.74)], axis=1)
    np.testing.assert_allclose(peak_um(HEIGHTS, curves), [-1.3, 0.2, 1.74], atol=1e-9)
    assert float(peak_um(HEIGHTS, np.zeros(len(HEIGHTS)))) == 0.0


def test_luminance_is_that_of_the_rendered_picture() -> None:
    rng, variation = np.random.default_rng(2), slide()
    specimen = make_specimen("tissue", "sparse", (256, 256), 0.34, rng, variation, 0.0)
    renderer = Renderer(specimen, variation.optics)
    picture = renderer.intensity(-0.5) @ np.array(LUMINANCE, np.float32)
    far = np.abs(picture - renderer.luminance(-0.5))
    assert np.quantile(far, 0.95) < 1e-5  # but where a colour is at its darkest


@pytest.mark.parametrize("kind", ["cell", "tissue"])
def test_phase_moves_the_sharpest_plane_and_its_sign_says_where(kind: str) -> None:
    none, usual, negative = (sharpest_um(slide(phase_share=s), kind) for s in (0.0, 1.0, -1.0))
    assert none == pytest.approx(0.05, abs=0.08)  # the absorption's own best focus
    assert -0.8 < usual < -0.45
    assert 0.5 < negative < 1.3


def test_a_soft_specimen_has_less_detail_and_no_other_height_of_its_own() -> None:
    def energy(softness_um: float) -> float:
        rng, variation = np.random.default_rng(5), slide(softness_um=softness_um)
        specimen = make_specimen("cell", "dense", (256, 256), 0.34, rng, variation, 0.0)
        return float(sum(detail.mean() for _, detail in detail_energy(specimen)))

    assert energy(0.4) < 0.97 * energy(0.0)


def dots(heights: tuple[float, ...], tilt: tuple[float, float] = (0.0, 0.0)) -> Specimen:
    """Fine neutral dots in layers without phase."""
    rng = np.random.default_rng(8)
    layers = [
        Layer(z, {"neutral": (rng.uniform(size=(2048, 2048)) > 0.98).astype(np.float32)})
        for z in heights
    ]
    return Specimen("cell", 0.34, layers, tilt_um_per_mm=tilt)


def truth_of(specimen: Specimen) -> FieldTruth:
    """With height 0 at 200 um."""
    return find_truth(specimen, Renderer(specimen, slide().optics), "cell", "dense", 200.0)


def test_a_fields_truth_follows_its_layer_and_its_tilt() -> None:
    flat = truth_of(dots((2.5,)))
    assert flat.z_focus_um == pytest.approx(202.5, abs=0.15)
    tilted = truth_of(dots((2.5,), tilt=(3.0, 0.0)))
    rise = tilted.focus_um[:, 8].mean() - tilted.focus_um[:, 0].mean()
    assert rise == pytest.approx(8 * 224 * 0.34e-3 * 3.0, abs=0.05)


def test_sharpness_reached_is_one_in_focus_and_falls_beside_it() -> None:
    truth = truth_of(dots((0.0,)))
    at = [truth.sharpness_reached(truth.z_focus_um + away) for away in (0.0, 0.5, 1.0, 2.5)]
    assert at[0] == pytest.approx(1.0, abs=0.01)
    assert all(a is not None and b is not None and b < a for a, b in itertools.pairwise(at))
    below = truth.sharpness_reached(truth.z_focus_um - 1.0)
    assert below is not None
    assert below < 0.9


def test_an_empty_field_reaches_no_sharpness() -> None:
    empty = Specimen("blank", 0.34, [Layer(0.0, {"neutral": np.zeros((2048, 2048), np.float32)})])
    truth = truth_of(empty)
    assert truth.z_focus_um == 200.0
    assert truth.sharpness_reached(200.0) is None
