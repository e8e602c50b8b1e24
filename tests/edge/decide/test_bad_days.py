"""What a bad day does to the loop: frames that show nothing, play, hands, slips, drift, noise.

A sound stage is never shut down for any of it, and focus is found again when it is over; a stage
that is wired the wrong way round is shut down within two moves of the glass that light falls on.
"""

import pytest

from edge.decide.controller import ControllerSettings
from edge.decide.decision import Decision
from edge.loop import focus_field, step
from edge.state import State
from tests.support.rough_microscope import FRAMES, Day, any_day, rough

SETTINGS = ControllerSettings(focus_direction=1, deadband_um=0.30, sharp_um=0.60)  # 20x/0.75


@pytest.fixture
def build():
    def build(day, focus_um, **more):
        return rough(day, SETTINGS, focus_um, **more)

    return build


def run(rig, frames):
    outcomes = []
    while len(outcomes) < frames and rig.state.value is not State.SHUTDOWN:
        outcomes.append(step(rig))
    return outcomes


@pytest.mark.parametrize("dark", [1, 2, 3, 7, 20, 27, 60])
@pytest.mark.parametrize("start", [15.0, 3.0])
def test_dark_frames_after_the_first_move(build, dark, start):
    """The first one whose sign nothing has confirmed yet."""
    rig, eye, stage = build(Day(dark=set(range(1, 1 + dark))), start)
    outcomes = run(rig, dark + 40)
    assert rig.controller.strikes == 0
    assert outcomes[-1].decision is Decision.IN_FOCUS
    assert eye.error_um < 1.0
    assert len(stage.moves) <= (1 if dark < 24 else 3)


@pytest.mark.parametrize("dark", [1, 4, 5, 6, 7, 20, 60])
def test_dark_frames_after_a_large_move_of_a_stage_that_is_known(build, dark):
    day = Day()
    rig, eye, _ = build(day, 8.0)
    run(rig, 3)
    assert rig.controller.sign_confirmed
    eye.focus_um += 12.0
    day.dark = set(range(eye.frames + 1, eye.frames + 1 + dark))
    outcomes = run(rig, dark + 60)
    assert rig.controller.strikes == 0
    assert outcomes[-1].decision is Decision.IN_FOCUS
    assert eye.error_um < 1.0


@pytest.mark.parametrize("dark", [1, 3])
def test_a_field_is_not_given_up_for_a_dark_frame_after_a_move(build, dark):
    for start in (12.0, 2.0):
        rig, eye, _ = build(Day(dark=set(range(1, 1 + dark))), start)
        assert focus_field(rig)[-1].decision is Decision.IN_FOCUS
        assert eye.error_um < 1.0


def test_a_field_where_nothing_is_seen_any_more_ends(build):
    rig, _, stage = build(Day(dark=set(range(1, 10_000))), 12.0)
    outcomes = focus_field(rig)
    assert [o.decision for o in outcomes] == [Decision.VERIFY, Decision.MOVE, Decision.HOLD]
    assert stage.moves[-1] == 0.0
    assert rig.controller.strikes == 0


def test_a_hand_makes_a_roll_back_void(build):
    """Looked at for long, nothing seen, and meanwhile somebody turned the knob."""
    day = Day(dark=set(range(1, 60)), knobs={10: -9.0})
    rig, eye, _ = build(day, 12.0)
    outcomes = run(rig, 90)
    assert not [o for o in outcomes if "roll-back" in o.reason]
    assert outcomes[-1].decision is Decision.IN_FOCUS
    assert eye.error_um < 1.0


@pytest.mark.parametrize(
    ("play_um", "approach_um", "seed"),
    [(1.5, 2.0, 5), (3.0, 2.0, 5), (4.0, 2.0, 5), (8.0, 2.0, 0), (8.0, 0.0, 1), (11.0, 0.0, 2)],
)
def test_play_is_taken_up_over_eight_thousand_frames(build, play_um, approach_um, seed):
    """Focus drifts by 3 um either way and back: every reversal loses motion."""
    day = Day(noise_um=0.07)
    rig, eye, _ = build(
        day, 7.0, play_um=play_um, approach_um=approach_um, seed=seed, nut_um=0.3 * play_um
    )
    worst = 0.0
    for n in range(8000):
        day.drift_um = 3.0 / 1000 * (1 if n // 1000 in (0, 3, 4, 7) else -1)
        outcome = step(rig)
        assert outcome.decision is not Decision.SHUTDOWN, (n, outcome.reason)
        if n > 20:
            worst = max(worst, eye.error_um)
    assert worst < 1.2
    assert outcome.decision in (Decision.IN_FOCUS, Decision.MOVE)


def test_more_than_any_play_is_held_and_called_play(build):
    rig, eye, stage = build(Day(noise_um=0.03), 6.0, play_um=0.5)
    run(rig, 10)
    stage.play_um = stage.nut_um = 40.0  # from here on the nut turns without end
    eye.focus_um -= 1.0
    outcomes = run(rig, 200)
    assert outcomes[-1].decision is Decision.HOLD
    assert outcomes[-1].reason.startswith("play: ")
    assert "after a reversal moved nothing" in outcomes[-1].reason
    assert min(stage.moves) > 6.0 - 14.0
    eye.focus_um += 1.0 + 3.0  # the other way is open
    assert run(rig, 3)[-1].decision is Decision.MOVE
    assert run(rig, 60)[-1].decision is Decision.IN_FOCUS


def test_a_glass_that_follows_in_neither_direction_is_shut_down(build):
    rig, eye, stage = build(Day(noise_um=0.03), 6.0)
    run(rig, 10)
    stage.sign = 0
    eye.focus_um -= 1.0
    assert run(rig, 100)[-1].decision is Decision.HOLD
    eye.focus_um += 2.0
    last = run(rig, 100)[-1]
    assert last.decision is Decision.SHUTDOWN
    assert last.reason.startswith("the glass follows in neither direction: 1")


def test_a_coupling_that_came_loose_is_shut_down(build):
    """Where the glass was seen to follow, it has to: no play explains it."""
    rig, eye, stage = build(Day(), 6.0)
    run(rig, 10)
    stage.sign = 0
    eye.focus_um += 4.0
    outcomes = run(rig, 40)
    assert outcomes[-1].decision is Decision.SHUTDOWN
    assert "did not do what was predicted (too little change)" in outcomes[-1].reason


@pytest.mark.parametrize("gain", [0.7, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("start", [-15.0, -1.0, 0.8, 2.5, 9.0])
def test_a_reading_that_exaggerates_near_focus_is_damped(build, gain, start):
    rig, eye, stage = build(Day(gain=gain, noise_um=0.03), start)
    outcomes = focus_field(rig)
    assert outcomes[-1].decision is Decision.IN_FOCUS, outcomes[-1].reason
    assert eye.error_um <= 0.45
    assert len(stage.moves) <= 4


def test_readings_that_disagree_with_each_other_end_in_focus_where_they_do(build):
    """Each look is off by up to 1.2 um, far more than its interval says."""
    for seed in range(30):
        rig, eye, _ = build(Day(noise_um=0.7), 9.0, seed=seed)
        outcomes = focus_field(rig)
        assert outcomes[-1].decision is Decision.IN_FOCUS, (seed, outcomes[-1].reason)
        assert eye.error_um < 2.5
        assert rig.state.value is not State.SHUTDOWN


@pytest.mark.parametrize("seed", range(60))
def test_no_bad_day_shuts_a_sound_stage_down(build, seed):
    day, play_um, approach_um, nut_um, focus_um = any_day(seed)
    rig, eye, _ = build(
        day, focus_um, play_um=play_um, approach_um=approach_um, nut_um=nut_um, seed=seed
    )
    outcomes = run(rig, FRAMES)
    assert rig.state.value is not State.SHUTDOWN, outcomes[-1].reason
    assert outcomes[-1].decision in (Decision.IN_FOCUS, Decision.MOVE), outcomes[-1].reason
    assert eye.error_um < 1.2


@pytest.mark.parametrize("seed", range(40))
def test_every_bad_day_finds_an_inverted_stage(build, seed):
    """Without hands: they can undo what a move did. Moves in the play move no glass."""
    day, play_um, approach_um, nut_um, focus_um = any_day(
        seed, ("dark", "dim", "drift", "gain", "play")
    )
    rig, eye, stage = build(
        day, focus_um, sign=-1, play_um=play_um, approach_um=approach_um, nut_um=nut_um, seed=seed
    )
    begin_um = eye.error_um
    run(rig, FRAMES)
    moved = [m for m in stage.moves if m]
    if not play_um and not day.dark:
        assert len(stage.moves) <= 2
    assert not moved or rig.state.value is State.SHUTDOWN
    assert eye.error_um <= 4 * begin_um + 2 * play_um + 1
