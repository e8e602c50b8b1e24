"""The crop at 512 x 512: our C function and OpenCV give the same bytes, in any number of bands."""

import numpy as np
import pytest

from edge.measure import scale
from edge.measure.scale import Scaler
from engines import compiled_c


def crop(channels, seed=0, blurred=False):
    rng = np.random.default_rng(seed)
    shape = (2048, 2448, channels)[: 2 + (channels > 1)]
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    if blurred:
        pixels = (pixels // 64 * 64 + np.arange(2448, dtype=np.uint8)[None, :, None] % 64)[
            ..., :channels
        ]
    return pixels[16:2032, 216:2232]


@pytest.fixture(autouse=True)
def _needs_a_compiler():
    if not Scaler().native:
        pytest.skip("no C compiler here: OpenCV does it, and there is nothing to compare")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_same_bytes_as_opencv(channels, threads):
    ours, opencv = Scaler(threads), Scaler(native=False)
    for seed in range(3):
        given = crop(channels, seed)
        assert np.array_equal(ours(given), opencv(given))
    for level in (0, 1, 254, 255):
        flat = np.full_like(crop(channels), level)
        assert (ours(flat) == level).all()


def test_every_rounding_step_is_met():
    given = np.zeros((2016, 2016), np.uint8)
    given[::2, ::2], given[1::2, 1::2] = 1, 1  # means of a half: rounded up
    assert (Scaler()(given) == 1).all()
    assert np.array_equal(Scaler()(given), Scaler(native=False)(given))


def test_pixels_that_do_not_lie_side_by_side_go_another_way():
    wide = np.random.default_rng(1).integers(0, 256, (2016, 4032), dtype=np.uint8)
    given = wide[:, ::2]
    assert np.array_equal(Scaler()(given), Scaler(native=False)(given))


def test_the_buffer_is_reused_and_not_anothers():
    one, other = Scaler(), Scaler()
    first = one(crop(3, 1))
    kept = first.copy()
    other(crop(3, 2))
    assert np.array_equal(first, kept)
    assert one(crop(3, 3)) is first


def test_without_a_compiler_opencv_does_it(monkeypatch):
    monkeypatch.setattr(compiled_c.shutil, "which", lambda _: None)
    plain = Scaler()
    assert not plain.native
    given = crop(3)
    monkeypatch.undo()
    assert np.array_equal(plain(given), Scaler()(given))


def test_what_is_kept_belongs_to_source_and_processor(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = tmp_path / "seven.c"
    source.write_text("int seven(void) { return 7; }")
    assert compiled_c.load(source).seven() == 7
    (first,) = (tmp_path / "sparsefocus").glob("*.so")
    assert first.stat().st_mode & 0o777 == 0o700
    source.write_text("int seven(void) { return 8; }")
    assert compiled_c.load(source).seven() == 8
    monkeypatch.setattr(compiled_c, "_processor", lambda: "another")
    assert compiled_c.load(source).seven() == 8
    assert len(list((tmp_path / "sparsefocus").glob("*.so"))) == 3


def test_what_others_may_write_is_not_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = tmp_path / "seven.c"
    source.write_text("int seven(void) { return 7; }")
    assert compiled_c.load(source) is not None
    (library,) = (tmp_path / "sparsefocus").glob("*.so")
    library.chmod(0o777)
    assert compiled_c.load(source) is None


def test_what_does_not_compile_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = tmp_path / "wrong.c"
    source.write_text("this is no C")
    assert compiled_c.load(source) is None
    assert scale._native() is not None
