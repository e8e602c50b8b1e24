"""The service file: what the loop does not need it may not do, by systemd's own judgement."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.appliance import cli
from edge.appliance.run import verb as run_verb
from tests.support.patience import PATIENCE_S

UNIT = Path(__file__).parents[1] / "deploy" / "sparsefocus.service"
MOST = 2.0  # exposure, 0 best, 10 worst


def test_the_unit_is_hardly_exposed() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=PATIENCE_S, env=environment
    )
    match = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    if match is None:
        pytest.skip(f"this systemd judges no file that is not loaded: {done.stderr[:100]}")
    assert float(match[1]) <= MOST


def test_what_the_loop_needs_is_still_allowed() -> None:
    text = UNIT.read_text(encoding="utf-8")
    for line in ("Restart=no", "RestartForceExitStatus=4",
                 "AmbientCapabilities=CAP_SYS_NICE CAP_IPC_LOCK", "User=sparsefocus",
                 "DeviceAllow=char-ttyUSB rw", "DeviceAllow=char-video4linux rw",
                 "Environment=ORT_DISABLE_TELEMETRY=1"):  # fmt: skip
        assert f"\n{line}\n" in text
    assert not re.search(r"^(RestrictRealtime|PrivateDevices|MemoryDenyWriteExecute)=", text, re.M)


def test_it_begins_again_only_where_the_axis_is_known_to_rest() -> None:
    """systemd restarts after the one status that promises it, and after no death by a signal."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    assert service["Restart"] == "no"
    assert service["RestartForceExitStatus"].split() == [str(cli.FAILED)]
    assert cli.FAILED not in (cli.REFUSED, cli.UNCERTAIN, cli.WRONG_USE)
    assert run_verb.FAILED == cli.FAILED
    assert run_verb.UNCERTAIN == cli.UNCERTAIN
    assert int(unit["Unit"]["StartLimitBurst"]) <= 5


def test_the_unit_needs_what_the_steps_make() -> None:
    """User and home come from the sysusers file, and the steps on the page name both files."""
    users = (UNIT.parent / "sparsefocus.sysusers").read_text("utf-8")
    unit, page = UNIT.read_text("utf-8"), (UNIT.parents[1] / "docs/jetson.md").read_text("utf-8")
    (user, home) = re.search(r'^u (\S+) - ".*" (\S+)$', users, re.M).groups()  # type: ignore[union-attr]
    assert f"User={user}\n" in unit
    assert home == f"/var/lib/{re.search('^StateDirectory=(.*)$', unit, re.M)[1]}"  # type: ignore[index]
    for group in re.search("^SupplementaryGroups=(.*)$", unit, re.M)[1].split():  # type: ignore[index]
        assert f"m {user} {group}\n" in users
    program, config = re.search(r"^ExecStart=(\S+) run --config (\S+)", unit, re.M).groups()  # type: ignore[union-attr]
    steps = page[page.index("## Every command") : page.index("## What the config can say")]
    files = ["deploy/sparsefocus.sysusers", "deploy/sparsefocus.service", home, config]
    for word in (*files, str(Path(program).parents[2]), f"sudo -u {user} -H", " calibrate --"):
        assert word in steps, word


def test_the_user_can_be_made(tmp_path: Path) -> None:
    if shutil.which("systemd-sysusers") is None or os.geteuid() != 0:
        pytest.skip("needs systemd-sysusers and root")
    (tmp_path / "etc").mkdir()
    users = str(UNIT.parent / "sparsefocus.sysusers")
    subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", users], check=True, timeout=PATIENCE_S
    )
    passwd = (tmp_path / "etc/passwd").read_text().splitlines()
    assert [line.split(":")[5] for line in passwd] == ["/var/lib/sparsefocus"]
    groups = (tmp_path / "etc/group").read_text()
    assert "dialout:" in groups
    assert "video:" in groups


def pinned(name: str) -> dict[str, str]:
    """Package -> its entry, of a file of requirements each of which has its hashes."""
    text = (UNIT.parents[1] / name).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.M))
    versions: dict[str, str] = {}
    for entry in filter(None, entries):
        match = re.match(r"([\w.-]+)==([\w.]+)[ \\]", entry)
        assert match, entry[:60]
        assert entry.count("--hash=sha256:") >= 1, match[1]
        versions[match[1]] = versions.get(match[1], "") + entry.rstrip() + "\n"
    assert "://" not in text  # which registry is the user's choice
    return versions


def wanted(lines: str) -> set[str]:
    return {
        re.split(r"[<>=; ]", line)[0].lower().replace("_", "-")
        for line in lines.split("\n")
        if line and line[0] != "#"
    }


def test_what_the_runtime_and_the_tests_need_is_pinned_by_hashes() -> None:
    config = configparser.ConfigParser()
    config.read(UNIT.parents[1] / "setup.cfg")
    runtime, tests = pinned("requirements.txt"), pinned("requirements-test.txt")
    assert wanted(config["options"]["install_requires"]) <= set(runtime)
    assert wanted(config["options.extras_require"]["test"]) <= set(tests)
    assert {name: tests.get(name) for name in runtime} == runtime  # one version, the same files
    assert "python_full_version < '3.11' and platform_machine == 'aarch64'" in runtime["numpy"]
    assert "numpy==1.26.4 ;" in runtime["numpy"]


def test_systemd_sees_a_loop_that_hangs_and_begins_nothing_after_it() -> None:
    """The sign of life is the loop's own; who is killed for want of one is not begun again."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert int(service["WatchdogSec"]) >= 10  # a camera that is opened again takes seconds
    wait_s = int(re.search(r"--wait (\d+)", service["ExecStart"])[1])  # type: ignore[index]
    assert int(service["TimeoutStartSec"]) >= wait_s + 60  # and the networks' warm-up
    assert service["Restart"] == "no"  # so not after a watchdog, which ends by a signal
    assert "RestartForceExitStatus" in service
    assert not {"SIGABRT", "ABRT"} & set(service["RestartForceExitStatus"].split())


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-test.txt"])
def test_the_versions_are_those_of_ci(name: str) -> None:
    text = (UNIT.parents[1] / "constraints.txt").read_text(encoding="utf-8")
    pins = {pin.lower().replace("_", "-") for pin in re.findall(r"^[\w.-]+==[\w.]+", text, re.M)}
    named = {pin.split("==")[0] for pin in pins}
    for package, entry in pinned(name).items():
        if package in named:
            assert set(re.findall(rf"^{package}==[\w.]+", entry, re.M)) <= pins, package
