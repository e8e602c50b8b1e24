"""Stacks that cannot teach are refused, each with its reason, or left out beside good ones."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import made_stacks as made
from tests.support.made_stacks import silent
from training.adapt.material import AdaptRefused, read_material


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
    manifest = made.write(tmp_path, {"a": one, "b": (away[:4], images[:4]), "c": one})
    material = read_material(manifest, (), None, lines.append)
    assert [s.name for s in (*material.taught, *material.kept)] == ["a", "c"]
    assert "'b': 4 planes are too few, 5 are the least" in material.left_out[0]
    assert any(line.startswith("left out: stack 'b'") for line in lines)
