"""Where the objects of a video go: tracks of fitted centres, how far, how evenly.

Symbols: N frames, K objects (the commonest number in the video), tracks `(N, K, 2)` in pixels, x to the right, y down,
NaN in frames that have not K objects. Everything in the world moves at one of two constant speeds.
"""

import numpy as np
from numpy.typing import NDArray

from salt.data.world import SPEEDS, STEPS
from salt.evaluation.groundtruth.synthesis import SPRITES, Fit

Float64Array = NDArray[np.float64]

LEAST_SHARE = 3 / 8
"""Share of the slowest clip's way that counts as moving: 3 pixels in 9 frames."""


def least_travel(frames: int) -> float:
    """The way, in pixels, from which on a clip moves."""
    return LEAST_SHARE * (frames - 1) * min(SPEEDS)


def tracks(fit: Fit) -> Float64Array:
    """Centres of the objects over time, `(N, K, 2)`; K = 0 where no frame has an object.

    Two objects keep their track by nearness, not by looks, so one that changes its shape on the way still moves on.
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


def travel(paths: Float64Array) -> Float64Array:
    """Net way of each object over the clip, `(K, 2)` in pixels: the slope of the best line through its track.

    A single wrong frame moves it little. 0 where the object is not there in at least half of the frames.
    """
    there = ~np.isnan(paths).any(axis=(1, 2))
    if not paths.shape[1] or 2 * there.sum() < max(len(paths), 4):
        return np.zeros(paths.shape[1:])
    time = np.flatnonzero(there).astype(np.float64)
    time -= time.mean()
    slope = np.tensordot(time, paths[there], axes=1) / (time**2).sum()
    return slope * (len(paths) - 1)


def moves(paths: Float64Array) -> bool:
    """Whether some object goes further than `least_travel`."""
    return bool((np.linalg.norm(travel(paths), axis=1) >= least_travel(len(paths))).any())


def goes(paths: Float64Array, direction: str) -> bool:
    """Whether every object goes at least `least_travel` in that direction, and more that way than across it."""
    step = np.array(STEPS[direction])
    way = travel(paths)
    along, across = way @ step, np.abs(way @ step[::-1])
    return len(way) > 0 and bool(((along >= least_travel(len(paths))) & (along > across)).all())


def smoothness(paths: Float64Array) -> float:
    """How little the velocity changes, 0 to 1: 1 at constant speed, 0 where it jumps by 2 pixels or nothing moves.

    Mean over three frames in a row of 1 - |change of the displacement| / 2, where that is positive. A clip that does
    not move has no motion to be smooth and gets 0, and so do three frames in which nothing moves: otherwise standing
    still would be the best motion of all, and standing still with a jump now and then the second best.
    """
    if not moves(paths):
        return 0.0
    displacement = np.diff(paths, axis=0)
    change = np.abs(np.diff(displacement, axis=0)).sum(axis=2).mean(axis=1)
    even = np.nan_to_num(np.clip(1 - change / 2, 0, 1), nan=0.0)
    going = (displacement != 0).any(axis=(1, 2))
    return float((even * (going[1:] | going[:-1])).mean())


def uniform_share(paths: Float64Array) -> float:
    """Share of displacements that fit the one speed and direction of the world that fits best, 0 to 1."""
    if not paths.shape[1]:
        return 0.0
    displacement = np.diff(paths, axis=0)
    uniform = [np.array(step) * speed for step in STEPS.values() for speed in SPEEDS]
    return float(max((displacement == wanted).all(axis=(1, 2)).mean() for wanted in uniform))
