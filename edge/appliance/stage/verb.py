"""`sparsefocus stage`: look at, move and stop the Z axis that a config names, without a loop.

A move passes the guard's window like every other; exit status 3 = it refused and nothing moved.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serial.tools import list_ports

from edge.appliance.config.config_file import read_config
from edge.appliance.files import add_json, is_standard, write_json
from edge.appliance.stage.asi_service import AsiService, GuardedAxis
from edge.appliance.waiting import add_wait, once_there
from edge.errors import ConfigError, MoveRefused, MoveUncertain
from edge.guard import Guard, limits_of
from edge.instrument import open_stage_of
from edge.settings import Config
from edge.state import RunState, halt
from firmware_bridge.conformance import verb as conformance
from firmware_bridge.errors import StageError, StageRefused, StageUncertain
from firmware_bridge.stage import Stage, StageStatus
from firmware_bridge.stages.homing import HomingStage
from firmware_bridge.stages.scaled import ScaledStage
from firmware_bridge.stop_signals import BY, StopSignals

ARRIVAL_UM = 2.5  # coarser than any controller's report
_CONFIG_REASONS = ("CONFIG", "WINDOW", "NOT_FINITE")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (_, summary) in ACTIONS.items():
        sub = actions.add_parser(name, help=summary, description=summary)
        sub.add_argument("--config", type=Path, required=name != "find", help="names the stage")
        add_json(sub, "what it says")
        if name == "move":
            sub.add_argument("z_um", type=float, metavar="UM", help="absolute position")
            sub.add_argument("--timeout", type=float, default=30.0, metavar="S")
        if name == "home":
            sub.add_argument("--objective-is-free", action="store_true",
                             help="nothing is in its way, all along the axis")  # fmt: skip
            sub.add_argument("--timeout", type=float, default=60.0, metavar="S")
        if name == "watch":
            sub.add_argument("--count", type=int, metavar="N", help="how often (default: for ever)")
            sub.add_argument("--every-ms", type=float, default=200.0, metavar="MS")
        if name == "serve-asi":
            sub.add_argument("--link", type=Path, help="make this a link to the port")
            sub.add_argument("--tty", type=Path, metavar="PORT",
                             help="a serial port of this machine instead of a pty")  # fmt: skip
            sub.add_argument("--baudrate", type=int, default=115200, help="of --tty (%(default)s)")
            sub.add_argument("--axis", default="Z", choices=("Z", "F", "P"), help="its letter")
            add_wait(sub)
    # needs no config: it asks a firmware that no instrument of ours may know yet
    summary = "put a firmware of the binary protocol through every rule of PROTOCOL.md"
    conformance.add_arguments(actions.add_parser("conformance", help=summary, description=summary))


def run(options: argparse.Namespace) -> int:
    """0 = done; ConfigError, MoveRefused and StageError say what went wrong."""
    if options.action == "conformance":
        return conformance.conformance(options, write_json)
    answer = ACTIONS[options.action][0](options)
    write_json(answer, options.json)
    return 0


@dataclass(slots=True)
class _Bench:
    """A stage behind its guard, without camera and loop."""

    config: Config
    stage: Stage
    state: RunState
    guard: Guard


@contextmanager
def _opened(
    path: Path,
    ends: threading.Event | None = None,
    wait_s: float = 0.0,
    stop_first: bool = False,
) -> Iterator[_Bench]:
    """The axis behind its guard. Whatever ends the block but its own end stops the glass: a
    signal at once; with `ends`, which the first signal sets, the block ends by itself.

    `stop_first`: the axis is stopped before anything is asked."""
    try:
        config = read_config(path)
    except ConfigError:
        if not stop_first:
            raise
        config = read_config(path, calibrating=True)  # a stop needs no calibration
    try:
        stage = once_there(lambda: open_stage_of(config.stage, stop_first), wait_s)
    except StageRefused as refused:
        if refused.reason in _CONFIG_REASONS:
            raise ConfigError(f"{path}: stage: {refused}") from refused
        raise

    def stop_stage() -> None:
        with suppress(StageError, OSError):  # a dead link cannot be told to stop
            stage.stop()

    state = RunState(stop_stage)

    def stop(name: str) -> None:
        halt(state, stage, BY + name)
        if ends is not None:
            ends.set()

    try:
        with StopSignals(stop, raises=ends is None):
            guard = Guard(limits_of(config), stage, state)
            state.ready()
            yield _Bench(config, stage, state, guard)
    except BaseException as error:
        if not isinstance(error, (ConfigError, MoveRefused, StageRefused)):  # nothing moved
            # a time-out, a lost answer, no memory: the glass must not go on alone
            halt(state, stage, " ".join(str(error).split()) or type(error).__name__)
        raise
    finally:
        stage.close()


def _shown(status: StageStatus) -> dict[str, Any]:
    return {
        "z_um": round(status.z_um, 4),
        "moving": status.moving,
        "settled": status.settled_ns is not None,
        "latched": status.latched,
    }


def _say(options: argparse.Namespace, text: str) -> None:
    if not is_standard(options.json):
        print(text, flush=True)


def _line(shown: dict[str, Any]) -> str:
    state = "moving" if shown["moving"] else "at rest" if shown["settled"] else "settling"
    latched = f", {shown['latched']}" if shown["latched"] else ""
    return f"{shown['z_um']:.3f} um, {state}{latched}"


def _find(options: argparse.Namespace) -> Any:
    """Ports are listed, not asked: a byte that one controller ignores moves another."""
    if options.config is None:
        ports = [
            {"port": port.device, "description": port.description, "hardware": port.hwid}
            for port in sorted(list_ports.comports(include_links=True))
        ]
        for port in ports:
            _say(options, f"{port['port']}: {port['description']} ({port['hardware']})")
        if not ports:
            _say(options, "no serial port is here")
        return ports
    with _opened(options.config) as bench:
        stage = bench.stage
        identity = getattr(stage, "identity", None)
        stages = {
            "driver": bench.config.stage.driver,
            "identity": identity.text if identity else None,
            "travel_um": identity.travel_um if identity else None,
            "window_um": [stage.z_min_um, stage.z_max_um],
            "resolution_um": stage.resolution_um,
            **_shown(stage.status()),
        }
    _say(options, f"{stages['identity'] or stages['driver']}: {_line(stages)}")
    return stages


def _move(options: argparse.Namespace) -> Any:
    with _opened(options.config) as bench:
        try:
            bench.guard.send_by_hand(options.z_um)
        except MoveUncertain as error:
            raise StageUncertain(str(error)) from error
        shown = _shown(bench.stage.wait(options.timeout))
        off_um = abs(shown["z_um"] - options.z_um)
        if not off_um <= ARRIVAL_UM:  # a stop of ours may end it anywhere
            raise StageUncertain(f"stopped at {_line(shown)}; asked for {options.z_um:g} um")
    _say(options, _line(shown))
    return shown


def _home(options: argparse.Namespace) -> Any:
    """By nobody but a person: the controller's own way there knows no window and no guard."""
    if not options.objective_is_free:
        raise ConfigError(
            "the controller moves the axis to its reference, wherever that is: see that nothing is "
            "in the objective's way, then say --objective-is-free"
        )
    with _opened(options.config) as bench:
        stage = bench.stage.inner if isinstance(bench.stage, ScaledStage) else bench.stage
        if not isinstance(stage, HomingStage):
            raise ConfigError(
                f"the driver {bench.config.stage.driver} does not look for references: home the "
                "axis at its controller, then `sparsefocus stage clear` where it asks for that"
            )
        stage.home(options.timeout)
    with _opened(options.config) as bench:
        shown = _shown(bench.stage.status())
    _say(options, f"referenced; {_line(shown)}")
    return shown


def _stop(options: argparse.Namespace) -> Any:
    with _opened(options.config, stop_first=True) as bench:
        bench.stage.stop()
        shown = _shown(bench.stage.status())
    _say(options, _line(shown))
    return shown


def _clear(options: argparse.Namespace) -> Any:
    with _opened(options.config) as bench:
        before = bench.stage.status().latched
        bench.stage.clear()
        shown = {"was": before, **_shown(bench.stage.status())}
    _say(options, f"was {before or 'not latched'}; {_line(shown)}")
    return shown


def _watch(options: argparse.Namespace) -> Any:
    if not options.every_ms >= 1 or (options.count is not None and options.count < 1):
        raise ConfigError("--every-ms and --count must be 1 or more")
    positions: list[dict[str, Any]] = []
    with _opened(options.config) as bench, _until_signal() as ends:
        while len(positions) != options.count and not ends.wait(
            options.every_ms / 1e3 if positions else 0
        ):
            shown = _shown(bench.stage.status())
            _say(options, _line(shown))
            positions = (
                [*positions[-9999:], shown] if options.count is None else [*positions, shown]
            )
    return positions


def _serve_asi(options: argparse.Namespace) -> Any:
    ends = threading.Event()
    with (
        _opened(options.config, ends, options.wait) as bench,
        AsiService(
            GuardedAxis(bench.stage, bench.guard, bench.state),
            options.axis,
            options.link,
            options.tty,
            options.baudrate,
        ) as service,
    ):
        low_um, high_um = bench.stage.z_min_um, bench.stage.z_max_um
        print(f"ASI MS-2000 on {service.port}, {low_um:g}..{high_um:g} um", flush=True)
        ends.wait()
        if not bench.state.reason.startswith(BY):
            raise StageUncertain(bench.state.reason)
        return {"port": service.port, "moves": bench.guard.moves, "refused": bench.guard.refused}


@contextmanager
def _until_signal() -> Iterator[threading.Event]:
    """An event that the first signal sets, for what only looks: nothing is stopped by it."""
    with StopSignals(lambda _: None, raises=False) as signals:
        yield signals.asked


#: action -> (what does it, one line of help)
ACTIONS: dict[str, tuple[Callable[[argparse.Namespace], Any], str]] = {
    "find": (_find, "list the serial ports; with --config, who answers there and where it is"),
    "move": (_move, "move to an absolute position, through the guard, and wait"),
    "home": (_home, "find the reference, outside the window; only where nothing is in its way"),
    "stop": (_stop, "stop the axis; it stays stopped until it is cleared"),
    "clear": (_clear, "leave a latched stop, after looking why it stopped; moves nothing"),
    "watch": (_watch, "tell position and state again and again"),
    "serve-asi": (_serve_asi, "present the axis as an ASI MS-2000 on a pty"),
}
