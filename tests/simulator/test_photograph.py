"""Photographs as specimens: split by source, sharp or refused, quilted without a seam."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from simulator import photograph
from simulator.photograph import Photographs, paint_photograph
from simulator.picture import Picture, quilt, sharp_picture


def picture(seed: int = 0, side: int = 320, ink=(60, 60, 60)) -> np.ndarray:
    """Sharp dots of `ink` on white ground, (side, side, 3) uint8 RGB."""
    rng = np.random.default_rng(seed)
    pixels = np.full((2 * side, 2 * side, 3), 240, np.uint8)
    for y, x, radius in rng.integers((0, 0, 2), (2 * side, 2 * side, 7), (side * side // 60, 3)):
        cv2.circle(pixels, (int(x), int(y)), int(radius), ink, -1)
    return cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)


def grain() -> np.ndarray:
    """Grey grain as fine as a lens lets through, (400, 400, 3) uint8."""
    rough = np.random.default_rng(0).normal(150, 80, (400, 400))
    return np.dstack([np.clip(cv2.GaussianBlur(rough, (0, 0), 0.6), 0, 255).astype(np.uint8)] * 3)


def save(folder: Path, *names: str, pixels: np.ndarray | None = None) -> None:
    for index, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shown = picture(index) if pixels is None else pixels
        assert cv2.imwrite(str(folder / name), shown[..., ::-1])


def names(photographs: Photographs) -> set[str]:
    return {file.relative_to(photographs.folder).as_posix() for file in photographs.files}


def test_images_are_found_in_all_sub_folders_and_nothing_else_is(tmp_path):
    save(tmp_path, "a.png", "b/c.JPG", "b/d/e.tif")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "lie.png").write_text("no image either")
    assert names(Photographs.open(tmp_path)) == {"a.png", "b/c.JPG", "b/d/e.tif"}


def test_a_folder_without_images_is_named(tmp_path):
    (tmp_path / "lie.png").write_text("no image")
    with pytest.raises(ValueError, match=f"{tmp_path}: no PNG"):
        Photographs.open(tmp_path)
    with pytest.raises(ValueError, match="nowhere: no such folder"):
        Photographs.open(tmp_path / "nowhere")


def test_a_held_out_source_is_the_test_part_and_only_that(tmp_path):
    save(tmp_path, "a/1.png", "a/2.png", "b/1.png", "c.png")
    assert names(Photographs.open(tmp_path, "test", ["a"])) == {"a/1.png", "a/2.png"}
    assert names(Photographs.open(tmp_path, "train", ["a"])) == {"b/1.png", "c.png"}
    with pytest.raises(ValueError, match="'d'"):
        Photographs.open(tmp_path, "test", ["d"])
    with pytest.raises(ValueError, match="'rest'"):
        Photographs.open(tmp_path, "rest")
    with pytest.raises(ValueError, match="part 'train'"):
        Photographs.open(tmp_path, "train", ["a", "b", "c.png"])


@pytest.mark.parametrize("folders", [1, 5])
def test_the_split_leaves_nothing_out_and_keeps_the_tiles_of_a_source_together(tmp_path, folders):
    tiles = [f"{folder}/{tile}.png" for folder in range(folders) for tile in range(20 // folders)]
    save(tmp_path, *tiles)
    train, test = (names(Photographs.open(tmp_path, part)) for part in ("train", "test"))
    assert train | test == set(tiles)
    assert not train & test
    assert len(test) == 2 if folders == 1 else 4
    if folders > 1:
        assert not {name[0] for name in train} & {name[0] for name in test}


def test_a_draw_depends_on_the_seed_and_not_on_what_is_kept(tmp_path, monkeypatch):
    save(tmp_path, "a/1.png", "a/2.png", "b/1.png")
    fresh = Photographs.open(tmp_path)
    first = [fresh.draw(np.random.default_rng(seed), (96, 128)) for seed in range(8)]
    monkeypatch.setattr(photograph, "CACHE_BYTES", 1)
    small = Photographs.open(tmp_path)
    again = [small.draw(np.random.default_rng(seed), (96, 128)) for seed in reversed(range(8))]
    np.testing.assert_array_equal(first, again[::-1])
    assert len(small._cache) == 1
    assert len({plane[1].tobytes() for plane in first}) == 8


def test_absorbance_is_that_of_the_ink_in_its_colour(tmp_path):
    save(tmp_path, "red.png", pixels=picture(ink=(240, 60, 120)))
    red, green, blue = Photographs.open(tmp_path).draw(np.random.default_rng(0), (200, 150))
    assert red.shape == (200, 150)
    assert red.dtype == np.float32
    assert abs(red).max() < 0.01
    assert np.quantile(green, 0.01) == pytest.approx(0.0, abs=0.02)
    assert np.quantile(green, 0.99) == pytest.approx(np.log(4.0), abs=0.05)
    assert np.quantile(blue, 0.99) == pytest.approx(np.log(2.0), abs=0.05)


def test_no_seam_at_the_rim_or_between_windows():
    """A steep ramp under fine grain: a hard cut would stand out a hundredfold."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(130, 200, 300)[:, None] + np.linspace(-30, 30, 300)[None, :]
    pixels = np.clip(ramp + rng.normal(0, 6, (300, 300)), 0, 255).astype(np.uint8)
    whole = Picture(np.dstack([pixels] * 3), np.full(3, 255.0), np.ones((10, 10), np.float32))
    for shape in ((200, 230), (420, 700)):  # one window; several
        green = quilt(whole, rng, shape, 1.0)[1]
        assert green.shape == shape
        around = cv2.copyMakeBorder(green, 8, 8, 8, 8, cv2.BORDER_WRAP)
        energy = ((around - cv2.blur(around, (15, 15))) ** 2)[8:-8, 8:-8]
        for axis in (0, 1):
            line = np.convolve(energy.mean(axis), np.ones(4) / 4, "same")
            assert line[4:-4].max() < 2.5 * np.median(line)
            ends = np.r_[energy.mean(axis)[:2], energy.mean(axis)[-2:]].mean()
            assert ends < 2.5 * np.median(line)


def test_the_quilt_neither_brightens_nor_darkens_where_windows_meet():
    flat = Picture(
        np.full((200, 200, 3), 100, np.uint8), np.full(3, 200.0), np.ones((7, 7), np.float32)
    )
    for plane in quilt(flat, np.random.default_rng(0), (310, 500), 1.3):
        np.testing.assert_allclose(plane, np.log(2.0), atol=1e-5)


def test_a_soft_photograph_is_made_coarser_and_a_hopeless_one_refused(tmp_path):
    sharp = grain()
    whole = sharp_picture(sharp, jpeg=False)
    assert whole is not None
    assert whole.pixels.shape == sharp.shape
    soft = sharp_picture(cv2.GaussianBlur(sharp, (0, 0), 1.5), jpeg=False)
    assert soft is not None
    assert soft.pixels.shape[0] < 400
    blurred = cv2.GaussianBlur(picture(side=640), (0, 0), 8.0)
    assert sharp_picture(blurred, jpeg=False) is None
    noise = np.random.default_rng(0).normal(0, 15, (640, 640, 1))
    grainy = np.clip(blurred + noise, 0, 255).astype(np.uint8)
    assert sharp_picture(grainy, jpeg=False) is None  # grain is not sharpness
    save(tmp_path, "blurred.png", pixels=blurred)
    with pytest.raises(ValueError, match="no photograph in it is sharp"):
        Photographs.open(tmp_path).draw(np.random.default_rng(0), (64, 64))


def test_jpeg_is_never_used_at_its_own_size_and_an_empty_slide_not_at_all():
    own, smaller = (sharp_picture(grain(), jpeg) for jpeg in (False, True))
    assert own is not None
    assert smaller is not None
    assert smaller.pixels.shape[0] < own.pixels.shape[0] == 400
    empty = np.full((320, 320, 3), 240, np.uint8)
    empty[:40, :40] = picture()[:40, :40]
    assert sharp_picture(empty, jpeg=False) is None


def test_a_file_that_cannot_be_decoded_is_named(tmp_path):
    (tmp_path / "cut.png").write_bytes(cv2.imencode(".png", picture())[1].tobytes()[:40])
    with pytest.raises(ValueError, match=r"cut\.png: cannot be decoded"):
        Photographs.open(tmp_path).draw(np.random.default_rng(0), (64, 64))


def test_layers_share_the_photograph_out_over_the_thickness():
    rng = np.random.default_rng(3)
    planes = [rng.uniform(0.1, 3.0, (256, 256)).astype(np.float32) for _ in range(3)]
    thin = paint_photograph(planes, 1.0, np.random.default_rng(0), None, 0.0, 0.5)
    thick = paint_photograph(planes, 1.0, np.random.default_rng(0), None, 6.0, 0.5)
    assert [layer.z_um for layer in thin] == [0.0]
    assert [layer.z_um for layer in thick] == [-3.0, 0.0, 3.0]
    for layers in (thin, thick):
        for channel in range(3):
            total = sum(layer.absorbance({})[channel] for layer in layers)
            np.testing.assert_allclose(total, 0.5 * planes[channel], rtol=1e-4)
    np.testing.assert_allclose(sum(x.phase for x in thick), thin[0].phase, atol=1e-5)
    assert 0.0 < thin[0].phase.min() < thin[0].phase.max() < 2.0
    shares = np.array([layer.dyes["magenta"] for layer in thick]) / (0.5 * planes[1])
    assert (shares.max(0) > 0.9).mean() > 0.6  # nearly every place lies at one height
    assert (shares.mean((1, 2)) > 0.1).all()


def test_islands_lie_on_clear_ground():
    planes = [np.full((64, 64), 0.3, np.float32) for _ in range(3)]
    for plane in planes:
        plane[4::8] += 0.5
    mask = np.zeros((64, 64), np.float32)
    mask[16:48, 16:48] = 1.0
    layer = paint_photograph(planes, 0.34, np.random.default_rng(0), mask, 0.0, 1.0)[0]
    for plane in (*layer.dyes.values(), layer.phase):
        assert not plane[mask == 0.0].any()
        assert abs(plane[16:20, 16:48]).max() < 1e-6  # the wash under everything is gone
    np.testing.assert_allclose(layer.dyes["cyan"][20:48:8, 16:48], 0.5, rtol=1e-5)
