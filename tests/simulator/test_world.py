"""A whole simulated slide: fields agree, motion smears, and what is said to be true is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge.measure.sharpness import LUMINANCE, gradient_energy
from simulator.sharpness import peak_um
from simulator.smear import Shutter, box_kernel
from simulator.topography import TopographyParameters
from simulator.world import World, WorldParameters
from simulator.world_layout import BLOCK_PX, SUPERCELL, Specimen, pap, shares
from simulator.world_truth import field_truth

F32 = npt.NDArray[np.float32]
SHAPE = (300, 420)
PX = 0.34
#: no outline, no blank stretch: specimen wherever a test looks
FULL = Specimen(cover=1.0, sparse=0.0, thin=0.0, empty=0.0)


def small_world(specimen: Specimen = FULL, shape: tuple[int, int] = SHAPE, **more: Any) -> World:
    """Tiles of 256 px, so that a world is painted within a second."""
    topography = TopographyParameters(**more)
    return World(5, WorldParameters(specimen, topography, shape, tile_px=256))


@pytest.fixture(scope="module")
def world() -> World:
    """The same for all tests that leave it as it is."""
    return small_world()


def test_fields_agree_where_they_overlap(world: World) -> None:
    border_um = SUPERCELL * BLOCK_PX * PX  # where two tiles fade into each other
    first = world.light(border_um, -40.0, 201.3)
    second = world.light(border_um + 101 * PX, -40.0 + 37 * PX, 201.3)
    np.testing.assert_array_equal(first[37:, 101:], second[:-37, :-101])
    assert first[37:, 101:].std() > 0.03
    noisy = [world.frame(border_um, -40.0, 201.3).astype(float) for _ in range(2)]
    assert 1.0 < (noisy[0] - noisy[1]).std() < 10.0


def test_a_frame_stands_at_the_nearest_pixel(world: World) -> None:
    x, y = world.placed_um(1000.1, -733.3)
    assert abs(x - 1000.1) <= PX / 2
    assert abs(y + 733.3) <= PX / 2
    np.testing.assert_array_equal(world.light(1000.1, -733.3, 200.0), world.light(x, y, 200.0))


def test_specimen_ends_within_its_outline() -> None:
    smear = small_world(pap(2.0))
    assert smear.light(0.0, 1600.0, 200.0).min() == 1.0 == smear.layout.cover(0.0, 0.0)
    x = np.linspace(-3000, 3000, 121)
    cover = smear.layout.cover(*np.meshgrid(x, x))
    assert cover.mean() * 6.0**2 == pytest.approx(np.pi, rel=0.03)
    tissue = small_world(Specimen(size_mm=3.0, cover=0.5, sparse=0.0, thin=0.0, empty=0.0))
    inside = np.linspace(-1450, 1450, 101)
    assert tissue.layout.cover(*np.meshgrid(inside, inside)).mean() == pytest.approx(0.5, abs=0.06)
    assert tissue.layout.cover(np.array([1600.0]), np.array([0.0])) == 0.0


def test_the_shares_of_two_tiles_add_to_one() -> None:
    for block, parts in zip(range(-60, 60), shares(-60, 120), strict=True):
        whole = [rise for _, rise in parts if rise is not None]
        assert len(whole) in (0, 2), block
        if whole:
            np.testing.assert_allclose(whole[0] + whole[1], 1.0, atol=1e-6)


@pytest.mark.parametrize("smear", [(0.5, 0.0), (0.0, -3.3), (31.7, 0.0), (4.0, 3.0)])
def test_a_kernel_is_a_box_along_the_motion(smear: tuple[float, float]) -> None:
    kernel = box_kernel(smear).astype(float)
    y, x = np.indices(kernel.shape) - (np.array(kernel.shape)[:, None, None] - 1) / 2
    assert kernel.sum() == pytest.approx(1.0)
    assert abs((kernel * x).sum()) + abs((kernel * y).sum()) < 1e-5
    moments = [(kernel * a * b).sum() for a, b in ((x, x), (y, y), (x, y))]
    expected = np.array([smear[0] ** 2, smear[1] ** 2, smear[0] * smear[1]]) / 12.0
    np.testing.assert_allclose(moments, expected, atol=1e-3 * (1 + max(expected)))


def test_a_moving_slide_smears_by_its_way_within_the_exposure(world: World) -> None:
    still = world.light(300.0, 200.0, 200.5)
    moved = world.light(300.0, 200.0, 200.5, Shutter(1000.0), (9 * PX * 1e3, 0.0))
    passed = [world.light(300.0 + n * PX, 200.0, 200.5) for n in range(-4, 5)]
    np.testing.assert_allclose(moved, np.mean(passed, axis=0), atol=0.02)
    assert np.abs(moved - still).max() > 0.1
    down = world.light(300.0, 200.0, 200.5, Shutter(1000.0), (0.0, -9 * PX * 1e3))
    passed = [world.light(300.0, 200.0 + n * PX, 200.5) for n in range(-4, 5)]
    np.testing.assert_allclose(down, np.mean(passed, axis=0), atol=0.02)


def test_a_flash_shortens_the_smear(world: World) -> None:
    speed = (11_000.0, 0.0)
    assert Shutter(1000.0).smear_px(speed, PX)[0] == pytest.approx(32.35, abs=0.01)
    flash = Shutter(1000.0, flash_us=15.0)
    assert flash.smear_px(speed, PX)[0] == pytest.approx(0.485, abs=0.01)
    still = world.light(300.0, 200.0, 200.5)
    flashed = world.light(300.0, 200.0, 200.5, flash, speed)
    smeared = world.light(300.0, 200.0, 200.5, Shutter(1000.0), speed)
    detail = [gradient_energy(np.ascontiguousarray(x[..., 1])).mean() for x in (still, flashed)]
    assert 0.93 < detail[1] / detail[0] < 1.0
    assert gradient_energy(np.ascontiguousarray(smeared[..., 1])).mean() < 0.6 * detail[0]


def test_rows_of_a_rolling_shutter_are_late(world: World) -> None:
    speed, row_us = (PX * 1e6 / 10.0, 0.0), 1.0  # a pixel in ten rows
    slant = world.light(300.0, 200.0, 200.5, Shutter(0.01, row_us=row_us), speed)
    still = world.window(
        tuple(np.subtract(world.corner_px(300.0, 200.0), (0, 20))), (300, 460), 200.5
    )
    for row in (0, 100, 299):
        late = round((row - 149.5) / 10.0)
        np.testing.assert_array_equal(slant[row], still[row, 20 + late : 440 + late])
    flash = Shutter(0.01, flash_us=0.01, row_us=row_us)
    assert flash.slant_px(speed, PX) == (0.0, 0.0)


def test_nonsense_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="no frame"):
        world.frame(float("nan"), 0.0, 200.0)
    with pytest.raises(ValueError, match="more than a frame"):
        world.frame(0.0, 0.0, 200.0, Shutter(1e6), (11_000.0, 0.0))
    with pytest.raises(ValueError, match="no exposure"):
        Shutter(-1.0)
    with pytest.raises(ValueError, match="multiple"):
        World(1, WorldParameters(tile_px=1000))


def test_truth_is_where_the_frames_themselves_are_sharpest() -> None:
    wide = small_world(shape=(2048, 2048))
    truth = field_truth(wide, 400.0, -150.0)
    assert truth.sparsity == "dense"
    heights = np.round(truth.z_focus_um * 2) / 2 + np.arange(-1.0, 1.01, 0.5)
    sharp, middle = [], []
    for z in heights:
        light = wide.light(400.0, -150.0, float(z))[16:2032, 16:2032]
        energy = gradient_energy(np.asarray(light @ np.array(LUMINANCE, np.float32), np.float32))
        sharp.append(energy.mean())
        middle.append(energy[896:1120, 896:1120].mean())
    assert float(peak_um(heights, np.array(sharp))) == pytest.approx(truth.z_focus_um, abs=0.06)
    assert float(peak_um(heights, np.array(middle))) == pytest.approx(
        truth.focus_um[4, 4], abs=0.15
    )
    later = field_truth(small_world(shape=(2048, 2048), drift_um_per_min=0.5), 400.0, -150.0, 2.0)
    assert later.z_focus_um == pytest.approx(truth.z_focus_um + 1.0, abs=0.02)


def test_a_blank_place_is_blank_and_its_truth_is_the_surface() -> None:
    bare = small_world(Specimen(sparse=0.0, thin=0.0, empty=1.0), (2048, 2048))
    truth = field_truth(bare, 0.0, 0.0)
    assert truth.sparsity == "blank"
    assert truth.richness.max() == 0.0
    assert truth.z_focus_um == pytest.approx(float(bare.surface_um(0.0, 0.0)), abs=0.05)
    assert bare.light(0.0, 0.0, 200.0).min() == 1.0


def test_planes_are_found_again_in_a_folder(tmp_path: Path) -> None:
    parameters = WorldParameters(FULL, shape=(128, 128), tile_px=128)
    first = World(5, parameters, cache=tmp_path).light(0.0, 0.0, 200.0)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    np.testing.assert_array_equal(first, World(5, parameters).light(0.0, 0.0, 200.0))
    np.testing.assert_array_equal(
        first, World(5, parameters, cache=tmp_path).light(0.0, 0.0, 200.0)
    )
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files
    assert files
    assert not list(tmp_path.glob("*.part"))
