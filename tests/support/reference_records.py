"""Recordings of the loop that every release must decide alike, and how they are made.

A decision that changed fails tests/edge/appliance/record/test_references.py, which names the frame
and the field. Where the change is meant: `python -m tests.support.reference_records` (or `make
records`) records them anew; with names, only these. All but `networks` are on virtual time and take
no second; that one runs the shipped networks on the simulated microscope, for minutes.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edge.appliance import cli
from edge.appliance.config.config_file import read_config
from edge.appliance.record import recorder as recorder_module
from edge.appliance.record.files import RecordFile, RecordReader, records_in
from edge.appliance.record.recorder import Recorder
from edge.appliance.record.values import plain
from edge.camera import Frame
from edge.decide.tracking import SteadyScan
from edge.loop import step
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from edge.rig import Rig, build_rig
from edge.settings import Config, RecordSettings, ScanSettings
from firmware_bridge.errors import StageRefused, StageSilent
from simulator.simulate_verb import NOMINAL
from tests.support.fake_microscope import (
    MS,
    Clock,
    Eye,
    FakeCamera,
    FakeMeasurer,
    FakeStage,
    no_focus,
)

FOLDER = Path(__file__).parent / "records"
MIDDLE_UM = 200.0


class Bench:
    """A recorded rig on fakes, in the nominal instrument's window."""

    def __init__(self, recorder: Recorder, config: Config, eye: dict, **stage) -> None:
        self.clock = Clock()
        self.stage = FakeStage(self.clock, z_um=MIDDLE_UM, z_min_um=100.0, z_max_um=300.0, **stage)
        self.eye = Eye(self.stage, focus_um=MIDDLE_UM, **eye)
        self.camera = FakeCamera(self.clock)
        path = None if config.scan is None else SteadyScan(config.scan.scan_speed_um_s)
        self.rig: Rig = build_rig(
            config, camera=self.camera, stage=self.stage, clock=self.clock, path=path,
            sensor=FakeMeasurer(self.eye), doors=recorder.doors,
        )  # fmt: skip
        recorder.of(self.rig)
        self._recorder = recorder

    def slowly(self, frame: Frame) -> FocusEstimate | NoFocus:
        """The eye's answer, too late."""
        self.eye.answer = None
        self.clock.now_ns += 150 * MS
        answer = self.eye(frame)
        self.eye.answer = self.slowly
        return answer

    def frames(self, count: int, new_field: bool = False) -> None:
        for number in range(count):
            first = new_field and not number
            self._recorder.begin(first)
            if first:
                self.rig.controller.new_field()
            self._recorder.add(step(self.rig))


def nominal(**loop) -> Config:
    config = read_config(NOMINAL)
    return replace(config, loop=replace(config.loop, max_age_ms=100.0, **loop))


def noise(seed: int, um: float) -> Callable[[], float]:
    made = np.random.default_rng(seed)
    return lambda: float(made.normal(0.0, um))


def fields(recorder: Recorder) -> None:
    """Field after field: near, far, beyond the range, blank, and readings that wobble."""
    bench = Bench(recorder, nominal(), {"noise": noise(1, 0.15), "interval_um": 0.4})
    for off_um in (0.3, 2.0, -6.5, 14.0, -22.0, 31.0, 0.9, -1.1, 8.0, -3.0):
        bench.eye.focus_um = bench.stage.glass_um + off_um
        bench.frames(9, new_field=True)
    bench.eye.range_um = 0.0
    bench.frames(6, new_field=True)
    bench.eye.range_um, bench.eye.gain = 25.0, 0.75  # the iris was turned
    for off_um in (9.0, -12.0, 7.0, -8.0):
        bench.eye.focus_um = bench.stage.glass_um + off_um
        bench.frames(9, new_field=True)


def faults(recorder: Recorder) -> None:
    """What goes wrong and passes: a stall, silence, refusals, a drive that slips, a late frame."""
    bench = Bench(recorder, nominal(), {"interval_um": 0.3})
    stage, eye = bench.stage, bench.eye
    eye.focus_um = MIDDLE_UM + 5.0
    bench.frames(6)
    bench.camera.stalls = 2
    bench.frames(4)
    stage.fail_status = StageSilent("no answer")
    bench.frames(2)
    stage.fail_status, stage.fail = None, StageRefused("BUSY", "another move is under way")
    eye.focus_um += 4.0
    bench.frames(2)
    stage.fail, stage.fail_z = None, StageRefused("no-history")
    bench.frames(2)
    stage.fail_z = None
    bench.frames(5)
    stage.lost = 0.8  # play
    eye.focus_um -= 6.0
    bench.frames(10, new_field=True)
    stage.lost = 0.0
    bench.frames(6, new_field=True)
    eye.answer = bench.slowly
    bench.frames(2)
    eye.answer = None
    bench.camera.repeat = True
    eye.focus_um += 3.0
    bench.frames(3)
    bench.camera.repeat = False
    eye.answer = lambda frame: no_focus(
        Reason.OUTSIDE_TRAINING, frame.exposure_start_ns, frame.exposure_mid_ns, 1.0, 0.5
    )
    bench.frames(8, new_field=True)
    eye.answer = None
    bench.frames(4)
    stage.latched = "SAFE_STOP"
    bench.frames(1)


def wrong_sign(recorder: Recorder) -> None:
    """The motor runs the wrong way: a shutdown, after two moves at most."""
    bench = Bench(recorder, nominal(), {"sign": -1, "interval_um": 0.3})
    bench.eye.focus_um = -MIDDLE_UM + 6.0
    bench.frames(14)


def gone(recorder: Recorder) -> None:
    """A move that is never confirmed."""
    bench = Bench(recorder, nominal(), {})
    bench.stage.fail = OSError(5, "Input/output error")
    bench.eye.focus_um = MIDDLE_UM + 9.0
    bench.frames(4)


def scan(recorder: Recorder) -> None:
    """A tilted slide that passes by, with blank fields in it; a second line."""
    config = replace(nominal(), scan=ScanSettings(11000.0, 5.0))
    bench = Bench(recorder, config, {"noise": noise(2, 0.1), "interval_um": 0.4}, travel_ms=4.0)
    for line in range(2):
        begun_um = bench.stage.glass_um
        for number in range(45):
            mm = 0.55 * number  # 50 ms at 11 mm/s
            bench.eye.focus_um = begun_um + 0.8 * math.sin(mm) + 1.5 * mm * (1 - 2 * line)
            bench.eye.range_um = 0.0 if number in range(25, 29) else 25.0
            if bench.eye.range_um == 0.0:
                bench.eye.answer = lambda frame: no_focus(
                    Reason.BLANK, frame.exposure_start_ns, frame.exposure_mid_ns
                )
            bench.frames(1, new_field=not number)
            bench.eye.answer = None


def networks(recorder: Recorder) -> None:
    """The shipped networks on the simulated microscope; recorded by the command itself."""
    raise NotImplementedError(recorder)


#: name of the file -> who makes it
SCENES: dict[str, Callable[[Recorder], None]] = {
    "fields": fields, "faults": faults, "wrong_sign": wrong_sign, "gone": gone, "scan": scan,
    "networks": networks,
}  # fmt: skip
NETWORK_FRAMES = 12


def renew(names: list[str]) -> None:
    """Record these anew, each a file of FOLDER, however long it takes."""
    recorder_module.SEGMENT_NS = 10**15
    for name in names:
        with TemporaryDirectory() as folder:
            if name == "networks":
                words = ["run", "--demo", "--quiet", "--frames", str(NETWORK_FRAMES)]
                assert cli.main([*words, "--record", folder]) == 0
            else:
                with Recorder(RecordSettings(), Path(folder)) as recorder:
                    SCENES[name](recorder)
            for old in (FOLDER / f"{name}.mcap", *FOLDER.glob(f"{name}_[0-9].mcap")):
                old.unlink(missing_ok=True)
            for at, made in enumerate(records_in(Path(folder))):
                target = of_no_machine(made, f"{name}{f'_{at}' * bool(at)}")
                print(f"{target.name}: {target.stat().st_size} bytes")


def of_no_machine(made: Path, name: str) -> Path:
    """The same record in FOLDER, without where and when it was made."""
    reader = RecordReader(made)
    session = {**reader.session, "boot": "", "system": "", "begun": ""}
    models = session["config"]["models"]
    models.update({net: plain(Path(f"{net}.json")) for net in ("rin", "dpn")})
    (FOLDER / f"{name}.mcap").unlink(missing_ok=True)
    file = RecordFile(FOLDER, name, session)
    for message in reader:
        file.add(message.topic, message.time_ns, message.data)
    file.finish()
    target = FOLDER / f"{name}.mcap"
    target.chmod(0o644)
    return target


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(SCENES)
    if unknown:
        sys.exit(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SCENES)}")
    with contextlib.suppress(KeyboardInterrupt):
        renew(sys.argv[1:] or list(SCENES))
