"""The macro camera: what lies on a slide is seen where it lies, dark from behind and bright from
the side, and from its pictures the specimen is found."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge.wsi.macro import find_specimen
from edge.wsi.macro_light import MacroPictures
from edge.wsi.slide_label import read_label
from simulator.macro_camera import MacroCamera, MacroParameters, whole_slide
from simulator.world import World, WorldParameters
from simulator.world_glass import INKS, Bubble, Glass, Speck, Stroke
from simulator.world_layout import Specimen

U8 = npt.NDArray[np.uint8]
#: a slide in little, so that it is drawn within seconds
GLASS = Glass(
    slide=(-25_000.0, -8_000.0, 7_000.0, 8_000.0), label=(-24_000.0, -7_500.0, -6_500.0, 7_500.0),
    cover_slip=(-4_500.0, -5_000.0, 4_500.0, 5_000.0), barcode="S26003-9A",
    bubbles=(Bubble(-3_200.0, 3_400.0, 500.0, 20.0),),
    strokes=(Stroke(((3_400.0, -2_500.0), (3_400.0, 2_500.0)), 600.0, INKS[1]),),
    specks=(Speck(-3_400.0, -3_600.0, 40.0, 30.0, 2.0),),
)  # fmt: skip
PARAMETERS = MacroParameters(
    um_per_px=25.0, size_um=(36_000.0, 18_000.0), middle_um=(-9_000.0, 0.0), falloff=0.2
)


@pytest.fixture(scope="module")
def world() -> World:
    """Tissue of 4 mm."""
    specimen = Specimen(size_mm=4.0, cover=0.7, sparse=0.0, thin=0.0, empty=0.0)
    made = World(5, WorldParameters(specimen, shape=(256, 256), tile_px=256))
    made.glass = GLASS
    return made


@pytest.fixture(scope="module")
def camera(world: World) -> MacroCamera:
    """The usual one."""
    return MacroCamera(world, PARAMETERS)


def at(parameters: MacroParameters, x_um: float, y_um: float) -> tuple[int, int]:
    """Row and column that show a place of the stage."""
    back = cv2.invertAffineTransform(parameters.stage_um())
    column, row = back[:, :2] @ (x_um, y_um) + back[:, 2]
    return round(float(row)), round(float(column))


def grey(picture: U8, place: tuple[int, int]) -> float:
    """Mean of the nine pixels there."""
    row, column = place
    return float(picture[row - 1 : row + 2, column - 1 : column + 2].mean())


@pytest.mark.parametrize("turned_deg", [0.0, 3.0])
def test_things_are_where_the_stage_has_them(world: World, turned_deg: float) -> None:
    turned = dataclasses.replace(PARAMETERS, turned_deg=turned_deg, moved_um=(300.0, -200.0))
    camera = MacroCamera(world, turned)
    through, side = camera.through(), camera.side()
    clear = at(turned, 0.0, 4_500.0)
    for x, y in ((-3_400.0, -3_600.0), (-2_700.0, 3_400.0), (-4_500.0, 0.0)):  # speck, rim, edge
        assert grey(through, at(turned, x, y)) < 0.93 * grey(through, clear)
        assert grey(side, at(turned, x, y)) > 3.0 * grey(side, clear)
    ink = through[at(turned, 3_400.0, 1_000.0)]
    assert ink[2] > 2 * ink[0]  # blue
    assert grey(side, at(turned, 3_400.0, 1_000.0)) < 2.0 * grey(side, clear)
    paper = at(turned, -23_500.0, -7_000.0)
    assert grey(through, paper) < 40.0
    assert grey(side, paper) > 120.0


def test_the_macro_picture_shows_what_the_objective_shows(world: World) -> None:
    through, _, first = whole_slide(world)
    pitch = 32 * world.um_per_px
    near, seen = [], []
    for x, y in [(0.0, 0.0), (900.0, -700.0), (-900.0, -600.0), (-600.0, 900.0), (300.0, 1_500.0)]:
        near.append(world.light(x, y, float(world.surface_um(x, y))).mean(axis=(0, 1)))
        column, row = (round(place / pitch - f) for place, f in ((x, first[1]), (y, first[0])))
        seen.append(through[row - 4 : row + 4, column - 4 : column + 4].mean(axis=(0, 1)))
    assert min(light.min() for light in near) < 0.9
    np.testing.assert_allclose(seen, near, atol=0.03)


def test_an_empty_holder_shows_the_lamp_alone(camera: MacroCamera) -> None:
    behind, beside = camera.empty_through().astype(float), camera.empty_side()
    middle, corner = behind[350:370, 710:730].mean(), behind[:20, :20].mean()
    assert middle == pytest.approx(0.85 * 255, abs=2.0)
    assert corner == pytest.approx(0.8 * middle, rel=0.03)
    assert beside.mean() < 8.0


def test_specimen_is_found_and_the_rest_has_its_name(camera: MacroCamera) -> None:
    pictures = MacroPictures(
        25.0, camera.through(), camera.empty_through(), camera.side(), camera.empty_side()
    )
    found, truth = find_specimen(pictures), camera.specimen()
    inked = cv2.dilate((camera._along(GLASS.strokes[0].corners_um, 800.0) > 0).astype(np.uint8),
                       np.ones((5, 5), np.uint8)) > 0  # fmt: skip
    truth &= ~inked
    assert (found.specimen & truth).sum() > 0.97 * truth.sum() > 1000
    assert (found.specimen & ~truth).sum() < 0.3 * truth.sum()
    assert {"label", "glass-edge", "pen", "bubble"} <= {part.kind for part in found.parts}


def test_unstained_specimen_is_seen_from_the_side_alone(world: World) -> None:
    camera = MacroCamera(world, dataclasses.replace(PARAMETERS, stain=0.0))
    specimen = camera.specimen()
    clear = at(PARAMETERS, 0.0, 4_500.0)
    assert specimen.sum() > 1000
    assert camera.side()[specimen].mean() > 2.0 * grey(camera.side(), clear)
    assert camera.through()[specimen].mean() == pytest.approx(
        grey(camera.through(), clear), rel=0.05
    )


def test_the_label_is_read_from_the_picture(camera: MacroCamera) -> None:
    pytest.importorskip("zxingcpp")
    assert read_label(camera.side(), None).text == GLASS.barcode
