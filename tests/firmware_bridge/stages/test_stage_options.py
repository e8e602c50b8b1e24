"""The table of stage options is the drivers' own: same keys, sound defaults, mistakes named."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import fields

import pytest

from firmware_bridge.errors import StageRefused
from firmware_bridge.stage import STAGES
from firmware_bridge.stage_options import STAGE_OPTIONS, StageOptionError, Text, check_options
from firmware_bridge.stages.motion_options import MotionOptions

#: parameters that are not a person's to set: the window has its own keys, the rest is the code's
NOT_OPTIONS = {"self", "z_min_um", "z_max_um", "name", "open_link", "stop_first", "may_beat"}
GOOD = {
    "port": "/dev/ttyUSB0", "axis": "Z", "resolution_um": 0.05, "full_step_um": 5.0,
    "speed_um_s": 1000.0, "config": "a.cfg", "adapters": "/opt/mm", "device": "Z drive",
}  # fmt: skip


def good(driver: str) -> dict[str, object]:
    """What the driver needs, and nothing else."""
    needed = [key for key, option in STAGE_OPTIONS[driver].items() if option.needed]
    return {**{key: GOOD[key] for key in needed}, **({"axis": 1} if driver == "zaber" else {})}


def parameters(driver: str) -> dict[str, inspect.Parameter]:
    """Keyword parameters of a driver and of what it passes the rest to."""
    module, _, name = STAGES[driver].partition(":")
    kind = getattr(importlib.import_module(module), name)
    if driver == "binary-process":  # hands all of them to the binary stage
        return parameters("binary")
    results: dict[str, inspect.Parameter] = {}
    for each in kind.__mro__:
        if "__init__" not in vars(each) or each is object:
            continue
        for key, parameter in inspect.signature(each.__init__).parameters.items():
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                results.setdefault(key, parameter)
    motion = {field.name for field in fields(MotionOptions)}
    if "motion" in str(inspect.signature(kind.__init__)):
        defaults = inspect.signature(MotionOptions).parameters
        results |= {key: defaults[key] for key in motion}
    return {key: value for key, value in results.items() if key not in NOT_OPTIONS}


def test_every_driver_has_a_table() -> None:
    assert set(STAGE_OPTIONS) == set(STAGES)


@pytest.mark.parametrize("driver", STAGES)
def test_the_table_is_the_driver_s_own(driver: str) -> None:
    table, own = STAGE_OPTIONS[driver], parameters(driver)
    assert set(table) == set(own)
    for key, option in table.items():
        default = own[key].default
        assert option.needed == (default is inspect.Parameter.empty), key
        if not option.needed and default is not None:
            assert option.fault(default) == "", key


@pytest.mark.parametrize("driver", STAGES)
def test_what_is_needed_is_enough_and_each_of_it_is_needed(driver: str) -> None:
    check_options(driver, good(driver))
    for key in STAGE_OPTIONS[driver]:
        if STAGE_OPTIONS[driver][key].needed:
            rest = {k: v for k, v in good(driver).items() if k != key}
            with pytest.raises(StageOptionError, match=f"^CONFIG: options.{key} must be given$"):
                check_options(driver, rest)


@pytest.mark.parametrize("driver", STAGES)
@pytest.mark.parametrize(
    "bad",
    [None, [], {}, [1], {"a": 1}, float("nan"), float("inf"), -float("inf"), 10**400, -(10**9),
     "", "x" * 5000, "\0", b"x"],
    ids=repr,
)  # fmt: skip
def test_no_nonsense_passes_under_any_key(driver: str, bad: object) -> None:
    for key in STAGE_OPTIONS[driver]:
        with pytest.raises(StageOptionError) as caught:
            check_options(driver, {**good(driver), key: bad})
        assert caught.value.key == key
        assert len(str(caught.value)) < 300
        assert isinstance(caught.value, StageRefused)  # for whoever opens a stage directly


@pytest.mark.parametrize("driver", STAGES)
def test_text_for_a_number_and_a_number_for_text(driver: str) -> None:
    for key, option in STAGE_OPTIONS[driver].items():
        bad = 3 if isinstance(option, Text) else "abc"
        with pytest.raises(StageOptionError, match=rf"options.{key} = {bad!r} must be "):
            check_options(driver, {**good(driver), key: bad})


@pytest.mark.parametrize("driver", STAGES)
def test_a_key_of_another_driver_or_of_the_section_is_named(driver: str) -> None:
    for key, why in (("axs", "is not an option of this driver, which has "),
                     ("z_min_um", "belongs into the section itself")):  # fmt: skip
        with pytest.raises(StageOptionError, match=f"options.{key} {why}"):
            check_options(driver, {**good(driver), key: 1.0})
