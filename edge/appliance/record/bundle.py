"""`sparsefocus report-bundle`: what a maker's support asks for, in one archive to look through.

The config without its secrets, the versions, the models' hashes, the machine, the last flight
records as far as they fit, and what `sparsefocus doctor` says here. Nothing is sent anywhere.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

from edge.appliance.config.config_file import read_config
from edge.appliance.files import json_text, replacing, try_result
from edge.appliance.record.files import records_in
from edge.appliance.record.session import machine
from edge.appliance.record.values import SECRET, without_addresses
from edge.errors import ConfigError
from edge.images.image_file import printable
from engines.device_health import read_health
from engines.engine import MODELS
from engines.manifest import Manifest
from engines.own_cache import state_folder

TOP = "sparsefocus-report"
MOST_MIB = 64
DOCTOR_S = 120.0
#: a key of a YAML line whose value nobody else may know
_SECRET_LINE = re.compile(rf"^(\s*-?\s*[\"']?[\w-]*{SECRET}[\w-]*[\"']?\s*:\s*)\S.*$", re.I | re.M)
_SECRET_INSIDE = re.compile(rf"([{{,]\s*[\"']?[\w-]*{SECRET}[\w-]*[\"']?\s*:\s*)[^,}}\n]+", re.I)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add = parser.add_argument
    add("out", type=Path, metavar="FILE", help="the archive to write, .tar.gz")
    add("--config", type=Path, metavar="F", help="this instrument's config; its secrets stay out")
    add("--record", type=Path, metavar="DIR", help="where its flight records are (default: where "
        "the config says)")  # fmt: skip
    add("--mib", type=int, default=MOST_MIB, metavar="N", help="of flight records, the last ones "
        f"(default: {MOST_MIB}, 0 = none)")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """0 = written, 2 = it cannot be."""
    if not 0 <= options.mib <= 1 << 20:
        raise ConfigError(f"--mib {options.mib} must be 0 to {1 << 20}")
    try_result("FILE", options.out)
    folder = options.record or _folder(options.config)
    records = list(_last(folder, options.mib << 20))
    with replacing(options.out) as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, text in _texts(options.config):
            _add(archive, name, text.encode("utf-8", "replace"))
        for path in records:
            _add(archive, f"records/{path.name}", path.read_bytes())
    size = f"{options.out.stat().st_size} bytes, {len(records)} flight records"
    print(f"{printable(options.out)}: {size}. Look through it before you send it")
    return 0


def _texts(config: Path | None) -> Iterator[tuple[str, str]]:
    yield "versions.json", json_text(machine())
    yield "models.json", json_text({name: _model(name) for name in ("rin", "dpn")})
    yield "health.json", json_text(read_health())
    yield "doctor.json", _doctor(config)
    if config is not None:
        try:
            yield "config.yaml", hidden(config.read_text("utf-8", "replace"))
        except OSError as error:
            raise ConfigError(f"{config}: {error.strerror}") from error


def hidden(text: str) -> str:
    """The lines of a config file without passwords, tokens, and names in addresses."""
    text = _SECRET_LINE.sub(r"\1***", text)
    return without_addresses(_SECRET_INSIDE.sub(r"\1***", text))


def _model(name: str) -> dict[str, str]:
    try:
        manifest = Manifest.read(MODELS / f"{name}.json")
    except Exception as error:  # noqa: BLE001 - what is wrong with it is what support must know
        return {"error": f"{error}"}
    return {"file": manifest.file, "sha256": manifest.sha256}


def _doctor(config: Path | None) -> str:
    """In a process of its own: what is wrong here must not end this one."""
    words = [sys.executable, "-m", "edge.appliance.cli", "doctor", "--json", "-"]
    words += [] if config is None else ["--config", str(config)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=DOCTOR_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return json_text({"error": f"{error}"})
    try:
        json.loads(done.stdout)
    except ValueError:
        return json_text({"exit": done.returncode, "out": done.stdout, "error": done.stderr})
    return hidden(done.stdout)


def _folder(config: Path | None) -> Path:
    """Where the records are, as far as the config can be read."""
    usual = state_folder("records")
    if config is None:
        return usual
    try:
        return read_config(config).record.folder or usual
    except ConfigError:  # it goes into the archive, and `doctor` says what is wrong with it
        return usual


def _last(folder: Path, most_bytes: int) -> Iterator[Path]:
    """The newest files that fit together, the oldest of them first."""
    chosen: list[Path] = []
    for path in reversed(records_in(folder)):
        size = path.stat().st_size
        if size > most_bytes:
            break
        most_bytes -= size
        chosen.append(path)
    yield from reversed(chosen)


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(f"{TOP}/{name}")
    entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o644
    archive.addfile(entry, io.BytesIO(data))
