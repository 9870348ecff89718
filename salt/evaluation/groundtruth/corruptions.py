"""Ways to corrupt a real clip, and what each must do to the scores: what the negative controls are.

`falls` names the dimensions that must fall by more than `CLEAR`, `free` those that may change for a stated reason; all
others must stay within `CLEAR` of real clips.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from salt.evaluation.vbench.board import DIMENSIONS

CLEAR = 5.0
"""Percent points of VBench's range, chosen on the worlds without and with objects that turn round: in the
latter, frames in another order still show the axis of motion, which is all that the caption states, and cost it 7."""

Frames = NDArray[np.float32]
"""A clip at the world's resolution, `(F, H, W, 3)` in [0, 255]."""
Corruption = Callable[[Frames, Frames, np.random.Generator], Frames]
"""(clip, the clip of another caption of the same kind, random numbers) -> corrupted clip."""

NOISE, BLUR, CONTRAST = 16.0, 0.6, 1.4
"""Standard deviation in units of 255; standard deviation in pixels; factor about mid-grey."""
MOTION = ("motion_smoothness", "temporal_style", "human_action", "dynamic_degree", "overall_consistency")
PICTURE = ("aesthetic_quality", "imaging_quality")
OBJECTS = ("object_class", "multiple_objects", "spatial_relationship")


@dataclass(frozen=True)
class Control:
    """One way to corrupt a clip."""

    title: str
    corrupt: Corruption
    falls: tuple[str, ...] = ()
    free: tuple[str, ...] = ()


def _noise(clip: Frames, other: Frames, rng: np.random.Generator) -> Frames:
    return clip + rng.normal(0, NOISE, clip.shape).astype(np.float32)


def _blur(clip: Frames, other: Frames, rng: np.random.Generator) -> Frames:
    return gaussian_filter(clip, sigma=(0, BLUR, BLUR, 0), mode="nearest")


def _frozen(clip: Frames, other: Frames, rng: np.random.Generator) -> Frames:
    return np.repeat(clip[:1], len(clip), axis=0)


def _saturated(clip: Frames, other: Frames, rng: np.random.Generator) -> Frames:
    return 127.5 + CONTRAST * (clip - 127.5)


def _empty(clip: Frames, other: Frames, rng: np.random.Generator) -> Frames:
    return np.broadcast_to(np.median(clip, axis=(1, 2), keepdims=True), clip.shape)


def _pure_noise(clip: Frames, other: Frames, rng: np.random.Generator) -> Frames:
    return rng.uniform(0, 256, clip.shape).astype(np.float32)


CONTROLS: dict[str, Control] = {
    "real": Control("Real clips", lambda clip, other, rng: clip),
    "noise": Control("Noise added", _noise, falls=(*PICTURE, "background_consistency", "temporal_flickering")),
    "blur": Control("Blurred", _blur, falls=PICTURE),
    "shuffled": Control(
        "Frames shuffled",
        lambda clip, other, rng: clip[rng.permutation(len(clip))],
        falls=MOTION,
        free=("temporal_flickering",),  # falls too little to be required: objects are a twentieth of the pixels
    ),
    "wrong_caption": Control(
        "Clip of another caption",
        lambda clip, other, rng: other,
        falls=(*OBJECTS, "human_action", "color", "scene", "overall_consistency"),
    ),
    "average": Control(
        "Mean of two clips",
        lambda clip, other, rng: np.mean([clip, other], axis=0, dtype=np.float32),
        falls=(*MOTION, *PICTURE, *OBJECTS, "subject_consistency", "scene", "appearance_style"),
        free=("color", "background_consistency"),  # scored on few clips; the mean of two backgrounds is neither
    ),
    "frozen": Control("First frame frozen", _frozen, falls=MOTION, free=("temporal_flickering",)),  # which rises
    "saturated": Control("Contrast x 1.4", _saturated, falls=("appearance_style", "aesthetic_quality")),
    "empty": Control(
        "Objects removed",
        _empty,
        falls=(*MOTION, *PICTURE, *OBJECTS, "subject_consistency", "color", "appearance_style"),
        free=("temporal_flickering",),  # which rises, since nothing moves
    ),
    "pure_noise": Control("Noise alone", _pure_noise, falls=tuple(DIMENSIONS)),
}


def misses(name: str, scores: Mapping[str, float], real: Mapping[str, float]) -> list[str]:
    """What a control does that it must not, or does not do that it must: its dimensions; empty: it holds.

    Args:
        name: of the control.
        scores: dimension -> its mean, in percent of VBench's range.
        real: the same of real clips.
    """
    control = CONTROLS[name]
    change = {dimension: scores[dimension] - real[dimension] for dimension in DIMENSIONS}
    wrong = [dimension for dimension in control.falls if change[dimension] >= -CLEAR]
    still = [dimension for dimension in DIMENSIONS if dimension not in (*control.falls, *control.free)]
    return wrong + [dimension for dimension in still if abs(change[dimension]) > CLEAR]
