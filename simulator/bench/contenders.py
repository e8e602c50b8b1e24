"""Who is compared: our whole loop, and the paper's pipeline as one would first write it."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import EngineRejected, SparseFocusError
from edge.loop import Outcome, step
from edge.measure.importance import ClassRule, Importance
from edge.measure.preprocess import GRID, PATCH_PX, SMALL_PX
from edge.measure.sensor import CpuMeasurer
from edge.rig import build_rig
from edge.settings import Config
from edge.state import State
from engines.engine import MODELS
from engines.onnx_runtime import ort
from firmware_bridge.errors import StageError
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.stage import open_stage
from firmware_bridge.stop_signals import BY, StopSignals
from simulator.bench.frames import EXPOSURE_NS, ShownCamera

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

PATIENCE = 5  # attempts at one frame
REST_S = 5.0
FAR_UM = 20.0  # from the middle of the window: then the stage is brought back
#: optional contender -> (what it needs, where it is, the extra that brings it)
PAPER = ("torch", "training.paper_pipeline:PaperPipeline", "train")


class Contender(Protocol):
    """Frame to defocus in um at a given k, nothing moved."""

    def __call__(self, pixels: U8, k: int) -> float:
        """`pixels` (h, w, 3) uint8 RGB; the median over the k most important patches."""


class Ours:
    """The rig that `sparsefocus run` would build: every check, the guard, a serial port with the
    reference firmware behind it. Only the pictures are from a list and k is given.

    A context manager. Where other work keeps this process from the serial port for so long that
    the session is lost, all is built anew, as a person would; `interruptions` says how often.
    """

    def __init__(self, config: Config) -> None:
        self._config = replace(
            config,
            stage=replace(config.stage, max_moves_per_s=200),
            models=replace(config.models, backend="cpu"),
        )
        self._camera = ShownCamera(np.zeros((2048, 2448, 3), np.uint8))
        self.interruptions = 0

    def __enter__(self) -> Ours:
        stage = self._config.stage
        low_nm, high_nm = (round(z * 1000) for z in (stage.z_min_um - 50, stage.z_max_um + 50))
        self._middle_um = (stage.z_min_um + stage.z_max_um) / 2
        with contextlib.ExitStack() as opened:
            firmware = HostFirmware(
                z_min_nm=low_nm, z_max_nm=high_nm, start_nm=round(self._middle_um * 1000)
            )
            opened.enter_context(firmware)
            window = {"z_min_um": stage.z_min_um, "z_max_um": stage.z_max_um}
            options = {**window, **stage.options, "port": firmware.port}
            axis = open_stage(stage.driver, options)
            self._rig = build_rig(self._config, camera=self._camera, stage=axis)
            opened.callback(self._rig.close)
            stop = lambda name: self._rig.halt(BY + name)  # noqa: E731
            opened.enter_context(StopSignals(stop))
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def __call__(self, pixels: U8, k: int) -> Outcome:
        """One frame, from its arrival to the command that the stage has accepted."""
        why: object = ""
        for _ in range(PATIENCE):
            try:
                return self._once(pixels, k)
            except (StageError, SparseFocusError, EngineRejected, OSError) as error:
                why = error
            self.interruptions += 1
            with contextlib.suppress(StageError, OSError):
                self._opened.close()
                self.__enter__()
        raise SparseFocusError(f"the loop stopped {PATIENCE} times in a row: {why}")

    def _once(self, pixels: U8, k: int) -> Outcome:
        rule = ClassRule(threshold=-1.0, dense=k, sparse=k, ex_sparse=k)  # always this k
        importance = Importance(self._rig.engines[0], rule)
        sensor = self._rig.sensor
        assert isinstance(sensor, CpuMeasurer)  # the CPU's, as asked for
        self._rig.sensor = replace(sensor, importance=importance)
        self._camera.pixels = pixels
        self._wait_until_settled()
        self._rig.controller.new_field()
        outcome = step(self._rig)
        if self._rig.state.value is State.SHUTDOWN:
            raise SparseFocusError(self._rig.state.reason)
        return outcome

    def _wait_until_settled(self) -> None:
        stage = self._rig.stage
        status = stage.wait(REST_S)
        if abs(status.z_um - self._middle_um) > FAR_UM:
            stage.move_to(self._middle_um, status.z_um)
            stage.wait(REST_S)
        time.sleep(self._config.stage.settle_ms / 1e3 + 2 * EXPOSURE_NS / 1e9)


def plain_crop(pixels: U8) -> tuple[U8, U8]:
    """The centre 2016 x 2016 and it at 512 x 512, by cv2.resize as it comes."""
    crop = pixels[16:2032, 216:2232]
    return crop, np.asarray(cv2.resize(crop, (SMALL_PX, SMALL_PX)), np.uint8)


def plain_patches(crop: U8, scores: F32, k: int) -> U8:
    """(k, 224, 224, 3): the k patches of the highest score."""
    best = np.argsort(scores.reshape(-1))[::-1][:k]
    corners = [(int(i) // GRID * PATCH_PX, int(i) % GRID * PATCH_PX) for i in best]
    return np.stack([crop[y : y + PATCH_PX, x : x + PATCH_PX] for y, x in corners])


class PlainOnnx:
    """The paper's pipeline in ONNX Runtime with its default settings."""

    def __init__(self, models: Path = MODELS) -> None:
        self._rin, self._dpn = (
            ort.InferenceSession(str(models / f"{name}.onnx")) for name in ("rin", "dpn")
        )

    def __call__(self, pixels: U8, k: int) -> float:
        crop, small = plain_crop(pixels)
        scores = self._rin.run(None, {self._rin.get_inputs()[0].name: small[None]})[0]
        patches = plain_patches(crop, scores, k)
        defocus = self._dpn.run(None, {self._dpn.get_inputs()[0].name: patches})[0]
        return float(np.median(defocus))


def others() -> tuple[dict[str, Contender], dict[str, str]]:
    """The contenders that can run here, and the reasons why one cannot."""
    contenders: dict[str, Contender] = {"onnx": PlainOnnx()}
    needs, where, extra = PAPER
    if importlib.util.find_spec(needs) is None:
        return contenders, {"pytorch": f"needs {needs}: pip install 'sparsefocus-edge[{extra}]'"}
    module, _, attribute = where.partition(":")
    contenders["pytorch"] = getattr(importlib.import_module(module), attribute)()
    return contenders, {}
