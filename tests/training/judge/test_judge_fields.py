"""The second judge's fields: their truth, their signs, and that they come from nowhere else."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from engines.engine import MODELS, open_engine
from training.judge.camera import CameraModel, JudgeCamera
from training.judge.field import JudgeField, JudgeInstrument
from training.judge.instrument import Scope, Spread, draw_slide
from training.judge.sharpness import Stack, content_of, laplacian
from training.judge.specimens import GROUPS, PatchGrid

SMALL, TINY = (448, 448), (240, 240)
NOMINAL = Scope()
THIN = Spread(dirt=0.0, thick=0.0, tilted=0.0, phase_negative=0.0, softness=(1.0, 1.0))


def instrument(exact: float = 0.0, scope: Scope = NOMINAL, **of_slides: object) -> JudgeInstrument:
    spread = replace(THIN, **of_slides)  # type: ignore[arg-type]
    return JudgeInstrument(scope=scope, spread=spread, shape=SMALL, exact=exact, tile_px=64)


def shift_um(of: JudgeInstrument, group: str = "cell dense", number: int = 0) -> float:
    field = JudgeField(of, 4, number, group)
    return field.sharpest.field_um - field.surface_um


@pytest.mark.parametrize("exact", [0.0, 1.0])
def test_without_phase_a_specimen_is_sharpest_where_its_absorption_is_in_focus(
    exact: float,
) -> None:
    group = "cell dense" if exact else "tissue dense"
    assert abs(shift_um(instrument(exact, phase=(0.0, 0.0)), group)) < 0.15


@pytest.mark.parametrize("exact", [0.0, 1.0])
def test_phase_moves_the_sharpest_plane_down_and_negative_phase_up(exact: float) -> None:
    assert shift_um(instrument(exact, phase=(1.0, 1.0))) < -0.15
    assert shift_um(instrument(exact, phase=(1.0, 1.0), phase_negative=1.0)) > 0.08


def test_a_specimen_of_phase_only_is_in_focus_where_its_contrast_turns_over() -> None:
    field = JudgeField(instrument(stains=("unstained",), phase=(1.0, 1.0)), 4, 0, "cell dense")
    sharpest = field.sharpest
    assert abs(sharpest.field_um - field.surface_um) < 0.5
    assert field.reached(sharpest.field_um + 1.5) > 1.5  # it is the least, not the most


def test_patches_of_a_tilted_field_are_sharp_at_their_own_heights() -> None:
    field = JudgeField(instrument(tilted=1.0, tilt_um_per_mm=(12.0, 12.0)), 4, 1, "tissue dense")
    down, across = field.slide.tilt_um_per_mm
    half_mm = 112 * 0.34e-3
    heights = field.sharpest.patch_um
    assert heights[1].mean() - heights[0].mean() == pytest.approx(2 * half_mm * down, abs=0.35)
    assert heights[:, 1].mean() - heights[:, 0].mean() == pytest.approx(
        2 * half_mm * across, abs=0.35
    )


def test_sharpness_reached_is_one_at_the_sharpest_plane_and_less_beside_it() -> None:
    field = JudgeField(instrument(), 4, 0, "tissue dense")
    at = field.sharpest.field_um
    assert field.reached(at) == pytest.approx(1.0, abs=1e-6)
    assert field.reached(at + 1.0) < 0.97
    assert field.reached(at - 1.0) < 0.97


def test_the_same_seed_shows_the_same_and_another_does_not() -> None:
    spread = Spread(dirt=2.0)
    for group in ("cell dense", "tissue sparse", "blank"):
        pictures = []
        for seed in (4, 4, 5):
            field = JudgeField(
                JudgeInstrument(spread=spread, shape=TINY, exact=0.0), seed, 0, group
            )
            pictures.append(field.picture(field.surface_um + 2.0))
        assert pictures[0].shape == (*TINY, 3)
        assert np.array_equal(pictures[0], pictures[1])
        assert not np.array_equal(pictures[0], pictures[2])


def test_the_shipped_network_reads_the_direction_of_the_judges_frames() -> None:
    """Other code, one convention: z positive = objective up, defocus = correction."""
    engine = open_engine(MODELS / "dpn.json")
    for group in ("cell dense", "tissue dense"):
        field = JudgeField(instrument(), 4, 2, group)
        row, column = np.unravel_index(np.argmax(field.richness), field.richness.shape)
        for z_um in (-8.0, 8.0):
            frame = field.picture(field.sharpest.field_um + z_um)
            patch = frame[224 * row : 224 * row + 224, 224 * column : 224 * column + 224]
            reading = float(engine.infer(np.ascontiguousarray(patch[None]))[0][0])
            assert reading == pytest.approx(-z_um, abs=3.0), group


def test_nothing_of_the_simulator_is_imported() -> None:
    ask = (
        "import sys, training.judge.__main__, training.judge.stacks;"
        "print([name for name in sys.modules if name.split('.')[0] == 'simulator'])"
    )
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_fixing_one_property_of_a_slide_leaves_the_others_as_they_were() -> None:
    drawn = draw_slide(np.random.default_rng(1), Spread())
    fixed = draw_slide(np.random.default_rng(1), Spread(phase=(2.0, 2.0), phase_negative=0.0))
    assert fixed.phase == 2.0
    assert replace(fixed, phase=drawn.phase) == drawn


def test_an_instruments_aperture_is_no_dead_option() -> None:
    pictures = []
    for scope in (Scope(), Scope(condenser=0.5), Scope(na=0.5), Scope(light_tilt_na=0.2)):
        field = JudgeField(instrument(scope=scope), 4, 0, "cell dense")
        pictures.append(field.luminance(field.surface_um + 6.0))
    for other in pictures[1:]:
        assert np.std(other - pictures[0]) > 0.003


def test_cameras_differ_as_their_options_say() -> None:
    red = np.zeros((64, 64, 3), np.float32)
    red[..., 0] = 0.9

    def seen(**options: object) -> np.ndarray:
        rng = np.random.default_rng(3)
        model = CameraModel(**options)  # type: ignore[arg-type]
        return JudgeCamera(model, (64, 64), rng, 0.0).expose(red, rng).mean((0, 1))

    plain = seen()
    assert plain[0] > 120 > 10 > plain[2]
    assert seen(swapped=True)[2] > 120
    assert seen(bayer=True)[0] == pytest.approx(plain[0], abs=8)
    assert seen(gamma=2.2)[0] > plain[0] + 15
    assert seen(jpeg=60)[0] == pytest.approx(plain[0], abs=15)
    assert np.ptp(seen(grey=True)) == 0
    assert seen(exposure=0.5)[0] == pytest.approx(plain[0] / 2, abs=3)


def test_the_search_finds_a_peak_that_is_known() -> None:
    y, x = np.mgrid[0:64, 0:64]
    pattern = np.sin(x * 0.8).astype(np.float32) * np.cos(y * 0.7).astype(np.float32)

    def picture(z_um: float) -> np.ndarray:
        return pattern * np.float32(np.exp(-((z_um - 0.37) ** 2) / 2))

    grid = PatchGrid(2, 2, 32.0, 0.0, 0.0)
    stack = Stack(picture, grid, content_of(np.array([[1.0, 0.9], [0.1, 0.2]])))
    peak = stack.sharpest(-3.0, 3.0)
    assert peak.field_um == pytest.approx(0.37, abs=0.01)
    assert peak.patch_um == pytest.approx(np.full((2, 2), 0.37), abs=0.01)


def test_the_search_is_not_caught_on_a_lower_rise_beside_the_highest() -> None:
    """As the colours of a thick specimen with much phase have it."""
    noisy = np.random.default_rng(1).standard_normal((64, 64)).astype(np.float32)

    def picture(z_um: float) -> np.ndarray:
        energy = np.exp(-(((z_um + 1.05) / 0.4) ** 2)) + 0.8 * np.exp(-(((z_um - 0.25) / 0.4) ** 2))
        return noisy * np.float32(np.sqrt(energy))

    for low in (-3.0, -2.75, -2.5, -2.25):  # a new stack each time: it keeps its planes
        stack = Stack(picture, PatchGrid(1, 1, 64.0, 0.0, 0.0), np.ones((1, 1), bool))
        assert stack.sharpest(low, 2.75).field_um == pytest.approx(-1.05, abs=0.03)


def test_unknown_groups_and_fields_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match="group 'bone' must be one of"):
        JudgeField(instrument(), 1, 0, "bone")
    with pytest.raises(ValueError, match="holds no patch"):
        PatchGrid.of((200, 200), 0.34)
    assert len(GROUPS) == 7


def test_other_measures_have_their_best_near_the_sharpest_plane() -> None:
    for exact in (0.0, 1.0):
        field = JudgeField(instrument(exact, phase=(1.0, 1.0)), 4, 0, "cell dense")
        green = field.best_by(laplacian, (0.0, 1.0, 0.0))
        assert green != field.sharpest.field_um
        assert green == pytest.approx(field.sharpest.field_um, abs=0.5)


def test_the_iris_is_drawn_for_each_slide_and_changes_nothing_else() -> None:
    usual = instrument()
    left = replace(usual, shape=TINY, iris=(0.45, 0.9))
    fields = [JudgeField(left, 4, number, "cell dense") for number in (0, 1, 0)]
    apertures = [field.instrument.scope.condenser for field in fields]
    assert apertures[0] == apertures[2] != apertures[1]
    assert all(0.45 <= each <= 0.9 for each in apertures)
    assert fields[0].slide == JudgeField(replace(usual, shape=TINY), 4, 0, "cell dense").slide
