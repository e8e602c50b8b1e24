"""Every kind of TIFF that tifffile and imagecodecs write: read to the bit, or refused."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.images.image_file import decode, read_image

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("imagecodecs")

HEIGHT, WIDTH = 67, 75
BASE = (np.random.default_rng(0).random((HEIGHT, WIDTH, 4)) * 65535).astype(np.uint16)


def kinds():
    """(id, picture as (h, w[, c]), what tifffile is told)"""
    for depth, channels, planar, order, packed, cut, predictor in itertools.product(
        (8, 16), (1, 2, 3, 4), (False, True), "<>", (None, "lzw", "zlib", "packbits"),
        ("strip", "tile", "strip7"), (False, True),
    ):  # fmt: skip
        if (predictor and packed not in ("lzw", "zlib")) or (planar and channels == 1):
            continue
        image = BASE[..., :channels] if depth == 16 else (BASE[..., :channels] >> 8).astype("u1")
        layout = {"byteorder": order, "photometric": "rgb" if channels > 2 else "minisblack",
                "compression": packed, "predictor": predictor}  # fmt: skip
        if channels in (2, 4):
            layout["extrasamples"] = ["unassalpha"]
        if cut != "strip":
            layout |= {"tile": (64, 64)} if cut == "tile" else {"rowsperstrip": 7}
        if channels > 1:
            layout["planarconfig"] = "separate" if planar else "contig"
        name = f"{depth}-{channels}-{planar}-{order}-{packed}-{cut}-{predictor}"
        yield name, image[..., 0] if channels == 1 else image, layout


def test_intact_files_are_read_to_the_bit(tmp_path):
    path, count = tmp_path / "x.tif", 0
    for name, image, layout in kinds():
        stored = (
            np.moveaxis(image, -1, 0).copy() if layout.get("planarconfig") == "separate" else image
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tifffile.imwrite(path, stored, **layout)
        want = image[..., 0] if image.ndim == 3 and image.shape[2] == 2 else image
        want = want if want.ndim == 2 else want[..., [2, 1, 0, 3][: want.shape[2]]]
        got = decode(path)
        assert (got.dtype, got.shape) == (want.dtype, want.shape), name
        np.testing.assert_array_equal(got, want, err_msg=name)
        count += 1
    assert count > 400


@pytest.mark.parametrize(
    "packed", ["jpeg2000", "jpegxr", "webp", "zstd", "lzma", "lerc", "png", "jpegxl"]
)
@pytest.mark.parametrize("depth", [8, 16])
def test_other_compressions_are_named(tmp_path, packed, depth):
    if (packed, depth) == ("webp", 16):
        pytest.skip("WebP has 8 bits")
    image = BASE[..., :3] if depth == 16 else (BASE[..., :3] >> 8).astype(np.uint8)
    tifffile.imwrite(tmp_path / "x.tif", image, photometric="rgb", compression=packed)
    with pytest.raises(ConfigError, match=r"is compressed by [A-Z]"):
        decode(tmp_path / "x.tif")


@pytest.mark.parametrize("tile", [None, (256, 256)])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_in_a_tiff(tmp_path, channels, tile):
    """Smooth, so that what JPEG loses is little."""
    y, x = np.mgrid[0:300, 0:310].astype(np.float32)
    planes = [127 + 100 * np.sin(x / 40 + c) * np.cos(y / 50 - c) for c in range(channels)]
    image = np.stack(planes, -1).astype(np.uint8)
    stored = image if channels == 3 else image[..., 0]
    kind = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "x.tif", stored, photometric=kind, compression="jpeg", tile=tile)
    pixels, _ = read_image(tmp_path / "x.tif")
    want = image[..., ::-1] if channels == 3 else image[..., 0]
    assert np.abs(pixels.astype(int) - want).mean() < 2.5
