"""Image files as frames: what can be read, and one clear line for what cannot."""

import itertools
import time

import cv2
import numpy as np
import pytest

from edge.camera import PixelFormat, open_camera
from edge.cameras.recorded import RecordedCamera, still
from edge.errors import CameraStalled, ConfigError
from edge.images.image_file import read_image

SIZE = (2020, 2030)


def _picture(*shape, dtype=np.uint8, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (20, 20, *shape), dtype=np.uint8)
    picture = cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_NEAREST)
    return picture.astype(dtype) * (257 if dtype == np.uint16 else 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for name, picture in {
        "colour.png": _picture(3),
        "grey.png": _picture(),
        "alpha.png": _picture(4),
        "deep.png": _picture(3, dtype=np.uint16),
        "deep_grey.tif": _picture(dtype=np.uint16),
        "colour.tiff": _picture(3),
        "colour.jpg": _picture(3),
        "grey.jpeg": _picture(),
        "small.png": _picture(3)[:200, :700],
        "float.tif": _picture().astype(np.float32),
    }.items():
        assert cv2.imwrite(str(folder / name), picture)
    return folder


@pytest.mark.parametrize(
    ("name", "channels", "exact"),
    [
        ("colour.png", 3, True),
        ("grey.png", 1, True),
        ("alpha.png", 4, True),
        ("deep.png", 3, True),
        ("deep_grey.tif", 1, True),
        ("colour.tiff", 3, True),
        ("colour.jpg", 3, False),
        ("grey.jpeg", 1, False),
    ],
)
def test_formats(folder, name, channels, exact):
    pixels, pixel_format = read_image(folder / name)
    want = _picture(*((channels,) if channels > 1 else ()))[..., : 3 if channels > 1 else None]
    assert pixel_format is (PixelFormat.MONO8 if channels == 1 else PixelFormat.BGR8)
    assert (pixels.dtype, pixels.shape) == (np.uint8, want.shape)
    assert pixels.flags.c_contiguous
    error = np.abs(pixels.astype(int) - want)
    assert error.max() == 0 if exact else error.mean() < 15


@pytest.mark.parametrize(
    "name", ["colour.png", "grey.png", "colour.jpg", "colour.tiff", "deep_grey.tif"]
)
@pytest.mark.parametrize("part", [0.02, 0.5, 0.99])
def test_cut_short(folder, tmp_path, capfd, name, part):
    data = (folder / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ConfigError, match=r"cut short") as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_damaged_inside(folder, tmp_path, capfd):
    data = bytearray((folder / "colour.png").read_bytes())
    data[len(data) // 2] ^= 0xFF
    path = tmp_path / "damaged.png"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match="damaged"):
        read_image(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: None, "the image cannot be read: No such file"),
        (lambda p: p.mkdir(), "is a folder, not an image"),
        (lambda p: p.write_bytes(b""), "is empty"),
        (lambda p: p.write_text("hello " * 1000), "is not an image in PNG, TIFF or JPEG format"),
        (lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n"), "cut short"),
        (lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 90), "damaged"),
        (lambda p: p.write_bytes(b"\xff\xd8\xff\xd9"), "cannot be decoded"),
        (lambda p: p.write_bytes(b"II*\0" + b"\0" * 50), "cannot be decoded"),
        (lambda p: p.write_bytes(b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 500), "cannot be decoded"),
    ],
)
def test_what_is_no_image(tmp_path, capfd, make, says):
    path = tmp_path / "x.png"
    make(path)
    with pytest.raises(ConfigError) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_unreadable_and_impossible_names(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_image("a\0b.png")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_image(tmp_path / ("x" * 5000))


def test_size_and_depth_limits(folder):
    with pytest.raises(ConfigError, match=r"small\.png: 700 x 200 px .* 224 to 30000 px"):
        read_image(folder / "small.png")
    with pytest.raises(ConfigError, match=r"float\.tif: .* it holds floating-point numbers"):
        read_image(folder / "float.tif")


def test_recorded_shows_each_file_once_in_order(folder):
    camera = RecordedCamera(files=[folder / "grey.png", folder / "colour.png"])
    frames = [camera.next(1.0) for _ in range(2)]
    assert [f.frame_id for f in frames] == [0, 1]
    assert [f.pixel_format for f in frames] == [PixelFormat.MONO8, PixelFormat.BGR8]
    for frame in frames:
        assert frame.exposure_start_ns < frame.exposure_end_ns <= time.monotonic_ns()
    assert frames[1].exposure_start_ns >= frames[0].exposure_end_ns
    with pytest.raises(CameraStalled, match="all 2 recorded images"):
        camera.next(1.0)


class SleepingClock:
    """Stands in for the time module: it passes only while somebody sleeps."""

    def __init__(self):
        self.now_s = 100.0

    def monotonic(self):
        return self.now_s

    def monotonic_ns(self):
        return round(self.now_s * 1e9)

    def sleep(self, seconds):
        self.now_s += seconds


def test_recorded_repeats_at_its_rate(folder, monkeypatch):
    clock = SleepingClock()
    monkeypatch.setattr("edge.cameras.recorded.time", clock)
    camera = RecordedCamera(files=[folder / "grey.png"], rate_hz=10, repeat=True)
    times = [camera.next(1.0).exposure_end_ns for _ in range(4)]
    assert [b - a for a, b in itertools.pairwise(times)] == pytest.approx([1e8] * 3)
    with pytest.raises(CameraStalled, match="no frame within"):
        camera.next(0.0)
    camera.close()
    camera.close()
    with pytest.raises(CameraStalled):
        camera.next(1.0)


def test_recorded_by_name_from_a_folder(folder, tmp_path):
    (tmp_path / "b.jpg").write_bytes((folder / "colour.jpg").read_bytes())
    (tmp_path / "notes.txt").write_text("no image")
    camera = open_camera("recorded", {"folder": str(tmp_path)})
    assert camera.next(1.0).pixels.shape == (*SIZE, 3)
    assert still(tmp_path / "b.jpg", 7).frame_id == 7


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "either folder or files"),
        ({"folder": "a", "files": ["b"]}, "either folder or files"),
        ({"folder": "/nowhere/at/all"}, "must be a folder"),
        ({"files": ["a"], "rate_hz": -1}, "rate_hz"),
        ({"files": ["a"], "exposure_ms": 0}, "exposure_ms"),
    ],
)
def test_recorded_options(options, says):
    with pytest.raises(ConfigError, match=says):
        open_camera("recorded", options)


def test_empty_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"must hold \.png"):
        RecordedCamera(folder=tmp_path)


def test_unknown_driver():
    with pytest.raises(
        ConfigError, match="must be one of aravis, gstreamer, pylon, recorded, simulated, v4l2"
    ):
        open_camera("webcam", {})


def test_a_file_is_no_video_device(tmp_path):
    """The kernel's own answer."""
    (tmp_path / "video0").write_bytes(b"")
    options = {"exposure_ms": 4, "pixel_format": "Mono8", "device": str(tmp_path / "video0")}
    with pytest.raises(ConfigError, match=r"video0' is not a video device: Inappropriate ioctl"):
        open_camera("v4l2", options)
