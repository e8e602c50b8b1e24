"""`sparsefocus run --config F`: the appliance. Frame by frame it keeps the field in focus.

`--demo` runs it on the simulated microscope instead of a file's instrument.

Paced by the camera; what is not needed for the next move is done elsewhere: a status line by a
thread of its own, statistics in constant memory, no garbage collection in the loop. Ends by itself
only after a shutdown, which only a person leaves, or after --frames or --seconds.

SIGINT, SIGTERM, SIGHUP, SIGQUIT: the stage stops at once, the loop ends with the frame under way (a
second signal does not wait for it). SIGUSR1: the slide was moved to another field. Other programs:
the control socket (edge.appliance.control), where the config has one.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from edge.appliance.config.config_file import read_config, vouched_for
from edge.appliance.control.desk import Desk
from edge.appliance.control.opening import control_door
from edge.appliance.files import add_json, is_standard, write_json
from edge.appliance.machine import description
from edge.appliance.record.opening import UNRECORDED, Recorded, recorder_of
from edge.appliance.run.loop_statistics import LoopStatistics
from edge.appliance.run.outlets import open_outlets
from edge.appliance.run.realtime import Measure, apply, without_collector
from edge.appliance.run.service import Service
from edge.appliance.telling import DEBUG, ERROR, INFO, in_journal, tell, written_last
from edge.appliance.waiting import add_wait, once_there
from edge.decide.decision import Decision, Shutdown
from edge.errors import ConfigError
from edge.loop import LATCHED, Outcome, step
from edge.loop import UNCERTAIN as POSITION_UNCERTAIN
from edge.rig import Rig, build_rig
from edge.settings import Config, RecordSettings
from edge.state import State, at_rest
from firmware_bridge.stop_signals import BY, StopSignals

STOPPED, REFUSED, FAILED, UNCERTAIN = 0, 3, 4, 5
TERMINAL_S, PIPE_S = 0.5, 10.0  # between two status lines
JOURNAL_S = 1.0  # between two looks whether the decision is another one
MOST_FRAMES = 10**12
MOST_S = 10**9
#: reached by name, as drivers are: nothing on the device needs the simulator
DEMO = "simulator.demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add = parser.add_argument
    on = parser.add_mutually_exclusive_group(required=True)
    on.add_argument("--config", type=Path, metavar="F")
    what = "on the simulated microscope: no hardware, no calibration and no file is needed"
    on.add_argument("--demo", action="store_true", help=what)
    add("--frames", type=int, metavar="N", help="end after so many (default: never)")
    add("--seconds", type=float, metavar="S", help="end after so long (default: never)")
    add_json(parser, "the statistics at the end")
    where = "where the flight record is kept (default: as the config says; of --demo none is)"
    add("--record", type=Path, metavar="DIR", help=where)
    add("--metrics", type=int, metavar="PORT", help="for Prometheus, on this machine's loopback")
    add("--textfile", type=Path, metavar="DIR", help="the same as a file for node_exporter")
    add("--mqtt", metavar="URL", help="a broker to tell: mqtt[s]://[user@]host[:port][/name]")
    add("--quiet", action="store_true", help="no status line")
    add_wait(parser)


def run(options: argparse.Namespace) -> int:
    """0 = ended as asked, 3 = shut down for safety, 4 = camera, stage or engine failed and the axis
    is known to rest, 5 = nobody knows where it is."""
    if options.frames is not None and not 1 <= options.frames <= MOST_FRAMES:
        raise ConfigError(f"--frames {options.frames} must be 1 to {MOST_FRAMES}")
    if options.seconds is not None and not 0 < options.seconds <= MOST_S:
        raise ConfigError(f"--seconds {options.seconds:g} must be above 0 and at most {MOST_S}")
    if options.demo:
        settings = RecordSettings("none" if options.record is None else "decisions")
        with recorder_of(settings, options.record) as recorder:
            module = importlib.import_module(DEMO)
            with module.Demo(options.quiet, doors=recorder.doors) as demo:
                return _run(demo.config, demo.rig, recorder, options, demo)
    config = read_config(options.config)
    vouched_for(options.config, config)
    with recorder_of(config.record, options.record) as recorder:
        build = lambda: build_rig(config, doors=recorder.doors)  # noqa: E731
        return _run(config, once_there(build, options.wait), recorder, options)


def _run(
    config: Config,
    rig: Rig,
    recorder: Recorded,
    options: argparse.Namespace,
    demo: Any = None,
) -> int:
    statistics, service = LoopStatistics(), Service()
    begin = time.monotonic()
    outside = ExitStack()  # its threads begin before the loop's gets SCHED_FIFO, which they inherit
    try:
        outside.callback(service.close)
        desk = outside.enter_context(control_door(config.control, rig))
        open_outlets(outside, options, rig, statistics, recorder.record)
        measures = apply(config.realtime)  # after the drivers' threads, which need none of it
        _say_measures(measures, options.quiet)
        with (
            _asked(rig) as asked,
            _status(statistics, options.quiet, service),
            without_collector(),
        ):
            if demo is not None:
                demo.camera.on_new_field = asked.another_field
            recorder.of(rig)
            service.ready()
            over = _end(options, begin)
            status = track(rig, statistics, asked, over, recorder, service, desk)
        service.stopping()
        if status:
            tell(f"sparsefocus: shut down: {rig.state.reason}", level=ERROR)
    finally:
        latched, dropped = rig.latched(), rig.camera.dropped
        outside.close()
        _close(rig)
    record = {
        **statistics.record(), "seconds": round(time.monotonic() - begin, 3), "exit": status,
        "ended": rig.state.reason if status else "asked", "latched": latched,
        "dropped_by_the_camera": dropped,
        "realtime": [{"measure": m.name, "done": m.done, "why": m.why} for m in measures],
        "machine": description(), "record": recorder.record(),
        **(demo.record() if demo is not None else {}),
    }  # fmt: skip
    return written_last(
        status, lambda: write_json(record, options.json), lambda: _show(statistics, options)
    )


def _close(rig: Rig) -> None:
    """What a driver says at its end changes neither the status nor its reason."""
    try:
        rig.close()
    except Exception as error:  # noqa: BLE001 - whatever it is
        tell(f"sparsefocus: warning: at the end: {error}")


class Asked:
    """What signals ask of the loop; set by handlers, read between frames."""

    def __init__(self) -> None:
        self.stop = ""  # by which signal
        self.new_field = False

    def another_field(self, *_: object) -> None:
        """Another field lies under the objective from the next frame on."""
        self.new_field = True


def track(
    rig: Rig,
    statistics: LoopStatistics,
    asked: Asked,
    over: Callable[[LoopStatistics], bool],
    recorder: Recorded = UNRECORDED,
    service: Service | None = None,
    desk: Desk | None = None,
) -> int:
    """Step until somebody asks for the end or the rig shuts down; the exit status.

    An axis that is latched, before the first frame or by anybody but us, is a shutdown: it refuses
    every move until a person has looked why. `desk`: what clients of the control socket ask.
    """
    desk = desk or Desk(rig)
    if (latched := rig.latched()) is not None:
        reason = f"{LATCHED}: {latched}; look why, then `sparsefocus stage clear`"
        rig.state.shutdown(reason, stop=False)
        return REFUSED
    while not asked.stop and not over(statistics):
        told = desk.before_a_frame()
        new_field, asked.new_field = asked.new_field or told.new_field, False
        recorder.begin(new_field, told.changed)
        if new_field:
            rig.controller.new_field()
        outcome = step(rig)
        recorder.add(outcome)
        statistics.add(outcome)
        if service is not None:
            service.alive()
        desk.after_a_frame(outcome)
        if rig.state.value is State.SHUTDOWN:
            if asked.stop and rig.state.reason == BY + asked.stop:
                return STOPPED  # the signal came first: a move cut short by it is no fault
            return _why(rig, outcome)
    return STOPPED


def _why(rig: Rig, outcome: Outcome) -> int:
    """The status of a shutdown. Only with FAILED may anybody begin again without a look at the
    glass: the axis answers, rests, and no move of ours is in doubt."""
    ours = isinstance(outcome.plan, Shutdown) or outcome.reason.startswith(LATCHED)
    if ours and outcome.decision is Decision.SHUTDOWN:
        return REFUSED
    if outcome.reason.startswith(POSITION_UNCERTAIN) or not at_rest(rig.stage):
        return UNCERTAIN
    return FAILED


def _end(options: argparse.Namespace, begin: float) -> Callable[[LoopStatistics], bool]:
    def over(statistics: LoopStatistics) -> bool:
        if options.frames is not None and statistics.frames >= options.frames:
            return True
        return options.seconds is not None and time.monotonic() - begin >= options.seconds

    return over


@contextmanager
def _asked(rig: Rig) -> Iterator[Asked]:
    """Handlers for the signals while the loop runs; the old ones afterwards."""
    asked = Asked()

    def stop(name: str) -> None:
        asked.stop = name
        rig.halt(BY + name)

    with StopSignals(stop, raises=False):
        if threading.current_thread() is not threading.main_thread():
            yield asked  # Python allows handlers in the main thread only
            return
        before = signal.signal(signal.SIGUSR1, asked.another_field)
        try:
            yield asked
        finally:
            signal.signal(signal.SIGUSR1, before)


@contextmanager
def _status(
    statistics: LoopStatistics, quiet: bool, service: Service | None = None
) -> Iterator[None]:
    """A line now and then, from a thread of its own; to systemd, too. In its journal also each
    decision that is another one than before, so that a level chooses."""
    if quiet:
        yield
        return
    over = threading.Event()
    terminal, journal = sys.stderr.isatty(), in_journal()

    def show() -> None:
        before, passed_s = "", 0.0
        wait_s = TERMINAL_S if terminal else JOURNAL_S if journal else PIPE_S
        while not over.wait(wait_s):
            passed_s += wait_s
            line = statistics.line()
            last = line.rpartition("; ")[2]
            if journal and last != before:
                tell(last, wait_s=0.0, level=INFO)
            before = last
            if terminal or passed_s >= PIPE_S:
                passed_s = 0.0
                start, end = ("\r\x1b[K", "") if terminal else ("", "\n")
                tell(f"{start}{line}", end, wait_s=0.0, level=DEBUG)
            if service is not None:
                service.status(line)

    thread = threading.Thread(target=show, name="sparsefocus-status", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if terminal:
            tell("")


def _say_measures(measures: list[Measure], quiet: bool) -> None:
    for measure in measures:
        if not quiet or not measure.done:
            tell(f"sparsefocus: {measure}")


def _show(statistics: LoopStatistics, options: argparse.Namespace) -> None:
    if not options.quiet and not is_standard(options.json):
        print(statistics.line())
