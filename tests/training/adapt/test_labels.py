"""Adaptation's labels against the simulator's truth: where focus is, tilt, dirt, nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.images.zstack import read_manifest, read_pixels, stacks
from edge.measure.preprocess import PatchGrid
from edge.measure.sharpness import LUMINANCE, gradient_energy
from simulator.render import Renderer
from simulator.sharpness import peak_um
from tests.support import made_stacks as made
from tests.support.made_stacks import SMALL
from training.adapt.label import label
from training.adapt.sharpness import block_energy, dip, noise_floor, octave_for, peak

FINE = np.arange(-6.0, 6.1, 0.75)
SHARED = Path(__file__).parents[4] / "shared" / "data" / "zstacks" / "manifest.csv"


def labelled(images, away_um, focus_um=None, grid=SMALL):
    return label(list(made.FOCUS_UM + np.asarray(away_um)), lambda i: images[i], grid, focus_um)


# --- where the focus is --------------------------------------------------------------------------


def test_a_peak_is_found_between_uneven_planes():
    z = np.array([-9.0, -5, -3, -1, 0.5, 2, 4, 8])
    place = peak(z, 1.0 / (1.0 + ((z - 0.8) / 1.5) ** 2))
    assert place.z_um == pytest.approx(0.8, abs=0.05)
    assert not place.edge
    assert not place.reversed_contrast


def test_a_dip_between_two_maxima_is_the_focus():
    z = np.arange(-6.0, 6.1, 0.5)
    curve = np.exp(-0.5 * ((z - 2.4) / 1.2) ** 2) + 0.8 * np.exp(-0.5 * ((z + 1.6) / 1.2) ** 2)
    place = dip(z, curve)
    assert place.reversed_contrast
    assert place.z_um == pytest.approx(0.3, abs=0.3)
    assert place.reach_um == pytest.approx(2.4 - place.z_um, abs=0.3)


def test_a_peak_at_an_end_is_marked():
    place = peak(np.arange(5.0), np.array([0.1, 0.2, 0.4, 0.7, 1.0]))
    assert place.edge
    assert place.z_um == 4.0


@pytest.mark.parametrize("lump", [0.1, 0.5])
def test_a_lower_maximum_is_no_reversal(lump):
    """Dust, and the second maximum that a stain's own phase makes."""
    z = np.arange(-5.0, 5.1, 1.0)
    curve = np.exp(-0.5 * (z / 1.2) ** 2)
    curve[2] += lump
    assert dip(z, curve) is None
    assert peak(z, curve).z_um == pytest.approx(0.0, abs=0.2)


def blocks(pictures, octave=0):
    """Energy of blocks and the noise that the checks tell, of each picture."""
    results = [block_energy(picture, 0, 0) for picture in pictures]
    return np.stack([f.blocks[octave] for f in results]), [f.noise[octave] for f in results]


def test_noise_is_the_floor_and_detail_is_not():
    rng = np.random.default_rng(0)
    flat = np.clip(rng.normal(200, 4, (5, 128, 128, 3)), 0, 255).astype(np.uint8)
    quiet = noise_floor(*blocks(flat))
    flat[2, 32:48, 32:48] = rng.integers(0, 256, (16, 16, 1))
    lively, noise = blocks(flat)
    floor = noise_floor(lively, noise)
    assert floor == pytest.approx(quiet, rel=0.1)
    assert lively[2, 2, 2] > 50 * floor
    busy = rng.integers(0, 256, (128, 128, 1)).repeat(3, 2).astype(np.uint8)
    busy = cv2.GaussianBlur(busy, (0, 0), 2.5)  # detail, and next to no noise, in every plane
    everywhere, noise = blocks([busy] * 5)
    assert np.median(everywhere) > 10 * noise_floor(everywhere, noise)


def test_the_measure_is_the_one_that_defines_focus():
    """Gradient energy of luminance at the sensor's own pixel, against the brightness."""
    rng = np.random.default_rng(1)
    picture = np.clip(rng.normal(150, 20, (64, 64, 3)), 0, 255).astype(np.uint8)
    luminance = (picture @ np.array(LUMINANCE)).astype(np.float32)
    relative = luminance / np.float32(np.median(luminance[::8, ::8]))
    mean = float(gradient_energy(relative).mean())
    assert block_energy(picture, 0, 0).blocks[0].mean() == pytest.approx(mean, rel=1e-4)


def test_the_finest_octave_that_stands_out_tells():
    loud, quiet = np.array([[0.0], [2.0], [0.1]]), np.array([[0.0], [0.3], [0.1]])
    assert octave_for([loud, loud, 9 * loud]) == 0
    assert octave_for([quiet, loud, 9 * loud]) == 1
    assert octave_for([quiet, quiet, quiet * 1.2]) == 2


def true_focus(made_field, optics=None):
    """Where the noiseless field has the most gradient energy of luminance, over made.FOCUS_UM."""
    specimen, slide = made_field
    renderer = Renderer(specimen, optics or slide.optics)
    heights = np.arange(-2.0, 2.1, 0.25)
    energy = [float(gradient_energy(renderer.luminance(float(z))).mean()) for z in heights]
    return float(peak_um(heights, np.array(energy)))


@pytest.mark.parametrize(("kind", "step_um"), [("cell", 1.0), ("tissue", 1.0), ("tissue", 0.5)])
def test_measured_focus_is_that_of_the_definition(kind, step_um):
    """Also where the specimen's phase makes a second maximum beside it."""
    specimen, slide = made.field(3, kind=kind)
    for layer in specimen.layers:
        layer.phase = layer.phase * np.float32(2.0 / slide.phase_share)
    away = np.arange(-6.0, 6.1, step_um)
    labels = labelled(made.pictures((specimen, slide), away), away)
    true = true_focus((specimen, slide))
    assert labels.measured_um - made.FOCUS_UM == pytest.approx(true, abs=0.3 * step_um)
    assert not labels.edge
    assert not labels.reversed_contrast
    assert labels.octave == 0
    assert labels.informative == 4


def test_noise_moves_the_focus_to_a_coarser_octave_only_where_it_must():
    field = made.field(3, kind="tissue")
    images = made.pictures(field, FINE)
    rng = np.random.default_rng(2)
    noisy = np.clip(images + rng.normal(0, 20, images.shape), 0, 255).astype(np.uint8)
    true = made.FOCUS_UM + true_focus(field)
    labels = labelled(noisy, FINE)
    assert labels.octave == 0
    assert labels.measured_um == pytest.approx(true, abs=0.25)


def test_of_planes_that_are_all_near_focus_the_empty_patches_are_told():
    """Nothing is far enough from focus to show the noise alone."""
    specimen, slide = made.field(3, kind="tissue")
    for layer in specimen.layers:
        for plane in (*layer.dyes.values(), layer.phase):
            plane[:, 200:] = 0.0
    away = np.arange(-2.5, 2.6, 0.5)
    labels = labelled(made.pictures((specimen, slide), away), away)
    true = made.FOCUS_UM + true_focus((specimen, slide))
    assert labels.measured_um == pytest.approx(true, abs=0.15)
    assert labels.richness[:, 0].min() > 0.8 > 0.5 > labels.richness[:, 1].max()


@pytest.mark.parametrize(("optics", "within_um"), [((0.0, 0.0), 0.15), ((0.45, 1.0), 0.35)])
def test_an_unstained_specimen_is_focused_where_contrast_reverses(optics, within_um):
    specimen, slide = made.field(4)
    away = np.arange(-9.0, 9.1, 0.75)
    images = made.pictures((made.phase_only(specimen), slide), away, made.optics(*optics))
    if optics == (0.0, 0.0):
        plain = [float(image[..., 1].std()) for image in images]
        assert plain[len(away) // 2] < 0.8 * max(plain)  # least contrast in focus: the trap
    labels = labelled(images, away)
    assert labels.reversed_contrast
    assert labels.measured_um == pytest.approx(made.FOCUS_UM, abs=within_um)
    assert labels.informative == 4


def test_pictures_of_nothing_have_no_focus():
    away = np.arange(-3.0, 3.1, 1.0)
    labels = labelled(np.full((len(away), 512, 512, 3), 200, np.uint8), away)
    assert np.isnan(labels.measured_um)
    assert labels.informative == 0


def test_tilt_is_seen_and_flat_stays_flat():
    away = np.arange(-8.0, 8.1, 1.0)
    shape, grid = (512, 1344), PatchGrid(2, 6)
    steep = made.pictures(made.field(6, shape, tilt=10.0), away)
    labels = labelled(steep, away, made.FOCUS_UM, grid)
    true = 10.0 * shape[1] * 0.34e-3
    assert labels.tilt_um == pytest.approx(true, rel=0.35)
    assert labels.height_um[:, -1].mean() > 1.0 > -1.0 > labels.height_um[:, 0].mean()
    flat = labelled(made.pictures(made.field(6, shape), away), away, made.FOCUS_UM, grid)
    assert not flat.tilt_um
    assert not flat.height_um.any()


def test_dirt_on_another_plane_is_no_content():
    away = np.arange(-12.0, 12.1, 1.5)
    images = made.pictures(made.field(6, coverage="blank"), away)
    rng = np.random.default_rng(1)
    dirt = rng.integers(0, 2, (60, 60, 1)) * 90
    images[-2, 60:120, 60:120] -= np.minimum(dirt, images[-2, 60:120, 60:120]).astype(np.uint8)
    assert labelled(images, away, made.FOCUS_UM).informative == 0


@pytest.mark.skipif(not SHARED.exists(), reason="the real stacks are beside the checkout only")
def test_real_unstained_yeast():
    planes = stacks(read_manifest(SHARED))["yeast_bf"]
    images = [np.pad(read_pixels(p), ((0, 20), (0, 17), (0, 0)), "edge") for p in planes]
    z = np.array([p.z_um for p in planes])
    curve = np.array([block_energy(image, 0, 0).blocks[-1][:3, :3].mean() for image in images])
    place = dip(z, curve - curve.min())
    assert place is not None
    assert abs(place.z_um - planes[0].focus_z_um) < 1.0
