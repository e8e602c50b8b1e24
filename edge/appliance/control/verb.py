"""`sparsefocus control ACTION`: ask a running `sparsefocus run` through its control socket.

The socket is the config's, or --socket. 0 = done, 3 = it refused, 4 = nobody answers.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge.appliance.asi_line import AsiLine
from edge.appliance.config.config_file import read_config
from edge.appliance.control.as_crisp import LoopAsCrisp
from edge.appliance.control.ask import Line
from edge.appliance.control.requests import OFFSET_UM
from edge.appliance.files import add_json, is_standard, write_json
from edge.appliance.telling import tell
from edge.errors import ConfigError
from firmware_bridge.asi_server import AsiRefusal, AsiServer
from firmware_bridge.stop_signals import StopSignals

DONE, REFUSED, FAILED = 0, 3, 4
KEPT = 9999  # events in the JSON of a watch
_FOCUS_S = 60.0

#: action -> (what is asked, one line of help)
ACTIONS = {
    "status": ("status", "state, hold, and how the last frame ended"),
    "hold": ("hold", "move nothing until resume, also when this command has ended"),
    "resume": ("resume", "end a hold"),
    "new-field": ("new_field", "another field lies under the objective"),
    "focus": ("focus", "focus this field; answers when it is done"),
    "offset": ("offset", "another plane is called sharp from now on"),
    "watch": ("subscribe", "tell how each frame ends"),
    "serve-asi": ("hold", "present the loop as an ASI controller with a CRISP focus lock"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (_, summary) in ACTIONS.items():
        sub = actions.add_parser(name, help=summary, description=summary)
        where = sub.add_mutually_exclusive_group(required=True)
        where.add_argument("--config", type=Path, metavar="F", help="names the socket")
        where.add_argument("--socket", type=Path, metavar="PATH")
        wait = "for an answer, and for each frame of a watch (%(default)s)"
        sub.add_argument("--timeout", type=float, default=_FOCUS_S, metavar="S", help=wait)
        add_json(sub, "the answer")
        if name == "hold":
            sub.add_argument("--reason", metavar="TEXT", help="told to whoever is refused")
        if name == "offset":
            what = "above the plane where the specimen is sharpest"
            sub.add_argument("um", type=float, metavar="UM", help=what)
        if name == "serve-asi":
            sub.add_argument("--tty", type=Path, metavar="PORT",
                             help="a serial port of this machine instead of a pty")  # fmt: skip
            sub.add_argument("--baudrate", type=int, default=115200, help="of --tty (%(default)s)")
            sub.add_argument("--link", type=Path, help="make this a link to the pty")
            sub.add_argument("--axis", default="Z", choices=("Z", "F", "P"), help="its letter")
        if name == "watch":
            sub.add_argument("--count", type=int, metavar="N", help="frames (default: for ever)")


def run(options: argparse.Namespace) -> int:
    """See above; ConfigError for wrong use."""
    if not 0 < options.timeout <= 1e6:
        raise ConfigError(f"--timeout {options.timeout:g} must be above 0 and at most 1000000")
    if options.action == "offset" and not abs(options.um) <= OFFSET_UM:  # NaN is not
        raise ConfigError(f"{options.um:g} must be -{OFFSET_UM:g} to {OFFSET_UM:g} (um)")
    if options.action == "watch" and options.count is not None and options.count < 1:
        raise ConfigError(f"--count {options.count} must be at least 1")
    path = _socket_of(options)
    request: dict[str, Any] = {"do": ACTIONS[options.action][0]}
    if options.action == "hold" and options.reason:
        request["reason"] = options.reason
    if options.action == "offset":
        request["um"] = options.um
    try:
        with Line(path, options.timeout) as line:
            if options.action == "serve-asi":
                return _serve_asi(options, line)
            line.send(**request)
            lines = line.lines()
            answer = next(lines)
            if not answer.get("ok"):
                tell(f"sparsefocus: control: {answer.get('error')}")
                write_json(answer, options.json)
                return FAILED if answer.get("refused") in ("bad", "ended") else REFUSED
            if options.action == "watch":
                return _watch(options, lines)
    except (OSError, ValueError, StopIteration) as error:
        why = getattr(error, "strerror", None) or str(error) or "it hung up"
        tell(f"sparsefocus: control: {path}: {why}; does `sparsefocus run` run with it?")
        return FAILED
    _say(options, answer)
    write_json(answer, options.json)
    return DONE


def _socket_of(options: argparse.Namespace) -> Path:
    if options.socket is not None:
        path: Path = options.socket
        return path
    control = read_config(options.config, calibrating=True).control
    if control is None:
        raise ConfigError(f"{options.config}: control.socket must be given to be controlled")
    return control.socket


def _serve_asi(options: argparse.Namespace, line: Line) -> int:
    """Until a signal comes; the loop is held from now on, until a lock."""
    if options.config is None:
        raise ConfigError("serve-asi needs --config: the window and the offset are told from it")
    config = read_config(options.config, calibrating=True)
    window = config.stage.z_min_um, config.stage.z_max_um
    try:
        axis = LoopAsCrisp(line, window, config.loop.focus_offset_um)
    except AsiRefusal:
        tell("sparsefocus: control: the loop does not let itself be held; who else holds it?")
        return REFUSED
    server = AsiServer(axis, options.axis, lock=axis)
    with (
        StopSignals(lambda _: None, raises=False) as signals,
        AsiLine(server, options.link, options.tty, options.baudrate) as served,
    ):
        print(f"ASI MS-2000 with CRISP on {served.port}; unlocked", flush=True)
        signals.asked.wait()
    write_json({"port": served.port}, options.json)
    return DONE


def _watch(options: argparse.Namespace, lines: Iterator[dict[str, Any]]) -> int:
    events: list[dict[str, Any]] = []
    while len(events) != options.count:
        event = next(lines)
        _say(options, event)
        kept = events if options.count is not None else events[-KEPT:]
        events = [*kept, event]
    write_json(events, options.json)
    return DONE


def _say(options: argparse.Namespace, answer: dict[str, Any]) -> None:
    """One line for a person."""
    if is_standard(options.json):
        return
    last = answer.get("outcome") or answer.get("last") or answer
    words = [str(answer[key]) for key in ("state",) if answer.get(key)]
    words += [f"held {answer['held']}"] if answer.get("held") else []
    if last.get("decision"):
        words.append(f"{last['decision']}: {last['reason']}")
    if answer.get("z_um") is not None:
        words.append(f"z = {answer['z_um']:.3f} um")
    if answer.get("missed"):
        words.append(f"{answer['missed']} missed")
    print(", ".join(words) or "done", flush=True)
