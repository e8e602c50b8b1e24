"""The folder of the shipped networks: what a manifest names is there and is what it was."""

from __future__ import annotations

import pytest

from engines.engine import MODELS
from engines.golden import batches
from engines.manifest import Manifest


@pytest.mark.parametrize("name", ["rin", "dpn"])
def test_a_manifest_and_its_network_belong_together(name: str) -> None:
    manifest = Manifest.read(MODELS / f"{name}.json")
    assert len(manifest.model_bytes()) > 10_000  # their hash is compared as they are read
    assert manifest.optics
    assert batches(name), "the pictures by which every engine is judged"


def test_nothing_else_is_shipped() -> None:
    names = {path.relative_to(MODELS).as_posix() for path in MODELS.rglob("*.*")}
    networks = {f"{name}.{kind}" for name in ("rin", "dpn") for kind in ("json", "onnx")}
    golden = {"golden/rin.jpg", "golden/dpn.jpg"}
    assert {n for n in names if "__" not in n} == networks | golden
