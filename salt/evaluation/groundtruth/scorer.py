"""The ground-truth scorer: VBench's sixteen dimensions for videos of the world, whose truth is known.

Each frame, reduced to the world's resolution, is explained by its best-fitting sprites (`synthesis`), and the
dimensions are computed from that explanation; no network is involved. Every dimension except temporal flickering is
first a share s from 0 (bad) to 1 (an exact clip of the world), then mapped to the range that VBench's constants expect,
raw = low + s (high - low), so that normalising returns s. The shares:

| dimension | s |
|---|---|
| subject_consistency | frames that are clean (one or two objects, nothing else) and have the commonest set of objects |
| background_consistency | 1 - change from frame to frame of the pixels apart from objects / 64 units |
| temporal_flickering | VBench's own formula on stored frames: (255 - mean absolute change) / 255 |
| motion_smoothness | evenness of the velocity (`motion.smoothness`); 0 where nothing moves |
| dynamic_degree | whether an object moves at least 3/8 of the slowest clip's distance |
| aesthetic_quality | sharpness: gradient energy against the exact render's, r or 1/r, whichever is below 1 |
| imaging_quality | PSNR against the best-fit render in its measured colours, from 10 dB (0) to 40 dB (100) |
| object_class | frames that are clean and show one object, of the caption's shape |
| multiple_objects | frames that are clean and show both objects, shape and colour |
| spatial_relationship | frames with both objects, their centres in the caption's relation, more than a radius apart |
| color | clean frames whose objects have the caption's colour; a video without a clean frame is left out |
| human_action | whether every object moves in the caption's direction |
| scene | frames with the caption's background |
| appearance_style | nearness of colours, less the style, to the palette (1 - RGB distance / 96) |
| temporal_style | displacements from frame to frame that fit one speed and direction of the world |
| overall_consistency | clean frames in which all that the caption states is right; 0 if it states another direction |

For a video that should begin with a given image, also VBench-I2V's, except camera motion, which the world lacks:

| dimension | s |
|---|---|
| i2v_subject | clean frames with the image's objects, shape and colour; in the first frame, at their places too |
| i2v_background | 1 - change from the image of the pixels apart from objects / 64 units |

An attribute that the caption leaves out is not scored. Frames without objects count 0 for aesthetic and imaging
quality, so an empty clip does not score well. Objects that fade towards the background do not affect appearance_style:
that is blur or low contrast, which aesthetic_quality measures.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from salt.config.world import World
from salt.data.prompts import Prompt, Variant
from salt.data.world import BACKGROUNDS, RADIUS, Content, Mentions
from salt.evaluation.groundtruth import motion
from salt.evaluation.groundtruth.seen import seen, tints, unstyled
from salt.evaluation.groundtruth.synthesis import (
    BACKGROUND_NAMES,
    COLOUR_NAMES,
    SHAPE_NAMES,
    Bools,
    Fit,
    Float32Array,
    fit,
)
from salt.evaluation.vbench.board import BOOLEAN, I2V_DIMENSIONS, PERCENT, denormalise
from salt.evaluation.video import Video

SCORER = "groundtruth"
VERSION = 2
"""Part of the protocol; raised when the score of any video changes."""
STEADY = 64.0
"""Mean change from frame to frame, of 255, at which the consistency of a background is 0."""
PALETTE_REACH = 96.0
"""RGB distance from the palette at which the nearness of a colour is 0."""
IN_PLACE = 1
"""Largest distance along an axis, in pixels, of an object from its place in the image."""
WORST_PSNR, BEST_PSNR = 10.0, 40.0

_BACKGROUNDS = np.array(list(BACKGROUNDS.values()), dtype=np.float32)


def score_video(
    stored: Video, prompt: Prompt, variant: Variant, world: World, image: Video | None = None
) -> dict[str, Any]:
    """VBench's per-video results of a stored video, uint8 `(F, H, W, 3)`, and the extra `same_object`.

    Args:
        stored: the video.
        prompt: its prompt.
        variant: the caption it was prompted with.
        world: of which it should be a clip; stored videos are enlarged as it says.
        image: the image it should begin with, in the world's own size; None: there is none.

    Returns:
        The prompt's dimensions: raw scores from 0 to 1, imaging quality from 0 to 100, two booleans, and None for the
        colour of a video without a clean frame; `same_object`, the share behind subject_consistency; with `image`
        `i2v_subject` and `i2v_background`.
    """
    frames = seen(stored, world)
    explained = fit(frames)
    moved = motion.Motion(motion.tracks(explained), world)
    shares = _quality(explained, frames, moved, world) | _semantics(
        explained, moved, prompt.content, prompt.mentions(variant)
    )
    if image is not None:
        shares |= _continued(explained, frames, unstyled(image[None].astype(np.float32), world))
    results: dict[str, Any] = {"temporal_flickering": flickering(stored), "same_object": shares["subject_consistency"]}
    for name, share in shares.items():
        if name in BOOLEAN or share is None:
            results[name] = share
        else:
            results[name] = 100 * share if name in PERCENT else denormalise(name, share)
    of_image = I2V_DIMENSIONS.keys() & results.keys()
    return {name: results[name] for name in (*prompt.dimensions(variant), "same_object", *sorted(of_image))}


def score_frames(stored: Video, prompt: Prompt, variant: Variant, world: World) -> dict[str, NDArray[np.float64]]:
    """Scores of every single frame, `(F,)` from 0 to 1.

    Returns:
        `objects`: whether it is clean and shows exactly the caption's objects (object_class and multiple_objects
        together); `imaging_quality`: the share of that dimension.
    """
    frames = seen(stored, world)
    explained = fit(frames)
    shapes, named, _ = _named(explained, prompt.content, prompt.mentions(variant))
    number = len(prompt.content.sprites)
    right = explained.clean() & (explained.count == number) & (named if number > 1 else shapes)
    return {"objects": right.astype(np.float64), "imaging_quality": _likeness(explained, frames)}


# -------------------------------------------------------------------------------------------- quality
def _quality(explained: Fit, frames: Float32Array, moved: motion.Motion, world: World) -> dict[str, float | bool]:
    return {
        "subject_consistency": _same_object(explained),
        "background_consistency": _steady_background(explained, frames),
        "motion_smoothness": moved.smoothness(),
        "dynamic_degree": moved.moves(),
        "aesthetic_quality": _sharpness(explained, frames, world),
        "imaging_quality": float(_likeness(explained, frames).mean()),
        "appearance_style": _palette(explained, world),
        "temporal_style": moved.uniform_share(),
    }


def flickering(stored: Video) -> float:
    """VBench's temporal flickering of one video: (255 - mean absolute difference of neighbouring frames) / 255."""
    one, other = stored[1:], stored[:-1]
    change = float((np.maximum(one, other) - np.minimum(one, other)).mean())
    return (255.0 - change) / 255.0


def _same_object(explained: Fit) -> float:
    """Share of frames that are clean and have the commonest set of (shape, colour) among clean frames."""
    kinds = np.sort(explained.shape * len(COLOUR_NAMES) + explained.colour, axis=1)
    clean = kinds[explained.clean()]
    if not len(clean):
        return 0.0
    return float(np.unique(clean, axis=0, return_counts=True)[1].max()) / len(kinds)


def _steady_background(explained: Fit, frames: Float32Array) -> float:
    apart = explained.apart[1:] & explained.apart[:-1]
    change = np.abs(np.diff(frames, axis=0)).mean(axis=3)
    mean = (change * apart).sum(axis=(1, 2)) / np.maximum(apart.sum(axis=(1, 2)), 1)
    return float(np.clip(1 - mean / STEADY, 0, 1).mean())


def _sharpness(explained: Fit, frames: Float32Array, world: World) -> float:
    """Mean over frames of min(r, 1 / r), r the gradient energy against that of the exact render."""
    exact = explained.palette + tints(explained.mean_colour - explained.palette, world)
    got, wanted = _gradient_energy(frames), _gradient_energy(explained.render(exact))
    ratio = np.minimum(got, wanted) / np.maximum(np.maximum(got, wanted), 1e-6)
    return float(np.where(explained.count > 0, ratio, 0).mean())


def _gradient_energy(frames: Float32Array) -> NDArray[np.float64]:
    down, right = np.diff(frames, axis=1), np.diff(frames, axis=2)
    return (down.astype(np.float64) ** 2).sum(axis=(1, 2, 3)) + (right.astype(np.float64) ** 2).sum(axis=(1, 2, 3))


def _likeness(explained: Fit, frames: Float32Array) -> NDArray[np.float64]:
    """PSNR of every frame against its best-fit render, mapped to 0 to 1."""
    error = ((frames - explained.render(explained.mean_colour)) ** 2).mean(axis=(1, 2, 3))
    psnr = 10 * np.log10(255.0**2 / np.maximum(error, 1e-6))
    share = np.clip((psnr - WORST_PSNR) / (BEST_PSNR - WORST_PSNR), 0, 1)
    return np.where(explained.count > 0, share, 0.0).astype(np.float64)


def _palette(explained: Fit, world: World) -> float:
    """Mean nearness of background and objects to the palette; 0 for what is missing.

    An object's colour is compared with the nearest point between the background's and the palette's colour, so that
    blur is not penalised, while oversaturated and wrong colours are.
    """
    b, there = explained.background_colour, explained.shape >= 0
    off = np.linalg.norm(b - _BACKGROUNDS[explained.background], axis=1)
    background = np.where(explained.background >= 0, np.clip(1 - off / PALETTE_REACH, 0, 1), 0)
    towards = explained.palette - b[:, None]
    apart = explained.mean_colour - tints(explained.mean_colour - explained.palette, world) - b[:, None]
    share = np.clip((apart * towards).sum(axis=2) / np.maximum((towards**2).sum(axis=2), 1e-6), 0, 1)
    off = np.linalg.norm(apart - share[..., None] * towards, axis=2)
    nearness = np.where(there, np.clip(1 - off / PALETTE_REACH, 0, 1), 0)
    objects = nearness.sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    return float((background + objects).mean() / 2)


# ------------------------------------------------------------------------------------------- semantics
def _semantics(
    explained: Fit, moved: motion.Motion, content: Content, mentions: Mentions
) -> dict[str, float | bool | None]:
    shapes, named, positions = _named(explained, content, mentions)
    clean, number = explained.clean(), len(content.sprites)
    background = explained.background == BACKGROUND_NAMES.index(content.background)
    placed = _placed(positions, content)
    goes = moved.goes(content.direction)
    right = clean & named & placed & (explained.count == number)
    if mentions.background:
        right &= background
    return {
        "object_class": _share(clean & shapes & (explained.count == 1)),
        "multiple_objects": _share(clean & named & (explained.count == 2)),
        "spatial_relationship": _share(named & placed),
        "color": _colour_share(explained, content),
        "human_action": goes,
        "scene": _share(background),
        "overall_consistency": _share(right) if goes or not mentions.direction else 0.0,
    }


def _named(explained: Fit, content: Content, mentions: Mentions) -> tuple[Bools, Bools, NDArray[np.int64]]:
    """Whether each frame has the caption's shapes; whether with the colours it mentions; places `(N, sprites, 2)`."""
    every = np.arange(len(explained.count))
    shapes, named = np.ones(len(every), dtype=bool), np.ones(len(every), dtype=bool)
    places = []
    for sprite in content.sprites:
        right = explained.shape == SHAPE_NAMES.index(sprite.shape)
        shapes &= right.any(axis=1)
        if mentions.colour:
            right &= explained.colour == COLOUR_NAMES.index(sprite.colour)
        named &= right.any(axis=1)
        places.append(explained.centre[every, right.argmax(axis=1)])
    return shapes, named, np.stack(places, axis=1)


def _placed(positions: NDArray[np.int64], content: Content) -> Bools:
    """Whether both sprites have the caption's relation, by more than a radius; true if it states none."""
    if content.relation is None:
        return np.ones(len(positions), dtype=bool)
    gap = positions[:, 1] - positions[:, 0]
    return gap[:, 0 if content.relation == "left of" else 1] > RADIUS


def _colour_share(explained: Fit, content: Content) -> float | None:
    """Share of clean frames in which all objects have the caption's colour; None where no frame is clean."""
    right = (explained.colour == COLOUR_NAMES.index(content.sprites[0].colour)) | (explained.shape < 0)
    clean = explained.clean()
    return _share(right.all(axis=1)[clean]) if clean.any() else None


# ----------------------------------------------------------------------------------------- image to video
def _continued(explained: Fit, frames: Float32Array, image: Float32Array) -> dict[str, float]:
    """How far a video keeps objects and background of the image `(1, H, W, 3)`."""
    begin = fit(image)
    same = explained.clean() & (_objects(explained) == _objects(begin)).all(axis=1)
    there = np.sort(explained.centre[0][explained.shape[0] >= 0], axis=0)
    wanted = np.sort(begin.centre[0][begin.shape[0] >= 0], axis=0)
    same[0] &= there.shape == wanted.shape and bool((np.abs(there - wanted) <= IN_PLACE).all())
    apart = explained.apart & begin.apart
    change = (np.abs(frames - image).mean(axis=3) * apart).sum(axis=(1, 2)) / np.maximum(apart.sum(axis=(1, 2)), 1)
    return {"i2v_subject": _share(same), "i2v_background": float(np.clip(1 - change / STEADY, 0, 1).mean())}


def _objects(explained: Fit) -> NDArray[np.int64]:
    """Shape and colour of each frame's objects as numbers, in order of size; absent ones are negative."""
    return np.sort(np.where(explained.shape < 0, -1, explained.shape * len(COLOUR_NAMES) + explained.colour), axis=1)


def _share(frames: Bools) -> float:
    return float(frames.mean())
