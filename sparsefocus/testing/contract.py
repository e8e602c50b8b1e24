"""What both contracts share: a clock, patience, and tests that say what was wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NoReturn


class Contract:
    """Tests of one device. Every method whose name begins with `test` is one; each opens the device
    anew and closes it again. `patience_s` bounds a wait and judges nothing."""

    patience_s = 60.0

    def clock(self) -> int:
        """CLOCK_MONOTONIC in ns, as the device has it; a simulated device may have its own."""
        return time.monotonic_ns()

    def pause(self, seconds: float) -> None:
        """Let time pass on that clock."""
        time.sleep(seconds)

    def wait_until(self, what: str, true: Callable[[], bool]) -> None:
        """Ask until it is true; a failure after `patience_s`."""
        end_ns = self.clock() + round(self.patience_s * 1e9)
        while not true():
            check(self.clock() < end_ns, f"{what}: not within {self.patience_s:g} s")
            self.pause(0.001)


def check(true: bool, says: str) -> None:
    """AssertionError that says what is wrong, also where nobody rewrites `assert`."""
    if not true:
        raise AssertionError(says)


def refused(kind: type[BaseException], what: str, call: Callable[[], Any]) -> BaseException:
    """What `call` raises, which must be of this kind."""
    try:
        answer = call()
    except kind as error:
        return error
    except Exception as error:  # noqa: BLE001 - which is what is wrong with it
        _fail(f"{what}: must raise {kind.__name__}, and raises {type(error).__name__}: {error}")
    _fail(f"{what}: must raise {kind.__name__}, and answers {answer!r:.80}")


def failures(contract: Contract) -> list[str]:
    """Run all tests of a contract; "test: what was wrong", a line for each that failed."""
    lines = []
    for name in sorted(name for name in dir(contract) if name.startswith("test")):
        try:
            getattr(contract, name)()
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            why = (
                str(error)
                if isinstance(error, AssertionError)
                else f"{type(error).__name__}: {error}"
            )
            lines.append(f"{name}: {' '.join(why.split())}")
    return lines


def _fail(says: str) -> NoReturn:
    raise AssertionError(says)
