"""Every condition is what its name says, and every slide the same whenever it is drawn."""

from __future__ import annotations

import dataclasses
import zlib

import cv2
import numpy as np
import pytest

from simulator.optics import NOMINAL
from simulator.slide import CLASS_RANGE
from training.cases import (
    CALIBRATION,
    CASES,
    TEST,
    Case,
    frames,
    load,
    offsets_um,
    seed_words,
    stage_z_um,
)
from training.pool import TRAINING, VALIDATION

#: a quarter of the nominal resolution: the 9 x 9 patches on a small field
COARSE = dataclasses.replace(NOMINAL, um_per_px=4 * NOMINAL.um_per_px)
SMALL = {"shape": (504, 504), "instrument": COARSE}

NOMINAL_W040, NOMINAL_COLOUR = (0.27, 0.63), (0.85, 1.15)
SIX = [f"{kind} {s}" for kind in ("cell", "tissue") for s in ("dense", "sparse", "ex-sparse")]


def optics(case: Case, count: int = 40) -> np.ndarray:
    """W040 and axial colour of the first slides of every group."""
    numbers = range(count * len(case.groups))
    drawn = [case.draw(np.random.default_rng(n), n).optics for n in numbers]
    return np.array([(o.w040_waves, o.axial_colour_um) for o in drawn])


@pytest.mark.parametrize("name", sorted(CASES))
def test_optics_lie_where_the_condition_says(name):
    w040, colour = optics(CASES[name]).T
    inside = {"w040": (NOMINAL_W040, w040), "axial": (NOMINAL_COLOUR, colour)}
    outside = {"outside-w040": ["w040"], "outside-axial": ["axial"]}.get(name, [])
    if name == "outside-both":
        outside = ["w040", "axial"]
    for key, ((low, high), values) in inside.items():
        if key in outside:
            assert set(values) == {{"w040": 0.95, "axial": 1.6}[key]}
        else:
            assert low <= values.min() < low + 0.05
            assert high - 0.05 < values.max() <= high


def test_edge_visits_the_four_corners_in_every_group():
    case = CASES["edge"]
    corners = {(w, c) for w in NOMINAL_W040 for c in NOMINAL_COLOUR}
    results = [tuple(o) for o in optics(case, 4)]
    for turn in range(len(case.groups)):
        assert set(results[turn :: len(case.groups)]) == corners


@pytest.mark.parametrize(
    ("name", "tilt", "thickness"),
    [("thick", (0, 0), (1, 4)), ("tilted", (1, 3), (0, 0)), ("clean", (0, 0), (0, 0)),
     ("texture", (0, 0), (0, 0)), ("edge", (0, 0), (0, 0)), ("pen", (0, 0), (0, 0))],
)  # fmt: skip
def test_geometry_is_forced(name, tilt, thickness):
    drawn = [CASES[name].draw(np.random.default_rng(n), n) for n in range(200)]
    slopes = np.array([np.hypot(*v.tilt_um_per_mm) for v in drawn])
    heights = np.array([v.thickness_um for v in drawn])
    for values, (low, high) in ((slopes, tilt), (heights, thickness)):
        assert low <= values.min() <= low + 0.1
        assert high - 0.1 <= values.max() <= high
    if tilt[1]:
        assert min(np.mean([v.tilt_um_per_mm[0] > 0 for v in drawn]), 0.6) > 0.4  # any direction


def test_everyday_is_the_default_variation():
    drawn = [CASES["everyday"].draw(np.random.default_rng(n), n) for n in range(300)]
    slopes = np.array([np.hypot(*v.tilt_um_per_mm) for v in drawn])
    heights = np.array([v.thickness_um for v in drawn])
    assert 2.5 < slopes.max() <= 3.0
    assert 3.5 < heights.max() <= 4.0
    assert 0.4 < np.mean(heights == 0.0) < 0.6
    assert CASES["everyday"].dirt_of(3) is None


def test_groups_and_forced_dirt():
    assert list(CASES["clean"].groups) == list(CASES["everyday"].groups) == SIX
    assert CASES["folded"].groups == ("tissue dense", "tissue sparse")
    assert CASES["texture"].groups == ("texture dense", "texture sparse", "texture ex-sparse")
    assert CASES["nothing"].groups == ("blank",)
    forced = {n: {c.dirt_of(i) for i in range(60)} for n, c in CASES.items() if c.dirt is not None}
    assert forced.pop("dusty") == {("dust", "debris")}
    assert forced.pop("bubbles") == {("bubbles",)}
    assert forced.pop("pen") == {("pen",)}
    assert forced.pop("folded") == {("fold",)}
    assert forced.pop("nothing") == {(), ("dust",), ("debris",), ("bubbles",), ("pen",)}
    assert set().union(*forced.values()) == {()}


def test_no_two_conditions_or_domains_share_a_slide():
    assert len({zlib.crc32(name.encode()) for name in CASES}) == len(CASES)
    assert all(name == case.name for name, case in CASES.items())
    assert len({TRAINING, VALIDATION, CALIBRATION, TEST}) == 4
    words = seed_words(CASES["clean"], 7, 5, TEST)
    assert words == [4, 7, zlib.crc32(b"clean"), 5]


def test_a_slide_is_the_same_whenever_it_is_drawn():
    case = CASES["clean"]
    first, again = (list(frames(case, 1, 2, "cell ex-sparse", 2, **SMALL)) for _ in range(2))
    for (pixels, z_um, truth), (same, same_z_um, same_truth) in zip(first, again, strict=True):
        assert pixels.shape == (504, 504, 3)
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, same)
        assert z_um == same_z_um
        assert truth.z_focus_um == same_truth.z_focus_um
        np.testing.assert_array_equal(truth.richness, same_truth.richness)
    reference = first[0][0].astype(int)
    for change in ({"seed": 2}, {"slide": 8}, {"domain": CALIBRATION}):
        how = {"case": case, "seed": 1, "slide": 2, "domain": TEST} | change
        other = next(frames(**how, group="cell ex-sparse", planes=2, **SMALL))[0]
        assert np.abs(other - reference).mean() > 1.0


@pytest.mark.parametrize("group", ["cell dense", "cell sparse", "cell ex-sparse", "blank"])
def test_fields_are_of_their_class(group):
    case = CASES["nothing"] if group == "blank" else CASES["clean"]
    truth = load(case, 3, 0, group, **SMALL).truth
    low, high = CLASS_RANGE[truth.sparsity]
    assert low <= (truth.richness > 0.8).sum() <= high
    assert group in (f"{truth.kind} {truth.sparsity}", truth.sparsity)
    assert truth.richness.shape == truth.focus_um.shape == (9, 9)


def test_dirt_is_on_the_slide_and_no_other():
    case = CASES["nothing"]
    for slide, name in enumerate(("", "dust", "debris", "bubbles", "pen")):
        layers = load(case, 1, slide, "blank", **SMALL)._renderer.specimen.layers
        above = [layer for layer in layers if not layer.content]
        assert len(above) == bool(name)
        if name == "pen":
            assert 60 <= above[0].z_um <= 120
        if name == "debris":
            assert 6 <= abs(above[0].z_um) <= 30


def test_focus_is_where_the_picture_is_sharpest():
    field = load(CASES["thick"], 1, 1, "cell sparse", **SMALL)
    z_focus = field.truth.z_focus_um
    chosen = field.truth.focus_um[field.truth.richness > 0.8]
    assert chosen.min() - 0.1 <= z_focus <= chosen.max() + 0.1
    assert field.truth.sharpness_reached(z_focus) == pytest.approx(1.0)
    assert abs(z_focus - 200.0) <= 7.1  # surface within 5 um, half a thickness of 4 um on top
    detail = {
        d: cv2.Laplacian(field.picture(z_focus + d)[..., 1].astype(np.float32), cv2.CV_32F).var()
        for d in (-9.0, 0.0, 9.0)
    }
    assert detail[0.0] > 1.2 * max(detail[-9.0], detail[9.0])


def test_a_flat_thin_field_is_sharpest_where_its_phase_says():
    """Below the surface with the usual phase, above it with a negative one."""
    for slide in range(2, 5):
        field = load(CASES["clean"], 1, slide, "cell ex-sparse", **SMALL)
        away, phase = field.truth.z_focus_um - field._surface_um, field.variation.phase_share
        assert abs(away) < 2.5  # pixels four times the nominal see coarse detail alone
        if abs(phase) > 0.3:
            assert away * phase < 0.0
        chosen = field.truth.richness > 0.8
        np.testing.assert_allclose(field.truth.focus_um[chosen] - field._surface_um, away, atol=0.5)


def test_pictures_near_focus_come_on_top():
    case = CASES["clean"]
    plain, more = (stage_z_um(case, 1, 0, 3, 200.0, near=n) for n in (0, 2))
    assert more == sorted(more)
    assert set(plain) < set(more)
    assert all(abs(z - 200.0) <= 3.0 for z in set(more) - set(plain))


def test_all_planes_are_the_paper_s():
    z_um = offsets_um("all", np.random.default_rng(0))
    assert (len(z_um), z_um[0], z_um[50], z_um[-1]) == (101, -25.0, 0.0, 25.0)
    np.testing.assert_allclose(np.diff(z_um), 0.5)


@pytest.mark.parametrize("count", [1, 4, 7])
def test_random_heights_cover_the_range_evenly(count):
    drawn = np.array([offsets_um(count, np.random.default_rng(n)) for n in range(400)])
    stratum = np.floor((drawn + 25.0) / (50.0 / count))
    np.testing.assert_array_equal(stratum, np.tile(np.arange(count), (400, 1)))
    width = 50.0 / count
    assert abs(drawn.mean()) < 0.15 * width
    assert drawn[:, 0].min() < -25.0 + 0.05 * width
    assert drawn[:, -1].max() > 25.0 - 0.05 * width


def test_stage_heights_are_about_the_focus_and_their_own():
    case = CASES["clean"]
    z_um = stage_z_um(case, 1, 0, "all", 203.4567)
    assert (z_um[0], z_um[50], z_um[-1]) == (178.4567, 203.4567, 228.4567)
    few = stage_z_um(case, 1, 0, 4, 200.0)
    assert few == stage_z_um(case, 1, 0, 4, 200.0)
    assert few != stage_z_um(case, 1, 6, 4, 200.0)
    assert few != stage_z_um(case, 2, 0, 4, 200.0)


def test_wrong_use_is_told():
    with pytest.raises(ValueError, match="case clean has no group 'blank'"):
        load(CASES["clean"], 1, 0, "blank", **SMALL)
    with pytest.raises(ValueError, match="needs photographs"):
        load(CASES["texture"], 1, 0, "texture dense", **SMALL)
    with pytest.raises(ValueError, match="does not hold the 9 x 9 patches"):
        load(CASES["clean"], 1, 0, "cell sparse", shape=(128, 128))
