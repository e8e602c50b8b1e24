"""The functions and structures of GStreamer 1.x that a camera needs, by their names without `gst_`.

Source: GStreamer 1.x API reference (GstParse, GstAppSink, GstBuffer, GstBus); the layouts of
GstMapInfo and GstBuffer are part of its stable ABI.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint, c_uint64
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from edge.cameras.shared_library import GError, Pointer, checked, function, load
from edge.errors import ConfigError
from engines.own_cache import keep_in_cache

INSTALL = "apt install libgstreamer1.0-0 libgstreamer-plugins-base1.0-0 gstreamer1.0-plugins-base"
NO_TIME = (1 << 64) - 1
NULL, PLAYING = 1, 4  # GstState
MAP_READ = 1
MESSAGE_EOS, MESSAGE_ERROR = 1, 2
FLAG_CORRUPTED = 1 << 8


class MapInfo(ctypes.Structure):
    """GstMapInfo"""

    _fields_ = (
        ("memory", Pointer),
        ("flags", c_int),
        ("data", Pointer),
        ("size", c_size_t),
        ("maxsize", c_size_t),
        ("_reserved", Pointer * 8),
    )


class Buffer(ctypes.Structure):
    """GstBuffer; its first 64 bytes are the GstMiniObject with the flags."""

    _fields_ = (
        ("type", c_size_t),
        ("refcount", c_int),
        ("lockstate", c_int),
        ("flags", c_uint),
        ("_mini_object", Pointer * 5),
        ("pool", Pointer),
        ("pts", c_uint64),
        ("dts", c_uint64),
        ("duration", c_uint64),
        ("offset", c_uint64),
        ("offset_end", c_uint64),
    )


class VideoMeta(ctypes.Structure):
    """GstVideoMeta as far as its strides: where the planes and their rows lie."""

    _fields_ = (
        ("meta_flags", c_int),
        ("info", Pointer),
        ("buffer", Pointer),
        ("flags", c_int),
        ("format", c_int),
        ("id", c_int),
        ("width", c_uint),
        ("height", c_uint),
        ("planes", c_uint),
        ("offset", c_size_t * 4),
        ("stride", c_int * 4),
    )


class Message(ctypes.Structure):
    """GstMessage as far as its type."""

    _fields_ = (("_mini_object", Pointer * 8), ("type", c_uint))


_PLAIN: dict[str, tuple[Any, ...]] = {
    "version_string": (Pointer,),
    "element_factory_find": (Pointer, c_char_p),
    "element_set_state": (c_int, Pointer, c_int),
    "element_get_state": (c_int, Pointer, POINTER(c_int), POINTER(c_int), c_uint64),
    "element_get_base_time": (c_uint64, Pointer),
    "element_get_bus": (Pointer, Pointer),
    "bin_get_by_name": (Pointer, Pointer, c_char_p),
    "bus_timed_pop_filtered": (Pointer, Pointer, c_uint64, c_int),
    "message_parse_error": (None, Pointer, POINTER(POINTER(GError)), POINTER(c_char_p)),
    "sample_get_buffer": (POINTER(Buffer), Pointer),
    "sample_get_caps": (Pointer, Pointer),
    "caps_get_structure": (Pointer, Pointer, c_uint),
    "structure_get_string": (c_char_p, Pointer, c_char_p),
    "structure_get_int": (c_bool, Pointer, c_char_p, POINTER(c_int)),
    "buffer_map": (c_bool, POINTER(Buffer), POINTER(MapInfo), c_int),
    "buffer_unmap": (None, POINTER(Buffer), POINTER(MapInfo)),
    "mini_object_unref": (None, Pointer),
    "object_unref": (None, Pointer),
    "parse_context_new": (Pointer,),
    "parse_context_get_missing_elements": (POINTER(c_char_p), Pointer),
    "parse_context_free": (None, Pointer),
}


@lru_cache(maxsize=1)
def gstreamer() -> SimpleNamespace:
    """The functions, GStreamer initialised. ConfigError when it is not installed, and from
    `parse_launch_full` with GStreamer's own words about the pipeline."""
    keep_in_cache("GST_REGISTRY", "gstreamer/registry.bin")
    library = load("libgstreamer-1.0.so.0", INSTALL)
    app = load("libgstapp-1.0.so.0", INSTALL)
    functions: dict[str, Any] = {
        name: function(library, f"gst_{name}", *types) for name, types in _PLAIN.items()
    }
    functions["parse_launch_full"] = checked(
        library, ConfigError, "gst_parse_launch_full", Pointer, c_char_p, Pointer, c_int
    )
    functions["pull"] = function(app, "gst_app_sink_try_pull_sample", Pointer, Pointer, c_uint64)
    video = load("libgstvideo-1.0.so.0", INSTALL)
    functions["buffer_get_video_meta"] = function(
        video, "gst_buffer_get_video_meta", POINTER(VideoMeta), POINTER(Buffer)
    )
    functions["is_eos"] = function(app, "gst_app_sink_is_eos", c_bool, Pointer)
    checked(library, ConfigError, "gst_init_check", c_bool, Pointer, Pointer)(None, None)
    return SimpleNamespace(**functions)
