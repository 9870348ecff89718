"""Where an object goes that turns round at the border: every course through a clip, and how probable it is.

An object moves to and fro along one axis between two places, the ends. A leg is the way from one end to the other, at
one speed. A clip is a window of a video without beginning and end, so every phase of every leg is as frequent as the
time that is spent in it. Ends are reached in the first frames of latents alone (every fourth frame), so between two
latent frames nothing turns round.

Symbols: L pixels from end to end, speed v in pixels a frame, n_v = L / (4 v) latent frames of a leg, w_v its share of
the legs. A leg at speed v, in one of two directions and n_v phases, has probability w_v / (2 sum_u w_u n_u) at each
phase where speeds are drawn at every turn, and w_v / (2 n_v) where a clip keeps its speed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from salt.config.world import World
from salt.errors import SaltError

KEY = 4
"""Frames from one latent frame to the next."""


@dataclass(frozen=True)
class Course:
    """To and fro between `low` and `high`, the coordinates of an object's centre."""

    low: int
    high: int
    place: int
    """In frame 0."""
    heading: int
    """1 or -1, after frame 0."""
    speeds: tuple[int, ...]
    """Pixels a frame: of the leg that frame 0 is on, then of those after each turn; the last one is kept."""

    def places(self, frames: int) -> NDArray[np.int64]:
        """The coordinate in each frame, `(frames,)`."""
        found, heading, leg = [self.place], self.heading, 0
        for _ in range(frames - 1):
            found.append(found[-1] + heading * self.speeds[leg])
            if found[-1] in (self.low, self.high):
                heading, leg = -heading, min(leg + 1, len(self.speeds) - 1)
        return np.array(found, dtype=np.int64)


class Likely(NamedTuple):
    """A course and its probability."""

    course: Course
    probability: float


@lru_cache(maxsize=64)
def courses(world: World, low: int, high: int, frames: int) -> tuple[Likely, ...]:
    """Every course through `frames` frames between two ends; probabilities add up to 1.

    Raises:
        SaltError: ends that some speed does not reach in the first frame of a latent.
    """
    length = high - low
    odd = [speed for speed in world.speeds if length <= 0 or length % (KEY * speed)]
    if odd:
        raise SaltError(
            f"scale.world: size={world.size}: {length} pixels from border to border for an object at {odd[0]} pixels a "
            f"frame; accepted: a multiple of {KEY * odd[0]} pixels"
        )
    shares = dict(zip(world.speeds, world.speed_shares, strict=True))
    phases: dict[int, int] = {speed: length // (KEY * speed) for speed in world.speeds}
    mean = sum(share * phases[speed] for speed, share in shares.items())
    found: list[Likely] = []
    for speed, share in shares.items():
        phase_share = share / (2 * (mean if world.turn == "choose" else phases[speed]))
        for heading, begin in ((1, low), (-1, high)):
            for phase in range(phases[speed]):
                place, left = begin + heading * phase * KEY * speed, (phases[speed] - phase) * KEY
                for speeds, probability in _after(world, phases, speed, frames - 1 - left):
                    found.append(Likely(Course(low, high, place, heading, speeds), phase_share * probability))
    return tuple(found)


def _after(world: World, phases: Mapping[int, int], speed: int, frames: int) -> Iterator[tuple[tuple[int, ...], float]]:
    """The speeds of a leg and of those after it, with `frames` frames to go when it ends, and their probability."""
    if frames <= 0 or world.turn == "keep":
        yield (speed,), 1.0
        return
    for following, share in zip(world.speeds, world.speed_shares, strict=True):
        for speeds, probability in _after(world, phases, following, frames - phases[following] * KEY):
            yield (speed, *speeds), share * probability
