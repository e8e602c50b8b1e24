"""What the loop relies on of a camera: whole pictures, each once, exposed when they say."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import numpy as np

from edge.camera import Camera, Frame, PixelFormat
from edge.errors import CameraStalled
from sparsefocus.testing.contract import Contract, check, refused

LEAST_PX = 512
MOST_UNCERTAIN_NS = 100_000_000
AHEAD_NS = 1_000_000  # clocks are read one after the other
LATE_PERIODS = 4  # a frame that is handed out after a pause may have ended so long ago
HELD = 3


class CameraContract(Contract):
    """Tests of one camera: give `open`.

    `period_s`: between two exposures of a camera that runs freely; 0 where it exposes when asked.
    """

    period_s = 0.0

    def open(self) -> Camera:
        """The camera, delivering. Called once for each test."""
        raise NotImplementedError("open must give the camera")

    def test_it_is_a_camera(self) -> None:
        """An object of the contract's class: what it has by default is relied on."""
        with self._opened() as camera:
            check(isinstance(camera, Camera), f"{type(camera).__name__} is no sparsefocus.Camera")

    def test_frames_are_what_they_say(self) -> None:
        """Type, shape and layout of the pixels follow from the pixel format."""
        with self._opened() as camera:
            for frame in self._frames(camera, HELD):
                pixels = frame.pixels
                check(isinstance(frame.pixel_format, PixelFormat), "pixel_format is no PixelFormat")
                check(pixels.dtype == np.uint8, f"pixels are {pixels.dtype}, not uint8")
                check(bool(pixels.flags.c_contiguous), "pixels are not C-contiguous")
                deep = (3,) if frame.pixel_format.channels == 3 else ()
                check(
                    pixels.ndim == 2 + len(deep) and pixels.shape[2:] == deep,
                    f"{frame.pixel_format.value} pixels of shape {pixels.shape}",
                )
                check(
                    min(pixels.shape[:2]) >= LEAST_PX,
                    f"{pixels.shape[1]} x {pixels.shape[0]} px is less than {LEAST_PX} a side",
                )

    def test_no_frame_comes_twice_and_none_is_lost_uncounted(self) -> None:
        """frame_id rises; what it jumps over is counted in `dropped`."""
        with self._opened() as camera:
            first = self._next(camera)
            known, last = camera.dropped, first
            for _ in range(4):
                frame = self._next(camera)
                check(
                    frame.frame_id > last.frame_id,
                    f"frame {frame.frame_id} after frame {last.frame_id}",
                )
                gap = frame.frame_id - last.frame_id - 1
                check(
                    camera.dropped - known == gap,
                    f"frame_id jumps over {gap}, `dropped` rose by {camera.dropped - known}",
                )
                known, last = camera.dropped, frame

    def test_exposures_are_over_and_on_the_monotonic_clock(self) -> None:
        """start <= end <= now, since before the camera was asked for it by no more than
        patience."""
        with self._opened() as camera:
            for _ in range(HELD):
                frame = self._next(camera)
                now_ns = self.clock()
                start_ns, end_ns = frame.exposure_start_ns, frame.exposure_end_ns
                known_ns = frame.time_uncertainty_ns
                check(start_ns <= end_ns, "the exposure ends before it starts")
                check(
                    0 <= known_ns <= MOST_UNCERTAIN_NS,
                    f"time_uncertainty_ns = {known_ns} is not 0 to {MOST_UNCERTAIN_NS}",
                )
                check(
                    end_ns - known_ns <= now_ns + AHEAD_NS,
                    "the exposure ends in the future: is it on CLOCK_MONOTONIC?",
                )
                check(
                    now_ns - end_ns <= self.patience_s * 1e9,
                    "the exposure ended long ago: is it on CLOCK_MONOTONIC?",
                )

    def test_exposures_follow_each_other(self) -> None:
        """A later frame was exposed later."""
        with self._opened() as camera:
            for before, after in itertools.pairwise(self._frames(camera, 4)):
                check(
                    after.exposure_mid_ns > before.exposure_mid_ns,
                    f"frame {after.frame_id} was exposed before frame {before.frame_id}",
                )

    def test_a_late_reader_gets_the_newest_frame(self) -> None:
        """Nothing old lies in a queue: a stale picture would move the glass."""
        with self._opened() as camera:
            before = self._next(camera)
            self.pause(max(0.3, 8 * self.period_s))
            asked_ns = self.clock()
            frame = self._next(camera)
            check(frame.frame_id > before.frame_id, "the same frame again")
            old_ns = asked_ns - frame.exposure_end_ns - frame.time_uncertainty_ns
            check(
                old_ns <= max(0.2, LATE_PERIODS * self.period_s) * 1e9,
                f"a frame {old_ns / 1e6:.0f} ms old was handed out: the newest is wanted",
            )

    def test_a_held_frame_does_not_change(self) -> None:
        """Its memory is not written into while somebody holds it, nor after `close`."""
        with self._opened() as camera:
            held = self._next(camera)
            copy = held.pixels.copy()
            self._frames(camera, HELD)
            check(np.array_equal(held.pixels, copy), "a held frame's pixels were overwritten")
        check(np.array_equal(held.pixels, copy), "a held frame's pixels changed at close")

    def test_close_ends_it(self) -> None:
        """Twice is harmless; afterwards `next` says at once that nothing comes."""
        camera = self.open()
        self._next(camera)
        camera.close()
        camera.close()
        refused(CameraStalled, "next after close", lambda: camera.next(0.01))

    def test_it_opens_again(self) -> None:
        """A closed camera is free; a frame of it that is still held keeps its memory only."""
        with self._opened() as camera:
            first = self._next(camera)
        with self._opened() as camera:
            second = self._next(camera)
        check(second.exposure_mid_ns > first.exposure_mid_ns, "an old frame after opening again")

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Camera]:
        camera = self.open()
        try:
            yield camera
        finally:
            camera.close()

    def _next(self, camera: Camera) -> Frame:
        frame = camera.next(self.patience_s)
        check(isinstance(frame, Frame), f"next() gives {frame!r:.80}, no sparsefocus.Frame")
        return frame

    def _frames(self, camera: Camera, count: int) -> list[Frame]:
        return [self._next(camera) for _ in range(count)]
