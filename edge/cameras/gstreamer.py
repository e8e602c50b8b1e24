"""Cameras behind a GStreamer pipeline: CSI sensors on a Jetson or a Raspberry Pi, and whatever else
has a source element.

GStreamer's clock is the host's monotonic clock, so a buffer's time needs no synchronising; what it
marks differs from source to source and is said in the config.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

from edge.cameras import gstreamer_library as g
from edge.cameras.arrival import ExposureTime, HostStamps
from edge.cameras.borrowed_buffer import borrowed
from edge.cameras.exposure_time import arrived, started
from edge.cameras.grabbing import Device, Grabbed, GrabbingCamera
from edge.cameras.gstreamer_library import gstreamer
from edge.cameras.options import WHERE, Imaging, Options, read_imaging
from edge.cameras.pipelines import SINK, SOURCES, Source, format_name, pipeline
from edge.cameras.pitch import pitch_of
from edge.errors import CameraLost, CameraStalled, ConfigError, OptionError

START_S = 5.0
MOST_LOST = 1000  # frames in one gap
STAMPS = ("start", "arrival")


@dataclass(frozen=True, slots=True)
class GstreamerOptions:
    """`pipeline` is the whole text; `stamp`: what a buffer's time marks."""

    pipeline: str
    imaging: Imaging
    stamp: str


def read_options(given: Mapping[str, Any]) -> GstreamerOptions:
    """Check the options and build the pipeline; OptionError."""
    options = Options(given)
    imaging = read_imaging(options, triggers=("free",))
    source = Source(
        kind=options.choice("source", SOURCES),
        sensor=options.text(
            "sensor", r"[\w./:@\\-]{1,200}", "a number, name or path in quotes", None
        ),
    )
    stamp = options.choice("timestamp", STAMPS, default="arrival")
    options.done()
    if imaging.width is None:
        options.reject("width", "must be given")
    return GstreamerOptions(pipeline(source, imaging), imaging, stamp)


def open_gstreamer(**options: Any) -> GrabbingCamera:
    """The driver behind `camera.driver: gstreamer`; see `read_options` and docs/cameras.md.

    ConfigError for options, for elements that are not installed and without GStreamer;
    CameraStalled when the pipeline does not start.
    """
    read = read_options(options)
    return GrabbingCamera(partial(GstreamerDevice, read), read.imaging.retry_s)


def missing_elements(text: str) -> list[str]:
    """The elements of a pipeline that this machine lacks; ConfigError when the text is wrong in
    any other way."""
    gst = gstreamer()
    context = gst.parse_context_new()
    try:
        made = gst.parse_launch_full(text.encode(), context, 0)
        gst.object_unref(made)
        return []
    except ConfigError:
        missing = gst.parse_context_get_missing_elements(context)
        if not missing:
            raise
        names: list[str] = []
        while missing[len(names)] is not None:
            names.append(missing[len(names)].decode())
        return names
    finally:
        gst.parse_context_free(context)


class BufferTimes:
    """When frames were exposed, by the times of their buffers; `base_ns`: the pipeline's time 0."""

    def __init__(self, options: GstreamerOptions, base_ns: int) -> None:
        self._at_start = options.stamp == "start"
        self._imaging, self._base_ns = options.imaging, base_ns
        self._stamps = HostStamps()

    def of(self, pts: int, arrival_ns: int) -> ExposureTime | None:
        """Of a buffer of time `pts` (g.NO_TIME: it says none) that came at `arrival_ns`; None: not
        known well enough to hand out."""
        exposure_ns, readout_ns = self._imaging.exposure_ns, self._imaging.readout_ns
        by_arrival = arrived(arrival_ns, exposure_ns, readout_ns)
        if pts == g.NO_TIME:
            return by_arrival
        stamp_ns = self._base_ns + pts
        if self._at_start:
            stamped = started(stamp_ns, exposure_ns, 1_000_000)
        else:
            stamped = arrived(min(arrival_ns, stamp_ns), exposure_ns, readout_ns)
        return self._stamps.checked(stamped, by_arrival, arrival_ns)


class GstreamerDevice(Device):
    """One running pipeline."""

    def __init__(self, options: GstreamerOptions) -> None:
        self._gst = gst = gstreamer()
        self._options, self._imaging = options, options.imaging
        self._pipeline: int | None = None
        self._counter, self._last_offset = 0, g.NO_TIME
        try:
            self._pipeline = gst.parse_launch_full(options.pipeline.encode(), None, 1)
        except ConfigError as error:
            raise OptionError(WHERE, "source", f"makes no pipeline: {error}") from error
        self._sink = gst.bin_get_by_name(self._pipeline, SINK.encode())
        self._bus = gst.element_get_bus(self._pipeline)
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def grab(self, timeout_s: float) -> Grabbed | None:
        """See Device.grab."""
        sample = self._gst.pull(self._sink, round(timeout_s * 1e9))
        if not sample:
            self._check()
            return None
        arrival_ns = time.monotonic_ns()
        buffer = self._gst.sample_get_buffer(sample)
        mapped = g.MapInfo()
        if not self._gst.buffer_map(buffer, ctypes.byref(mapped), g.MAP_READ):
            self._gst.mini_object_unref(sample)
            raise CameraLost("the pipeline's frames are not in memory that can be read")
        give_back = partial(_give_back, self._gst, sample, buffer, mapped)
        try:
            return self._grabbed(sample, buffer.contents, mapped, give_back, arrival_ns)
        except CameraLost:
            give_back()
            raise

    def trigger(self) -> None:
        """See Device.trigger."""
        raise CameraStalled("a GStreamer source has no trigger")

    def close(self) -> None:
        """See Device.close. Frames still held keep their memory."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline:
            self._gst.element_set_state(pipeline, g.NULL)
            for held in (self._sink, self._bus, pipeline):
                self._gst.object_unref(held)

    def _start(self) -> None:
        gst = self._gst
        gst.element_set_state(self._pipeline, g.PLAYING)
        state = ctypes.c_int()
        gst.element_get_state(self._pipeline, ctypes.byref(state), None, round(START_S * 1e9))
        self._check()
        if state.value != g.PLAYING:
            raise CameraLost(f"the pipeline did not start within {START_S:g} s")
        self._times = BufferTimes(self._options, gst.element_get_base_time(self._pipeline))

    def _check(self) -> None:
        """Has the pipeline ended? Its own words are the reason."""
        gst = self._gst
        message = gst.bus_timed_pop_filtered(self._bus, 0, g.MESSAGE_ERROR | g.MESSAGE_EOS)
        if not message:
            return
        kind = ctypes.cast(message, ctypes.POINTER(g.Message)).contents.type
        why = "the pipeline's source ended"
        if kind == g.MESSAGE_ERROR:
            error = ctypes.POINTER(g.GError)()
            gst.message_parse_error(message, ctypes.byref(error), None)
            why = (error.contents.message or b"").decode("utf-8", "replace")
        gst.mini_object_unref(message)
        raise CameraLost(why)

    def _grabbed(
        self, sample: int, buffer: g.Buffer, mapped: g.MapInfo, give_back: Any, arrival_ns: int
    ) -> Grabbed | None:
        wanted = self._imaging.pixel_format
        width, height = self._shape(sample)
        pitch = self._pitch(buffer, mapped, width * wanted.channels, height)
        when = self._times.of(buffer.pts, arrival_ns)
        counter = self._count(buffer.offset)
        if buffer.flags & g.FLAG_CORRUPTED or pitch is None or when is None:
            self.incomplete += 1
            give_back()
            return None
        pixels = borrowed(mapped.data, height, width, wanted.channels, pitch, give_back)
        return Grabbed(pixels, wanted, counter, when)

    def _pitch(self, buffer: g.Buffer, mapped: g.MapInfo, row: int, height: int) -> int | None:
        """Bytes from row to row: as the buffer says, else what its size allows. None: a part of
        the frame is missing; CameraLost: it has more than a frame, and how it lies is unknown."""
        meta = self._gst.buffer_get_video_meta(ctypes.byref(buffer))
        if meta:
            pitch = int(meta.contents.stride[0])
            fits = not meta.contents.offset[0] and pitch >= row
            return pitch if fits and mapped.size >= pitch * (height - 1) + row else None
        if mapped.size < row * height:
            return None
        # GStreamer pads rows to four bytes; v4l2 hands on what its driver pads
        pitch_or_none = pitch_of(mapped.size, row, height)
        if pitch_or_none is None:
            raise CameraLost(
                f"a frame of {mapped.size} bytes is neither {height} rows of {row} bytes nor of "
                "rows padded alike: how its rows lie is unknown"
            )
        return pitch_or_none

    def _shape(self, sample: int) -> tuple[int, int]:
        """Width and height; CameraLost when the pipeline delivers other pixels than were asked."""
        gst, values = self._gst, []
        caps = gst.sample_get_caps(sample)
        if not caps:
            raise CameraLost("the pipeline does not say what it delivers")
        structure = gst.caps_get_structure(caps, 0)
        pixel_name = (gst.structure_get_string(structure, b"format") or b"").decode(
            "utf-8", "replace"
        )
        wanted = format_name(self._imaging.pixel_format)
        if pixel_name != wanted:
            raise CameraLost(
                f"the pipeline delivers {pixel_name or 'no raw pixels'}, not {wanted} "
                f"({self._imaging.pixel_format.value})"
            )
        for key in (b"width", b"height"):
            value = ctypes.c_int()
            gst.structure_get_int(structure, key, ctypes.byref(value))
            values.append(value.value)
        if min(values) < 1:
            raise CameraLost("the pipeline's frames have no size")
        return values[0], values[1]

    def _count(self, offset: int) -> int:
        """By the source's own number where it gives one that grows; else by what arrives. A file's
        offsets are bytes: no camera loses a thousand frames between two."""
        numbered = g.NO_TIME not in (offset, self._last_offset) and offset > self._last_offset
        numbered = numbered and offset - self._last_offset < MOST_LOST
        self._counter += offset - self._last_offset if numbered else 1
        self._last_offset = offset
        return self._counter


def _give_back(gst: SimpleNamespace, sample: int, buffer: Any, mapped: g.MapInfo) -> None:
    gst.buffer_unmap(buffer, ctypes.byref(mapped))
    gst.mini_object_unref(sample)
