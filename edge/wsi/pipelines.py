"""Three ways to bring a whole slide into focus behind one contract (Fig. 6 of the paper).

(a) key points: a few fields are focused first, all others are taken where their map says;
(b) two steps: one shot on every field first, then every field is taken by the map of all of them,
with a second look where the first one said nothing or said otherwise;
(c) one step: every field is taken where the map of the fields behind expects it, measured as it
is taken, and taken once more where it was too far off; what the whole map says otherwise is taken
again at the end. Nothing else differs between them: the plan, the map and the eye are the same. A
blank field is taken by none: RIN says what is blank.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from types import MappingProxyType
from typing import Protocol

from edge.decide.focus_surface import Expected
from edge.wsi.focus_map import Anchor, FocusMap, Refusal, Unknown, farthest_first
from edge.wsi.path import Field
from edge.wsi.route import Cell
from edge.wsi.walk import Answer, Walk, answer_of

RETAKE_UM = 0.35
MOST_TRIES = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at a field showed: how many patches hold content (None: it was not judged), and
    where focus lies, None where that cannot be told. `z_um`: where its frame was taken; `toward`:
    on which of the eight sides something reaches the edge, None = nobody knows."""

    patches: int | None
    focus_um: float | None
    interval_um: float
    time_ns: int
    z_um: float = math.nan
    toward: frozenset[Cell] | None = None


class Eye(Protocol):
    """What a pipeline asks of the instrument. Each call may move the slide and Z, through their
    guards; what they refuse passes through. `then`: where the slide goes as soon as the exposure
    is over; what was exposed is measured on the way."""

    def one_shot(self, field: Field, z_um: float, then: Field | None = None) -> Seen:
        """Go there, Z to `z_um`, take a frame and measure it. The frame is kept until the next."""
        ...

    def search(self, field: Field, z_um: float) -> Seen:
        """Go there and find focus by moving Z, beginning at `z_um`: slow, and from far away."""
        ...

    def take(self, field: Field, z_um: float, then: Field | None = None) -> float:
        """Go there, Z to `z_um`, take the frame that stays; where it was taken."""
        ...


@dataclass(frozen=True, slots=True)
class Looked:
    """A field was looked at, and is taken later: worth keeping, should the scan end before.
    `walked`: this was its visit; a key point's comes later."""

    field: Field
    reading: Seen
    walked: bool = True


@dataclass(frozen=True, slots=True)
class Taken:
    """How a field ended; the last word on a field counts. `z_um`: where its frame was taken, None =
    blank, or not to be taken; `expected`: by the map, before; `why`: the map's refusal where the
    height is another one; `late`: once more, by what came to be known later."""

    field: Field
    answer: Answer
    z_um: float | None
    expected: Expected
    reading: Seen | None
    tries: int
    why: Refusal | None = None
    late: bool = False


NOTHING: Mapping[int, Seen] = MappingProxyType({})


class Pipeline(Protocol):
    """A way over the slide."""

    def fields(
        self, walk: Walk, focus_map: FocusMap, eye: Eye, looked: Mapping[int, Seen] = NOTHING
    ) -> Iterator[Looked | Taken]:
        """Every field of the walk, in the order in which they are finished. `looked`: what a scan
        that was interrupted looked at and did not take, by number; its anchors are in the map."""
        ...


@dataclass(slots=True)
class KeyPoints:
    """(a). `by_search`: hill climbing at the points, as scanners do, or one shot. `offset_um` is
    added to what a search finds: its sharpest plane is not the networks'."""

    start_z_um: float
    count: int = 25
    by_search: bool = True
    offset_um: float = 0.0

    def fields(
        self, walk: Walk, focus_map: FocusMap, eye: Eye, looked: Mapping[int, Seen] = NOTHING
    ) -> Iterator[Looked | Taken]:
        """See Pipeline. The points lie far apart on the fields that a region claims; a field
        between them is not judged until it is taken."""
        z_um = self.start_z_um
        places = {(field.x_um, field.y_um): field for field in walk.plan}
        for place in farthest_first(places, self.count):
            point = places[place]
            if point.id not in looked:
                look = eye.search(point, z_um) if self.by_search else eye.one_shot(point, z_um)
                z_um = _add(focus_map, point, look, z_um, self.offset_um * self.by_search)
                yield Looked(point, look, walked=False)
        while (field := walk.next()) is not None:
            expected = focus_map.at(field.x_um, field.y_um)
            z_um = _height(expected, z_um)
            at_um = eye.take(field, z_um, walk.after(field.id))
            walk.visited(field.id, None)
            yield Taken(field, Answer.UNKNOWN, at_um, expected, None, 1, _why(expected))


@dataclass(slots=True)
class TwoStep:
    """(b). A field is looked at again where its map and its own reading are farther apart than
    `again_um`: it is a wrong answer, or more relief than the map knows."""

    start_z_um: float
    again_um: float = RETAKE_UM

    def fields(
        self, walk: Walk, focus_map: FocusMap, eye: Eye, looked: Mapping[int, Seen] = NOTHING
    ) -> Iterator[Looked | Taken]:
        """See Pipeline. The first pass lets the plan grow, the second takes what holds content, in
        the opposite order: the stage stands at its end."""
        z_um = self.start_z_um
        looks = dict(looked)
        while (field := walk.next()) is not None:
            look = eye.one_shot(
                field, _height(focus_map.at(field.x_um, field.y_um), z_um), walk.after(field.id)
            )
            z_um = _add(focus_map, field, look, z_um)
            walk.visited(field.id, look.patches, look.toward)
            looks[field.id] = look
            yield Looked(field, look)
        left = [walk.plan.by_id[i] for i in reversed(looks)]
        content = [f for f in left if answer_of(looks[f.id].patches) is not Answer.BLANK]
        for field in left:
            if field not in content:
                expected = focus_map.at(field.x_um, field.y_um)
                yield Taken(field, Answer.BLANK, None, expected, looks[field.id], 1)
        for field, then in zip_longest(content, content[1:]):
            yield self._second(field, then, looks[field.id], focus_map, eye, z_um)

    def _second(
        self,
        field: Field,
        then: Field | None,
        look: Seen,
        focus_map: FocusMap,
        eye: Eye,
        z_um: float,
    ) -> Taken:
        answer, expected = answer_of(look.patches), focus_map.at(field.x_um, field.y_um)
        to_um = _height(expected, z_um if look.focus_um is None else look.focus_um)
        if look.focus_um is not None and abs(look.focus_um - to_um) <= self.again_um:
            return Taken(field, answer, eye.take(field, to_um, then), expected, look, 1)
        again = eye.one_shot(field, to_um)
        _add(focus_map, field, again, to_um)
        at_um, tries = again.z_um, 2
        if again.focus_um is not None and abs(again.focus_um - at_um) > self.again_um:
            at_um, tries = eye.take(field, again.focus_um, then), 3
        return Taken(field, answer, at_um, expected, again, tries, _why(expected))


@dataclass(slots=True)
class OneStep:
    """(c). Above `retake_um` between where a field was taken and where its focus is, it is taken
    once more, at most MOST_TRIES times in all; what is measured last counts."""

    start_z_um: float
    retake_um: float = RETAKE_UM

    def fields(
        self, walk: Walk, focus_map: FocusMap, eye: Eye, looked: Mapping[int, Seen] = NOTHING
    ) -> Iterator[Looked | Taken]:
        """See Pipeline. Where there is content and no answer, a second frame is asked. A field that
        nothing claims is left while its frame is measured, and so is one that was taken once more:
        what is found on the way counts for the others."""
        z_um = self.start_z_um
        kept: list[Taken] = []
        while (field := walk.next()) is not None:
            expected = focus_map.at(field.x_um, field.y_um)
            to_um, tries, then = _height(expected, z_um), 1, walk.after(field.id)
            likely_blank = not field.content > 0
            reading = look = eye.one_shot(field, to_um, then if likely_blank else None)
            if look.focus_um is None and look.patches:
                reading = look = eye.one_shot(field, to_um)
                tries += 1
            while self._off(look) and tries < MOST_TRIES and look.focus_um is not None:
                tries += 1
                look = eye.one_shot(field, look.focus_um, then)
                reading = look if look.focus_um is not None else reading
            z_um = _add(focus_map, field, reading, z_um)
            answer = walk.visited(field.id, reading.patches, reading.toward)
            blank = answer is Answer.BLANK
            taken = Taken(
                field, answer, None if blank else look.z_um, expected, look, tries, _why(expected)
            )
            kept += [] if blank else [taken]
            yield taken
        yield from self._late(kept, focus_map, eye)

    def _off(self, look: Seen) -> bool:
        return look.focus_um is not None and not abs(look.focus_um - look.z_um) <= self.retake_um

    def _late(self, kept: Sequence[Taken], focus_map: FocusMap, eye: Eye) -> Iterator[Taken]:
        """Fields of which the whole map says now that they were taken too far off: those that were
        not answered, and those that were answered wrongly. The stage stands at their end."""
        late = []
        for taken in reversed(kept):
            expected = focus_map.at(taken.field.x_um, taken.field.y_um)
            assert taken.z_um is not None
            if abs(expected.z_um - taken.z_um) > self.retake_um:  # not where it refuses: NaN
                late.append((taken, expected))
        for (taken, expected), after in zip_longest(late, late[1:]):
            then = None if after is None else after[0].field
            look = eye.one_shot(taken.field, expected.z_um, then)
            _add(focus_map, taken.field, look, expected.z_um)
            yield Taken(
                taken.field, taken.answer, look.z_um, expected, look, taken.tries + 1, late=True
            )


def _add(
    focus_map: FocusMap, field: Field, look: Seen, z_um: float, offset_um: float = 0.0
) -> float:
    """A measured height becomes an anchor; the height to begin the next field at."""
    if look.focus_um is None:
        return z_um
    found_um = look.focus_um + offset_um
    focus_map.add(Anchor(field.x_um, field.y_um, found_um, look.interval_um, look.time_ns))
    return found_um


def _height(expected: Expected, else_um: float) -> float:
    return expected.z_um if expected.interval_um < math.inf else else_um


def _why(expected: Expected) -> Refusal | None:
    return expected.why if isinstance(expected, Unknown) else None
