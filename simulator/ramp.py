"""How an axis with inertia moves: evenly accelerated pieces, one after another."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """From `begin_s` on: position, speed then, and an even acceleration."""

    begin_s: float
    at_um: float
    speed_um_s: float
    acceleration_um_s2: float


@dataclass(frozen=True, slots=True)
class Ramp:
    """Pieces in the order of time; the last one rests."""

    pieces: tuple[Piece, ...]

    def at(self, seconds: float) -> tuple[float, float]:
        """(position um, speed um/s) at a time; before the first piece it rests."""
        piece = self.pieces[0]
        if seconds <= piece.begin_s:
            return piece.at_um, 0.0
        for later in self.pieces[1:]:
            if later.begin_s > seconds:
                break
            piece = later
        t = seconds - piece.begin_s
        speed = piece.speed_um_s + piece.acceleration_um_s2 * t
        return piece.at_um + piece.speed_um_s * t + piece.acceleration_um_s2 * t * t / 2, speed

    @property
    def end_s(self) -> float:
        """From when on it rests."""
        return self.pieces[-1].begin_s

    @property
    def target_um(self) -> float:
        """Where it comes to rest."""
        return self.pieces[-1].at_um


def resting(at_um: float, since_s: float = 0.0) -> Ramp:
    """No motion."""
    return Ramp((Piece(since_s, at_um, 0.0, 0.0),))


def moving(
    start_um: float, target_um: float, begin_s: float, speed_um_s: float, acceleration_um_s2: float
) -> Ramp:
    """From rest to rest; short ways do not reach the speed."""
    travel_um, sign = abs(target_um - start_um), math.copysign(1.0, target_um - start_um)
    top = min(speed_um_s, math.sqrt(travel_um * acceleration_um_s2))
    if not top > 0:
        return resting(target_um, begin_s)
    ramp_s = top / acceleration_um_s2
    ramp_um = top * ramp_s / 2
    cruise_s = max(0.0, travel_um - 2 * ramp_um) / top
    a = sign * acceleration_um_s2
    braking_s = begin_s + ramp_s + cruise_s
    return Ramp(
        (
            Piece(begin_s, start_um, 0.0, a),
            Piece(begin_s + ramp_s, start_um + sign * ramp_um, sign * top, 0.0),
            Piece(braking_s, target_um - sign * ramp_um, sign * top, -a),
            Piece(braking_s + ramp_s, target_um, 0.0, 0.0),
        )
    )


def stopping(ramp: Ramp, now_s: float, acceleration_um_s2: float) -> Ramp:
    """Brakes from whatever it does now."""
    at_um, speed = ramp.at(now_s)
    brake_s = abs(speed) / acceleration_um_s2
    a = -math.copysign(acceleration_um_s2, speed)
    rest = Piece(now_s + brake_s, at_um + speed * brake_s / 2, 0.0, 0.0)
    return Ramp((Piece(now_s, at_um, speed, a), rest)) if speed else resting(at_um, now_s)
