"""`sparsefocus run --demo`: the appliance's own loop on the simulated microscope.

No camera, no stage, no calibration and no file is needed: the reference firmware runs behind a
serial port of its own, the pictures are rendered, and every few frames another field lies under the
objective, as in a scanner. What the loop reached is said of each, by the truth that it never sees.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from typing import Any

from edge.appliance.config.config_file import read_config
from edge.appliance.telling import tell
from edge.camera import Camera, Frame
from edge.rig import Doors, Rig
from edge.settings import Config
from simulator.camera import SimulatedCamera
from simulator.closed_loop import SimulatedInstrument
from simulator.field_truth import FieldTruth
from simulator.simulate_verb import NOMINAL

FRAMES = 6  # at each field: the moves, and some in focus
SEED = 5
FIELDS = (("tissue", "dense"), ("cell", "sparse"), ("tissue", "sparse"), ("cell", "dense"))
SHAPE = (2016, 2016)  # the least that is measured: it is rendered while you wait
MAX_AGE_MS = 5000.0  # rendering takes the cores that measure


class Demo:
    """A context manager; `rig` and `config` are what `run` would have made of a file.

    `by_itself`: the slide goes on to another field after FRAMES frames, else when it is told.
    """

    def __init__(
        self,
        quiet: bool = False,
        seed: int = SEED,
        shape: tuple[int, int] = SHAPE,
        by_itself: bool = True,
        doors: Doors | None = None,
    ) -> None:
        nominal = read_config(NOMINAL)
        self.config: Config = replace(nominal, loop=replace(nominal.loop, max_age_ms=MAX_AGE_MS))
        self._instrument = SimulatedInstrument(
            self.config, seed, dirt=0.0, shape=shape, doors=doors
        )
        self._doors = doors
        self._quiet, self._by_itself = quiet, by_itself
        self.camera: DemoCamera

    def __enter__(self) -> Demo:
        with contextlib.ExitStack() as opened:
            bench = opened.enter_context(self._instrument)
            self.rig: Rig = bench.rig
            self.camera = DemoCamera(bench, self._quiet, self._by_itself)
            given = self.camera if self._doors is None else self._doors.camera(self.camera)
            self.rig.camera = given
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def record(self) -> dict[str, Any]:
        """What was reached, field by field; errors against the truth, um."""
        return {"demo": {"fields": self.camera.fields}}


class DemoCamera(Camera):
    """The simulated camera, and a slide that goes on to another field after FRAMES frames.

    `on_new_field` is called when the next frame will show another one, as a scanner would. Not
    `by_itself`: only `go_on` brings another field.
    """

    def __init__(
        self, bench: SimulatedInstrument, quiet: bool = False, by_itself: bool = True
    ) -> None:
        self._microscope, self._mechanics = bench.microscope, bench.mechanics
        self._camera = SimulatedCamera(bench.microscope, bench.mechanics)
        self._quiet, self._by_itself = quiet, by_itself
        self._groups = cycle(FIELDS)
        self._left = 0
        self._truth: FieldTruth | None = None
        self.fields: list[dict[str, Any]] = []
        self.on_new_field: Callable[[], None] = lambda: None

    def next(self, timeout_s: float) -> Frame:
        if not self._left:
            self._load()
        frame = self._camera.next(timeout_s)
        self._note(frame)
        self._left -= self._by_itself
        if not self._left:
            self._say()
            self.on_new_field()
        return frame

    def go_on(self) -> None:
        """The next frame shows another field."""
        self._left = 0

    def close(self) -> None:
        self._camera.close()

    def _load(self) -> None:
        number = len(self.fields)
        kind, sparsity = next(self._groups)
        self._truth = self._microscope.load_field(kind, sparsity, number, slide=number)
        self._left = FRAMES
        self.fields.append({"kind": kind, "sparsity": sparsity})

    def _note(self, frame: Frame) -> None:
        assert self._truth is not None
        height_um = self._mechanics.height_um(frame.exposure_mid_ns)
        error_um = round(height_um - self._truth.z_focus_um, 3)
        self.fields[-1].setdefault("start_error_um", error_um)
        self.fields[-1]["final_error_um"] = error_um

    def _say(self) -> None:
        field = self.fields[-1]
        if not self._quiet:
            tell(
                f"demo: field {len(self.fields)}, {field['kind']} {field['sparsity']}: "
                f"{abs(field['start_error_um']):.2f} um out of focus when it came, "
                f"{abs(field['final_error_um']):.2f} um at the end"
            )
