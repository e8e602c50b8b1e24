"""A whole adaptation to a strange instrument, the fields that it keeps, and every refusal."""

from __future__ import annotations

import argparse
import dataclasses
import json
from dataclasses import replace

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
from edge.open_sensor import build_sensor
from edge.optics import Objective
from edge.settings import ModelSettings
from engines.manifest import Manifest
from tests.support import made_stacks as made
from tests.support.made_stacks import SMALL, silent
from training.adapt import tune, verb
from training.adapt.interval import fit_few
from training.adapt.material import AdaptRefused, read_material
from training.adapt.pools import dpn_pool, rin_pool
from training.augment import dpn_batch, rin_batch
from training.labels import pack_label, sharpness_at, window_label
from training.pool import Pool

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


def test_one_frame_of_many_makes_no_interval_wider_than_twice_what_all_need():
    """Of a kept stack of 13 planes the worst one said how wide: 20 where 0.4 were needed."""
    from edge.measure.interval import IntervalModel

    def results(errors, stack):
        return [
            FrameResult(
                stack_id=stack, slide=stack, k=1, true_um=0.0, found_um=error, network_um=1.0,
                between_um=0.0, patch_importance=[1.0], patch_defocus_um=[error],
                patch_spread_um=[1.0], novelty=[1.0], photometry={},
            )
            for error in errors
        ]  # fmt: skip

    shipped = IntervalModel(20.0, scale_um=1.0, factors=((1, 1.0),))
    stacks = [*results([0.4] * 13, "a"), *results([1.0] * 13, "b"), *results([1.2] * 13, "c")]
    wide = [*stacks[:-1], *results([20.0], "c")]
    assert fit_few(stacks, shipped, {})["interval"]["factors"] == {"1": 1.2}
    assert fit_few(wide, shipped, {})["interval"]["factors"] == {"1": 2.4}


def test_stacks_of_five_planes_teach_where_another_is_kept(tmp_path, one):
    away = np.arange(-8.0, 8.1, 4.0) + 0.5
    five = away, made.pictures(made.field(3), away, made.optics(), 3)
    folder = tmp_path / "many"
    folder.mkdir()
    many = made.write(folder, {"a": five, "b": five})
    material = read_material(many, (), None, silent)
    assert (len(material.taught), len(material.kept)) == (1, 1)
    alone = tmp_path / "alone"
    alone.mkdir()
    with pytest.raises(AdaptRefused, match="5 planes are too few, 7 are the least"):
        read_material(made.write(alone, {"a": five}), (), None, silent)


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
    with pytest.raises(AdaptRefused, match=r"no sign: of .* above and below focus look alike"):
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
