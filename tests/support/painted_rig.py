"""A rig over tiny networks and pictures whose defocus is painted."""

import dataclasses

import numpy as np

from edge.camera import Frame, PixelFormat
from edge.latency import Lap
from edge.measure.sensor import measure
from edge.open_sensor import build_sensor
from edge.optics import Objective
from edge.rig import build_rig
from edge.settings import CameraSettings, Config, LoopSettings, ModelSettings, StageSettings
from tests.support.fake_microscope import Clock, FakeCamera, FakeStage

OBJECTIVE = Objective(na=0.75, magnification=20, um_per_px=0.34)


def config_of(models, **stage):
    return Config(
        camera=CameraSettings("recorded", 50.0),
        stage=StageSettings("binary", -100.0, 100.0, 1, **stage),
        objective=OBJECTIVE,
        models=ModelSettings(*models, threads=1),
        loop=LoopSettings(),
    )


def picture_of(cells, red=None):
    """A field with content in `cells`; red codes the defocus: 128 + 4 d."""
    pixels = np.full((2048, 2448, 3), (0, 255, 30), np.uint8)
    for i, (row, column) in enumerate(cells):
        y, x = 16 + 224 * row, 216 + 224 * column
        pixels[y : y + 224, x : x + 224, 1] = 0
        pixels[y : y + 224, x : x + 224, 0] = 128 + 4 * (red[i] if red else 2)
    return pixels


def measurement_of(models, pixels):
    sensor, nets = build_sensor(
        ModelSettings(*models, threads=1), OBJECTIVE, LoopSettings().classes
    )
    measurement = measure(sensor, Frame(pixels, PixelFormat.RGB8, 0, 0, 0), Lap())
    for net in nets:
        net.close()
    return measurement


class Pictures(FakeCamera):
    pixels = None

    def next(self, timeout_s):
        return dataclasses.replace(super().next(timeout_s), pixels=self.pixels)


def rig_of(models, pixels, **stage):
    clock = Clock()
    camera = Pictures(clock)
    camera.pixels = pixels
    return build_rig(config_of(models, **stage), camera, FakeStage(clock), clock)
