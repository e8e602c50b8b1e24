"""What is built of this tree is whole: wheel and sdist, installed and run where nothing else is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pytest

from tests.support.patience import PATIENCE_S

ROOT = Path(__file__).parents[1]
UID = 54321  # has no passwd entry, so no home


def tracked(*under: str) -> list[str]:
    words = ["git", "-C", str(ROOT), "ls-files", "-z", "--", *under]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("needs a checkout: what belongs into the packages is what git knows")
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist of this tree, and the wheel that is built from the sdist alone."""
    pytest.importorskip("setuptools.command.bdist_wheel")
    folder = tmp_path_factory.mktemp("packages")
    tree = folder / "tree"
    for name in tracked():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name)
    built = "from setuptools import build_meta as b; print(b.build_sdist({!r}))"
    out = str(folder / "out")
    environment = {**os.environ, "PYTHONPATH": ""}
    subprocess.run([sys.executable, "-c", built.format(out)], cwd=tree, check=True,
                   capture_output=True, env=environment, timeout=PATIENCE_S)  # fmt: skip
    (sdist,) = (folder / "out").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked")  # our own
    (source,) = (folder / "unpacked").iterdir()
    words = [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps",
             "--disable-pip-version-check", "-w", out, str(source)]  # fmt: skip
    subprocess.run(words, check=True, env=environment, cwd=folder, timeout=PATIENCE_S)
    (wheel,) = (folder / "out").glob("*.whl")
    return sdist, wheel


@pytest.mark.long
def test_the_sdist_has_all_that_git_has(packages: tuple[Path, Path]) -> None:
    """Who packages it tests it, reads it and builds it from there."""
    with tarfile.open(packages[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    missing = {name for name in tracked() if not re.match(r"\.|.*/\.", name)} - names
    assert not missing


@pytest.mark.long
def test_the_wheel_has_every_file_of_its_packages_and_the_c_compiled(
    packages: tuple[Path, Path],
) -> None:
    with zipfile.ZipFile(packages[1]) as archive:
        names = set(archive.namelist())
    inside = tracked("edge", "engines", "firmware_bridge", "simulator", "sparsefocus", "training")
    missing = set(inside) - names
    assert all(name.startswith("training/baselines/trained/") for name in missing), missing
    if shutil.which("cc") or shutil.which("gcc"):
        assert "py3-none-linux" in packages[1].name
        assert {"edge/measure/libscale.so", "training/libdepthwise.so"} <= names
        assert any(re.match("firmware_bridge/firmware/z-firmware-", name) for name in names)


def anybody() -> list[str]:
    """The words that run Python as another user; [] where that cannot be done here."""
    if os.geteuid() == 0 and shutil.which("setpriv"):
        for python in (sys.executable, f"/usr/bin/python3.{sys.version_info[1]}"):
            ids = [f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
            words = [str(shutil.which("setpriv")), *ids, python]
            try:
                subprocess.run(
                    [*words, "-c", ""], check=True, capture_output=True, timeout=PATIENCE_S
                )
            except (OSError, subprocess.CalledProcessError):
                continue
            return words
    return [sys.executable]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that others may read: pytest closes its own to them."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.long
def test_it_runs_in_an_empty_folder_without_home_compiler_or_name(
    packages: tuple[Path, Path], place: Path
) -> None:
    site, empty = place / "site", place / "empty"
    words = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile",
             "--disable-pip-version-check", "--target", str(site), str(packages[1])]  # fmt: skip
    subprocess.run(words, check=True, timeout=PATIENCE_S)
    empty.mkdir(mode=0o777)
    empty.chmod(0o777)
    libraries = sysconfig.get_path("purelib")
    environment = {"PATH": "", "PYTHONPATH": f"{site}:{libraries}", "OMP_NUM_THREADS": "1"}

    def run(*words: str) -> str:
        done = subprocess.run([*anybody(), *words], cwd=empty, env=environment, timeout=PATIENCE_S,
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run("-c", "import edge, training; print(edge.__file__, training.__file__)").split()
    assert all(name.startswith(str(site)) for name in where), where
    native = "from edge.measure.scale import Scaler; print(Scaler(1).native)"
    if "linux" in packages[1].name:
        assert run("-c", native).strip() == "True"
    door = "import sparsefocus, sparsefocus.testing as t; print(sparsefocus.open, t.failures)"
    assert "open_focus" in run("-c", door)
    command = ("-m", "sparsefocus")
    assert "0.1.0" in run(*command, "--version")
    simulated = ("simulate", "--fields", "1", "--start-um", "4", "--kind", "cell")
    assert "IN_FOCUS" in run(*command, *simulated)
    patches = cv2.imread(str(ROOT / "engines/models/golden/dpn.jpg"))
    cv2.imwrite(str(place / "field.png"), np.tile(patches, (3, 3, 1)))
    (place / "field.png").chmod(0o644)
    assert "field.png" in run(*command, "focus", str(place / "field.png"))
    assert list(empty.iterdir()) == []
