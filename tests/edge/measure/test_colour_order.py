"""The order of red and blue is settled by evidence over frames, and a wrong one is held."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge.appliance.config.config_file import read_config
from edge.camera import Frame, PixelFormat
from edge.latency import Lap
from edge.measure.colour_order import (
    ASK_AGAIN,
    BEYOND_DOUBT,
    HEAD,
    LEARNT,
    LIMIT,
    MOST_ODDS,
    ColourOrder,
    Order,
    evidence_of,
    learnt_evidence,
    swapped,
)
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Sparsity
from edge.measure.preprocess import CpuPreprocessor
from edge.measure.sensor import CpuMeasurer, Measurement, measure_in_full
from edge.rig import sensor_of
from simulator.simulate_verb import NOMINAL

PATCHES = np.random.default_rng(0).integers(0, 256, (6, 224, 224, 3)).astype(np.uint8)


def answers(defocus: float, spread: float, novelty: float = 1.0) -> dict[str, np.ndarray]:
    values = {"defocus_um": defocus, "spread_um": spread, "novelty": novelty}
    return {name: np.full(6, value, np.float32) for name, value in values.items()}


def measured(defocus: float = 5.0, spread: float = 0.5, novelty: float = 1.0, cell: int = 0):
    response = answers(defocus, spread, novelty)
    cells = tuple((cell, n) for n in range(6))
    one = np.ones(6, np.float32)
    return PatchDefocus(
        response["defocus_um"], response["spread_um"], one, cells, Sparsity.SPARSE, True, None,
        response["novelty"],
    )  # fmt: skip


class Network:
    """Answers by what it is shown: red and blue as in PATCHES, exchanged, or green alone."""

    def __init__(self, exchanged: dict[str, np.ndarray], green: dict[str, np.ndarray]) -> None:
        self.exchanged, self.green, self.asked = exchanged, green, 0

    def __call__(self, patches: np.ndarray) -> dict[str, np.ndarray]:
        self.asked += 1
        if np.array_equal(patches, PATCHES[..., ::-1]):
            return self.exchanged
        assert np.array_equal(patches, np.repeat(PATCHES[..., 1:2], 3, axis=3))
        return self.green


RIGHT = Network(answers(-6.0, 1.5, 1.6), answers(5.2, 0.6))  # exchanged: vague, strange, far off
WRONG = Network(answers(5.1, 0.3, 0.7), answers(5.2, 0.6))


def test_evidence_is_the_opposite_with_the_channels_exchanged():
    given, other, green = answers(5, 0.5, 1.0), answers(-4, 0.8, 1.3), answers(4.6, 0.7)
    forth = evidence_of(measured(5, 0.5, 1.0), 6, other, green)
    back = evidence_of(measured(-4, 0.8, 1.3), 6, given, green)
    assert forth == pytest.approx(-back)
    assert forth > 2


@pytest.mark.parametrize(("network", "says"), [(RIGHT, Order.RIGHT), (WRONG, Order.SWAPPED)])
def test_frames_settle_it_together(network, says):
    order, looks = ColourOrder(network), 0
    while order.order is Order.UNKNOWN:
        new = measured(5.0 if says is Order.RIGHT else -5.0, cell=looks)
        assert order.due(new)
        order.look(PATCHES, new)
        looks += 1
        assert looks < 6
    assert order.order is says
    alarm = swapped(order)
    assert (alarm is not None and alarm.alarm and alarm.score >= 1) == (says is Order.SWAPPED)
    assert alarm is None or not alarm.hold  # four right frames were once taken for exchanged ones


def test_a_network_that_has_learnt_the_order_is_asked_both_ways():
    shown = []

    def network(patches):
        shown.append(patches.copy())
        given = np.array_equal(patches, PATCHES[: len(patches)])
        return {**answers(5.0, 0.5), LEARNT: np.full(6, 1.2 if given else -0.6, np.float32)}

    order = ColourOrder(network)
    assert order.look(PATCHES, measured()) == pytest.approx(HEAD * 0.9)
    assert len(shown) == 2  # green alone is not asked for
    order = ColourOrder(lambda patches: network(patches[..., ::-1]))
    assert order.look(PATCHES, measured()) == pytest.approx(-HEAD * 0.9)
    assert swapped(order) is not None
    lone = measured()
    assert order.look(PATCHES[:1], lone) == pytest.approx(-HEAD * 0.9 / 6)


@pytest.mark.parametrize("learnt", [True, False])
def test_beyond_doubt_it_holds_where_the_network_has_learnt_the_order(learnt):
    says = {**answers(5.1, 0.3, 0.7), LEARNT: np.full(6, -6.0, np.float32)}

    def network(patches):
        given = np.array_equal(patches, PATCHES)
        return {**says, LEARNT: np.full(6, -6.0 if given else 6.0, np.float32)}

    order = ColourOrder(network if learnt else WRONG)
    for cell in range(1 if learnt else 4):
        order.look(PATCHES, measured(-5.0, cell=cell))
    assert order.order is Order.SWAPPED
    alarm = swapped(order)
    assert alarm is not None
    assert (alarm.alarm, alarm.hold) == (True, learnt)
    order.holds = False
    alarm = swapped(order)
    assert alarm is not None
    assert (alarm.alarm, alarm.hold) == (True, False)


@pytest.mark.parametrize(
    ("odds", "known", "suspected"),
    [
        (np.full(6, -0.1, np.float32), 0.0, True),
        (np.full(6, 0.1, np.float32), 0.0, False),
        (np.array([90, -2, -2, -2, -2, -2], np.float32), 0.0, True),  # one does not outvote five
        (np.full(6, -5.0, np.float32), 2 * BEYOND_DOUBT, False),  # known to be right
        (np.empty(0, np.float32), 0.0, False),
        (None, 0.0, False),
    ],
)
def test_what_is_looked_at_before_the_move(odds, known, suspected):
    order = ColourOrder(RIGHT)
    order._sum = known
    assert order.suspects(replace(measured(), colour_order=odds)) is suspected


def test_one_patch_does_not_outvote_the_others():
    given = np.array([90.0, -1, -1, -1, -1, -1], np.float32)
    evidence = learnt_evidence(given, -given)
    assert evidence == pytest.approx(HEAD * (MOST_ODDS - 5) / 6)
    assert learnt_evidence(given * np.nan, given) == 0.0


@pytest.mark.parametrize(("before", "rings"), [(0.0, True), (2 * BEYOND_DOUBT, False)])
def test_one_frame_is_enough_where_no_other_spoke(before, rings):
    """Of a camera whose order many frames showed to be right, it is a false alarm."""
    order = ColourOrder(WRONG)
    order._sum = before
    assert order.look(PATCHES, measured(-5.0)) <= -LIMIT
    assert (swapped(order) is not None) == rings
    assert rings or order.due(measured(4.0, cell=1))  # and asked for again at once


@pytest.mark.parametrize(("evidence", "rings"), [(-LIMIT, True), (-LIMIT + 0.01, False)])
def test_from_where_it_rings(evidence, rings):
    order = ColourOrder(RIGHT)
    order._sum = evidence
    alarm = swapped(order)
    assert (alarm is not None) == rings
    assert not rings or (alarm.alarm, alarm.hold, alarm.score) == (True, False, 1.0)


def test_a_camera_whose_colours_are_exchanged_meanwhile_is_found_out():
    order = ColourOrder(RIGHT)
    for n in range(8):
        order.look(PATCHES, measured(cell=n))
    order._network, frames = WRONG, 0
    while swapped(order) is None:
        frames += 1
        new = measured(-5.0, cell=100 + frames)
        if order.due(new):
            order.look(PATCHES, new)
    assert frames <= ASK_AGAIN + 6


def test_the_same_picture_again_is_no_new_evidence():
    order = ColourOrder(Network(answers(4.0, 0.6), answers(5.2, 0.6)))
    order.look(PATCHES, measured())
    assert order.order is Order.UNKNOWN
    assert not order.due(measured(5.3))
    assert order.due(measured(5.6))
    assert order.due(measured(cell=4))


def test_once_it_is_known_it_is_asked_for_now_and_then():
    order = ColourOrder(RIGHT)
    n = 0
    while order.order is not Order.RIGHT:
        order.look(PATCHES, measured(cell=n))
        n += 1
    asked = [order.due(measured(cell=100 + n)) for n in range(ASK_AGAIN)]
    assert asked == [False] * (ASK_AGAIN - 1) + [True]


def test_a_camera_that_was_mended_is_believed_again():
    order = ColourOrder(WRONG)
    for n in range(100):
        order.look(PATCHES, measured(-5.0, cell=n))
    assert order.order is Order.SWAPPED
    order._network = RIGHT
    looks = 0
    while order.order is not Order.RIGHT:
        order.look(PATCHES, measured(cell=looks))
        looks += 1
    assert looks <= 1 + 3 * BEYOND_DOUBT / 2


def test_what_says_nothing():
    order = ColourOrder(RIGHT)
    grey = np.repeat(PATCHES[..., 1:2], 3, axis=3)
    asked = RIGHT.asked
    assert order.look(grey, measured()) == 0.0
    assert RIGHT.asked == asked
    nothing = answers(np.nan, np.nan)
    assert evidence_of(measured(), 6, nothing, answers(5, 1)) == 0.0
    none = measured()
    blank = PatchDefocus(*[none.defocus_um[:0]] * 3, (), Sparsity.BLANK, True)
    assert not order.due(blank)


def test_an_exchanged_frame_moves_nothing(simulated_sensor):
    """Held by the first look: what the second one says comes after the move."""
    sensor, frames = simulated_sensor
    for exchanged in (False, True):
        sensor.order._sum, held, read = 0.0, 0, 0
        for frame in frames(exchanged=exchanged):
            sensor.order._sum = 0.0  # each the first of a session
            measurement = sensor.measure(frame, Lap())
            shift = measurement.shift
            held += shift is not None and shift.feature == "colour order" and shift.hold
            read += 1
        assert held == (read if exchanged else 0)


@pytest.mark.parametrize("hold", [True, False])
def test_a_person_who_knows_the_camera_may_say_that_it_does_not_hold(hold):
    config = read_config(NOMINAL)
    loop = replace(config.loop, hold_outside_training=hold)
    sensor, nets = sensor_of(replace(config, loop=loop))
    for net in nets:
        net.close()
    assert sensor.order.holds is hold


def test_frames_of_exchanged_colours_ring_the_alarm(simulated_sensor):
    """The shipped networks on a simulated slide: as it is it is silent, exchanged it rings."""
    sensor, frames = simulated_sensor
    sensor.order._sum = 0.0
    for frame in frames(exchanged=False):
        measurement = measure_in_full(sensor, frame, Lap())
        assert measurement.shift is None or measurement.shift.feature != "colour order"
    assert sensor.order.order is not Order.SWAPPED
    rung = 0
    sensor.order._sum = 0.0
    for frame in frames(exchanged=True):
        measurement = measure_in_full(sensor, frame, Lap())
        rung += measurement.shift is not None and measurement.shift.alarm
    assert sensor.order.order is Order.SWAPPED
    assert rung >= 2


class Witness(ColourOrder):
    """Keeps what it is shown."""

    def due(self, measured):
        return True

    def look(self, patches, measured):
        self.shown = patches.copy()
        return 0.0


@pytest.mark.parametrize("pixels", [1.0, 0.8])
def test_the_second_look_is_at_the_patches_that_were_measured(pixels):
    """Also where the frame is resampled: the frame's own pixels show another part of it."""
    picture = np.random.default_rng(4).integers(0, 256, (2600, 2600, 3), np.uint8)
    frame, cells = Frame(picture, PixelFormat.RGB8, 0, 0, 0), ((4, 4), (2, 6))
    preprocess, order = CpuPreprocessor(1, pixels=pixels), Witness(lambda patches: None)
    measured = preprocess.gather(preprocess(frame), cells).copy()
    nothing = np.zeros(2, np.float32)
    patches = PatchDefocus(nothing, nothing, nothing, cells, Sparsity.SPARSE, True)
    sensor = CpuMeasurer(preprocess, None, None, None, order=order)
    sensor.second_look(frame, Measurement(None, patches, None))
    np.testing.assert_array_equal(order.shown, measured)
