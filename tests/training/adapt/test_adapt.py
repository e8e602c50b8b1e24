"""Adaptation: labels against the simulator's truth, every refusal, and a whole run on a strange
instrument."""

from __future__ import annotations

import argparse
import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edge.appliance.cli import main
from edge.appliance.frame_result import FrameResult
from edge.camera import Frame, PixelFormat
from edge.images.zstack import read_manifest, read_pixels, stacks
from edge.latency import Lap
from edge.measure.importance import ClassRule
from edge.measure.photometry import PHOTOMETRY
from edge.measure.preprocess import PatchGrid
from edge.measure.sharpness import LUMINANCE, gradient_energy
from edge.open_sensor import build_sensor
from edge.optics import Objective
from edge.settings import ModelSettings
from engines.manifest import Manifest
from simulator.render import Renderer
from simulator.sharpness import peak_um
from tests.support import made_stacks as made
from training.adapt import tune, verb
from training.adapt.interval import fit_few
from training.adapt.label import label
from training.adapt.material import AdaptRefused, read_material
from training.adapt.pools import dpn_pool, rin_pool
from training.adapt.sharpness import block_energy, dip, noise_floor, octave_for, peak
from training.augment import dpn_batch, rin_batch
from training.labels import pack_label, sharpness_at, window_label
from training.pool import Pool

FINE = np.arange(-6.0, 6.1, 0.75)
SHARED = Path(__file__).parents[4] / "shared" / "data" / "zstacks" / "manifest.csv"
SMALL = PatchGrid(2, 2)


def silent(line):
    """Say nothing."""


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


# --- what is refused -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A stack of 13 planes of a dense field, as pictures."""
    away = np.arange(-12.0, 12.1, 2.0)
    return away, made.pictures(made.field(7), away)


def refused(manifest, hold_out=(), um_per_px=None):
    with pytest.raises(AdaptRefused) as caught:
        read_material(manifest, hold_out, um_per_px, silent)
    return str(caught.value)


def test_stacks_that_cannot_teach_are_refused(tmp_path, one):
    away, images = one
    few = slice(3, 9)
    manifest = made.write(tmp_path, {"a": (away[few], images[few])})
    assert "'a': 6 planes are too few, 7 are the least" in refused(manifest)
    manifest = made.write(tmp_path, {"a": (away[5:], images[5:])})
    assert "1 planes more than 1 um below focus" in refused(manifest)
    assert "0 planes more than 1 um below focus, 2 are the least: no sign" in refused(
        made.write(tmp_path, {"a": (away[6:], images[6:])})
    )
    assert "the sharpest plane is at an end of z 100..112 um" in refused(
        made.write(tmp_path, {"a": (away[6:], images[6:])}, focus_um=None)
    )


def test_planes_too_far_apart_to_teach_are_refused(tmp_path, one):
    """Of a thick object at low power: the networks' distances end at 60 um."""
    away, images = one
    wide = {"a": (20.0 * away, images)}
    assert "'a': 3 of 13 planes lie within 55 um of focus, as far as the networks" in refused(
        made.write(tmp_path, wide)
    )


def test_a_field_without_content_is_refused(tmp_path):
    away = np.arange(-12.0, 12.1, 2.0)
    empty = made.pictures(made.field(8, coverage="blank"), away)
    assert "no content" in refused(made.write(tmp_path, {"a": (away, empty)}))


def test_step_pixel_size_and_names_must_be_known(tmp_path, one):
    manifest = made.write(tmp_path, {"a": one})
    assert "there is no such stack (a)" in refused(manifest, ["b"])
    assert "names every stack" in refused(manifest, ["a"])
    silent_one = made.write(tmp_path, {"a": one}, um_per_px="")
    assert "um_per_px is empty: name it with --um-per-px" in refused(silent_one)
    assert read_material(silent_one, (), 0.5, silent).um_per_px == 0.5
    text = manifest.read_text().replace(",88.000,", ",,", 1)
    manifest.write_text(text)
    with pytest.raises(Exception, match=r"manifest\.csv:2: z_um must not be empty"):
        read_material(manifest, (), None, silent)


def test_two_sensors_in_one_manifest_are_refused(tmp_path, one):
    away, images = one
    stacks_of = {"a": one, "b": (away, images[:, :480])}
    assert "512 x 480 px, the first frame has 512 x 512" in refused(made.write(tmp_path, stacks_of))
    tiny = {"a": (away, images[:, :60, :63])}
    assert "63 x 60 px is too small, a patch of 224 x 224 px" in refused(made.write(tmp_path, tiny))


def test_a_useless_stack_among_good_ones_is_left_out(tmp_path, one):
    away, images = one
    lines: list[str] = []
    manifest = made.write(tmp_path, {"a": one, "b": (away[:5], images[:5]), "c": one})
    material = read_material(manifest, (), None, lines.append)
    assert [s.name for s in (*material.taught, *material.kept)] == ["a", "c"]
    assert "'b': 5 planes are too few" in material.left_out[0]
    assert any(line.startswith("left out: stack 'b'") for line in lines)


# --- dealing out and cutting ---------------------------------------------------------------------


def test_of_one_stack_planes_are_kept_and_of_many_a_quarter(tmp_path, one):
    material = read_material(made.write(tmp_path, {"a": one}), (), None, silent)
    taught, kept = ([p.z_um for p in s[0].planes] for s in (material.taught, material.kept))
    assert len(taught) == 10
    assert len(kept) == 3
    assert not set(taught) & set(kept)
    assert min(taught) == 88.0
    assert max(taught) == 112.0  # the ends teach: they are the reach
    names = [f"s{i}" for i in range(8)]
    many = read_material(made.write(tmp_path, dict.fromkeys(names, one)), ["s1"], None, silent)
    assert [s.name for s in many.held] == ["s1"]
    assert [s.name for s in many.kept] == ["s4"]
    assert len(many.taught) == 6


def test_tiles_say_how_far_to_go(tmp_path, one):
    """The label of a window is focus minus z, in the manifest's own direction."""
    material = read_material(made.write(tmp_path, {"a": one}, up=-1), (), None, silent)
    pool = dpn_pool(material, tmp_path, np.random.default_rng(0))
    images, labels = dpn_batch(pool, pool.ready(), np.random.default_rng(1), 64, 128)
    assert images.shape == (64, 128, 128, 3)
    true = {material.taught[0].defocus_um(p) for p in material.taught[0].planes}
    assert {round(float(d), 3) for d in labels[:, 0]} <= {round(d, 3) for d in true}
    assert np.isnan(labels[:, 1:]).all()  # nobody knows the optics of a real slide


def test_a_tilted_stack_is_farther_on_one_side(tmp_path, one):
    """Where the slide lies higher, more is to be raised."""
    material = read_material(made.write(tmp_path, {"a": one}), (), None, silent)
    (stack,) = material.taught
    height = np.zeros_like(stack.labels.height_um)
    height[:, 16:] = 2.0
    labels = replace(stack.labels, height_um=height, energy=np.ones_like(height))
    material = replace(material, taught=(replace(stack, labels=labels, planes=stack.planes[:1]),))
    pool = dpn_pool(material, tmp_path, np.random.default_rng(0))
    _, correction = window_label(pool.labels[0], 224)
    assert correction[0, 0] == pytest.approx(12.0)  # 12 um below focus
    assert correction[0, -1] == pytest.approx(14.0)


def test_pictures_of_another_sensor_for_the_rin(tmp_path):
    away = np.arange(-12.0, 12.1, 2.0)
    images = made.pictures(made.field(9, (512, 704)), away)
    material = read_material(made.write(tmp_path, {"a": (away, images)}), (), None, silent)
    grid = material.grid
    assert (grid.rows, grid.columns) == (2, 3)
    pool = rin_pool(material, tmp_path)
    assert pool.images.shape[1:] == (112, 176, 3)
    batch, importance = rin_batch(pool, pool.ready(), np.random.default_rng(0), 4, 0, (2, 3))
    assert batch.shape == (4, 112, 176, 3)
    assert importance.shape == (4, 2, 3)


def test_a_mirrored_dpn_answers_the_negative():
    run = tune.start("dpn", SMALL)
    patches = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), np.uint8)
    )
    run.average.eval()
    with torch.no_grad():
        before = run.average(patches)
        tune.mirror(run)
        after = run.average(patches)
    torch.testing.assert_close(after[0], -before[0], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(after[1], before[1], atol=1e-3, rtol=1e-4)


def test_the_interval_is_as_wide_as_the_worst_stack_needs():
    from edge.measure.interval import IntervalModel

    def result(stack, error):
        return FrameResult(
            stack_id=stack, condition="c", group="g", slide=stack, k=1, true_um=0.0, found_um=error,
            network_um=1.0, between_um=0.0, patch_importance=[1.0], patch_defocus_um=[error],
            patch_spread_um=[1.0], novelty=[1.0], photometry={},
        )  # fmt: skip

    shipped = IntervalModel(
        20.0,
        scale_um=1.0,
        factors=((1, 2.0), (9, 1.0)),
        single_patch_um=3.0,
        single_patch_relative=0.1,
    )
    kept = fit_few([result("a", 0.4)], shipped, {})["interval"]
    assert (kept["single_patch_um"], kept["single_patch_relative"]) == (3.0, 0.1)
    calm, wild = [result("a", 0.4)] * 10, [result("b", 6.0)] * 10
    assert fit_few(calm, shipped, {})["interval"]["factors"] == {"1": 1.0, "9": 0.5}
    assert fit_few([*calm, *wild], shipped, {})["interval"]["factors"] == {"1": 6.0, "9": 3.0}
    light = {**dict.fromkeys(PHOTOMETRY, 0.0), "background": 200.0}
    wide = fit_few(
        [dataclasses.replace(calm[0], photometry=light)],
        shipped,
        {"background": [100.0, 210.0], "saturated": 0.07},
    )
    low, high = wide["envelope"]["bounds"]["background"]
    assert (low, high > 210.0) == (100.0, True)  # the hull of both
    assert wide["envelope"]["bounds"]["saturated"] == 0.07
    assert fit_few(calm[:1], shipped, {})["interval"]["factors"] == {"1": 1.0, "9": 0.5}
    with pytest.raises(AdaptRefused, match="none of 1 planes that did not teach has an answer"):
        fit_few([dataclasses.replace(result("a", 0.0), found_um=None)], shipped, {})


# --- the whole -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """Six stacks of an instrument whose z falls as the objective rises; 704 x 512 px."""
    folder = tmp_path_factory.mktemp("strange")
    away = np.arange(-20.0, 20.1, 4.0) + 0.5
    results = {}
    for i in range(6):
        field = made.field(20 + i, (512, 704), ("cell", "tissue")[i % 2])
        results[f"s{i}"] = away, made.pictures(field, away, made.optics(0.7, 1.2), i)
    return made.write(folder, results, up=-1)


def options(manifest, out, **more):
    given = {
        "zstacks": manifest, "hold_out": [], "out": out, "minutes": 1.0, "steps": 48, "json": None,
        "report": None, "quiet": True, "um_per_px": None, "na": None, "magnification": None,
    }  # fmt: skip
    return argparse.Namespace(**{**given, **more})


def test_a_strange_instrument_is_learned(strange, tmp_path, capsys):
    out, result = tmp_path / "models", tmp_path / "result.json"
    arguments = ["calibrate", "--zstacks", str(strange), "--hold-out", "s4", "s5",
                 "--out", str(out), "--steps", "48", "--json", str(result),
                 "--report", str(tmp_path / "page"), "--quiet"]  # fmt: skip
    assert main(arguments) == 0
    document = json.loads(result.read_text())
    assert document["mirrored"]
    assert document["grid"] == [2, 3]
    assert document["after"]["left_um"] < 0.2 * document["before"]["left_um"]
    assert document["after"]["direction"] >= 0.9
    assert document["after"]["coverage"] > 0.8
    assert "held-out stacks, 22 planes" in capsys.readouterr().out
    page = (tmp_path / "page" / "index.html").read_text()
    assert page.count("<svg") == 2
    assert "z has the other sign" in page
    assert "outside the training range: " in page
    dpn = Manifest.read(out / "dpn.json")
    assert dpn.preprocessing == PatchGrid(2, 3).preprocessing
    assert dpn.optics.range_um == pytest.approx(1.08 * 19.5, abs=0.01)
    assert "spherical aberration" not in dpn.calibration["envelope"]["bounds"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["models", "page", "result.json"]
    focus(out, strange)


def focus(models, manifest):
    """What `run` and `focus` would do with the folder."""
    files = ModelSettings(rin=models / "rin.json", dpn=models / "dpn.json", backend="cpu")
    sensor, nets = build_sensor(files, Objective(0.75, 20.0, 0.34), ClassRule())
    plane = next(p for p in stacks(read_manifest(manifest))["s5"] if p.defocus_um < -5)
    frame = Frame(read_pixels(plane), PixelFormat.RGB8, 1, 0, 0)
    measurement = sensor.measure(frame, Lap())
    for net in nets:
        net.close()
    assert measurement.ranked.scores.shape == (2, 3)
    assert measurement.estimate.defocus_um == pytest.approx(plane.defocus_um, abs=3.0)


def test_an_instrument_without_a_sign_is_refused(tmp_path):
    """Pictures that are the same above and below focus: nothing is written."""
    away = np.arange(-20.0, 20.1, 4.0)
    results = {}
    for i in range(3):
        images = made.pictures(made.field(30 + i), np.abs(away), made.optics(0.0, 0.0), i)
        results[f"s{i}"] = away, images
    out = tmp_path / "models"
    with pytest.raises(AdaptRefused, match=r"no sign: on .* above and below focus look alike"):
        verb.run(options(made.write(tmp_path, results), out, steps=8))  # none has it either
    assert not out.exists()
    assert not list(tmp_path.glob(".adapting-*"))


def test_models_that_are_no_better_are_not_written(tmp_path, monkeypatch):
    """Networks that come back as they were from tuning, on an instrument they know."""
    away = np.arange(-20.0, 20.1, 4.0)
    result = {
        f"s{i}": (away, made.pictures(made.field(40 + i, (512, 704)), away, made.optics(), i))
        for i in range(4)
    }
    grid = PatchGrid(2, 3)
    monkeypatch.setattr(verb, "tune", lambda *_: (tune.start("rin", grid), tune.start("dpn", grid)))
    out = tmp_path / "models"
    with pytest.raises(AdaptRefused, match=r"not better: the adapted models leave .* um"):
        verb.run(options(made.write(tmp_path, result), out, hold_out=["s3"]))
    assert not out.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"minutes": 0.0}, "--minutes 0 must be 0.05 to 600"),
        ({"steps": -1}, "--steps -1 must be 0 to 1000000"),
        ({"um_per_px": 0.0}, "--um-per-px 0 must be 0.001 to 1000"),
        ({"na": 2.0}, "--na 2 must be above 0 and at most 1.6"),
    ],
)
def test_options_out_of_range(strange, tmp_path, change, words):
    with pytest.raises(Exception, match=words):
        verb.run(options(strange, tmp_path / "models", **change))


def test_a_folder_with_other_things_is_left_alone(strange, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(Exception, match="holds other things than adapted models"):
        verb.run(options(strange, tmp_path))
    with pytest.raises(Exception, match="is not a folder"):
        verb.run(options(strange, tmp_path / "no" / "models"))
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_pools_of_other_sizes_are_read_by_the_same_code(tmp_path):
    """A tile of 256 px has 16 x 16 blocks."""
    energy = np.full((16, 16), 0.001, np.float32)
    labels = pack_label(3.0, energy, sharpness_at(energy, 0.0), None)[None]
    pool = Pool(tmp_path, np.zeros((1, 256, 256, 3), np.uint8), labels)
    _, result = dpn_batch(pool, pool.ready(), np.random.default_rng(0), 4, 224)
    np.testing.assert_allclose(result[:, 0], -3.0, atol=1e-5)
