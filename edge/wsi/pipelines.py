"""Three ways to bring a whole slide into focus behind one contract (Fig. 6 of the paper).

(a) key points: a few fields are focused first, all others are taken where their map says;
(b) two steps: one shot on every field first, then every field is taken by the map of all of them,
with a second look where the first one said nothing or said otherwise;
(c) one step: every field is taken where the map of the fields behind expects it, measured as it
is taken, and taken once more where it was too far off. Nothing else differs between them: the plan,
the map and the eye are the same. A blank field is taken by none: RIN says what is blank.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from edge.decide.focus_surface import Expected
from edge.wsi.focus_map import Anchor, FocusMap, Refusal, Unknown, farthest_first
from edge.wsi.path import Field
from edge.wsi.walk import Answer, Walk, answer_of

RETAKE_UM = 0.35
MOST_TRIES = 2


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at a field showed: how many patches hold content (None: it was not judged), and
    where focus lies, None where that cannot be told."""

    patches: int | None
    focus_um: float | None
    interval_um: float
    time_ns: int


class Eye(Protocol):
    """What a pipeline asks of the instrument. Each call may move the slide and Z, through their
    guards; what they refuse passes through."""

    def one_shot(self, field: Field, z_um: float) -> Seen:
        """Go there, Z to `z_um`, take a frame and measure it. The frame is kept until the next."""
        ...

    def search(self, field: Field, z_um: float) -> Seen:
        """Go there and find focus by moving Z, beginning at `z_um`: slow, and from far away."""
        ...

    def take(self, field: Field, z_um: float) -> None:
        """Go there, Z to `z_um`, take the frame that stays."""
        ...


@dataclass(frozen=True, slots=True)
class Taken:
    """How a field ended. `z_um`: where its frame was taken, None = blank, or not to be taken;
    `expected`: by the map, before; `why`: the map's refusal where the height is another one."""

    field: Field
    answer: Answer
    z_um: float | None
    expected: Expected
    seen: Seen | None
    tries: int
    why: Refusal | None = None


class Pipeline(Protocol):
    """A way over the slide."""

    def fields(self, walk: Walk, focus_map: FocusMap, eye: Eye) -> Iterator[Taken]:
        """Every field of the walk once, in the order in which they are finished."""
        ...


@dataclass(slots=True)
class KeyPoints:
    """(a). `by_search`: hill climbing at the points, as scanners do, or one shot."""

    start_z_um: float
    count: int = 25
    by_search: bool = True

    def fields(self, walk: Walk, focus_map: FocusMap, eye: Eye) -> Iterator[Taken]:
        """See Pipeline. The points lie far apart on the fields that a region claims; a field
        between them is not judged until it is taken."""
        z_um = self.start_z_um
        places = {(field.x_um, field.y_um): field for field in walk.plan}
        for place in farthest_first(places, self.count):
            field = places[place]
            look = eye.search(field, z_um) if self.by_search else eye.one_shot(field, z_um)
            z_um = _add(focus_map, field, look, z_um)
        while (field := walk.next()) is not None:  # type: ignore[assignment]
            expected = focus_map.at(field.x_um, field.y_um)
            z_um = _height(expected, z_um)
            eye.take(field, z_um)
            walk.visited(field.id, None)
            yield Taken(field, Answer.UNKNOWN, z_um, expected, None, 1, _why(expected))


@dataclass(slots=True)
class TwoStep:
    """(b). A field is looked at again where its map and its own reading are farther apart than
    `again_um`: it is a wrong answer, or more relief than the map knows."""

    start_z_um: float
    again_um: float = RETAKE_UM

    def fields(self, walk: Walk, focus_map: FocusMap, eye: Eye) -> Iterator[Taken]:
        """See Pipeline. The first pass lets the plan grow, the second takes what holds content, in
        the opposite order: the stage stands at its end."""
        z_um = self.start_z_um
        looks: list[tuple[Field, Seen]] = []
        while (field := walk.next()) is not None:
            look = eye.one_shot(field, _height(focus_map.at(field.x_um, field.y_um), z_um))
            z_um = _add(focus_map, field, look, z_um)
            walk.visited(field.id, look.patches)
            looks.append((field, look))
        for field, look in reversed(looks):
            answer, expected = answer_of(look.patches), focus_map.at(field.x_um, field.y_um)
            if answer is Answer.BLANK:
                yield Taken(field, answer, None, expected, look, 1)
                continue
            at_um, tries = _height(expected, z_um if look.focus_um is None else look.focus_um), 1
            if look.focus_um is None or not abs(look.focus_um - at_um) <= self.again_um:
                again, tries = eye.one_shot(field, at_um), 2
                z_um = _add(focus_map, field, again, at_um)
                if again.focus_um is not None and abs(again.focus_um - at_um) > self.again_um:
                    at_um = again.focus_um
            eye.take(field, at_um)
            yield Taken(field, answer, at_um, expected, look, tries, _why(expected))


@dataclass(slots=True)
class OneStep:
    """(c). Above `retake_um` between where a field was taken and where its focus is, it is taken
    once more, at most MOST_TRIES times in all; what is measured last counts."""

    start_z_um: float
    retake_um: float = RETAKE_UM

    def fields(self, walk: Walk, focus_map: FocusMap, eye: Eye) -> Iterator[Taken]:
        """See Pipeline."""
        z_um = self.start_z_um
        while (field := walk.next()) is not None:
            expected = focus_map.at(field.x_um, field.y_um)
            at_um, tries = _height(expected, z_um), 1
            look = eye.one_shot(field, at_um)
            while (
                tries < MOST_TRIES
                and look.focus_um is not None
                and not abs(look.focus_um - at_um) <= self.retake_um
            ):
                at_um, tries = look.focus_um, tries + 1
                again = eye.one_shot(field, at_um)
                look = again if again.focus_um is not None else look
            z_um = _add(focus_map, field, look, z_um)
            answer = walk.visited(field.id, look.patches)
            kept = None if answer is Answer.BLANK else at_um
            yield Taken(field, answer, kept, expected, look, tries, _why(expected))


def _add(focus_map: FocusMap, field: Field, look: Seen, z_um: float) -> float:
    """A measured height becomes an anchor; the height to begin the next field at."""
    if look.focus_um is None:
        return z_um
    focus_map.add(Anchor(field.x_um, field.y_um, look.focus_um, look.interval_um, look.time_ns))
    return look.focus_um


def _height(expected: Expected, else_um: float) -> float:
    return expected.z_um if expected.interval_um < math.inf else else_um


def _why(expected: Expected) -> Refusal | None:
    return expected.why if isinstance(expected, Unknown) else None
