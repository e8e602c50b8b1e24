"""The pool keeps pictures and their truth together, bounded, and with the right sign."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.measure.sharpness import gradient_energy
from simulator.optics import Instrument, SlideOptics
from simulator.render import Renderer
from simulator.slide import DIRT, draw_variation, make_specimen
from simulator.specimen import patch_content
from training.augment import dpn_batch, recolour, relight, rin_batch, turn
from training.fields import (
    ANY_CONDENSER,
    CONDENSER,
    FIELDS,
    Field,
    dirt_chances,
    draw_delta,
    draw_instrument,
    draw_slide,
    photograph,
    vary_phase,
)
from training.labels import (
    BLOCKS,
    LABELS,
    block_label,
    pack_label,
    sharpness_at,
    window_correction,
    window_label,
)
from training.pool import PER_INSTRUMENT, TRAINING, VALIDATION, Pool, fill


def flat_label(delta_um: float, height_um: float = 0.0) -> np.ndarray:
    """A field full of content at one height."""
    energy = np.full((BLOCKS, BLOCKS), 0.01, np.float32)
    slide = draw_variation(np.random.default_rng(0))
    slide = dataclasses.replace(slide, optics=SlideOptics(0.4, 1.1), thickness_um=2.5)
    return pack_label(delta_um, energy, sharpness_at(energy, height_um), slide)


def test_an_objective_too_high_must_be_lowered() -> None:
    _, correction = window_label(flat_label(+5.0), 224)
    np.testing.assert_allclose(correction, -5.0, atol=1e-5)
    _, correction = window_label(flat_label(+5.0, height_um=2.0), 224)
    np.testing.assert_allclose(correction, -3.0, atol=1e-5)


def test_block_truth_is_the_simulators_patch_truth() -> None:
    rng = np.random.default_rng(5)
    variation = draw_variation(rng, tilt_um_per_mm=0.0)
    specimen = make_specimen("tissue", "sparse", (512, 512), 0.34, rng, variation)
    renderer = Renderer(specimen, variation.optics)
    label = pack_label(3.0, *block_label(specimen, renderer), variation)
    richness, correction = window_label(label, 224)
    for row, column in ((0, 0), (64, 112), (288, 288)):
        content = patch_content(specimen, (row, column), (1, 1))
        at = row // 16, column // 16
        assert richness[at] == pytest.approx(content.richness[0, 0], abs=1e-3)
        assert window_correction(label, 224, *at) == pytest.approx(correction[at], abs=1e-5)


def test_a_windows_truth_is_where_its_picture_is_sharpest() -> None:
    """Against planes rendered five times as densely as the label's."""
    rng = np.random.default_rng(7)
    variation = dataclasses.replace(draw_variation(rng, 0.0), thickness_um=0.0)
    specimen = make_specimen("tissue", "dense", (512, 512), 0.34, rng, variation, 0.0)
    renderer = Renderer(specimen, variation.optics)
    label = pack_label(1.5, *block_label(specimen, renderer), variation)
    heights = np.arange(-2.0, 2.05, 0.1)
    window = slice(96, 96 + 224), slice(160, 160 + 224)
    energy = [gradient_energy(renderer.luminance(z))[window].sum() for z in heights]
    sharpest = heights[int(np.argmax(energy))]
    assert abs(sharpest) > 0.2  # not the plane of best contrast of the absorption
    assert window_correction(label, 224, 6, 10) == pytest.approx(sharpest - 1.5, abs=0.1)


def test_condensers_are_set_by_the_book_and_as_somebody_left_them() -> None:
    rng = np.random.default_rng(0)
    apertures = np.array([draw_instrument(rng).condenser_sigma for _ in range(400)])
    assert ANY_CONDENSER[0] < apertures.min() < 0.45
    assert 0.90 < apertures.max() < ANY_CONDENSER[1]
    by_the_book = (apertures > CONDENSER[0]) & (apertures < CONDENSER[1])
    assert by_the_book.mean() == pytest.approx(0.65 + 0.35 * 0.1 / 0.55, abs=0.06)


def test_a_pool_changes_the_instrument_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, apertures = Pool.create(tmp_path, 4, "rin"), list[float]()

    def fields(
        rng: np.random.Generator, photographs: None = None, *, instrument: Instrument
    ) -> Iterator[Field]:
        apertures.append(instrument.condenser_sigma)
        if len(apertures) == 2 * PER_INSTRUMENT:
            os.kill(os.getpid(), signal.SIGTERM)
        yield np.zeros((512, 512, 3), np.uint8), np.zeros(LABELS["rin"], np.float32)

    monkeypatch.setitem(FIELDS, "rin", fields)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert fill(pool, "rin", 0, 60.0) == 2 * PER_INSTRUMENT
    finally:
        signal.signal(signal.SIGTERM, before)
    first, second = apertures[:PER_INSTRUMENT], apertures[PER_INSTRUMENT:]
    assert len({*first}) == len({*second}) == 1
    assert first[0] != second[0]


def test_every_object_has_its_own_phase_for_its_absorption() -> None:
    """Painters know one ratio for each kind of object: a network would take it for a rule."""
    rng = np.random.default_rng(3)
    variation = dataclasses.replace(draw_variation(rng, 0.0), thickness_um=0.0)
    specimen = make_specimen("tissue", "dense", (512, 512), 0.34, rng, variation, 0.0)
    (before,) = (layer.phase for layer in specimen.layers)
    vary_phase(specimen, rng)
    (after,) = (layer.phase for layer in specimen.layers)
    assert before is not None
    assert after is not None
    there = np.abs(before) > 0.02
    ratio = np.log(after[there] / before[there])
    assert ratio.std() == pytest.approx(0.4, abs=0.1)
    assert (np.sign(after) == np.sign(before)).all()  # the slide's sign is the mountant's


def test_training_sees_softer_and_negative_specimens_more_often_than_slides_are() -> None:
    slides = [draw_slide(np.random.default_rng([9, i])) for i in range(300)]
    assert 0.12 < np.mean([s.phase_share < 0.0 for s in slides]) < 0.20
    assert 0.10 < np.mean([s.softness_um > 0.5 for s in slides]) < 0.24


def test_a_full_pool_replaces_its_oldest_and_stays_bounded(tmp_path: Path) -> None:
    pool = Pool.create(tmp_path, 3, "dpn")
    assert len(pool.ready()) == 0
    size = (tmp_path / "images.npy").stat().st_size
    for index in range(5):
        pool.write(index, np.full((512, 512, 3), index, np.uint8), flat_label(float(index)))
    again = Pool.open(tmp_path)
    assert again.images[:, 0, 0, 0].tolist() == [3, 4, 2]
    assert again.labels[:, 0].tolist() == [3.0, 4.0, 2.0]
    assert again.labels.shape == (3, LABELS["dpn"])
    assert (tmp_path / "images.npy").stat().st_size == size


def test_a_slot_being_written_is_not_used(tmp_path: Path) -> None:
    pool = Pool.create(tmp_path, 2, "dpn")
    pool.write(0, np.zeros((512, 512, 3), np.uint8), flat_label(1.0))
    pool.labels[0, 0] = np.nan
    assert len(pool.ready()) == 0


def test_batches_pair_pictures_with_their_labels(tmp_path: Path) -> None:
    pool = Pool.create(tmp_path, 4, "dpn")
    for index, grey in enumerate((40, 80, 120, 160)):
        pool.write(index, np.full((512, 512, 3), grey, np.uint8), flat_label(float(grey)))
    rng = np.random.default_rng(0)
    images, labels = dpn_batch(pool, pool.ready(), rng, 16, 96)
    assert images.shape == (16, 96, 96, 3)
    # a flat grey keeps its grey but for brightness 0.9..1.4
    ratio = images[:, 0, 0, 1] / -labels[:, 0]
    assert ((ratio > 0.88) & (ratio < 1.42)).all()
    np.testing.assert_allclose(labels[:, 1:], np.tile([0.4, 1.1, 2.5], (16, 1)), rtol=1e-6)


def test_rin_labels_turn_with_the_picture(tmp_path: Path) -> None:
    pool = Pool.create(tmp_path, 1, "rin")
    image, grid = np.full((512, 512, 3), 60, np.uint8), np.zeros((9, 9), np.float32)
    image[0:40, 470:], grid[0, 8] = 220, 1.0
    pool.write(0, image, np.concatenate([np.float32([0.0]), grid.ravel()]))
    rng = np.random.default_rng(1)
    images, importance = rin_batch(pool, pool.ready(), rng, 12, 512)
    for picture, weight in zip(images, importance, strict=True):
        row, column = np.argwhere(weight == 1.0)[0] * 511 // 8
        assert picture[row, column, 1] > picture[256, 256, 1] + 40


def test_relighting_keeps_a_picture_within_the_papers_range() -> None:
    rng = np.random.default_rng(2)
    image = rng.integers(60, 120, (64, 64, 3), dtype=np.uint8)
    for _ in range(20):
        lit = relight(image, rng)
        assert lit.dtype == np.uint8
        assert lit.shape == image.shape
        assert 0.88 < lit.mean() / image.mean() < 1.42


def test_recolouring_mixes_colours_and_keeps_grey() -> None:
    rng = np.random.default_rng(3)
    grey = np.full((8, 8, 3), 180, np.uint8)
    assert np.abs(recolour(grey, rng).astype(int) - 180).max() <= 1
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    shares = np.array([recolour(red, rng)[0, 0] for _ in range(200)]) / 200.0
    assert shares.min() < 0.05
    assert shares.max() > 0.95
    np.testing.assert_allclose(shares.mean(0), 1 / 3, atol=0.08)


def test_the_eight_symmetries_are_distinct() -> None:
    image = np.arange(9).reshape(3, 3)
    turns = {turn(image, q, m).tobytes() for q in range(4) for m in (False, True)}
    assert len(turns) == 8


def test_drawn_distances_cover_the_range_and_beyond_on_both_sides() -> None:
    rng = np.random.default_rng(3)
    delta = np.array([draw_delta(rng) for _ in range(4000)])
    assert np.abs(delta).max() <= 55.0
    assert 0.07 < (np.abs(delta) > 26.0).mean() < 0.13
    assert 0.47 < (delta > 0).mean() < 0.53
    assert (np.abs(delta) < 3.0).mean() > 0.2


def test_some_slides_have_optics_beyond_the_calibrated_range() -> None:
    rng = np.random.default_rng(4)
    optics = [draw_slide(rng).optics for _ in range(600)]
    outside = [o for o in optics if not (0.27 <= o.w040_waves <= 0.63)]
    assert 0.22 < len(outside) / 600 < 0.35  # of the wide draws some fall inside
    assert max(o.axial_colour_um for o in optics) > 1.6
    assert all(draw_slide(rng).tilt_um_per_mm == (0.0, 0.0) for _ in range(5))


def test_more_than_half_of_the_slides_are_thick() -> None:
    rng = np.random.default_rng(5)
    thickness = np.array([draw_slide(rng).thickness_um for _ in range(600)])
    assert 0.5 < (thickness >= 0.5).mean() < 0.67
    assert thickness.max() <= 4.0


def test_pen_comes_twice_as_often_as_dirt_says_and_only_tissue_folds() -> None:
    cells, tissue = dirt_chances(1.5, "cell"), dirt_chances(1.5, "tissue")
    assert cells["pen"] == pytest.approx(2.0 * 1.5 * DIRT["pen"])
    assert cells["dust"] == pytest.approx(1.5 * DIRT["dust"])
    assert "fold" not in cells
    assert tissue["fold"] == pytest.approx(1.5 * DIRT["fold"])
    assert max(dirt_chances(50.0, "tissue").values()) == 1.0
    assert not any(dirt_chances(0.0, "tissue").values())


def test_training_and_validation_draw_different_slides() -> None:
    a = draw_variation(np.random.default_rng([TRAINING, 7, 0]))
    b = draw_variation(np.random.default_rng([VALIDATION, 7, 0]))
    assert a != b


def test_some_pictures_are_noisier_and_some_went_through_jpeg() -> None:
    variation = draw_variation(np.random.default_rng(6))
    light = np.ones((64, 64, 3), np.float32)
    grain = []
    for seed in range(40):
        picture = photograph(light, variation, np.random.default_rng(seed))
        assert picture.shape == (64, 64, 3)
        grain.append(float(picture[24:40, 24:40, 1].std()))
    usual = float(np.median(grain))
    assert max(grain) > 1.3 * usual  # less charge in a pixel
    assert min(grain) < 0.8 * usual  # JPEG smooths it
