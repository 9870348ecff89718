"""How the objects of a video move: tracks of fitted centres, their distance and evenness.

Symbols: N frames, K objects (the commonest number in the video), tracks `(N, K, 2)` in pixels, x to the right, y down,
NaN in frames without exactly K objects. Everything in the world moves at one of its speeds, constantly; or, where
objects turn round at the border, constantly from turn to turn, along one axis.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from salt.config.world import World
from salt.data.world import AXES, LATTICE, RADIUS, SPEEDS, STEPS
from salt.evaluation.groundtruth.synthesis import SPRITES, Fit

Float64Array = NDArray[np.float64]

LEAST_SHARE = 3 / 8
"""Share of the slowest clip's distance that counts as moving: 3 pixels in 9 frames."""
WINDOW = 4
"""Frames over which the pace of an object that turns round is measured."""
AT_BORDER = 1
"""Pixels from its outermost place within which an object may turn round."""


def least_travel(frames: int) -> float:
    """The distance, in pixels, from which on a clip counts as moving."""
    return LEAST_SHARE * (frames - 1) * min(SPEEDS)


def tracks(fit: Fit) -> Float64Array:
    """Centres of the objects over time, `(N, K, 2)`; K = 0 if no frame has an object.

    Two objects are tracked by nearness, not by appearance, so a track continues when an object changes its shape.
    """
    if not fit.count.any():
        return np.empty((len(fit.count), 0, 2))
    number = int(np.bincount(fit.count, minlength=SPRITES + 1)[1:].argmax()) + 1
    paths = fit.centre[:, :number].astype(np.float64)
    paths[fit.count != number] = np.nan
    last = None
    for centres in paths:
        if np.isnan(centres).any():
            continue
        if last is not None and np.abs(centres[::-1] - last).sum() < np.abs(centres - last).sum():
            centres[:] = centres[::-1].copy()
        last = centres
    return paths


@dataclass(frozen=True, eq=False)
class Motion:
    """The motion of one video."""

    paths: Float64Array
    """Of `tracks`."""
    world: World

    @property
    def _turns(self) -> bool:
        return self.world.turn != "none"

    def travel(self) -> Float64Array:
        """How far each object comes along each axis, `(K, 2)` in pixels.

        Net displacement over the clip, the slope of the best line through its track; of objects that turn round, the
        median pace over any few frames times the length of the clip, without sign. A single wrong frame changes either
        little. 0 if the object is absent from more than half of the frames.
        """
        paths = self.paths
        there = ~np.isnan(paths).any(axis=(1, 2))
        if not paths.shape[1] or 2 * there.sum() < max(len(paths), 4):
            return np.zeros(paths.shape[1:])
        if self._turns:
            if len(paths) < WINDOW:
                return np.zeros(paths.shape[1:])
            steps = np.abs(paths[WINDOW - 1 :] - paths[: 1 - WINDOW])
            pace: Float64Array = np.nanmedian(steps, axis=0) / (WINDOW - 1)
            return np.nan_to_num(pace) * (len(paths) - 1)
        time = np.flatnonzero(there).astype(np.float64)
        time -= time.mean()
        slope = np.tensordot(time, paths[there], axes=1) / (time**2).sum()
        return slope * (len(paths) - 1)

    def moves(self) -> bool:
        """Whether some object moves at least `least_travel`."""
        return bool((np.linalg.norm(self.travel(), axis=1) >= least_travel(len(self.paths))).any())

    def goes(self, direction: str) -> bool:
        """Whether every object moves at least `least_travel` in a direction, and further along it than across it."""
        step = np.array(AXES[direction] if self._turns else STEPS[direction])
        way = self.travel()
        along, across = way @ step, np.abs(way @ step[::-1])
        return len(way) > 0 and bool(((along >= least_travel(len(self.paths))) & (along > across)).all())

    def smoothness(self) -> float:
        """How little the velocity changes, 0 to 1: 1 at constant speed, 0 if it jumps by 2 pixels or nothing moves.

        The mean over any three consecutive frames of 1 - |change of the displacement| / 2, or 0 if that is negative. A
        clip that does not move gets 0, and so do three frames in which nothing moves: otherwise standing still would be
        the smoothest motion, and standing still with an occasional jump the second smoothest. A change along an axis at
        whose border an object is counts as none where objects turn round.
        """
        if not self.moves():
            return 0.0
        displacement = np.diff(self.paths, axis=0)
        change = np.abs(np.diff(displacement, axis=0))
        if self._turns:
            change = np.where(self._at_border()[1:-1, None], 0, change)
        even = np.nan_to_num(np.clip(1 - change.sum(axis=2).mean(axis=1) / 2, 0, 1), nan=0.0)
        going = (displacement != 0).any(axis=(1, 2))
        return float((even * (going[1:] | going[:-1])).mean())

    def _at_border(self) -> NDArray[np.bool_]:
        """For each frame and axis, whether some object is as far out as objects come, `(N, 2)`."""
        last = RADIUS + (self.world.size - 1 - 2 * RADIUS) // LATTICE * LATTICE
        out: NDArray[np.bool_] = (self.paths <= RADIUS + AT_BORDER) | (self.paths >= last - AT_BORDER)
        return np.any(out, axis=1)

    def uniform_share(self) -> float:
        """Share of displacements, 0 to 1, that equal one speed and direction of the world: the one that fits best.

        Of objects that turn round, any speed of the world along one axis, forth or back.
        """
        if not self.paths.shape[1]:
            return 0.0
        displacement = np.diff(self.paths, axis=0)
        if self._turns:
            shares = []
            for axis in AXES.values():
                steps = [np.array(axis) * speed * sign for speed in self.world.speeds for sign in (1, -1)]
                right = [(displacement == step).all(axis=(1, 2)) for step in steps]
                shares.append(np.any(right, axis=0).mean())
            return float(max(shares))
        uniform = [np.array(step) * speed for step in STEPS.values() for speed in SPEEDS]
        return float(max((displacement == wanted).all(axis=(1, 2)).mean() for wanted in uniform))
