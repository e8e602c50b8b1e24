"""Specimens: seeded, of the class they claim, with truth that fits the picture."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from simulator import distractors
from simulator.photograph import Photographs
from simulator.render import Renderer, expose
from simulator.slide import (
    CLASS_RANGE,
    DIRT,
    KINDS,
    PARTICLES,
    TEXTURE,
    draw_variation,
    field_content,
    informative_count,
    make_specimen,
)
from simulator.specimen import Layer, Specimen, patch_content

COARSE = (1024, 1224)  # a whole field at half the resolution: as wide, four times cheaper
COARSE_UM = 0.68


def draw(seed: int, kind: str = "cell", sparsity: str = "sparse", dirt: float = 0.0):
    rng = np.random.default_rng(seed)
    variation = draw_variation(rng)
    return make_specimen(kind, sparsity, COARSE, COARSE_UM, rng, variation, dirt), variation


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sparsity", list(CLASS_RANGE))
def test_field_has_the_class_that_was_asked_for(kind, sparsity):
    low, high = CLASS_RANGE[sparsity]
    counts = [informative_count(draw(seed, kind, sparsity)[0]) for seed in range(2)]
    assert all(low <= count <= high for count in counts), counts


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """One photograph of violet dots on a clear background."""
    rng = np.random.default_rng(0)
    pixels = np.full((800, 1000, 3), 235, np.uint8)
    for y, x, radius in rng.integers((0, 0, 2), (800, 1000, 10), (3000, 3)):
        cv2.circle(pixels, (int(x), int(y)), int(radius), (150, 60, 120), -1)
    pixels = cv2.resize(pixels, (500, 400), interpolation=cv2.INTER_AREA)
    folder = tmp_path_factory.mktemp("photographs")
    assert cv2.imwrite(str(folder / "dots.png"), pixels)
    return Photographs.open(folder)


@pytest.mark.parametrize("sparsity", list(CLASS_RANGE))
def test_a_texture_has_the_class_that_was_asked_for(sparsity, photographs):
    low, high = CLASS_RANGE[sparsity]
    for seed in range(2):
        rng = np.random.default_rng([6, seed])
        specimen = make_specimen(
            TEXTURE, sparsity, (512, 512), 1.36, rng, draw_variation(rng), 0.0, photographs
        )
        assert low <= informative_count(specimen) <= high
        assert specimen.kind == ("blank" if sparsity == "blank" else TEXTURE)


def test_a_photograph_keeps_its_colour_on_every_slide(photographs):
    rng = np.random.default_rng(0)
    first = draw_variation(rng)
    second = dataclasses.replace(first, stain_rgb=draw_variation(rng).stain_rgb)
    planes = []
    for variation in (first, second):
        specimen = make_specimen(
            TEXTURE, "dense", (64, 64), 0.34, np.random.default_rng(1), variation, 0.0, photographs
        )
        planes.append(sum(np.array(x.absorbance(specimen.stain_rgb)) for x in specimen.layers))
    np.testing.assert_array_equal(*planes)
    assert planes[0][1].mean() > planes[0][0].mean() > planes[0][2].mean() > 0.05  # a violet ink


def test_a_texture_without_photographs_is_refused():
    with pytest.raises(ValueError, match="photographs"):
        draw(0, TEXTURE)


def drawn_dirt(dirt, kind: str = "tissue", seed: int = 0):
    rng = np.random.default_rng(seed)
    specimen = make_specimen(kind, "sparse", (96, 96), 0.68, rng, draw_variation(rng), dirt)
    return [layer for layer in specimen.layers if not layer.content]


@pytest.mark.parametrize("name", [*DIRT, PARTICLES])
def test_a_distractor_can_be_forced_alone(name, monkeypatch):
    made = []
    for other in (*DIRT, PARTICLES):
        maker = getattr(distractors, other)
        monkeypatch.setattr(
            distractors, other, lambda *a, m=maker, n=other: (made.append(n), m(*a))[1]
        )
    for seed in range(4):
        assert len(drawn_dirt({name: 1.0}, seed=seed)) == 1
    assert made == [name] * 4
    assert not drawn_dirt({name: 0.0})


def test_a_number_scales_all_distractors():
    def share(dirt: float, kind: str) -> float:
        return float(np.mean([len(drawn_dirt(dirt, kind, seed)) for seed in range(40)]))

    assert share(0.0, "cell") == 0.0
    assert share(1.0, "cell") == pytest.approx(0.64, abs=0.25)
    assert [len(drawn_dirt(20.0, kind)) for kind in KINDS] == [4, 5]  # cells do not fold


@pytest.mark.parametrize("dirt", [{"mud": 1.0}, {"pen": 1.5}, {"pen": float("nan")}])
def test_dirt_that_does_not_exist_is_refused(dirt):
    with pytest.raises(ValueError, match="dirt"):
        drawn_dirt(dirt)


def test_the_optics_range_moves_the_optics_and_nothing_else():
    usual = draw_variation(np.random.default_rng(5))
    given = draw_variation(np.random.default_rng(5), 3.0, 4.0, (0.27, 0.63), (0.85, 1.15))
    shifted = draw_variation(
        np.random.default_rng(5), w040_waves=(1.27, 1.63), axial_colour_um=(2.0, 2.0)
    )
    assert given == usual
    assert shifted.optics.w040_waves == pytest.approx(usual.optics.w040_waves + 1.0)
    assert shifted.optics.axial_colour_um == 2.0
    assert dataclasses.replace(shifted, optics=usual.optics) == usual


def test_same_seed_same_field_other_seed_other_field():
    first, again, other = (draw(seed)[0] for seed in (3, 3, 4))
    for a, b in zip(first.layers, again.layers, strict=True):
        for name, amount in a.dyes.items():
            np.testing.assert_array_equal(amount, b.dyes[name])
    green = [s.layers[0].absorbance(s.stain_rgb)[1] for s in (first, other)]
    assert not np.array_equal(*green)


def test_distractors_are_no_content():
    rng = np.random.default_rng(0)
    shape = (512, 512)
    blank = Layer(0.0, {"eosin": np.zeros(shape, np.float32)})
    dirt = [
        distractors.dust(shape, 0.34, rng, 20),
        distractors.debris(shape, 0.34, rng, 20),
        distractors.particles(shape, 0.34, rng, 20),
        distractors.bubbles(shape, 0.34, rng, 3),
        distractors.pen(shape, 0.34, rng),
    ]
    assert all(max(a.max() for a in layer.dyes.values()) > 0.1 for layer in dirt)
    assert not any(layer.content for layer in dirt)
    specimen = Specimen("blank", 0.34, [blank, *dirt])
    assert patch_content(specimen, (0.0, 0.0), (2, 2)).richness.max() == 0.0


def test_lift_follows_the_tilt():
    rng = np.random.default_rng(1)
    dots = (rng.uniform(size=(512, 512)) > 0.97).astype(np.float32)
    specimen = Specimen(
        "cell", 0.34, [Layer(2.5, {"haematoxylin": dots})], tilt_um_per_mm=(3.0, 0.0)
    )
    content = patch_content(specimen, (32.0, 32.0), (2, 2))
    centre = np.array([32 + 112, 32 + 336]) - 255.5 - 0.5
    # the dots' own middle is a few pixels beside the patch's
    np.testing.assert_allclose(content.lift_um, np.tile(centre * 0.34e-3 * 3.0, (2, 1)), atol=4e-3)


def test_a_lone_cell_is_as_high_as_the_slide_is_where_it_lies():
    """A dot in the corner of a patch on a tilted slide; an empty patch has its middle's height."""
    dot = np.zeros((512, 512), np.float32)
    dot[250:254, 40:44] = 1.0
    specimen = Specimen(
        "cell", 0.34, [Layer(1.0, {"haematoxylin": dot})], tilt_um_per_mm=(3.0, -2.0)
    )
    content = patch_content(specimen, (32.0, 32.0), (2, 2))
    (row, column), slope = (251.5 - 255.5, 41.5 - 255.5), 0.34e-3
    assert content.lift_um[0, 0] == pytest.approx(slope * (3.0 * column - 2.0 * row), abs=2e-3)
    middle = 32 + 336 - 0.5 - 255.5
    assert content.lift_um[1, 1] == pytest.approx(slope * (3.0 * middle - 2.0 * middle), abs=1e-4)


def sharpness(image: np.ndarray) -> float:
    return float(cv2.Laplacian(image[..., 1].astype(np.float32), cv2.CV_32F).var())


def test_sharpest_at_the_layer_height_and_truth_says_so():
    rng = np.random.default_rng(2)
    dots = (rng.uniform(size=(256, 256)) > 0.98).astype(np.float32)
    specimen = Specimen("cell", 0.34, [Layer(3.0, {"neutral": dots})])
    renderer = Renderer(specimen, draw_variation(rng).optics)
    heights = np.arange(-2.0, 8.1, 0.5)
    sharpest = heights[int(np.argmax([sharpness(renderer.intensity(z)) for z in heights]))]
    assert abs(sharpest - 3.0) <= 0.5


def test_tilted_field_is_sharp_on_the_side_that_is_in_focus():
    """+x lies higher on a positive tilt: an objective too high sees the right side sharper."""
    rng = np.random.default_rng(3)
    dots = (rng.uniform(size=(128, 2048)) > 0.98).astype(np.float32)
    specimen = Specimen("cell", 0.34, [Layer(0.0, {"neutral": dots})], tilt_um_per_mm=(12.0, 0.0))
    image = Renderer(specimen, draw_variation(rng).optics).intensity(3.0)
    assert sharpness(image[:, -400:]) > 2 * sharpness(image[:, :400])


def test_an_empty_slide_is_white_and_noise_is_what_the_sensor_says():
    rng = np.random.default_rng(4)
    variation = draw_variation(rng)
    picture = expose(np.ones((200, 200, 3), np.float32), variation, rng)
    middle = picture[90:110, 90:110].astype(float)
    np.testing.assert_allclose(middle.mean((0, 1)), variation.light_rgb, rtol=0.02)
    gain = 255.0 / variation.full_well_e
    expected = np.sqrt(variation.light_rgb[1] * gain + (variation.read_noise_e * gain) ** 2)
    assert middle[..., 1].std() == pytest.approx(expected, rel=0.25)


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind"):
        draw(0, "plant")


def test_a_field_smaller_than_the_grid_has_no_content_of_patches():
    specimen = Specimen("cell", 0.34, [Layer(0.0, {"neutral": np.zeros((512, 512), np.float32)})])
    assert field_content(specimen) is None
