"""The functions of libaravis 0.8 that a camera needs, by their names without `arv_`.

Source: Aravis 0.8 API reference (ArvCamera, ArvStream, ArvBuffer, ArvDevice, ArvInterface).
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import POINTER, c_bool, c_char_p, c_double, c_int, c_size_t, c_uint, c_uint32, c_uint64
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from edge.cameras.shared_library import Pointer, checked, function, load
from edge.errors import CameraLost

INSTALL = "apt install libaravis-0.8-0"
SUCCESS = 0  # ArvBufferStatus
CONTINUOUS = 0  # ArvAcquisitionMode
RESEND_NEVER, RESEND_ALWAYS = 0, 1  # ArvGvStreamPacketResend

_CHECKED: dict[str, tuple[Any, ...]] = {  # result, arguments before the GError**
    "camera_new": (Pointer, c_char_p),
    "camera_get_vendor_name": (c_char_p, Pointer),
    "camera_get_model_name": (c_char_p, Pointer),
    "camera_get_device_serial_number": (c_char_p, Pointer),
    "camera_get_sensor_size": (None, Pointer, POINTER(c_int), POINTER(c_int)),
    "camera_set_region": (None, Pointer, c_int, c_int, c_int, c_int),
    "camera_get_region": (None, Pointer, *[POINTER(c_int)] * 4),
    "camera_set_pixel_format_from_string": (None, Pointer, c_char_p),
    "camera_get_pixel_format_as_string": (c_char_p, Pointer),
    "camera_set_exposure_time": (None, Pointer, c_double),
    "camera_get_exposure_time": (c_double, Pointer),
    "camera_set_frame_rate": (None, Pointer, c_double),
    "camera_clear_triggers": (None, Pointer),
    "camera_set_trigger": (None, Pointer, c_char_p),
    "camera_software_trigger": (None, Pointer),
    "camera_set_acquisition_mode": (None, Pointer, c_int),
    "camera_get_payload": (c_uint, Pointer),
    "camera_create_stream": (Pointer, Pointer, Pointer, Pointer),
    "camera_start_acquisition": (None, Pointer),
    "camera_stop_acquisition": (None, Pointer),
    "camera_gv_auto_packet_size": (c_uint, Pointer),
    "gv_device_leave_control": (c_bool, Pointer),
    "camera_is_feature_available": (c_bool, Pointer, c_char_p),
    "device_set_string_feature_value": (None, Pointer, c_char_p, c_char_p),
    "device_get_integer_feature_value": (c_uint64, Pointer, c_char_p),
    "device_execute_command": (None, Pointer, c_char_p),
    "device_read_register": (c_bool, Pointer, c_uint64, POINTER(c_uint32)),
    "device_write_register": (c_bool, Pointer, c_uint64, c_uint32),
}
_PLAIN: dict[str, tuple[Any, ...]] = {
    "enable_interface": (None, c_char_p),
    "disable_interface": (None, c_char_p),
    "update_device_list": (None,),
    "get_n_devices": (c_uint,),
    "get_device_id": (c_char_p, c_uint),
    "get_device_address": (c_char_p, c_uint),
    "get_device_protocol": (c_char_p, c_uint),
    "camera_get_device": (Pointer, Pointer),
    "camera_is_gv_device": (c_bool, Pointer),
    "gv_device_is_controller": (c_bool, Pointer),
    "stream_push_buffer": (None, Pointer, Pointer),
    "stream_timeout_pop_buffer": (Pointer, Pointer, c_uint64),
    "buffer_new_allocate": (Pointer, c_size_t),
    "buffer_get_status": (c_int, Pointer),
    "buffer_get_frame_id": (c_uint64, Pointer),
    "buffer_get_timestamp": (c_uint64, Pointer),
    "buffer_get_data": (Pointer, Pointer, POINTER(c_size_t)),
    "buffer_get_image_width": (c_int, Pointer),
    "buffer_get_image_height": (c_int, Pointer),
    "buffer_get_image_padding": (None, Pointer, POINTER(c_int), POINTER(c_int)),
}


@lru_cache(maxsize=1)
def aravis() -> SimpleNamespace:
    """The functions; those that can fail raise CameraLost with Aravis's own words. ConfigError
    when the library is not installed."""
    library = load("libaravis-0.8.so.0", INSTALL)
    functions: dict[str, Callable[..., Any]] = {
        name: checked(library, CameraLost, f"arv_{name}", *types)
        for name, types in _CHECKED.items()
    }
    functions |= {name: function(library, f"arv_{name}", *types) for name, types in _PLAIN.items()}
    functions["ref"] = function(library, "g_object_ref", Pointer, Pointer)
    functions["unref"] = function(library, "g_object_unref", None, Pointer)
    # variadic: name, value, NULL
    functions["set_integer"] = function(
        library, "g_object_set", None, Pointer, c_char_p, c_uint, Pointer
    )
    return SimpleNamespace(**functions)
