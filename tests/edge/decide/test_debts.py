"""What is owed stands at its place and for its time; what rests on blindness, until it is seen."""

from types import SimpleNamespace

import pytest

from edge.decide.debts import OWED_NS, PATIENCE, PLACE_UM, Debts, Owed, place_um

MOVE, BACK = SimpleNamespace(target_um=12.0), SimpleNamespace(target_um=0.0)


def owing(blind=None):
    debts = Debts()
    debts.owe(Owed(BACK, 12.0, 1000, blind))
    return debts


def due(debts, z_um=12.0, now_ns=1000, readable=False):
    return debts.due(z_um, 1.0, now_ns, readable)


def rolled_back(blind=None):
    debts = owing(blind)
    debts.paid(0.0)
    return debts


def test_a_place_is_as_wide_as_the_stage_is_exact():
    assert place_um(0.05, 0.0) == PLACE_UM
    assert place_um(0.05, 0.2) == PLACE_UM + 0.2
    assert place_um(3.0, 0.2) == pytest.approx(6.2)


def test_nothing_is_owed_at_first():
    debts = Debts()
    assert due(debts) is None
    assert not debts.forbids_large()
    assert debts.blind_there_only
    assert debts.released(MOVE) is MOVE
    debts.blind_here_too()
    debts.in_focus()
    debts.paid(3.0)
    assert not debts.forbids_large()


def test_it_stands_until_it_is_sent():
    debts = owing()
    assert due(debts) is BACK
    assert due(debts, readable=True) is BACK  # a reading was the reason
    debts.paid(0.0)
    assert due(debts) is None
    assert debts.forbids_large()


@pytest.mark.parametrize(
    ("z_um", "stands"), [(13.0, True), (11.0, True), (13.01, False), (10.9, False)]
)
def test_it_stands_at_its_place_only(z_um, stands):
    debts = owing()
    assert due(debts, z_um) is (BACK if stands else None)
    assert due(debts) is (BACK if stands else None)  # void once is void


@pytest.mark.parametrize(("late_ns", "stands"), [(10_000_000_000, True), (10_000_000_001, False)])
def test_it_stands_for_its_time_only(late_ns, stands):
    assert due(owing(), now_ns=1000 + late_ns) is (BACK if stands else None)


def test_what_rests_on_blindness_is_void_when_there_is_something_to_see():
    debts = owing(blind=MOVE)
    assert due(debts) is BACK
    assert due(debts, readable=True) is None
    assert debts.released(None) is MOVE  # it is judged after all
    assert debts.released(None) is None
    assert due(debts) is None


def test_a_blind_one_that_grew_old_where_it_was_owed_is_judged_after_all():
    """It could not be sent for so long: the glass is still where the large move led."""
    debts = owing(blind=MOVE)
    assert due(debts, now_ns=1001 + 10_000_000_000) is None
    assert debts.released(None) is MOVE


def test_a_blind_one_elsewhere_releases_nothing():
    debts = owing(blind=MOVE)
    assert due(debts, z_um=20.0, readable=True) is None
    assert debts.released(None) is None


def test_another_move_pays_nothing_and_ends_what_was_owed():
    debts = owing()
    debts.paid(5.0)
    assert due(debts) is None
    assert not debts.forbids_large()


def test_a_readable_roll_back_forbids_for_the_field():
    debts = rolled_back()
    debts.in_focus()
    debts.blind_here_too()
    assert all(debts.forbids_large() for _ in range(3 * PATIENCE))


@pytest.mark.parametrize("void", ["in_focus", "blind_here_too"])
def test_a_blind_one_forbids_until_something_else_explains_it(void):
    debts = rolled_back(blind=MOVE)
    assert debts.forbids_large()
    getattr(debts, void)()
    assert not debts.forbids_large()
    assert debts.blind_there_only is (void == "in_focus")


def test_a_blind_one_is_tried_again_after_some_patience():
    debts = rolled_back(blind=MOVE)
    assert [debts.forbids_large() for _ in range(PATIENCE + 2)] == [True] * PATIENCE + [False] * 2


def test_the_next_roll_back_begins_anew():
    debts = rolled_back(blind=MOVE)
    debts.blind_here_too()
    debts.forbids_large()
    debts.owe(Owed(BACK, 12.0, 1000, MOVE))
    debts.paid(0.0)
    assert debts.blind_there_only
    assert [debts.forbids_large() for _ in range(PATIENCE + 1)] == [True] * PATIENCE + [False]


def test_a_move_after_a_roll_back_takes_the_ban_with_it():
    debts = rolled_back()
    debts.paid(3.0)
    assert debts.forbids_large()


def test_the_numbers_themselves():
    assert (OWED_NS, PLACE_UM, PATIENCE) == (10_000_000_000, 1.0, 20)
