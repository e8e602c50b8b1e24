"""The house: which rooms of a package import which, counted from the source."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: what the contracts of setup.cfg cannot see: libraries that are imported by a name in a string
BY_NAME = {
    "tensorrt": {"engines/gpu/tensorrt_library.py", "engines/gpu/ready.py"},
    "pycuda.driver": {"engines/gpu/cuda.py"},
}
PACKAGES = ("edge", "engines", "firmware_bridge", "simulator", "sparsefocus", "training")


@cache
def sources(package: str) -> dict[Path, str]:
    """Every module of a package and its text, read once."""
    return {path: path.read_text("utf-8") for path in sorted((ROOT / package).rglob("*.py"))}


@cache
def tree_of(path: Path) -> ast.Module:
    """Parsed once, whoever asks."""
    return ast.parse(path.read_text("utf-8"))


def arrows(package: str) -> set[tuple[str, str]]:
    """Which room (a folder or a module) of `package` imports which other."""
    rooms = {path.stem if path.is_file() else path.name for path in (ROOT / package).iterdir()}
    results = set()
    for path in sources(package):
        here = path.relative_to(ROOT / package).parts[0].removesuffix(".py")
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                top, _, rest = name.partition(".")
                there = rest.partition(".")[0]
                if top == package and there in rooms and there != here:
                    results.add((here, there))
    return results


def test_few_arrows_lead_from_room_to_room() -> None:
    """111 when edge/ was one corridor; that none leads upwards is a contract of setup.cfg."""
    arrows_there = arrows("edge")
    assert len(arrows_there) <= 60, sorted(arrows_there)


@cache
def looked_up() -> dict[str, set[str]]:
    """The files that import each of these libraries, or look for it, by its name in a string."""
    files: dict[str, set[str]] = {library: set() for library in BY_NAME}
    for package in PACKAGES:
        for path, text in sources(package).items():
            if not any(library in text for library in BY_NAME):
                continue  # not worth its parsing
            for node in ast.walk(tree_of(path)):
                if (
                    isinstance(node, ast.Call)
                    and node.args
                    and isinstance(node.args[0], ast.Constant)
                    and node.args[0].value in BY_NAME
                    and ast.unparse(node.func).rpartition(".")[2] in ("import_module", "find_spec")
                ):
                    files[node.args[0].value].add(path.relative_to(ROOT).as_posix())
    return files


@pytest.mark.parametrize("library", BY_NAME)
def test_gpu_libraries_are_named_in_one_package(library: str) -> None:
    assert looked_up()[library] == BY_NAME[library]


@pytest.mark.parametrize("package", PACKAGES)
def test_tests_stand_where_their_package_stands(package: str) -> None:
    folders = {path.parent for path in (ROOT / "tests" / package).rglob("test_*.py")}
    assert folders
    astray = [f for f in folders if not any((ROOT / f.relative_to(ROOT / "tests")).glob("*.py"))]
    assert not astray


#: a room without tests of its own, and whose they are
TESTED_ELSEWHERE = {"sparsefocus/testing": "tests/sparsefocus"}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_has_tests_where_it_stands(package: str) -> None:
    rooms = {path.parent.relative_to(ROOT).as_posix() for path in sources(package)}
    folders = {room: ROOT / TESTED_ELSEWHERE.get(room, f"tests/{room}") for room in rooms}
    assert [room for room, folder in folders.items() if not any(folder.glob("test_*.py"))] == []


@pytest.mark.parametrize("package", [*PACKAGES, "benchmarks", "tests"])
def test_modules_are_short(package: str) -> None:
    lines = {
        path.relative_to(ROOT).as_posix(): len(text.splitlines())
        for path, text in sources(package).items()
    }
    assert not {name: count for name, count in lines.items() if count > 300}
