"""Where the numbers of a running loop go, beside its own files: an address on this machine, a file
for node_exporter. Each has a thread of its own; the loop knows none of them.

Only this machine is listened to, whatever is asked for: there is no other address to choose.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

from edge.appliance.files import replace_file
from edge.appliance.run.loop_statistics import LoopStatistics
from edge.appliance.run.mqtt import Broker, state_of, told_by_mqtt
from edge.appliance.telling import WARNING, tell
from edge.errors import ConfigError
from edge.rig import Rig
from engines.device_health import read_health

LOOPBACK = "127.0.0.1"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
NAMES = ("localhost", LOOPBACK, "[::1]")  # by which a browser may mean it (DNS rebinding)
REQUEST_S = 2.0  # who is slower is not served
FILE_S = 15.0
FILE = "sparsefocus.prom"


@contextlib.contextmanager
def metrics_at(port: int, text: Callable[[], bytes]) -> Iterator[int]:
    """GET /metrics on loopback while the block runs; the port (0: any free one)."""

    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_S
        server_version, sys_version = "sparsefocus", ""

        def do_GET(self) -> None:
            name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
            if name not in NAMES:
                self.send_error(403)
            elif self.path.partition("?")[0] != "/metrics":
                self.send_error(404)
            else:
                body = text()
                self.send_response(200)
                self.send_header("Content-Type", TEXT)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A scrape every few seconds is no news."""

    class Server(HTTPServer):
        def handle_error(self, *_: object) -> None:
            """Whoever went away while he was told."""

    try:
        server = Server((LOOPBACK, port), Handler)
    except OSError as error:
        raise ConfigError(f"--metrics {port}: {LOOPBACK}:{port}: {error.strerror}") from error
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.2},
        name="sparsefocus-metrics", daemon=True,
    )  # fmt: skip
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def metrics_in(folder: Path, text: Callable[[], bytes], every_s: float = FILE_S) -> Iterator[None]:
    """`sparsefocus.prom` in node_exporter's folder, whole at any moment; the last one stays."""
    path, over = folder / FILE, threading.Event()
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise ConfigError(f"--textfile {folder}: must be a folder that can be written")

    def write() -> None:
        said = False
        while True:
            ended = over.wait(0.0 if not path.exists() else every_s)
            try:
                replace_file(path, text(), mode=0o644)
                said = False
            except OSError as error:
                if not said:
                    tell(f"sparsefocus: warning: {path}: {error.strerror}", level=WARNING)
                said = True
                ended = ended or over.wait(every_s)
            if ended:
                return

    thread = threading.Thread(target=write, name="sparsefocus-textfile", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def open_outlets(
    opened: contextlib.ExitStack,
    options: argparse.Namespace,
    rig: Rig,
    statistics: LoopStatistics,
    record: Callable[[], dict[str, Any] | None],
) -> None:
    """What the options ask for, open until `opened` is closed. ConfigError where it cannot be."""
    port, folder = getattr(options, "metrics", None), getattr(options, "textfile", None)
    if (url := getattr(options, "mqtt", None)) is not None:
        opened.enter_context(told_by_mqtt(Broker.of(url), lambda: state_of(rig, statistics)))
    if port is None and folder is None:
        return
    try:
        from edge.appliance.run.metrics import LoopCollector, exposition
    except ImportError as error:
        raise ConfigError(
            f"--metrics and --textfile need prometheus-client ({error}): "
            "pip install 'sparsefocus-edge[fleet]'"
        ) from error
    if port is not None and not 0 < port < 65536:
        raise ConfigError(f"--metrics {port} must be a port, 1 to 65535")
    collector = LoopCollector(rig, statistics, record, info_of(rig))

    def text() -> bytes:
        return exposition(collector)

    if port is not None:
        opened.enter_context(metrics_at(port, text))
    if folder is not None:
        opened.enter_context(metrics_in(folder, text))


def info_of(rig: Rig) -> dict[str, str]:
    """What runs here, in words that stay the same while it runs."""
    try:
        version = metadata.version("sparsefocus-edge")
    except metadata.PackageNotFoundError:
        version = ""
    hashes = {net.manifest.name: net.manifest.sha256[:12] for net in rig.engines}
    health = read_health()
    board, release = str(health.get("board", "")), str(health.get("release", ""))
    return {"version": version, **hashes, "board": board, "release": release}
