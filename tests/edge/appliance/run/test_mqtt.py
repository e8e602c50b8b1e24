"""What a real broker hears of a loop, and what it says itself when the loop's process is gone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.appliance.run.loop_statistics import LoopStatistics
from edge.appliance.run.mqtt import PASSWORD, Broker, discovery_of, state_of, told_by_mqtt
from edge.appliance.run.verb import Asked, track
from edge.errors import ConfigError
from tests.support.counted_frames import after
from tests.support.fake_microscope import microscope
from tests.support.patience import PATIENCE_S

pytest.importorskip("amqtt")
client_module = pytest.importorskip("paho.mqtt.client")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """amqtt, in a process of its own."""
    port = free_port()
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    program = (
        "import asyncio, json, sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "from amqtt.broker import Broker\n"
        "async def serve():\n"
        "    broker = Broker(json.loads(sys.argv[1]))\n"
        "    await broker.start()\n"
        "    print('serving', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(serve())\n"
    )
    with (tmp_path / "broker.log").open("w") as log:
        broker = subprocess.Popen(
            [sys.executable, "-c", program, json.dumps(config)], stdout=subprocess.PIPE,
            stderr=log, text=True,
        )  # fmt: skip
    try:
        assert broker.stdout is not None
        assert broker.stdout.readline() == "serving\n", (tmp_path / "broker.log").read_text()
        yield port
    finally:
        broker.kill()
        broker.communicate()


class Listener:
    """Everything that the broker hands out, by its topic."""

    def __init__(self, port: int) -> None:
        self.heard: dict[str, list[str]] = {}
        self._news = threading.Condition()
        self._client = client_module.Client(client_module.CallbackAPIVersion.VERSION2)
        self._client.on_message = self._take
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _take(self, _: Any, __: Any, message: Any) -> None:
        with self._news:
            self.heard.setdefault(message.topic, []).append(message.payload.decode())
            self._news.notify_all()

    def wait(self, topic: str, good: Callable[[str], bool]) -> str:
        with self._news:
            assert self._news.wait_for(
                lambda: any(map(good, self.heard.get(topic, []))), PATIENCE_S
            ), self.heard
        return next(filter(good, self.heard[topic]))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_it_tells_what_the_loop_does_until_its_end(port: int) -> None:
    rig, _ = microscope(focus_um=6.0)
    statistics = LoopStatistics()
    broker = Broker.of(f"mqtt://127.0.0.1:{port}/bench-1")
    listener = Listener(port)
    with told_by_mqtt(broker, lambda: state_of(rig, statistics), every_s=0.01):
        listener.wait("sparsefocus/bench-1/availability", lambda text: text == "online")
        config = listener.wait("homeassistant/device/sparsefocus_bench-1/config", bool)
        assert json.loads(config) == discovery_of(broker)
        track(rig, statistics, Asked(), after(12))
        said = listener.wait("sparsefocus/bench-1/state", lambda text: '"frames": 12' in text)
        assert json.loads(said)["moves"] == statistics.moves > 0
        assert json.loads(said)["state"] == "tracking"
    listener.wait("sparsefocus/bench-1/availability", lambda text: text == "offline")
    listener.close()
    late = Listener(port)  # who comes later hears what is retained
    late.wait("sparsefocus/bench-1/availability", lambda text: text == "offline")
    late.wait("sparsefocus/bench-1/state", lambda text: '"frames": 12' in text)
    late.close()


def test_the_broker_itself_says_that_a_process_is_gone(port: int) -> None:
    program = (
        "import sys, threading\n"
        "from edge.appliance.run.mqtt import Broker, told_by_mqtt\n"
        "with told_by_mqtt(Broker.of(sys.argv[1]), dict, 0.01):\n"
        "    threading.Event().wait()\n"
    )
    words = [sys.executable, "-c", program, f"mqtt://127.0.0.1:{port}/gone"]
    listener = Listener(port)
    child = subprocess.Popen(words, cwd=Path(__file__).parents[4])
    try:
        listener.wait("sparsefocus/gone/availability", lambda text: text == "online")
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait(PATIENCE_S)
    listener.wait("sparsefocus/gone/availability", lambda text: text == "offline")
    listener.close()


def test_a_broker_that_is_not_there_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    told = threading.Event()
    with told_by_mqtt(Broker.of(f"mqtt://127.0.0.1:{free_port()}/x"), dict, every_s=0.001):
        for _ in range(20 * int(PATIENCE_S)):
            if told.wait(0.05) or "cannot be reached" in (err := capsys.readouterr().err):
                break
    assert err.count("\n") == 1


def test_every_number_is_named_for_home_assistant() -> None:
    rig, _ = microscope()
    said = state_of(rig, LoopStatistics())
    found = discovery_of(Broker.of("mqtt://h/scanner-7"))
    assert set(found["cmps"]) <= set(said)
    assert {each["p"] for each in found["cmps"].values()} == {"sensor"}
    assert len({each["unique_id"] for each in found["cmps"].values()}) == len(found["cmps"])
    assert "command_topic" not in json.dumps(found)  # nobody moves anything over MQTT


@pytest.mark.parametrize(
    "url",
    ["", "x", "http://h", "mqtt://", "mqtt://h:0x", "mqtt://h/a/b", "mqtt://h/a b", "mqtt://h?x=1",
     "mqtt://u:secret@h/x"],
)  # fmt: skip
def test_what_is_no_address_is_one_line(url: str) -> None:
    with pytest.raises(ConfigError, match="--mqtt") as raised:
        Broker.of(url)
    assert "secret" not in str(raised.value)


def test_an_address_says_where_and_as_whom() -> None:
    assert Broker.of("mqtts://me@h/x") == Broker("h", 8883, True, "me", "x")
    assert Broker.of("mqtt://[::1]:99/x") == Broker("::1", 99, False, "", "x")
    assert PASSWORD.isupper()
