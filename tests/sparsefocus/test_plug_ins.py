"""Drivers of other installed packages: a name in the config is enough; a broken one is one line."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.appliance import cli
from edge.appliance.config.config_file import read_config
from edge.appliance.config.schema import schema
from edge.appliance.selftest.inventory import plugged_in
from edge.camera import CAMERAS, check_options, open_camera
from edge.errors import CameraStalled, ConfigError
from edge.instrument import open_stage_of
from edge.settings import StageSettings
from firmware_bridge.errors import StageError, StageRefused
from firmware_bridge.stage import STAGES, open_stage
from tests.support.own_drivers import ROOT

WINDOW = {"z_min_um": 100.0, "z_max_um": 300.0}
CONFIG = """\
camera: {{driver: {camera}, period_ms: 30, options: {camera_options}}}
stage:
  driver: {stage}
  z_min_um: 100
  z_max_um: 300
  focus_direction: 1
  calibration: by-hand
  options: {stage_options}
objective: {{na: 0.75, magnification: 20, um_per_px: 0.34}}
"""
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """A function that installs a package of this name, version 1.0, with these entry points; its
    one module is examples/my_drivers.py, or this text."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def put(package: str, text: str = "", **groups: str) -> None:
        module = site / f"{package}_module.py"
        if text:
            module.write_text(text)
        else:
            shutil.copy(ROOT / "examples/my_drivers.py", module)
        info = site / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = []
        for group, line in groups.items():
            lines += [f"[sparsefocus.{group}]", line, ""]
        (info / "entry_points.txt").write_text("\n".join(lines))

    yield put
    for name in [name for name in sys.modules if name.endswith("_module")]:
        if getattr(sys.modules[name], "__file__", None) == str(site / f"{name}.py"):
            del sys.modules[name]


def mine(install: Install) -> None:
    install(
        "mine", cameras="my-camera = mine_module:MyCamera", stages="my-stage = mine_module:MyStage"
    )


def written(tmp_path: Path, **changes: str) -> Path:
    values = {"camera": "my-camera", "stage": "my-stage", "camera_options": "{exposure_ms: 2}",
              "stage_options": "{speed_um_s: 500}", **changes}  # fmt: skip
    path = tmp_path / "scanner.yaml"
    path.write_text(CONFIG.format(**values))
    return path


def test_a_config_names_them_and_they_open(tmp_path: Path, install: Install) -> None:
    mine(install)
    config = read_config(written(tmp_path))
    camera = open_camera(config.camera.driver, config.camera.options)
    assert type(camera).__name__ == "MyCamera"
    stage = open_stage_of(config.stage)
    assert type(stage).__name__ == "MyStage"
    assert (stage.z_min_um, stage.z_max_um) == (100.0, 300.0)


def lines_of(path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    status = cli.main(["check-config", str(path)])
    lines = capsys.readouterr().err.splitlines()
    assert status == (2 if lines else 0)
    return lines


def test_their_options_are_their_parameters(
    tmp_path: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    mine(install)
    path = written(tmp_path, camera_options="{exposur_ms: 2}", stage_options="{sped: 1}")
    camera, stage = lines_of(path, capsys)
    assert camera.startswith(
        f"sparsefocus: {path}:1: camera.options.exposur_ms is not an option of"
    )
    assert "which has exposure_ms, side_px" in camera
    assert stage.startswith(f"sparsefocus: {path}:8: stage.options.sped is not an option of")
    assert "z_min_um" not in stage
    path = written(tmp_path, stage_options="{z_min_um: 1}")
    assert "stage.options.z_min_um belongs into the section itself" in lines_of(path, capsys)[0]


BROKEN = {
    "import no_such_library\n": "ModuleNotFoundError: No module named 'no_such_library'",
    "raise RuntimeError('two\\nlines')\n": "RuntimeError: two lines",
    "MyCamera = MyStage = 3\n": "is no class or function, but 3",
    "\n": "AttributeError",
    "def f(:\n": "SyntaxError",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_package_is_one_line_and_breaks_no_other(
    tmp_path: Path, install: Install, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    mine(install)
    install(
        "bad",
        text,
        cameras="bad-camera = bad_module:MyCamera",
        stages="bad-stage = bad_module:MyStage",
    )
    assert lines_of(written(tmp_path), capsys) == []
    path = written(tmp_path, camera="bad-camera", stage="bad-stage")
    lines = lines_of(path, capsys)
    assert len(lines) == 2
    for line, kind, name in zip(lines, ("camera", "stage"), ("MyCamera", "MyStage"), strict=True):
        assert f"{kind}.driver = 'bad-{kind}': bad_module:{name} of bad 1.0: " in line
        assert BROKEN[text] in line
    with pytest.raises(ConfigError, match=r"of bad 1\.0"):
        open_camera("bad-camera", {})
    with pytest.raises(
        StageRefused, match=r"CONFIG: driver 'bad-stage': bad_module:MyStage of bad"
    ):
        open_stage("bad-stage", WINDOW)
    with pytest.raises(ConfigError, match=r"stage\.driver = 'bad-stage': bad_module"):
        open_stage_of(StageSettings("bad-stage", 100.0, 300.0, 1))


def test_one_name_of_two_packages_is_nobodys(install: Install) -> None:
    mine(install)
    install(
        "other",
        cameras="my-camera = other_module:MyCamera",
        stages="my-stage = other_module:MyStage",
    )
    with pytest.raises(
        ConfigError, match=r"two packages bring 'my-camera': .*mine 1\.0 and .*other"
    ):
        check_options("my-camera", {})
    with pytest.raises(StageRefused, match="two packages bring 'my-stage'"):
        open_stage("my-stage", WINDOW)


def test_a_name_of_ours_is_never_taken_over(install: Install) -> None:
    install(
        "thief", cameras="recorded = thief_module:MyCamera", stages="asi = thief_module:MyStage"
    )
    with pytest.raises(ConfigError, match="give either folder or files"):
        open_camera("recorded", {})
    with pytest.raises(TypeError, match=r"resolution_um|port|axis"):
        open_stage("asi", WINDOW)


def test_what_fails_when_it_opens_is_one_line(install: Install) -> None:
    text = """
def camera(): raise RuntimeError("SDK error -1002\\nsee the log")
def stage(z_min_um, z_max_um): raise ValueError("no port")
def nothing(**options): return object()
"""
    install("half", text, cameras="c = half_module:camera\nn = half_module:nothing",
            stages="s = half_module:stage\nm = half_module:nothing")  # fmt: skip
    with pytest.raises(
        CameraStalled, match=r"half 1\.0: RuntimeError: SDK error -1002 see the log$"
    ):
        open_camera("c", {})
    with pytest.raises(StageError, match=r"half 1\.0: ValueError: no port$"):
        open_stage("s", WINDOW)
    with pytest.raises(ConfigError, match=r"opens no sparsefocus\.Camera"):
        open_camera("n", {})
    with pytest.raises(StageRefused, match=r"opens no sparsefocus\.Stage"):
        open_stage("m", WINDOW)


def test_a_driver_that_knows_no_stop_first_is_stopped_after_it_opened(install: Install) -> None:
    text = """
from mine_module import MyStage
class Counts(MyStage):
    stops = 0
    def stop(self): self.stops += 1
class Knows(Counts):
    def __init__(self, z_min_um, z_max_um, stop_first=False):
        super().__init__(z_min_um, z_max_um)
        self.first = stop_first
"""
    mine(install)
    install("stops", text, stages="counts = stops_module:Counts\nknows = stops_module:Knows")
    assert open_stage("counts", WINDOW, stop_first=True).stops == 1  # type: ignore[attr-defined]
    assert open_stage("counts", WINDOW).stops == 0  # type: ignore[attr-defined]
    knows = open_stage("knows", WINDOW, stop_first=True)
    assert (knows.first, knows.stops) == (True, 0)  # type: ignore[attr-defined]


def test_an_unknown_name_names_the_known(tmp_path: Path, install: Install,
                                         capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    mine(install)
    camera, stage = lines_of(written(tmp_path, camera="nobodys", stage="nobodys"), capsys)
    assert "camera.driver = nobodys must be one of aravis" in camera
    assert camera.endswith("given, my-camera")
    assert stage.endswith("given, my-stage")
    with pytest.raises(ConfigError, match=r"must be one of .*my-camera"):
        check_options("nobodys", {})
    with pytest.raises(ConfigError, match=r"must be one of .*my-stage"):
        open_stage_of(StageSettings("nobodys", 100.0, 300.0, 1))
    with pytest.raises(KeyError):
        open_stage("nobodys", WINDOW)


def test_given_is_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"camera": "given", "stage": "given", "camera_options": "{}", "stage_options": "{}"}
    path = written(tmp_path, **given)
    assert lines_of(path, capsys) == []
    config = read_config(path)
    with pytest.raises(ConfigError, match=r"camera\.driver = given is for programs that bring it"):
        open_camera(config.camera.driver, config.camera.options)
    with pytest.raises(ConfigError, match=r"stage\.driver = given is for programs that bring it"):
        open_stage_of(config.stage)
    path = written(tmp_path, **{**given, "camera_options": "{a: 1}", "stage_options": "{b: 1}"})
    camera, stage = lines_of(path, capsys)
    assert "camera.options.a is of no use: the camera is given" in camera
    assert "stage.options.b is of no use: the stage is given" in stage


def test_editors_are_told_what_is_installed(install: Install) -> None:
    mine(install)
    of = lambda installed: [  # noqa: E731
        schema(installed)["properties"][kind]["properties"]["driver"]["enum"]
        for kind in ("camera", "stage")
    ]
    assert of(False) == [[*sorted(CAMERAS), "given"], [*sorted(STAGES), "given"]]
    assert [names[-1] for names in of(True)] == ["my-camera", "my-stage"]


def test_doctor_lists_them_and_says_which_is_broken(install: Install) -> None:
    mine(install)
    install("bad", "import no_such_library\n", cameras="bad-camera = bad_module:MyCamera")
    findings = {each.what: each for each in plugged_in()}
    assert "my_drivers" not in findings
    assert str(findings["camera driver my-camera"].detail) == "mine_module:MyCamera of mine 1.0"
    assert "no_such_library" in findings["camera driver bad-camera"].detail
    assert findings["stage driver my-stage"].state == "ok"
    assert findings["camera driver bad-camera"].state != "ok"
