"""A record through the loop again: the same controller, guard and state, the recorded world.

Camera, stage, clock and path answer what they answered then, in the order in which they were asked;
a frame is measured as it was, or again by the networks where its pixels are in the record. What the
loop asks, decides and sends must be the same to the last bit; the first difference is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge.appliance.record.again import SeenAgain, ShownAgain
from edge.appliance.record.compare import first_difference
from edge.appliance.record.doors import FRAME
from edge.appliance.record.files import RecordReader
from edge.appliance.record.messages import Pieces, outcome_table
from edge.appliance.record.replay_doors import Differs, ReplayDoors
from edge.appliance.record.session import FORMAT
from edge.appliance.record.values import put_back, value_of
from edge.errors import ConfigError
from edge.loop import step
from edge.measure.sensor import Measurer
from edge.rig import Rig, build_rig, sensor_of
from edge.settings import Config
from edge.state import State
from engines.engine import Engine
from firmware_bridge.stop_signals import BY

DECISIONS = "decisions"
#: where a replay may begin -> what of the record it needs, and who measures by it
FROM: dict[str, Any] = {
    DECISIONS: (), "inputs": ("/inputs", ShownAgain), "frames": ("/pixels", SeenAgain),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """The first: in which frame (number in the record, and the camera's id), of what."""

    frame: int
    frame_id: int | None
    field: str
    recorded: str
    now: str

    def __str__(self) -> str:
        of = "" if self.frame_id is None else f" (id {self.frame_id})"
        return f"frame {self.frame}{of}: {self.field}: recorded {self.recorded}, now {self.now}"


@dataclass(slots=True)
class Replayed:
    """What a replay found. `passed_over`: frames before the first state, or after a gap;
    `measured`: frames that the networks measured again."""

    frames: int = 0
    measured: int = 0
    passed_over: int = 0
    difference: Difference | None = None
    ended: str = ""  # why it ended before the record did


def replay(path: Path, begin: str = DECISIONS, tolerance: float = 0.0) -> Replayed:
    """One file through the loop. ConfigError for what is no record, or one of another release.

    `begin`: one of FROM. `tolerance`: of floats, for a record from another kind of processor, whose
    exp() has a last bit of its own.
    """
    reader = RecordReader(path)
    session = reader.session
    if session.get("format") != FORMAT:
        raise ConfigError(f"{path}: is of format {session.get('format')!r:.20}, not {FORMAT}")
    config = _config(session, path)
    replayed, again = Replayed(), None
    nets: tuple[Engine, ...] = ()
    try:
        if begin != DECISIONS:
            sensor, nets = _networks(config, session, path)
            again = FROM[begin][1](sensor, _pieces(path, FROM[begin][0]))
        _run(reader, config, ReplayDoors(session, again, tolerance), replayed)
    finally:
        for net in nets:
            net.close()
    if reader.torn and not replayed.ended:
        replayed.ended = f"the file ends there ({reader.torn})"
    return replayed


def _networks(
    config: Config, session: Mapping[str, Any], path: Path
) -> tuple[Measurer, tuple[Engine, ...]]:
    """Those that measured then."""
    if config.loop.budget_ms is not None:
        raise ConfigError(f"{path}: with loop.budget_ms, time decided which patches were measured: "
                          "--from decisions only")  # fmt: skip
    sensor, nets = sensor_of(config)
    for net in nets:
        name, ours = net.manifest.name, net.manifest.sha256
        if session["networks"].get(name, ours) != ours:
            raise ConfigError(
                f"{path}: was recorded with another {name} than {config.models.dpn.parent} has"
            )
    return sensor, nets


def _run(reader: RecordReader, config: Config, doors: ReplayDoors, replayed: Replayed) -> None:
    rig: Rig | None = None
    number = -1
    for message in reader:
        if message.topic == "/state":
            held = message.table()
            rig, number = _rig_at(config, doors, held), held["n"] - 1
        elif message.topic == "/frame":
            table = message.table()
            if rig is None or table["n"] != number + 1:
                rig = None  # what came between is not known: until the next state
                replayed.passed_over += 1
                continue
            number += 1
            if rig.state.value is not State.SHUTDOWN and _from_outside(table):
                replayed.ended = f"frame {number} was ended from outside (a signal)"
                return
            replayed.difference = _again(rig, doors, table)
            replayed.frames += 1
            replayed.measured = doors.measured
            if replayed.difference is not None:
                return


def _again(rig: Rig, doors: ReplayDoors, table: Mapping[str, Any]) -> Difference | None:
    """One frame."""
    message: dict[str, Any] = next(
        (note[1] for note in table["notes"] if note[0] == FRAME and note[1]), {}
    )
    try:
        if table["new_field"]:
            rig.controller.new_field()
        doors.begin(table["notes"])
        outcome = step(rig)
        difference = first_difference(table["outcome"], outcome_table(outcome), "", doors.tolerance)
        if difference is not None:
            return Difference(table["n"], message.get("id"), *difference)
        doors.end()
    except Differs as differs:
        what = differs.field, differs.recorded, differs.now
        return Difference(table["n"], message.get("id"), *what)
    state = rig.state.value.value
    if state != table["state"]:
        return Difference(table["n"], message.get("id"), "state", table["state"], state)
    return None


def _from_outside(table: Mapping[str, Any]) -> bool:
    """A signal, or another thread: what it did in the frame is not the loop's."""
    decided = value_of(table["outcome"]["decision"]).value
    ended = table["state"] == State.SHUTDOWN.value and decided != "SHUTDOWN"
    return ended or BY in table["outcome"]["reason"]


def _rig_at(config: Config, doors: ReplayDoors, held: Mapping[str, Any]) -> Rig:
    """A rig as it stood, in the recorded world."""
    doors.begin(())
    rig = build_rig(config, **doors.parts(), doors=doors)
    put_back(held["controller"], rig.controller)
    put_back(held["guard"], rig.guard)
    rig.stalls = held["stalls"]
    return rig


def _config(session: Mapping[str, Any], path: Path) -> Config:
    """As it was, but for devices that are not here."""
    config = value_of(session.get("config"))
    if not isinstance(config, Config):
        raise ConfigError(f"{path}: the record has no config")
    camera = replace(config.camera, made_with={})
    stage = replace(config.stage, made_with={}, um_per_unit=1.0, reference_um=0.0)
    return replace(config, camera=camera, stage=stage)


def _pieces(path: Path, topic: str) -> Pieces:
    pieces = Pieces()
    for message in RecordReader(path):
        if message.topic == topic:
            pieces.take(message.data)
    return pieces
