"""How the objects of a video move: tracks of fitted centres, their distance and evenness.

Symbols: N frames, K objects (the commonest number in the video), tracks `(N, K, 2)` in pixels, x to the right, y down,
NaN in frames without exactly K objects. Everything in the world moves at one of two constant speeds.
"""

import numpy as np
from numpy.typing import NDArray

from salt.data.world import SPEEDS, STEPS
from salt.evaluation.groundtruth.synthesis import SPRITES, Fit

Float64Array = NDArray[np.float64]

LEAST_SHARE = 3 / 8
"""Share of the slowest clip's distance that counts as moving: 3 pixels in 9 frames."""


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


def travel(paths: Float64Array) -> Float64Array:
    """Net displacement of each object over the clip, `(K, 2)` in pixels: the slope of the best line through its track.

    A single wrong frame changes it little. 0 if the object is absent from more than half of the frames.
    """
    there = ~np.isnan(paths).any(axis=(1, 2))
    if not paths.shape[1] or 2 * there.sum() < max(len(paths), 4):
        return np.zeros(paths.shape[1:])
    time = np.flatnonzero(there).astype(np.float64)
    time -= time.mean()
    slope = np.tensordot(time, paths[there], axes=1) / (time**2).sum()
    return slope * (len(paths) - 1)


def moves(paths: Float64Array) -> bool:
    """Whether some object moves at least `least_travel`."""
    return bool((np.linalg.norm(travel(paths), axis=1) >= least_travel(len(paths))).any())


def goes(paths: Float64Array, direction: str) -> bool:
    """Whether every object moves at least `least_travel` in a direction, and further along it than across it."""
    step = np.array(STEPS[direction])
    way = travel(paths)
    along, across = way @ step, np.abs(way @ step[::-1])
    return len(way) > 0 and bool(((along >= least_travel(len(paths))) & (along > across)).all())


def smoothness(paths: Float64Array) -> float:
    """How little the velocity changes, 0 to 1: 1 at constant speed, 0 if it jumps by 2 pixels or nothing moves.

    The mean over any three consecutive frames of 1 - |change of the displacement| / 2, or 0 if that is negative. A clip
    that does not move gets 0, and so do three frames in which nothing moves: otherwise standing still would be the
    smoothest motion, and standing still with an occasional jump the second smoothest.
    """
    if not moves(paths):
        return 0.0
    displacement = np.diff(paths, axis=0)
    change = np.abs(np.diff(displacement, axis=0)).sum(axis=2).mean(axis=1)
    even = np.nan_to_num(np.clip(1 - change / 2, 0, 1), nan=0.0)
    going = (displacement != 0).any(axis=(1, 2))
    return float((even * (going[1:] | going[:-1])).mean())


def uniform_share(paths: Float64Array) -> float:
    """Share of displacements, 0 to 1, that equal one speed and direction of the world: the one that fits best."""
    if not paths.shape[1]:
        return 0.0
    displacement = np.diff(paths, axis=0)
    uniform = [np.array(step) * speed for step in STEPS.values() for speed in SPEEDS]
    return float(max((displacement == wanted).all(axis=(1, 2)).mean() for wanted in uniform))
