"""`sparsefocus init`: asks what nobody can guess, and writes a config with a remark at every key.

`--yes` asks nothing. The window and what a controller's um are have no default: a wrong one drives
the objective into the slide. What check-config would refuse is not written. Beside the config lies
its JSON Schema, for editors.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edge.appliance.config.schema import NAME, camera_options, schema
from edge.appliance.config.template import config_text
from edge.appliance.config.verb import WRONG_USE, faults_of
from edge.appliance.files import json_text, try_result, write_result
from edge.appliance.telling import tell
from edge.camera import CAMERAS
from edge.errors import ConfigError
from edge.images.image_file import printable
from edge.settings import BY_HAND
from firmware_bridge.stage import STAGES
from firmware_bridge.stage_options import STAGE_OPTIONS, Number, Text, Truth

CALIBRATION = "drive.json"
#: the paper's objective, for which the shipped models are made
OBJECTIVE = {"na": 0.75, "magnification": 20.0, "um_per_px": 0.34}
PERIOD_MS = 33.3
#: what a driver must be told and mostly is: camera driver -> option -> value
CAMERA_USUAL: dict[str, dict[str, Any]] = {
    "pylon": {"link": "usb", "exposure_ms": 1.0, "pixel_format": "BayerRG8"},
    "aravis": {"exposure_ms": 1.0, "pixel_format": "BayerRG8"},
    "v4l2": {"device": "/dev/video0", "exposure_ms": 1.0, "pixel_format": "Mono8"},
    "gstreamer": {"exposure_ms": 1.0, "pixel_format": "BGR8"},
    "recorded": {"folder": "pictures"},
}
#: connected to nothing that can be moved, or only by programs
LEFT_OUT = ("simulated",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add = parser.add_argument
    add("file", type=Path, nargs="?", default=Path("scanner.yaml"), help="(%(default)s)")
    add("--yes", action="store_true", help="ask nothing: the usual, and what is given here")
    add("--force", action="store_true", help="write over a file that is there")
    add("--camera", choices=sorted(set(CAMERAS) - set(LEFT_OUT)), help="its driver")
    add("--stage", choices=sorted(STAGES), help="its driver")
    what = "an option of the driver; may be repeated"
    add("--camera-option", action="append", default=[], metavar="KEY=VALUE", help=what)
    add("--stage-option", action="append", default=[], metavar="KEY=VALUE", help=what)
    what = "um; no move ever leaves it, and there is no default"
    add("--window", type=float, nargs=2, metavar=("LOW", "HIGH"), help=what)
    what = "a person vouches: +1 when a rising z raises the objective (else `calibrate` finds it)"
    add("--direction", type=int, choices=(1, -1), help=what)
    add("--period-ms", type=float, metavar="MS", help=f"between frames ({PERIOD_MS:g})")
    for name, usual in OBJECTIVE.items():
        add(f"--{name.replace('_', '-')}", type=float, metavar="X", help=f"({usual:g})")


def run(options: argparse.Namespace, ask: Callable[[str], str] = input) -> int:
    """0 = written, 2 = refused: a line for each thing that is missing or wrong."""
    if options.file.exists() and not options.force:
        raise ConfigError(f"{options.file} is there already; --force writes over it")
    try_result("init", options.file)
    values = _Answers(options, ask).values()
    text = config_text(values)
    _check_utf8(text)
    calibrating = values["stage"]["calibration"] != BY_HAND
    if faults := _faults(text, options.file, calibrating):
        for fault in faults:
            tell(f"sparsefocus: {fault}")
        return WRONG_USE
    write_result(text, options.file, "init")
    write_result(json_text(schema(installed=True)), options.file.with_name(NAME), "init")
    name = printable(options.file)
    print(f"{name} and {NAME} (for editors) are written. Next:")
    if calibrating:
        print(f"  sparsefocus check-config --calibrating {name}")
        print(f"  sparsefocus calibrate --config {name}    (it moves the stage)")
    print(f"  sparsefocus check-config {name}\n  sparsefocus run --config {name}")
    return 0


def _check_utf8(text: str) -> None:
    """ConfigError for bytes of the command line that are none: a config is UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = text[: error.start].rpartition("\n")[2] + text[error.start :].partition("\n")[0]
        raise ConfigError(f"init: {line.strip()!a} is not UTF-8, which a config is") from error


def _faults(text: str, file: Path, calibrating: bool) -> list[str]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / file.name
        path.write_text(text, encoding="utf-8")
        _, faults = faults_of(path, calibrating)
        # there is no file yet in which a line could be looked up
        where = re.compile(rf"^{re.escape(str(path))}(:[0-9]+)?: ")
        return [f"init: {where.sub('', ' '.join(fault.split()))}" for fault in faults]


class _Answers:
    """From the options, else by asking, else the usual; nothing where there is nothing usual."""

    def __init__(self, options: argparse.Namespace, ask: Callable[[str], str]) -> None:
        self._options, self._ask = options, ask

    def values(self) -> dict[str, dict[str, Any]]:
        """By section and key; what is left out is named by the reader's own faults."""
        given = self._options
        camera = self._one("camera driver", given.camera, "pylon", sorted(CAMERA_USUAL))
        camera_told = _told(given.camera_option)
        needed = camera_options(camera)["required"]
        for key in dict.fromkeys((*needed, *CAMERA_USUAL[camera])):
            usual = CAMERA_USUAL[camera].get(key)
            self._fill(camera_told, key, f"camera.options.{key}", usual)
        stage = self._one("stage driver", given.stage, "binary", sorted(STAGES))
        stage_told = _told(given.stage_option)
        for key, option in STAGE_OPTIONS[stage].items():
            if option.needed:
                says = option.says if isinstance(option, Text) else ""
                says = option.unit if isinstance(option, Number) else says
                assert not isinstance(option, Truth)
                usual = _port() if key == "port" else None
                self._fill(stage_told, key, f"stage.options.{key} ({says})", usual)
        low, high = given.window or (None, None)
        window: dict[str, Any] = {}
        self._fill(window, "z_min_um", "lowest z that is safe, um", low)
        self._fill(window, "z_max_um", "highest z that is safe, um", high)
        way = given.direction
        return {
            "camera": {"driver": camera, "period_ms": given.period_ms or PERIOD_MS,
                       "options": camera_told},
            "stage": {"driver": stage, **window, **({"focus_direction": way} if way else {}),
                      "calibration": BY_HAND if way else CALIBRATION, "options": stage_told},
            "objective": {name: self._number(name, usual) for name, usual in OBJECTIVE.items()},
        }  # fmt: skip

    def _number(self, name: str, usual: float) -> Any:
        given = getattr(self._options, name)
        return _value(self._one(f"objective.{name}", given, usual))

    def _fill(self, answers: dict[str, Any], key: str, question: str, usual: Any) -> None:
        if key in answers:
            return
        answer = self._one(question, None, usual)
        if answer not in (None, ""):
            answers[key] = _value(answer) if not isinstance(answer, bool) else answer

    def _one(self, question: str, given: Any, usual: Any, choices: list[str] | None = None) -> Any:
        if given is not None or self._options.yes:
            return usual if given is None else given
        of = f" ({', '.join(choices)})" if choices else ""
        shown = "" if usual is None else f" [{usual}]"
        while True:
            try:
                answer = self._ask(f"{question}{of}{shown}: ").strip() or usual
            except EOFError as error:
                raise ConfigError("init: nobody answers; --yes asks nothing") from error
            if answer is not None and (choices is None or answer in choices):
                return answer


def _told(words: list[str]) -> dict[str, Any]:
    answers = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ConfigError(f"{word!r} must be KEY=VALUE")
        answers[key] = _value(value)
    return answers


def _value(text: Any) -> Any:
    """A number or a truth where it reads as one, else text."""
    if not isinstance(text, str):
        return text
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _port() -> str:
    """The one serial port that has a lasting name, or where a board usually is."""
    lasting = sorted(Path("/dev/serial/by-id").glob("*"))
    return str(lasting[0]) if len(lasting) == 1 else "/dev/ttyACM0"
