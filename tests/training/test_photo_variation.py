"""Photographs that training sees: other spectra, dyes and grounds, the same microscope."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from simulator.photograph import Photographs
from training import fields
from training.photo_variation import VEIL, VariedPhotographs, spectral_gain, vary

SHAPE = (96, 128)


class Drawn(Exception):
    """Stops a field before it is painted."""


def _planes(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    rough = [cv2.GaussianBlur(rng.random(SHAPE), (0, 0), 1.5) for _ in range(3)]
    return [np.asarray(0.2 * plane, np.float32) for plane in rough]


def _folder(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        pixels = np.full((640, 640, 3), 240, np.uint8)
        for y, x, radius in rng.integers((0, 0, 2), (640, 640, 7), (1700, 3)):
            cv2.circle(pixels, (int(x), int(y)), int(radius), (90, 60, 120), -1)
        small = cv2.resize(pixels, (320, 320), interpolation=cv2.INTER_AREA)
        assert cv2.imwrite(str(folder / name), small)
    return folder


def test_what_is_varied_stays_absorbance_of_the_same_strength():
    for seed in range(60):
        planes = _planes()
        kept = [plane.copy() for plane in planes]
        varied = vary(planes, np.random.default_rng(seed))
        strength = np.mean(kept)
        assert all(plane.dtype == np.float32 and plane.shape == SHAPE for plane in varied)
        assert all(np.isfinite(plane).all() and plane.min() >= 0 for plane in varied)
        assert strength * 0.98 <= np.mean(varied) <= strength * 1.02 + VEIL
        np.testing.assert_array_equal(planes, kept)


def test_the_same_seed_gives_the_same_and_another_seed_another():
    first, again, other = (vary(_planes(), np.random.default_rng(s)) for s in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("slope", [-0.35, 0.6])
def test_the_gain_is_a_power_of_the_frequency_and_spares_the_mean(slope):
    gain = spectral_gain((512, 512), slope)
    assert gain[0, 0] == 1.0
    assert gain[0, 82] / gain[0, 41] == pytest.approx(2.0**slope, rel=1e-5)
    assert gain[82, 0] == pytest.approx(gain[0, 82])


def test_a_steeper_spectrum_is_seen_in_the_planes(monkeypatch):
    for name in ("DYED", "CURVED", "VEILED"):
        monkeypatch.setattr(f"training.photo_variation.{name}", 0.0)
    monkeypatch.setattr("training.photo_variation.TILTED", 1.0)

    def fine(planes: list[np.ndarray]) -> float:
        power = np.abs(np.fft.rfft2(planes[1]))
        return float(power[20:40, 20:40].mean() / power[2:8, 2:8].mean())

    results = {}
    for slope in (-0.35, 0.0, 0.6):
        monkeypatch.setattr("training.photo_variation.SLOPE", (slope, slope))
        results[slope] = fine(vary(_planes(), np.random.default_rng(0)))
    assert results[0.0] == pytest.approx(fine(_planes()), rel=1e-3)
    assert results[-0.35] < 0.8 * results[0.0] < results[0.0] < 0.8 * results[0.6]


def test_dyes_mix_without_moving_what_they_colour():
    planes = [np.zeros(SHAPE, np.float32) for _ in range(3)]
    planes[1][40:50, 60:80] = 0.5
    colours = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        with pytest.MonkeyPatch.context() as only:
            for name in ("TILTED", "CURVED", "VEILED"):
                only.setattr(f"training.photo_variation.{name}", 0.0)
            varied = vary(planes, rng)
        for plane in varied:
            assert not plane[:40].any()
            assert not plane[50:].any()
        colours.add(tuple(round(float(plane.mean()), 6) for plane in varied))
    assert len(colours) > 15


def test_a_varied_photograph_is_much_coarser_at_times_and_periodic(tmp_path):
    folder = _folder(tmp_path)
    plain, varied = Photographs.open(folder), VariedPhotographs.open(folder)
    assert (plain.coarsest, varied.coarsest) == (1.5, 3.5)
    planes = varied.draw(np.random.default_rng(2), (256, 192))
    again = varied.draw(np.random.default_rng(2), (256, 192))
    np.testing.assert_array_equal(planes, again)
    for plane in planes:
        inside = np.abs(np.diff(plane, axis=0)).mean()
        assert np.abs(plane[0] - plane[-1]).mean() < 3 * inside


def test_a_dense_photograph_is_the_commonest_one_in_a_pool(tmp_path, monkeypatch):
    photographs = VariedPhotographs.open(_folder(tmp_path))
    drawn: list[tuple[str, str]] = []

    def note(kind: str, coverage: str, *rest: object) -> None:
        drawn.append((kind, coverage))
        raise Drawn

    monkeypatch.setattr(fields, "make_specimen", note)
    for seed in range(300):
        with pytest.raises(Drawn):
            next(fields.dpn_fields(np.random.default_rng(seed), photographs))
    dense = {kind: drawn.count((kind, "dense")) for kind, _ in drawn}
    count = {kind: sum(k == kind for k, _ in drawn) for kind, _ in drawn}
    assert 0.4 < count["texture"] / 300 < 0.6
    assert 0.4 < dense["texture"] / count["texture"] < 0.6
    assert dense["cell"] / count["cell"] < 0.4
