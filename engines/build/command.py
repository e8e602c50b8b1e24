"""`sparsefocus build-engines`, in a checkout also `build_engines.py`: options, words, exit status.

0 = every plan is in place, 2 = wrong use, model or plan file, 3 = a plan was refused because it
is not accurate, 4 = TensorRT, the GPU or its memory failed, 130 = interrupted. Every failure is
one line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from engines.build.run import Wishes, build_all, describe
from engines.engine import MODELS
from engines.errors import BuildFailed, EngineRejected, PlanInaccurate
from engines.gpu.plan import FLAG, PLANS, PROFILES, TYPED

DONE, WRONG_USE, REFUSED, FAILED, INTERRUPTED = 0, 2, 3, 4, 130
POLICIES = {"auto": None, "flag": FLAG, "typed": TYPED}

EPILOG = """
A plan runs only with the TensorRT and the GPU model it was built with, so build on the device.
After building, golden pictures are run through the plan and through ONNX Runtime on the CPU; a
plan whose defocus differs by more than 0.1 um or whose importance by more than 0.02 is refused.
INT8 is not offered: nothing here has shown it to be faster at the same accuracy. TensorRT 11 has
removed the calibration that it would need.
exit status: 0 done, 2 wrong use or model, 3 plan not accurate, 4 TensorRT or GPU, 130 interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of build_engines.py; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="build_engines.py",
        description="Build the FP16 TensorRT plans of RIN and DPN from their ONNX files.",
    )
    add_arguments(parser)
    return run(parser.parse_args(arguments), parser.prog)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.epilog, parser.formatter_class = EPILOG, argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--models", type=Path, default=MODELS, help="folder of rin.json and dpn.json (%(default)s)")
    add("--out", type=Path, default=PLANS, help="folder for the plans (%(default)s)")
    add("--only", choices=tuple(PROFILES), action="append", help="one network; may be repeated")
    add("--dry-run", action="store_true", help="say what would be built; needs no TensorRT")
    add("--force", action="store_true", help="build also what is up to date")
    add(
        "--fp16",
        choices=tuple(POLICIES),
        default="auto",
        help="flag: TensorRT chooses the layers (below 11); typed: an FP16 network; "
        "auto: flag below TensorRT 10.12, typed from there on",
    )
    add(
        "--workspace-mib", type=_mib, default=1024, help="memory limit of the builder (%(default)s)"
    )
    add("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace, name: str = "sparsefocus") -> int:
    """Build what the options ask for; the exit status, and one line of `name` when it fails."""
    wishes = Wishes(
        models=options.models,
        out=options.out,
        networks=tuple(options.only or PROFILES),
        precision=POLICIES[options.fp16],
        workspace_bytes=options.workspace_mib << 20,
        force=options.force,
        quiet=options.quiet,
    )
    try:
        for line in describe(wishes) if options.dry_run else build_all(wishes):
            print(line, flush=True)
    except PlanInaccurate as error:
        return _say(name, error, REFUSED)
    except EngineRejected as error:
        return _say(name, error, WRONG_USE)
    except (BuildFailed, OSError) as error:
        return _say(name, error, FAILED)
    except MemoryError:
        return _say(name, "out of memory: close other programs", FAILED)
    except KeyboardInterrupt:
        return _say(name, "interrupted; what was in place before still is", INTERRUPTED)
    return DONE


def _mib(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 16 <= int(text) <= 65536:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 16 to 65536")
    return int(text)


def _say(name: str, what: object, status: int) -> int:
    print(f"{name}: {' '.join(str(what).split())}", file=sys.stderr)
    return status
