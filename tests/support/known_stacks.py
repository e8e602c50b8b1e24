"""Stacks whose every picture says how far it is from focus, and their manifest."""

from __future__ import annotations

import csv

import cv2
import numpy as np

from edge.optics import Objective

HEAD = ("file", "page", "stack_id", "z_um", "focus_z_um", "um_per_px", "group", "condition",
        "slide", "split", "w040_waves")  # fmt: skip
HALF_DEPTH = Objective(0.75, 20.0, 0.34).half_depth_um
THREE = [(0, 0), (0, 1), (1, 0)]

#: file, stack, z, focus, group, condition, slide, split, what the DPN will read (None = blank)
FRAMES = (
    ("a", "cell <b> 1", 97.0, "100.0", "cell <i>", "clean", "1", "test", 3.25),
    ("b", "cell <b> 1", 103.0, "100.0", "cell <i>", "clean", "1", "test", -3.0),
    ("c", "cell 2", 88.0, "100.0", "cell <i>", "clean", "2", "test", 15.0),
    ("d", "cell 3", 100.3, "100.3", "cell <i>", "clean", "2", "test", -0.25),
    ("e", "tissue 1", 95.0, "100.0", "tissue", "clean", "3", "test", None),
    ("f", "tissue 1", 110.0, "100.0", "tissue", "clean", "3", "test", 10.0),
    ("g", "lost", 50.0, "", "tissue", "clean", "3", "train", 2.0),
    ("h", "empty", 50.0, "", "blank", "clean", "4", "test", 8.0),
    ("i", "empty", 60.0, "", "blank", "clean", "4", "test", None),
    ("j", "empty 2", 50.0, "", "blank", "clean", "5", "train", 0.25),
)


def picture(defocus, side=2016):
    pixels = np.full((side, side, 3), (0, 255, 30), np.uint8)
    for row, column in THREE if defocus is not None else ():
        patch = (slice(224 * row, 224 * (row + 1)), slice(224 * column, 224 * (column + 1)))
        pixels[patch] = (128 + 4 * defocus, 0, 30)
    return pixels


def write(path, pixels):
    cv2.imwrite(str(path), pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])


def manifest(folder, rows, head=HEAD):
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return folder / "manifest.csv"


def line(document, group="all", distance="all"):
    (result,) = [x for x in document["tables"] if (x["group"], x["distance"]) == (group, distance)]
    return result
