"""What the builder says while it works: a bar for people, its errors for the one line at the end.

Both classes derive from TensorRT's own, so they exist once TensorRT is imported. TensorRT calls
them from its threads; they only count, keep and print.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TextIO

WIDTH = 28


class Bar:
    """Progress of nested phases, drawn when the percentage changes; silent when `quiet`."""

    def __init__(self, title: str, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._title, self._quiet = title, quiet
        self._stream = sys.stderr if stream is None else stream
        self._phases: dict[str, list[int]] = {}  # name -> [steps, done], outermost first
        self._shown = -1

    def start(self, phase: str, steps: int) -> None:
        """A phase of `steps` steps begins inside those that run."""
        self._phases[phase] = [max(steps, 1), 0]
        self._draw(phase)

    def step(self, phase: str, step: int) -> None:
        """Step number `step`, from 0, of a phase is finished."""
        if phase in self._phases:
            self._phases[phase][1] = step + 1
            self._draw(phase)

    def finish(self, phase: str) -> None:
        """A phase ends; at the end of the outermost the line is closed."""
        self._phases.pop(phase, None)
        if not self._phases:
            self._draw("done", whole=True)

    def percent(self) -> int:
        """0..100; a phase is a share of one step of the phase around it."""
        part = 0.0
        for steps, done in reversed(self._phases.values()):
            part = min(1.0, (done + part) / steps)
        return int(100 * part)

    def _draw(self, phase: str, whole: bool = False) -> None:
        percent = 100 if whole else max(self.percent(), self._shown)  # never backwards
        if self._quiet or percent == self._shown:
            return
        tenth, self._shown = percent // 10 > self._shown // 10, percent
        if self._stream.isatty():
            filled = WIDTH * percent // 100
            bar = "#" * filled + "." * (WIDTH - filled)
            line = f"\r{self._title} [{bar}] {percent:3d} %  {phase}"
            print(f"{line:<100}"[:101], file=self._stream, end="\n" if whole else "", flush=True)
        elif tenth:
            print(f"{self._title} {percent:3d} %  {phase}", file=self._stream, flush=True)


def make_monitor(trt: Any, bar: Bar) -> Any:
    """A progress monitor that draws `bar`; `.interrupted` after Ctrl-C, which ends the build.

    No exception may leave it: it would unwind through TensorRT.
    """

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.interrupted = False

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._draw(bar.start, phase_name, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._draw(bar.step, phase_name, step)
            return not self.interrupted

        def phase_finish(self, phase_name: str) -> None:
            self._draw(bar.finish, phase_name)

        def _draw(self, what: Callable[..., None], *arguments: Any) -> None:
            try:
                what(*arguments)
            except KeyboardInterrupt:
                self.interrupted = True
            except OSError:  # nobody looks at the bar any more
                pass

    return Monitor()
