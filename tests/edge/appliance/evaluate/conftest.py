"""Stacks whose answers are known, measured once by networks that read them."""

from __future__ import annotations

import pytest

from edge.appliance import cli
from tests.support.known_stacks import FRAMES, manifest, picture, write


@pytest.fixture(scope="session")
def stacks(tmp_path_factory):
    """A manifest of ten frames of real size."""
    folder = tmp_path_factory.mktemp("stacks")
    for name, *_, defocus in FRAMES:
        write(folder / f"{name}.png", picture(defocus))
    return manifest(folder, [(f"{name}.png", "", stack, z, focus, "0.34", *rest, "0.5")
                             for name, stack, z, focus, *rest, _ in FRAMES])  # fmt: skip


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder with two tiny networks."""
    pytest.importorskip("onnx")
    from tests.support.tiny_models import write_dpn, write_rin

    folder = tmp_path_factory.mktemp("models")
    write_rin(folder)
    write_dpn(folder)
    return folder


@pytest.fixture(scope="session")
def measured(stacks, models, tmp_path_factory):
    """Everything the verb writes for that manifest."""
    folder = tmp_path_factory.mktemp("out")
    out = {"json": folder / "e.json", "rows": folder / "e.csv", "report": folder / "page"}
    words = [str(w) for option, path in out.items() for w in (f"--{option}", path)]
    assert cli.main(["evaluate", str(stacks), "--models", str(models), "--quiet", *words]) == 0
    return out
