"""A field is painted once while it lies under the objective, and looks the same all the same."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from simulator import microscope as module
from simulator.microscope import Microscope

SMALL = (224, 256)


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The fields whose truth was looked for; it takes more than a small field."""
    names: list[str] = []

    def find(specimen: object, renderer: object, kind: str, *_: object) -> SimpleNamespace:
        names.append(kind)
        return SimpleNamespace(kind=kind)

    monkeypatch.setattr(module, "find_truth", find)
    return names


def test_a_field_that_lies_there_is_not_painted_again(painted: list[str]) -> None:
    one = Microscope(3, SMALL, workers=1)
    truth = one.load_field("cell", "dense", 1)
    first, second = one.picture(203.0), one.picture(203.0)
    assert not np.array_equal(first, second)  # its noise goes on
    assert one.load_field("cell", "dense", 1) is truth
    assert np.array_equal(one.picture(203.0), first)  # and begins anew
    assert painted == ["cell"]


@pytest.mark.parametrize("other", [("tissue", "dense", 1, 0), ("cell", "sparse", 1, 0),
                                   ("cell", "dense", 2, 0), ("cell", "dense", 1, 1)])  # fmt: skip
def test_another_field_is_another_picture(
    painted: list[str], other: tuple[str, str, int, int]
) -> None:
    one = Microscope(3, SMALL, workers=1)
    one.load_field("cell", "dense", 1)
    first = one.picture(203.0)
    one.load_field(*other)
    assert not np.array_equal(one.picture(203.0), first)
    assert len(painted) == 2


def test_after_a_field_that_could_not_be_painted_nothing_is_taken_for_there(
    painted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Microscope(3, SMALL, workers=1)
    one.load_field("cell", "dense", 1)
    first = one.picture(203.0)
    with monkeypatch.context() as full:
        full.setattr(module, "Renderer", lambda *_: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            one.load_field("tissue", "dense", 1)
    one.load_field("cell", "dense", 1)
    assert np.array_equal(one.picture(203.0), first)
    assert painted == ["cell", "cell"]
