"""The golden pictures in the repository are what `training.golden` makes."""

import numpy as np

from engines import golden
from training.golden import FRAMES, mosaic, pictures


def test_stored_pictures_are_the_simulators():
    number = next(i for i, frame in enumerate(FRAMES) if frame[3])  # one that RIN sees, too
    small, patches = pictures((number,))
    stored_patch = golden.batches("dpn")[1][number]
    stored_small = golden.batches("rin")[0][0]
    for made, stored in ((patches[0], stored_patch), (small[0], stored_small)):
        difference = np.abs(made.astype(int) - stored)
        assert difference.mean() < 3  # what JPEG loses
        assert difference.mean() < np.abs(made.astype(int) - stored[:, ::-1]).mean() / 2


def test_mosaic_is_what_the_reader_cuts():
    tiles = [np.full((224, 224, 3), shade, np.uint8) for shade in range(9)]
    picture = mosaic(tiles, 3)
    assert picture.shape == (672, 672, 3)
    assert picture[::224, ::224, 0].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
