"""`sparsefocus camera`: what cameras can be used here, and whether the configured one delivers.

`find` asks nothing on the network unless `--network` is given: looking for GigE cameras is a
broadcast on every interface, and a scanner's network may carry other instruments.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.appliance.camera.check import colours_of, measure
from edge.appliance.config.config_file import read_config
from edge.appliance.files import add_json, is_standard, write_json
from edge.camera import Camera, open_camera
from edge.cameras.aravis_library import aravis
from edge.cameras.gstreamer_library import gstreamer
from edge.cameras.pylon import LAYERS
from edge.cameras.pylon_library import load_pylon
from edge.errors import CameraLost, CameraStalled, ConfigError, EngineRejected
from edge.open_sensor import build_sensor
from edge.settings import Config

WAIT_PERIODS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (_, summary) in ACTIONS.items():
        sub = actions.add_parser(name, help=summary, description=summary)
        add_json(sub, "what it says")
        if name == "check":
            sub.add_argument("--config", type=Path, required=True, help="names the camera")
            sub.add_argument("--frames", type=int, default=100, metavar="N")
        if name == "find":
            sub.add_argument(
                "--network", action="store_true", help="also look for GigE cameras, by broadcast"
            )


def run(options: argparse.Namespace) -> int:
    """0 = done; ConfigError and CameraStalled say what went wrong."""
    answer = ACTIONS[options.action][0](options)
    if not is_standard(options.json):
        _print(answer)
    write_json(answer, options.json)
    return 0


def _find(options: argparse.Namespace) -> dict[str, Any]:
    """What each driver sees; a driver that cannot be used says why."""
    searches: dict[str, Callable[[bool], list[str]]] = {
        "v4l2": _v4l2,
        "pylon": _pylon,
        "aravis": _aravis,
        "gstreamer": _gstreamer,
    }
    cameras: dict[str, Any] = {}
    for driver, search in searches.items():
        try:
            cameras[driver] = search(options.network)
        except (ConfigError, CameraLost) as error:
            cameras[driver] = f"not usable: {error}"
    return cameras


def _v4l2(_: bool) -> list[str]:
    """The kernel's own list; no device is opened."""
    names = sorted(Path("/sys/class/video4linux").glob("video*/name"))
    return [f"/dev/{name.parent.name} {name.read_text().strip()}" for name in names]


def _pylon(network: bool) -> list[str]:
    pylon, serials = load_pylon(), []
    for link in ("usb", "gige") if network else ("usb",):
        layer = pylon.TlFactory.GetInstance().CreateTl(LAYERS[link])
        for info in layer.EnumerateDevices() if layer else ():
            serials.append(f"{link} {info.GetSerialNumber()} {info.GetModelName()}")
    return serials


def _aravis(network: bool) -> list[str]:
    arv = aravis()
    arv.disable_interface(b"Fake")
    (arv.enable_interface if network else arv.disable_interface)(b"GigEVision")
    arv.update_device_list()
    # the switch is the whole process's: without it no GigE camera could be opened any more
    arv.enable_interface(b"GigEVision")
    return [
        " ".join(
            (part(number) or b"").decode("utf-8", "replace")
            for part in (arv.get_device_protocol, arv.get_device_address, arv.get_device_id)
        )
        for number in range(arv.get_n_devices())
    ]


def _gstreamer(_: bool) -> list[str]:
    gst = gstreamer()
    sources = ("nvarguscamerasrc", "libcamerasrc", "v4l2src", "videotestsrc")
    return [name for name in sources if gst.element_factory_find(name.encode())]


def _check(options: argparse.Namespace) -> dict[str, Any]:
    """Open the camera that the config names and take frames."""
    if options.frames < 2:
        raise ConfigError("--frames must be at least 2")
    config = read_config(options.config)
    settings = config.camera
    camera = open_camera(settings.driver, settings.options)
    timeout_s = WAIT_PERIODS * settings.period_ms / 1e3
    try:
        return {
            "driver": settings.driver,
            "period_ms_configured": settings.period_ms,
            **measure(camera, options.frames, timeout_s),
            "colours": _colours(config, camera, timeout_s),
        }
    finally:
        camera.close()


def _colours(config: Config, camera: Camera, timeout_s: float) -> str:
    """Whether red and blue look exchanged, as far as the configured models can tell."""
    try:
        models = replace(config.models, backend="cpu")
        sensor, nets = build_sensor(models, config.objective, config.loop.classes)
    except (ConfigError, EngineRejected) as error:
        return f"cannot tell: {error}"
    try:
        order = getattr(sensor, "order", None)
        return "cannot tell" if order is None else colours_of(camera, sensor, order, timeout_s)
    except (ConfigError, CameraStalled) as error:
        return f"cannot tell: {error}"
    finally:
        for net in nets:
            net.close()


def _print(answer: dict[str, Any]) -> None:
    for name, value in answer.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {number:g}" for key, number in value.items())
        if isinstance(value, list):
            value = "; ".join(value) or "nothing"
        print(f"{name}: {value}")


ACTIONS: dict[str, tuple[Callable[[argparse.Namespace], dict[str, Any]], str]] = {
    "find": (_find, "what each driver sees; the network only with --network"),
    "check": (_check, "take frames from the configured camera: rate, drops, age, times"),
}
