"""Positions as useq-schema writes and reads them."""

from __future__ import annotations

import importlib.util

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ConfigError
from edge.wsi.path import Field
from edge.wsi.useq_positions import Position, positions_of, read_positions, write_positions

#: what useq-schema 0.9.0 wrote for Position(x=1, y=2, z=3, name="a"), (4, 5, 6), {"x": 1.5, "y": 2}
USEQ = (
    '{"stage_positions":[{"x":1.0,"y":2.0,"z":3.0,"name":"a"},{"x":4.0,"y":5.0,"z":6.0},'
    '{"x":1.5,"y":2.0}]}'
)
#: and with all of its defaults
USEQ_WHOLE = (
    '{"metadata":{},"axis_order":["t","p","g","c","z"],"stage_positions":['
    '{"x":1.0,"y":2.0,"z":3.0,"name":"a","sequence":null},'
    '{"x":4.0,"y":5.0,"z":6.0,"name":null,"sequence":null},'
    '{"x":1.5,"y":2.0,"z":null,"name":null,"sequence":null}],"grid_plan":null,"channels":[],'
    '"time_plan":null,"z_plan":null,"autofocus_plan":null,"setup":null,'
    '"keep_shutter_open_across":[]}'
)
OURS = [Position(1, 2, 3, "a"), Position(4, 5, 6), Position(1.5, 2)]
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("text", [USEQ, USEQ_WHOLE, USEQ.encode()])
def test_what_useq_wrote_is_read(text: str | bytes) -> None:
    assert read_positions(text) == OURS


def test_we_write_what_useq_writes() -> None:
    assert write_positions(OURS) == USEQ


def test_positions_may_be_rows_of_numbers() -> None:
    assert read_positions('{"stage_positions":[[1,2],[3,4,5]]}') == [
        Position(1, 2),
        Position(3, 4, 5),
    ]


def test_a_plan_names_its_fields() -> None:
    assert positions_of([Field(7, 0, 0, 1.0, 2.0, 0.5)]) == [Position(1.0, 2.0, None, "field 7")]


@given(st.builds(Position, NUMBERS, NUMBERS, st.none() | NUMBERS, st.sampled_from([None, "", "ä"])))
@settings(max_examples=50)
def test_any_positions_come_back(position: Position) -> None:
    assert read_positions(write_positions([position])) == [position]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "an object"),
        ("{}", "at least one"),
        ('{"stage_positions":[]}', "at least one"),
        ('{"stage_positions":"ab"}', "must be a list"),
        ('{"stage_positions":{"plate":96}}', "well plate"),
        ('{"stage_positions":[[1,2]],"grid_plan":{"rows":2}}', "grid_plan"),
        ('{"stage_positions":[{"x":1,"y":2,"sequence":{"grid_plan":{}}}]}', "sequence of its own"),
        ('{"stage_positions":[{"x":1}]}', r"\[0\].y = None"),
        ('{"stage_positions":[[1,2],{"x":"1","y":2}]}', r"\[1\].x = '1'"),
        ('{"stage_positions":[{"x":NaN,"y":2}]}', "must be a number"),
        ('{"stage_positions":[{"x":1,"y":true}]}', "must be a number"),
        ('{"stage_positions":[{"x":1,"y":1' + "0" * 400 + "}]}", "must be a number"),
        ('{"stage_positions":[{"x":1,"y":2,"X":3}]}', "X is not known"),
        ('{"stage_positions":[{"x":1,"y":2,"name":3}]}', "name must be"),
        ('{"stage_positions":[5]}', "must be an object"),
        ('{"stage_positions":[[1,2,3,4]]}', "must be an object"),
    ],
)
def test_what_is_not_a_list_of_places_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        read_positions(text)
    assert len(str(error.value).splitlines()) == 1


if importlib.util.find_spec("useq"):  # the extra `oracle-useq`: nothing of ours installs it

    def test_useq_reads_what_we_write_and_we_read_what_it_writes() -> None:
        import useq

        sequence = useq.MDASequence.model_validate_json(write_positions(OURS))
        assert [(p.x, p.y, p.z, p.name) for p in sequence.stage_positions] == [
            (p.x_um, p.y_um, p.z_um, p.name) for p in OURS
        ]
        assert sequence.model_dump_json(exclude_unset=True) == USEQ
        assert sequence.model_dump_json() == USEQ_WHOLE
        assert [(e.x_pos, e.y_pos) for e in sequence] == [(p.x_um, p.y_um) for p in OURS]
