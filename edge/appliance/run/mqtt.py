"""The loop's state on an MQTT broker: told when it changes, at most once a second.

`sparsefocus/NAME/availability` is "online" or "offline", retained; the broker itself says "offline"
when this process is gone (last will). `sparsefocus/NAME/state` is JSON, retained. Home Assistant's
device discovery is published as well, so that dashboards find the instrument. Nothing is
subscribed to: nobody moves anything over MQTT. The library's thread connects and connects again;
a broker that is not there costs a line, never the focusing.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

from edge.appliance.run.loop_statistics import LoopStatistics
from edge.appliance.telling import tell
from edge.errors import ConfigError
from edge.measure.aggregate import FocusEstimate
from edge.rig import Rig

TOP, DISCOVERY = "sparsefocus", "homeassistant/device"
ONLINE, OFFLINE = "online", "offline"
EVERY_S = 1.0
PORTS = {"mqtt": 1883, "mqtts": 8883}
PASSWORD = "SPARSEFOCUS_MQTT_PASSWORD"  # its variable: a command line is for all to see
LEAVE_S = 5.0  # for the last words
#: key of the state -> its name for people, and Home Assistant's unit and class of what is measured
SENSORS = {
    "state": ("State", None), "decision": ("Decision", None), "reason": ("Reason", None),
    "defocus_um": ("Defocus", "µm"), "interval_um": ("Interval", "µm"),
    "frames": ("Frames", None), "moves": ("Moves", None), "lost": ("Frames lost", None),
    "latency_ms": ("Latency, p99", "ms"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Broker:
    """Where, and as whom: `mqtt[s]://[user@]host[:port][/name]`; mqtts checks the certificate."""

    host: str
    port: int
    secure: bool
    user: str
    name: str  # of this instrument

    @classmethod
    def of(cls, url: str) -> Broker:
        """ConfigError for what is no such address; a password is not one's part."""
        wrong = f"--mqtt {url!r:.80} must be mqtt[s]://[user@]host[:port][/name]"
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS.get(parts.scheme, 0)
        except ValueError as error:
            raise ConfigError(wrong) from error
        if parts.password is not None:
            raise ConfigError(f"--mqtt: a password belongs into {PASSWORD}, not into the address")
        name = parts.path.strip("/") or socket.gethostname()
        if parts.scheme not in PORTS or not parts.hostname or parts.query or parts.fragment:
            raise ConfigError(wrong)
        if not re.fullmatch(r"[\w.-]{1,64}", name):
            raise ConfigError(f"--mqtt: the name {name!r:.70} must be letters, digits, _ . -")
        return cls(parts.hostname, port, parts.scheme == "mqtts", parts.username or "", name)

    @property
    def top(self) -> str:
        """Where this instrument's topics begin."""
        return f"{TOP}/{self.name}"


def state_of(rig: Rig, statistics: LoopStatistics) -> dict[str, Any]:
    """What is told."""
    last, total = statistics.last, statistics.latency["total"]
    estimate = last.estimate if last is not None else None
    measured = estimate if isinstance(estimate, FocusEstimate) else None
    interval_um = last.interval_um if last is not None else None
    return {
        "state": rig.state.value.value, "shutdown": rig.state.reason,
        "decision": last.decision.value if last else None, "reason": last.reason if last else None,
        "defocus_um": round(measured.defocus_um, 3) if measured else None,
        "interval_um": None if interval_um is None else round(interval_um, 3),
        "frames": statistics.frames, "moves": statistics.moves,
        "lost": statistics.late + statistics.stale + statistics.missing + statistics.stalls,
        "latency_ms": round(total.quantile_ms(0.99), 1) if total.total else None,
    }  # fmt: skip


def discovery_of(broker: Broker) -> dict[str, Any]:
    """Home Assistant's device discovery (its MQTT page): one device, a sensor for each number."""
    unique = f"sparsefocus_{re.sub(r'[^a-zA-Z0-9]', '_', broker.name)}"
    components = {}
    for key, (name, unit) in SENSORS.items():
        components[key] = {
            "p": "sensor", "name": name, "unique_id": f"{unique}_{key}",
            "value_template": f"{{{{ value_json.{key} }}}}",
            **({} if unit is None else {"unit_of_measurement": unit,
                                        "state_class": "measurement"}),
        }  # fmt: skip
    version = ""
    with contextlib.suppress(metadata.PackageNotFoundError):
        version = metadata.version("sparsefocus-edge")
    return {
        "dev": {"ids": [unique], "name": f"SparseFocus {broker.name}", "mf": "SparseFocus edge",
                "sw": version},
        "o": {"name": "sparsefocus-edge", "sw": version},
        "cmps": components,
        "state_topic": f"{broker.top}/state",
        "availability_topic": f"{broker.top}/availability",
        "qos": 1,
    }  # fmt: skip


@contextlib.contextmanager
def told_by_mqtt(
    broker: Broker, state: Callable[[], dict[str, Any]], every_s: float = EVERY_S
) -> Iterator[None]:
    """Tell `state` while the block runs. ConfigError where the library is not installed."""
    try:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion
        from paho.mqtt.reasoncodes import ReasonCode
    except ImportError as error:
        raise ConfigError(
            f"--mqtt needs paho-mqtt ({error}): pip install 'sparsefocus-edge[fleet]'"
        ) from error
    client = Client(CallbackAPIVersion.VERSION2, client_id=f"{TOP}-{broker.name}")
    if broker.secure:
        client.tls_set()
    if broker.user:
        client.username_pw_set(broker.user, os.environ.get(PASSWORD))
    client.will_set(f"{broker.top}/availability", OFFLINE, qos=1, retain=True)
    client.reconnect_delay_set(1, 60)
    changed, over, away = threading.Event(), threading.Event(), threading.Event()

    def connected(_: Client, __: Any, ___: Any, code: ReasonCode, ____: Any) -> None:
        if code.is_failure:
            say(f"{code}")
            return
        away.clear()
        client.publish(f"{broker.top}/availability", ONLINE, qos=1, retain=True)
        config = json.dumps(discovery_of(broker))
        client.publish(f"{DISCOVERY}/{broker.top.replace('/', '_')}/config", config, 1, True)
        changed.set()

    def gone(_: Client, __: Any, ___: Any, ____: Any, _____: Any) -> None:
        if not over.is_set():
            say("the connection is gone")

    def say(why: str) -> None:
        if not away.is_set():
            away.set()
            tell(f"sparsefocus: warning: --mqtt {broker.host}:{broker.port}: {why}", wait_s=0.0)

    def publish() -> None:
        before = ""
        while not over.wait(every_s):
            text = json.dumps(state())
            if client.is_connected() and (text != before or changed.is_set()):
                changed.clear()
                before = text
                client.publish(f"{broker.top}/state", text, qos=0, retain=True)

    client.on_connect = connected
    client.on_connect_fail = lambda *_: say("cannot be reached")
    client.on_disconnect = gone
    thread = threading.Thread(target=publish, name="sparsefocus-mqtt", daemon=True)
    client.connect_async(broker.host, broker.port, keepalive=15)
    client.loop_start()
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if client.is_connected():
            client.publish(f"{broker.top}/state", json.dumps(state()), qos=1, retain=True)
            last = client.publish(f"{broker.top}/availability", OFFLINE, qos=1, retain=True)
            with contextlib.suppress(RuntimeError, ValueError):
                last.wait_for_publish(LEAVE_S)
        client.disconnect()
        client.loop_stop()
