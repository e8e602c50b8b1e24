"""`sparsefocus scan`: a whole slide, field by field, into a folder from which all else is made.

--config F: the instrument of the file, with its `xy_stage` section; regions by --region.
--simulate: a simulated slide under a simulated scanner, in its own time.

What a scan did is on the disk before the next field (edge.wsi.scan_folder); --resume takes it up
wherever it ended.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edge.appliance.config.config_file import read_config, vouched_for
from edge.appliance.files import add_json, is_standard, write_json
from edge.appliance.scan.frame_file import encode
from edge.appliance.scan.open_scanner import open_scanner
from edge.appliance.scan.regions import RegionOf, read_regions
from edge.appliance.scan.run_scan import Scan
from edge.appliance.scan.scanner import Scanner
from edge.appliance.scan.summary import Truth, numbers, sentence
from edge.appliance.telling import tell, written_last
from edge.errors import ConfigError
from edge.wsi.focus_map import FocusMap, MapLimits
from edge.wsi.pipelines import KeyPoints, OneStep, Pipeline, TwoStep
from edge.wsi.scan_folder import FieldRecord, ScanFolder, create, take_up
from edge.wsi.scan_time import StopAndGo, remaining_s
from firmware_bridge.stop_signals import BY, StopSignals

PIPELINES = ("one-step", "two-step", "key-points")
NEAREST = 48  # anchors that tell of a place: more cost time and change nothing
#: reached by name, as drivers are: nothing on the device needs the simulator
SIMULATED = "simulator.scan_simulated"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add = parser.add_argument
    on = parser.add_mutually_exclusive_group(required=True)
    on.add_argument("--config", type=Path, metavar="F", help="the instrument")
    on.add_argument("--simulate", action="store_true", help="a simulated slide and scanner")
    add("--out", type=Path, metavar="DIR", required=True, help="the scan's folder")
    add("--resume", action="store_true", help="go on with the scan in that folder")
    add("--pipeline", choices=PIPELINES, default=PIPELINES[0], help="(default: one-step)")
    add("--key-points", type=int, default=25, metavar="N", help="of key-points (default: 25)")
    what = "x,y,width,height in um of the stage, and above what is sharpest it is to be; repeatable"
    add("--region", action="append", default=[], metavar="X,Y,W,H[,UM]", help=what)
    add("--polygon", action="append", default=[], metavar="X,Y,X,Y,X,Y,...", help="likewise")
    add("--pass-share", type=float, default=0.98, metavar="S",
        help="of the fields with content that must not be blurred (default: 0.98)")  # fmt: skip
    add_json(parser, "the numbers")
    add("--quiet", action="store_true", help="no progress, no table")
    simulated = parser.add_argument_group("of --simulate")
    add_simulated(simulated)


def add_simulated(group: Any) -> None:
    """What makes a simulated slide; the same for every verb that has one."""
    group.add_argument("--kind", choices=("tissue", "cell"), default="tissue")
    group.add_argument("--seed", type=int, default=5, metavar="S", help="of the slide (default: 5)")
    group.add_argument("--roughness", type=float, default=1.0, metavar="R",
                       help="of its topography (default: 1)")  # fmt: skip
    group.add_argument("--size-mm", type=float, default=3.0, metavar="W",
                       help="of the specimen (default: 3)")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """0 = done, 1 = done, and more is blurred than --pass-share allows. What ends it early is an
    error with its status; the folder can be taken up then."""
    if not 0.0 <= options.pass_share <= 1.0:
        raise ConfigError(f"--pass-share {options.pass_share:g} must be 0 to 1")
    if not 4 <= options.key_points <= 1000:
        raise ConfigError(f"--key-points {options.key_points} must be 4 to 1000")
    with opened(options) as (scanner, truth), _folder(options, scanner) as folder:
        record = _scan(options, scanner, folder, truth)
    status = 0 if record["summary"]["verdict"] == "pass" else 1
    show = not options.quiet and not is_standard(options.json)
    return written_last(
        status,
        lambda: write_json(record, options.json),
        lambda: print(sentence(record["summary"])) if show else None,
    )


@contextlib.contextmanager
def opened(options: argparse.Namespace) -> Iterator[tuple[Scanner, Truth | None]]:
    """The scanner that the options name, closed afterwards; and what is true, where that is
    known."""
    regions = read_regions(options.region, options.polygon)
    if options.simulate:
        with importlib.import_module(SIMULATED).open_simulated(options, regions) as bench:
            yield bench.scanner, bench.truth
        return
    config = read_config(options.config)
    vouched_for(options.config, config)
    with open_scanner(options.config, config, regions) as scanner:
        yield scanner, None


@contextlib.contextmanager
def _folder(options: argparse.Namespace, scanner: Scanner) -> Iterator[ScanFolder]:
    about = about_of(options)
    if options.resume:
        folder = take_up(options.out)
        for name, value in about.items():
            if folder.about.get(name) != value:
                folder.close()
                was = folder.about.get(name)
                raise ConfigError(f"{options.out}: it was begun with {name} {was}, not {value}")
    else:
        folder = create(options.out, scanner.plan(), about)
    with folder:
        yield folder


def about_of(options: argparse.Namespace) -> dict[str, Any]:
    """What must be the same when a scan is taken up, as plain values."""
    about: dict[str, Any] = {
        "pipeline": options.pipeline,
        "region": options.region,
        "polygon": options.polygon,
    }
    if options.pipeline == "key-points":
        about["key points"] = options.key_points
    if options.simulate:
        slide = ("kind", "seed", "roughness", "size_mm")
        about |= {name: getattr(options, name) for name in slide}
    else:
        about["config"] = options.config.name
    return about


def pipeline_of(options: argparse.Namespace, start_um: float) -> Pipeline:
    """The pipeline that the options name, from where Z stands."""
    if options.pipeline == "key-points":
        return KeyPoints(start_um, options.key_points)
    return TwoStep(start_um) if options.pipeline == "two-step" else OneStep(start_um)


def _scan(
    options: argparse.Namespace, scanner: Scanner, folder: ScanFolder, truth: Truth | None
) -> dict[str, Any]:
    rig, focus_map = scanner.rig, FocusMap(limits=MapLimits(nearest=NEAREST))
    offsets = RegionOf(scanner.regions)
    eye = scanner.eye(lambda: folder.walk.plan, offsets.offset_um)
    pace = scanner.pace
    begin_s, report = rig.clock() / 1e9, Told(folder, options.quiet, rig.clock, pace)
    if not options.quiet:
        left_s = math.fsum(pace.steps_s(folder.walk.plan)[folder.walk.done :])
        tell(f"scan: {folder.walk.left} fields to come, about {left_s:.0f} s")
    half_um = rig.config.objective.half_depth_um
    pipeline = pipeline_of(options, rig.stage.status().z_um)
    scan = Scan(folder, pipeline, eye, focus_map, half_um, encode, report, rig.clock)

    def stop(name: str) -> None:
        rig.halt(BY + name)
        with contextlib.suppress(Exception):  # whatever its line says: Z is what matters
            scanner.xy.stop()

    with StopSignals(stop):
        scan.run()
    seconds = rig.clock() / 1e9 - begin_s
    return numbers(folder, half_um, options.pass_share, seconds, truth, focus_map)


class Told:
    """What a person is told after each field, with the time that is left by the scanner's clock."""

    def __init__(
        self, folder: ScanFolder, quiet: bool, clock: Callable[[], int], pace: StopAndGo
    ) -> None:
        self._folder, self._quiet, self._clock, self._pace = folder, quiet, clock, pace
        self._begin_s, self._done = clock() / 1e9, folder.walk.done

    def __call__(self, record: FieldRecord) -> None:
        """A record was made."""
        if self._quiet:
            return
        walk = self._folder.walk
        steps = self._pace.steps_s(walk.plan)[self._done :]
        elapsed_s = self._clock() / 1e9 - self._begin_s
        left_s = remaining_s(steps, min(walk.done - self._done, len(steps)), elapsed_s)
        off = "" if record.defocus_um is None else f" {record.defocus_um:+.2f} um"
        where = f"[{walk.done}/{len(walk.plan)}, {left_s:.0f} s left]"
        tell(f"{where} field {record.id}:{off} {record.grade}", wait_s=0.0)
