"""From a macro picture to specimen, judged by a generator that shares no code with the simulator's:
polygons and grain on a picture of pixels, nothing optical."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge.errors import ConfigError
from edge.wsi.macro import MacroFinding, find_specimen
from edge.wsi.macro_light import MacroPictures
from edge.wsi.slide_label import read_label

U8 = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
UM = 25.0
SHAPE = (720, 1600)  # 18 x 40 mm
PINK, GREEN = (0.1, 0.5, 0.15), (0.35, 0.1, 0.15)


@dataclass(frozen=True)
class Sketch:
    """A drawn slide."""

    stain: tuple[float, float, float] = PINK
    depth: float = 1.0  # of the stain
    haze: float = 12.0  # grey levels that specimen scatters
    lamp: float = 1.0
    noise: float = 1.0  # grey levels
    turned_deg: float = 0.0
    smear: bool = False


def drawn(sketch: Sketch, seed: int = 1) -> tuple[MacroPictures, Bools]:
    """Pictures of it, and where specimen is."""
    rng = np.random.default_rng(seed)
    h, w = SHAPE
    turn = cv2.getRotationMatrix2D((w / 2, h / 2), sketch.turned_deg, 1.0)

    def lay(points: list[tuple[float, float]]) -> npt.NDArray[np.int32]:
        there = np.array(points) @ turn[:, :2].T + turn[:, 2]
        return np.rint(there).astype(np.int32)

    body = np.zeros(SHAPE, np.uint8)
    if sketch.smear:
        for x, y in rng.uniform((880, 230), (1240, 560), (700, 2)):
            cv2.circle(body, (int(x), int(y)), int(rng.integers(1, 4)), 1, -1)
    else:
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        radii = 170 * (1 + 0.35 * np.convolve(rng.normal(size=44), np.ones(5) / 5, "valid"))
        outline = [(1050 + r * np.cos(a), 400 + r * np.sin(a))
                   for r, a in zip(radii, angles, strict=True)]  # fmt: skip
        cv2.fillPoly(body, [lay(outline)], 1)
        cv2.circle(body, (1060, 400), 25, 0, -1)
        cv2.circle(body, (820, 180), 9, 1, -1)  # a shred
    white = rng.standard_normal(SHAPE, np.float32)
    grain = cv2.GaussianBlur(1.0 + 0.8 * white, (0, 0), 1.5).clip(0.4, 2.0)
    depth = (
        (body * grain)[..., None] * np.array(sketch.stain, np.float32) * np.float32(sketch.depth)
    )
    side = 4.0 + (body * grain)[..., None] * np.full(3, sketch.haze, np.float32)

    def stroke(points: list[tuple[float, float]], width: int, closed: bool = False) -> Bools:
        canvas = np.zeros(SHAPE, np.uint8)
        cv2.polylines(canvas, [lay(points)], closed, 1, width)
        return np.asarray(canvas > 0)

    slip = stroke([(640, 60), (1500, 60), (1500, 660), (640, 660)], 2, closed=True)
    depth[slip] += 0.35
    side[slip] += 90.0
    pen = stroke([(1350, 200), (1400, 300), (1400, 420), (1340, 520)], 24)
    depth[pen] = (1.5, 1.0, 0.3)
    side[pen] = 4.0
    ring = np.zeros(SHAPE, np.uint8)
    cv2.circle(ring, (760, 540), 30, 1, 2)
    depth[ring > 0] += 0.6
    side[ring > 0] += 60.0
    scratch = stroke([(700, 400), (790, 330)], 1)
    side[scratch] += 50.0
    speck = np.zeros(SHAPE, np.uint8)
    cv2.circle(speck, (1450, 600), 1, 1, -1)
    depth[speck > 0] += 1.0
    side[speck > 0] += 150.0
    paper = np.zeros(SHAPE, np.uint8)
    cv2.fillPoly(paper, [lay([(20, 20), (520, 20), (520, 690), (20, 690)])], 1)
    depth[paper > 0] = 3.0
    side[paper > 0] = 190.0
    print_on = np.zeros(SHAPE, np.uint8)
    cv2.putText(print_on, "H24-77", (120, 300), cv2.FONT_HERSHEY_SIMPLEX, 2.0, 1, 8)
    side[print_on > 0] = 20.0
    x = np.linspace(-1, 1, w)[None, :, None]
    lamp = np.array([215.0, 205.0, 190.0]) * (1.0 - 0.2 * x * x) * np.ones((h, 1, 1))
    lamp = lamp.astype(np.float32)

    def shot(light: npt.NDArray[np.floating]) -> U8:
        noisy = light + sketch.noise * rng.standard_normal(light.shape, np.float32)
        return np.asarray(np.rint(noisy).clip(0, 255), np.uint8)

    through = cv2.GaussianBlur(lamp * sketch.lamp * np.exp(-depth), (0, 0), 0.8)
    seen = cv2.GaussianBlur(side * sketch.lamp, (0, 0), 0.8)
    empty = np.full_like(side, 4.0)
    pictures = MacroPictures(UM, shot(through), shot(lamp), shot(seen), shot(empty))
    return pictures, np.asarray((body > 0) & ~pen)


def shares(found: MacroFinding, truth: Bools, smear: bool = False) -> tuple[float, float]:
    """Of the specimen's area: found, and found where there is none. The clear gaps between the
    cells of a smear are no error: of a smear what lies outside its hull is."""
    area, within = truth.sum(), truth
    if smear:
        cells = np.argwhere(truth)[:, ::-1].astype(np.int32)
        hull = cv2.fillConvexPoly(np.zeros(SHAPE, np.uint8), cv2.convexHull(cells), 1)
        within = np.asarray(hull > 0)
    hit = (found.specimen & truth).sum() / area
    return float(hit), float((found.specimen & ~within).sum() / area)


CONDITIONS = {
    "usual": Sketch(),
    "pap": Sketch(stain=GREEN, smear=True),
    "faint": Sketch(depth=0.15),
    "unstained": Sketch(depth=0.0, haze=20.0),
    "no scatter": Sketch(haze=0.0),
    "bright lamp": Sketch(lamp=1.1),
    "dim lamp": Sketch(lamp=0.7),
    "noisy": Sketch(noise=3.0),
    "turned": Sketch(turned_deg=2.0),
    "turned back": Sketch(turned_deg=-2.0),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_specimen_is_found_and_little_else(name: str) -> None:
    pictures, truth = drawn(CONDITIONS[name])
    found = find_specimen(pictures)
    hit, false = shares(found, truth, CONDITIONS[name].smear)
    assert hit > 0.95
    assert false < 0.45
    kinds = {part.kind for part in found.parts}
    assert {"label", "glass-edge"} <= kinds
    assert all(part.reason and part.area_mm2 > 0 for part in found.parts)


def test_what_is_no_specimen_has_its_name_and_place() -> None:
    pictures, _ = drawn(Sketch())
    found = find_specimen(pictures)
    kinds = {part.kind for part in found.parts}
    assert kinds == {"label", "glass-edge", "pen", "bubble", "scratch", "dust"}
    assert found.label_px is not None
    assert (found.label_px[1].start, found.label_px[1].stop) == pytest.approx((20, 520), abs=4)
    pen = next(part for part in found.parts if part.kind == "pen")
    assert not found.specimen[360, 1400]
    assert pen.box_px[1] < 1400 < pen.box_px[1] + pen.box_px[3]
    assert max(found.thumbnail.shape[:2]) == 1000


def test_dark_broad_specimen_is_neither_pen_nor_label() -> None:
    pictures, truth = drawn(Sketch(depth=5.0))
    hit, _ = shares(find_specimen(pictures), truth)
    assert hit > 0.97


def test_one_light_is_enough_where_specimen_shows_in_it() -> None:
    pictures, truth = drawn(Sketch())
    behind = replace(pictures, side=None, empty_side=None)
    beside = replace(pictures, through=None, empty_through=None)
    assert shares(find_specimen(behind), truth)[0] > 0.95
    assert shares(find_specimen(beside), truth)[0] > 0.95
    faint, truth = drawn(Sketch(depth=0.02, haze=20.0))
    both = shares(find_specimen(faint), truth)[0]
    alone = shares(find_specimen(replace(faint, side=None, empty_side=None)), truth)[0]
    assert alone < 0.6 < 0.95 < both


def test_an_empty_slide_has_no_specimen() -> None:
    rng = np.random.default_rng(2)
    clear = [np.asarray(rng.normal(200, 1, (*SHAPE, 3)).clip(0, 255), np.uint8) for _ in range(2)]
    found = find_specimen(MacroPictures(UM, clear[0], clear[1]))
    assert found.specimen.mean() < 1e-3
    assert found.label_px is None


def test_pictures_that_do_not_fit_are_refused() -> None:
    picture = np.zeros((100, 200, 3), np.uint8)
    for wrong in (
        {},
        {"through": picture},
        {"through": picture, "empty_through": picture[:90]},
        {"side": picture[..., 0], "empty_side": picture[..., 0]},
        {"through": picture, "empty_through": picture, "um_per_px": 0.3},
    ):
        with pytest.raises(ConfigError, match="macro"):
            MacroPictures(**{"um_per_px": UM, **wrong})  # type: ignore[arg-type]


def test_a_label_is_read_by_zxing_or_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    code = cv2.QRCodeEncoder.create().encode("S26003-9A")
    large = cv2.resize(code, None, fx=6, fy=6, interpolation=cv2.INTER_NEAREST)
    page = np.full((400, 600, 3), 230, np.uint8)
    page[40 : 40 + large.shape[0], 50 : 50 + large.shape[1]] = large[..., None]
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "zxingcpp", None)
        assert "not installed" in read_label(page, None).reason
    pytest.importorskip("zxingcpp")
    assert read_label(page, None).text == "S26003-9A"
    assert read_label(page, (slice(0, 400), slice(0, 600))).text == "S26003-9A"
    assert read_label(np.full_like(page, 230), None).text is None
