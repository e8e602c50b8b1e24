"""What a dependency does behind our back: asks no name, keeps no file of its own, leaves no thread.

Each part runs in a process of its own, with a home that nobody has used and with a resolver that is
watched (tests/support/watch.c); a fresh home is where first-run habits show.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE_S

SUPPORT = Path(__file__).parent / "support"
ROOT = Path(__file__).parents[1]
LOCAL = ("127.", "::1", "169.254.", "0.0.0.0")
#: no files: the kernel's own, and the peers' ports
KERNEL = ("/dev/", "/proc/", "/sys/")


@pytest.fixture(scope="session")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None and not os.environ.get("CI"):
        pytest.skip("no C compiler")
    library = tmp_path_factory.mktemp("watch") / "watch.so"
    words = ["-std=gnu99", "-O1", "-Wall", "-Werror", "-shared", "-fPIC"]
    source = SUPPORT / "watch.c"
    subprocess.run([str(compiler), *words, "-o", library, source, "-ldl"], check=True)
    return library


class Watched:
    """A fresh home, and what a process did that ran in it."""

    def __init__(self, library: Path, folder: Path) -> None:
        self.home, self.work, self.log = folder / "home", folder / "work", folder / "log"
        self.temporary = folder / "tmp"
        for made in (self.home, self.work, self.temporary):
            made.mkdir()
        passed = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "ORT_", "GST_"))}
        for name in ("CI", "GENICAM_CACHE_V3_5"):
            passed.pop(name, None)
        self.environment = {
            **passed,
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "LD_PRELOAD": str(library),
            "WATCH_LOG": str(self.log),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "OMP_NUM_THREADS": "1",
            "PYLON_CAMEMU": "1",
        }

    def python(self, code: str) -> str:
        return self._run([sys.executable, "-c", code])

    def command(self, *words: str) -> str:
        return self._run([sys.executable, "-m", "edge.appliance.cli", *words])

    def _run(self, words: list[str]) -> str:
        done = subprocess.run(
            words,
            cwd=self.work,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def reports(self, *kinds: str) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [what for kind, _, what in (x.partition(" ") for x in lines) if kind in kinds]

    def strangers(self) -> list[str]:
        """Names asked, hosts reached, files written that are not ours."""
        ours = [self.home / ".cache" / "sparsefocus", self.home / ".config" / "sparsefocus"]
        allowed = [*ours, self.work, self.temporary]
        results = [f"name {x}" for x in self.reports("name")]
        results += [f"host {x}" for x in self.reports("connect", "send") if not x.startswith(LOCAL)]
        for text in self.reports("write"):
            path = Path(text)
            if text.startswith(KERNEL) or path in self.home.parents or path == self.home:
                continue
            if any(path.is_relative_to(x) or path in x.parents for x in allowed):
                continue
            results.append(f"file {text}")
        left = [p for p in self.home.rglob("*") if p.is_file() or p.is_symlink()]
        results += [f"left {p}" for p in left if not any(p.is_relative_to(x) for x in ours)]
        return results


@pytest.fixture
def fresh(watch: Path, tmp_path: Path) -> Watched:
    return Watched(watch, tmp_path)


def test_the_watch_sees(fresh: Watched) -> None:
    """The control: whoever asks, connects or writes is seen."""
    fresh.python(
        "import os, pathlib, socket\n"
        "socket.getaddrinfo('localhost', 80)\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.connect(('192.0.2.1', 9))\n"  # of a range that nobody has; nothing is sent
        "home = pathlib.Path.home()\n"
        "(home / '.cache' / 'Stranger').mkdir(parents=True)\n"
        "(home / '.cache' / 'Stranger' / 'id').write_text('1')\n"
    )
    strangers = fresh.strangers()
    stranger = fresh.home / ".cache" / "Stranger"
    assert {
        "name localhost", "host 192.0.2.1", f"file {stranger}", f"file {stranger / 'id'}",
        f"left {stranger / 'id'}",
    } == set(strangers)  # fmt: skip


#: opens the shipped networks, measures a frame, waits a moment, tells its threads
MEASURE = """
import os, sys, threading, time
import cv2, numpy as np
from edge.appliance.selftest.checks import frame_of, picture
from edge.measure.importance import ClassRule
from edge.measure.sensor import measure
from edge.latency import Lap
from edge.optics import Objective
from {room} import build_sensor
from edge.settings import ModelSettings
objective = Objective(na=0.75, magnification=20.0, um_per_px=0.34)
models = ModelSettings(threads=1, backend="cpu", runtime="{runtime}")
threads = lambda: len(os.listdir("/proc/self/task"))
before = threads()
sensor, nets = build_sensor(models, objective, ClassRule())
frame = frame_of(picture(), "RGB8")
measure(sensor, frame, Lap())
once = threads()
for _ in range(2):
    measure(sensor, frame, Lap())
time.sleep({seconds})
again = threads()
for net in nets:
    net.close()
print(before, once, again)
"""


def _room() -> str:
    from importlib.util import find_spec

    return "edge.open_sensor" if find_spec("edge.open_sensor") else "edge.rig"


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_engines_keep_to_themselves(fresh: Watched, runtime: str) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino")
    code = MEASURE.format(runtime=runtime, seconds=2.0, room=_room())
    before, once, again = map(int, fresh.python(code).split())
    assert fresh.strangers() == []
    assert once == again  # nobody starts a thread later, while the loop runs
    assert again - before <= 8  # one a network, and what they need to begin


def test_the_first_command_of_a_user_leaves_only_ours(fresh: Watched) -> None:
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    cv2.imwrite(str(fresh.work / "x.png"), rng.integers(0, 255, (2016, 2016), np.uint8))
    fresh.command("focus", "x.png", "--json", "x.json")
    assert fresh.strangers() == []
    assert sorted(os.listdir(fresh.work)) == ["x.json", "x.png"]


CAMERA = """
from edge.camera import open_camera
camera = open_camera("{driver}", {options})
frame = camera.next(5.0)
camera.next(5.0)
camera.close()
print(frame.pixels.shape)
"""
IMAGING = {"exposure_ms": 4.0, "pixel_format": "Mono8", "width": 512, "height": 512, "rate_hz": 50}


def test_pylon_keeps_to_itself(fresh: Watched) -> None:
    pytest.importorskip("pypylon")
    fresh.python(CAMERA.format(driver="pylon", options={"link": "emulated", **IMAGING}))
    assert fresh.strangers() == []


def test_gstreamer_keeps_to_itself(fresh: Watched) -> None:
    if not os.environ.get("CI") and shutil.which("gst-inspect-1.0") is None:
        pytest.skip("GStreamer is not installed (make camera-tools)")
    source = {"source": "test", **IMAGING}
    fresh.python(CAMERA.format(driver="gstreamer", options=source))
    assert fresh.strangers() == []


def test_looking_for_cameras_asks_no_name(fresh: Watched) -> None:
    """Every driver's library is loaded here, Aravis' too; the network only with --network."""
    fresh.command("camera", "find")
    assert fresh.strangers() == []


def test_only_one_module_loads_onnxruntime() -> None:
    """The switch is read when the library is loaded: whoever loads it by himself is too early."""
    allowed = {"engines/onnx_runtime.py"}
    results = set()
    for top in ("edge", "engines", "firmware_bridge", "simulator", "training", "benchmarks"):
        for path in (ROOT / top).rglob("*.py"):
            for line in path.read_text(encoding="utf-8").splitlines():
                words = line.split()
                if words[:1] in (["import"], ["from"]) and words[1].split(".")[0] == "onnxruntime":
                    results.add(str(path.relative_to(ROOT)))
    assert results == allowed
