"""What is counted of the frames of a field: one shot, the near range, and whether looks agree."""

from __future__ import annotations

import pytest

from training.closed_loop_looks import HEAD, Look, agree, line, summary


def look(true_um: float, defocus_um: float | None, interval_um: float = 0.5) -> Look:
    return Look(true_um, defocus_um, None if defocus_um is None else interval_um, "")


def test_first_looks_are_one_shot_and_all_looks_the_near_range() -> None:
    fields = [
        [look(10.0, 10.4), look(-0.4, -1.0)],  # the second is near and its interval misses
        [look(-8.0, 3.0), look(2.0, 2.1)],  # the wrong way round
        [look(5.0, None)],
        [],  # a blank field
    ]
    counted = summary(fields)
    assert (counted["fields"], counted["near"], counted["pairs"]) == (3, 2, 2)
    assert counted["answered"] == pytest.approx(2 / 3)
    assert counted["error_um"] == pytest.approx((0.4 + 11.0) / 2)
    assert (counted["direction"], counted["holds"], counted["holds_near"]) == (0.5, 0.5, 0.5)
    assert counted["agree"] == 0.0


def test_looks_agree_within_both_intervals_wherever_they_were_taken() -> None:
    assert agree(look(20.0, 20.6), look(0.0, 0.0))  # 0.6 apart, 0.71 allowed
    assert not agree(look(20.0, 20.4), look(0.0, -0.4))


def test_nothing_to_count_is_no_share() -> None:
    counted = summary([[look(5.0, None)]])
    assert counted["answered"] == 0.0
    assert counted["error_um"] is counted["direction"] is counted["agree"] is None
    assert len(line("cell dense", counted)) == len(HEAD)
