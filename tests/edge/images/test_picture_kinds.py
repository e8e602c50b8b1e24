"""A picture file is read right or refused with the reason, whatever kind it is of."""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress

import cv2
import numpy as np
import pytest

from edge.camera import PixelFormat
from edge.errors import ConfigError
from edge.images import image_file, quiet_opencv
from edge.images.image_file import decode, read_image, read_picture
from edge.images.stack_picture import pages_of
from edge.measure.preprocess import PATCH_PX
from tests.support.small_tiff import DEFLATE, page, tiff

SIDE = (226, 231)
RGB = np.random.default_rng(2).integers(0, 256, (*SIDE, 4)).astype(np.uint8)
DEEP = np.random.default_rng(3).integers(0, 65536, (*SIDE, 4)).astype(np.uint16)


def write(tmp_path, data: bytes, name: str = "x.tif"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def bgr(image: np.ndarray) -> np.ndarray:
    return image[..., [2, 1, 0]]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tile", [0, 64])
@pytest.mark.parametrize("compression", [1, DEFLATE])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("values", [RGB, DEEP], ids=["8", "16"])
def test_every_way_to_lay_out_a_tiff(tmp_path, values, channels, planar, compression, tile, order):
    image = values[..., :channels]
    tags = page(image, 2 if channels > 2 else 1, planar, compression, tile, order)
    path = write(tmp_path, tiff(tags, order=order))
    want = (image >> (8 if values is DEEP else 0)).astype(np.uint8)
    pixels, pixel_format = read_image(path)
    assert pixel_format is (PixelFormat.BGR8 if channels > 2 else PixelFormat.MONO8)
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, bgr(want) if channels > 2 else want[..., 0])


@pytest.mark.parametrize("lzw", [5, 32946, 32773, 8])
@pytest.mark.parametrize("values", [RGB[..., :3], DEEP[..., :3], RGB[..., 0]], ids=str)
def test_what_opencv_writes_is_read_back(tmp_path, lzw, values):
    path = tmp_path / "x.tif"
    assert cv2.imwrite(str(path), values, [cv2.IMWRITE_TIFF_COMPRESSION, lzw])
    np.testing.assert_array_equal(decode(path), values)


def test_white_is_zero_in_8_and_16_bits(tmp_path):
    for values, shift in ((RGB, 0), (DEEP, 8)):
        path = write(tmp_path, tiff(page(values[..., 0], photometric=0)))
        np.testing.assert_array_equal(read_image(path)[0], 255 - (values[..., 0] >> shift))
    right_aligned = write(tmp_path, tiff(page(DEEP[..., 0] >> 4, photometric=0)))
    dark_is_high = read_image(right_aligned, bits=12)[0]
    np.testing.assert_array_equal(dark_is_high, 255 - (DEEP[..., 0] >> 8))


def test_palette(tmp_path):
    colours = np.random.default_rng(4).integers(0, 256, (256, 3))
    index = RGB[..., 0]
    for scale in (257, 1):
        table = (colours.T.reshape(-1) * scale).tolist()
        path = write(tmp_path, tiff(page(index, photometric=3, t320=table)))
        np.testing.assert_array_equal(read_image(path)[0], bgr(colours[index]))
    path = write(tmp_path, tiff(page(index, photometric=3, t320=[0] * 30)))
    with pytest.raises(ConfigError, match="palette is too small"):
        read_image(path)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_values_have_the_depth_that_the_file_says(tmp_path, bits):
    values = DEEP[..., 0] >> (16 - bits)
    ones = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    rows = np.packbits(ones.reshape(SIDE[0], -1).astype(np.uint8), axis=1).tobytes()
    tags = {**page(RGB[..., 0]), 258: [bits], 273: [rows], 278: [SIDE[0]]}
    path = write(tmp_path, tiff(tags))
    np.testing.assert_array_equal(decode(path), values)
    np.testing.assert_array_equal(read_image(path)[0], values >> (bits - 8))


TURNED = {
    1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, -1)[:, ::-1].swapaxes(0, 1)[::-1].swapaxes(0, 1)[::-1][:, ::-1],
    8: lambda a: np.rot90(a, 1),
}  # fmt: skip


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 8])
def test_pictures_stand_as_they_are_to_be_looked_at(tmp_path, orientation):
    want = TURNED[orientation](bgr(RGB))
    path = write(tmp_path, tiff(page(RGB[..., :3], 2, t274=[orientation])))
    np.testing.assert_array_equal(read_image(path)[0], want)
    exif = (
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation]) + b"\0" * 7
    )
    jpeg = cv2.imencode(".jpg", bgr(RGB))[1].tobytes()
    tagged = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    plain = TURNED[orientation](read_image(write(tmp_path, jpeg, "x.jpg"))[0])
    np.testing.assert_array_equal(read_image(write(tmp_path, tagged, "y.jpg"))[0], plain)


def test_the_first_full_picture_and_how_many_there_are(tmp_path):
    thumb = page(RGB[:16, :16, :3], 2, t254=[1])
    full = [page(np.roll(RGB[..., :3], n, 0), 2) for n in range(3)]
    path = write(tmp_path, tiff(thumb, *full))
    picture = read_picture(path)
    assert picture.pictures == 3
    np.testing.assert_array_equal(picture.pixels, bgr(RGB))
    assert len(pages_of(path)) == 4
    np.testing.assert_array_equal(read_picture(path, 2).pixels, np.roll(bgr(RGB), 1, 0))


def test_a_page_with_the_sum_of_its_neighbours_is_undone(tmp_path):
    """The predictor, which starts anew in each tile."""
    for values, tile in ((RGB[..., :3], 0), (DEEP[..., :3], 0), (DEEP[..., 0], 64)):
        image = values.reshape(*SIDE, -1)
        differences = image.copy()
        differences[:, 1:] = image[:, 1:] - image[:, :-1]
        if tile:
            differences[:, ::tile] = image[:, ::tile]
        tags = page(differences, 2 if image.shape[2] > 1 else 1, False, DEFLATE, tile, t317=[2])
        want = image[..., 0] if image.shape[2] == 1 else bgr(image)
        np.testing.assert_array_equal(decode(write(tmp_path, tiff(tags))), want)


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ({259: [50000]}, "it is compressed by Zstandard, which cannot be read"),
        ({259: [34712]}, "compressed by JPEG 2000"),
        ({259: [22610]}, "compressed by JPEG XR"),
        ({259: [50002]}, "compressed by JPEG XL"),
        ({259: [34933]}, "compressed by PNG"),
        ({259: [34925]}, "compressed by LZMA"),
        ({259: [2]}, r"compressed by CCITT \(fax\)"),
        ({259: [4321]}, "compressed by number 4321"),
        ({262: [5], 277: [4], 258: [8] * 4}, r"holds CMYK \(ink\) colours"),
        ({262: [8]}, r"holds CIE L\*a\*b\* colours"),
        ({262: [32803]}, "holds a raw colour mosaic"),
        ({262: [6]}, "YCbCr colours without JPEG"),
        ({258: [1, 1, 1]}, "has 1 bits per value"),
        ({258: [32, 32, 32]}, "has 32 bits per value"),
        ({258: [8, 16, 8]}, "channels of different depths"),
        ({339: [3, 3, 3]}, "holds floating-point numbers"),
        ({339: [2, 2, 2]}, "holds signed whole numbers"),
        ({317: [3]}, "uses predictor 3"),
        ({277: [5], 258: [8] * 5}, "has 5 channels"),
        ({266: [2]}, "bits of its bytes reversed"),
        ({277: [4], 258: [8] * 4, 338: [1]}, "multiplied with their transparency"),
        ({256: [30000], 257: [30000]}, "of 30000 x 30000 px is too large: 2574 MiB decoded, 512"),
        ({256: [0]}, "is damaged: it has no size"),
        ({279: [1] * 33}, "too few bytes"),
        ({273: [b"x"]}, "strips or tiles, it needs 33"),
        ({279: [1 << 31] * 33}, "damaged"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, capfd, tags, says):
    path = write(tmp_path, tiff({**page(RGB[..., :3], 2), **tags}))
    with pytest.raises(ConfigError, match=says) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: the image cannot be decoded: it ")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def png(width: int, height: int, bits: int, colour: int) -> bytes:
    out = b"\x89PNG\r\n\x1a\n"
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    for name, body in ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 99)), (b"IEND", b"")):
        out += struct.pack(">I", len(body)) + name + body
        out += struct.pack(">I", zlib.crc32(name + body))
    return out


def jpeg(kind: int, bits: int, channels: int) -> bytes:
    frame = struct.pack(">BHHB", bits, *SIDE, channels) + b"\1\x11\0" * channels
    head = b"\xff\xd8\xff" + bytes([kind]) + struct.pack(">H", len(frame) + 2) + frame
    return head + b"\xff\xda\0\2\xff\xd9"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (png(300, 300, 1, 0), "has 1 bits per value"),
        (png(300, 300, 4, 0), "has 4 bits per value"),
        (png(30000, 30000, 8, 2), "of 30000 x 30000 px is too large"),
        (png(300, 300, 8, 5), "its colour type is 5"),
        (jpeg(0xC0, 8, 4), "holds CMYK"),
        (jpeg(0xC1, 12, 1), "is a JPEG of 12 bits"),
        (jpeg(0xC3, 8, 1), "is a lossless JPEG"),
        (jpeg(0xC9, 8, 3), "arithmetically coded"),
        (jpeg(0xC0, 8, 2), "with 2 channels"),
    ],
)
def test_png_and_jpeg_that_cannot_be_read(tmp_path, data, says):
    with pytest.raises(ConfigError, match=says):
        read_image(write(tmp_path, data, "x.png"))


def test_grey_png_with_alpha_is_grey(tmp_path):
    size = SIDE[1]
    rows = b"".join(b"\0" + RGB[y, :, :2].tobytes() for y in range(SIDE[0]))
    data = png(size, SIDE[0], 8, 4)
    at = data.index(b"IDAT") - 4
    body = zlib.compress(rows)
    chunk = struct.pack(">I", len(body)) + b"IDAT" + body
    end = data[data.index(b"IEND") - 4 :]
    data = data[:at] + chunk + struct.pack(">I", zlib.crc32(b"IDAT" + body)) + end
    np.testing.assert_array_equal(read_image(write(tmp_path, data, "x.png"))[0], RGB[..., 0])


@pytest.mark.parametrize("name", [b"\xff\xfe.png", "ä ö.png".encode("latin-1"), b"a\nb.png"])
def test_names_of_any_bytes(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(cv2.imencode(".png", bgr(RGB))[1].tobytes())
    np.testing.assert_array_equal(read_image(path)[0], bgr(RGB))
    path = path.with_suffix(".tif")
    path.write_bytes(tiff(page(RGB[..., :3], 2), page(DEEP[..., :3], 2)))
    assert [read_picture(*p).pixels.dtype for p in pages_of(path)] == [np.uint8, np.uint16]


def test_what_would_be_waited_for_is_refused(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(ConfigError, match="is not a regular file"):
        read_image(tmp_path / "x.png")


def test_damaged_tiffs_are_one_line_or_a_picture(tmp_path, capfd):
    """Bytes changed anywhere: never anything but a ConfigError, never a word of the decoder's."""
    whole = tiff(page(RGB[..., :3], 2, compression=DEFLATE), page(RGB[..., 0], tile=64))
    random = np.random.default_rng(5)
    for _ in range(300):
        data = bytearray(whole)
        for at in random.integers(0, len(data), 3):
            data[at] = random.integers(256)
        for at in random.integers(len(data) - 800, len(data), 2):  # the directories
            data[at] = random.integers(256)
        path = write(tmp_path, bytes(data))
        for number in (None, 1):
            with suppress(ConfigError):
                read_picture(path, number)
    assert capfd.readouterr().err == ""


def test_directories_in_a_circle(tmp_path):
    data = bytearray(tiff(page(RGB[..., :3], 2)))
    data[-4:] = data[4:8]
    with pytest.raises(ConfigError, match="in a circle"):
        read_picture(write(tmp_path, bytes(data)))


@pytest.mark.parametrize("where", ["cv2", "cv2.utils.logging", "nowhere"])
def test_quiet_wherever_opencv_keeps_its_log_level(monkeypatch, where):
    """4.8 to 4.12 have it in cv2, 4.13 and later in cv2.utils.logging (P1)."""
    set_to = []

    class Levels:
        getLogLevel = staticmethod(lambda: 3)
        setLogLevel = staticmethod(set_to.append)

    class Without:
        utils = object()

    class With(Levels):
        utils = object()

    class Below:
        class utils:
            logging = Levels

    fake = {"cv2": With, "cv2.utils.logging": Below, "nowhere": Without}[where]
    monkeypatch.setattr(quiet_opencv, "cv2", fake)
    with quiet_opencv.quiet_decoder():
        assert set_to == ([] if where == "nowhere" else [0])
    assert set_to == ([] if where == "nowhere" else [0, 3])


def test_the_least_side_is_one_patch():
    assert image_file.MIN_SIDE_PX == PATCH_PX
