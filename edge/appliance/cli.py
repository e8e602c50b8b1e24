"""The command `sparsefocus`: one verb per job, exit status as promised.

0 = done, 2 = wrong use or config (one line), 3 = refused for safety, 4 = hardware or peer
failed and the stage's position is known, 5 = it is uncertain: a person looks first. A verb's module
is imported when the verb is used, so that `focus` needs no serial port and nothing on the device
needs the simulator.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import importlib
import logging
import signal
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from edge.appliance.files import try_results
from edge.appliance.plain_streams import plain_streams
from edge.appliance.telling import ERROR, flushed, log_format, tell
from edge.errors import (
    CameraStalled,
    ConfigError,
    DiskFailed,
    EngineRejected,
    SparseFocusError,
)
from engines.engine import MODELS
from firmware_bridge.errors import StageError, StageSilent
from firmware_bridge.firmware.build import BuildError
from firmware_bridge.stop_signals import Interrupted

DONE, WRONG_USE, REFUSED, FAILED, UNCERTAIN = 0, 2, 3, 4, 5
SIGNALLED = 128  # and the number of the signal, as shells have it

#: verb -> (module with add_arguments(parser) and run(options) -> exit status, one line of help)
VERBS: dict[str, tuple[str, str]] = {
    "simulate": (
        "simulator.simulate_verb",
        "focus fields of the simulated microscope, write a report",
    ),
    "focus": ("edge.appliance.focus.verb", "one shot on image files: the signed defocus of each"),
    "run": ("edge.appliance.run.verb", "the appliance: keep what the camera sees in focus"),
    "replay": (
        "edge.appliance.record.verb",
        "a flight record through the loop again, bit for bit",
    ),
    "report-bundle": (
        "edge.appliance.record.bundle",
        "what a maker's support asks for, in one archive",
    ),
    "scan": (
        "edge.appliance.scan.verb",
        "a whole slide, field by field, into a folder; on a simulated slide with --simulate",
    ),
    "control": (
        "edge.appliance.control.verb",
        "ask a running appliance: status, hold, resume, new-field, focus, offset, watch",
    ),
    "evaluate": (
        "edge.appliance.evaluate.verb",
        "the paper's metrics on z-stacks with known focus",
    ),
    "bench": (
        "simulator.bench.verb",
        "how long a frame takes, beside other ways to do it and the machine's floors",
    ),
    "stage": (
        "edge.appliance.stage.verb",
        "find, move, stop or watch the Z axis; serve it as an ASI MS-2000; test a firmware",
    ),
    "calibrate": (
        "edge.appliance.calibrate.verb",
        "learn an instrument: its drive by moving and looking, or its optics from z-stacks",
    ),
    "capture": (
        "edge.appliance.capture.verb",
        "labelled z-stacks of an instrument, for training and adaptation",
    ),
    "camera": (
        "edge.appliance.camera.verb",
        "find cameras; check that the configured one delivers",
    ),
    "selftest": (
        "edge.appliance.selftest.verb",
        "the engines against the CPU reference, and their latency, on this machine",
    ),
    "doctor": (
        "edge.appliance.selftest.doctor",
        "what is here, what is missing, and what to do about it",
    ),
    "init": ("edge.appliance.config.init", "write a first config, by questions or by --yes"),
    "build-engines": (
        "engines.build.command",
        "TensorRT plans of the networks, for this GPU",
    ),
    "check-config": (
        "edge.appliance.config.verb",
        "read a config file and say what is wrong",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    with plain_streams():
        return _main(list(sys.argv[1:] if arguments is None else arguments))


def _main(words: list[str]) -> int:
    try:
        options = parse(words)
    except ImportError as error:  # of what the verb needs
        return _say(f"a library cannot be loaded: {error}", FAILED)
    logging.basicConfig(level=logging.WARNING, format=log_format())
    return flushed(_run(options), FAILED)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options of a command; argparse's SystemExit (2, or 0 for --help and --version)."""
    parser = argparse.ArgumentParser(
        prog="sparsefocus",
        description="One-shot autofocus for microscope scanners.",
        epilog="exit status: 0 done, 2 wrong use or config, 3 refused for safety, 4 hardware, "
        "5 the stage's position is uncertain",
    )
    version = _version() if "--version" in words else ""
    parser.add_argument("--version", action="version", version=f"sparsefocus {version}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    wanted = next((word for word in words if word in VERBS), None)
    for verb, (_, summary) in VERBS.items():
        sub = verbs.add_parser(verb, help=summary, description=summary)
        if verb == wanted:
            importlib.import_module(VERBS[verb][0]).add_arguments(sub)
    return parser.parse_args(words)


def _version() -> str:
    """Of the program, and of the networks it ships: the first 12 digits of their files' SHA-256."""
    try:
        version = metadata.version("sparsefocus-edge")
    except metadata.PackageNotFoundError:  # a tree that was not installed
        version = "not installed"
    names = ("rin", "dpn")
    hashes = (f"{name} {_sha256(MODELS / f'{name}.onnx')[:12]}" for name in names)
    return f"{version} ({', '.join(hashes)})"


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "is missing"


def _run(options: argparse.Namespace) -> int:
    try:
        try_results(options)
        return int(importlib.import_module(VERBS[options.verb][0]).run(options))
    except (ConfigError, EngineRejected) as error:
        return _say(error, WRONG_USE)
    except (CameraStalled, DiskFailed, StageError, OSError) as error:
        return _say(_where(error), UNCERTAIN if _uncertain(error) else FAILED)
    except SparseFocusError as error:
        return _say(error, UNCERTAIN if _uncertain(error) else REFUSED)
    except BuildError as error:
        return _say(str(error).split("\n")[0], FAILED)
    except Interrupted as interrupted:
        return _say(interrupted, SIGNALLED + interrupted.number)
    except KeyboardInterrupt:
        return _say("interrupted", SIGNALLED + signal.SIGINT)
    except MemoryError:
        return _say("the computer's memory is used up", FAILED)
    except ImportError as error:  # not there, built for another, or no memory to load it
        return _say(f"a library cannot be loaded: {error}", FAILED)


def _where(error: Exception) -> object:
    """The error, by name where it is standard output's: files have theirs in it already."""
    if not isinstance(error, OSError) or error.filename is not None:
        return error
    ours = error.errno in (errno.ENOSPC, errno.EPIPE)
    return f"standard output: {error.strerror}" if ours else error


def _uncertain(error: Exception) -> bool:
    """Whether the glass may be elsewhere than anybody knows. Who was silent at rest is not: it is
    asked where it is before anything else."""
    moved: bool = getattr(error, "glass_may_have_moved", False)
    return moved and not isinstance(error, StageSilent)


def _say(what: object, status: int) -> int:
    tell(f"sparsefocus: {' '.join(str(what).split())}", level=ERROR)
    return status


if __name__ == "__main__":
    sys.exit(main())
