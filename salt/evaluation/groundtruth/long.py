"""VBench-Long's protocol on ground-truth scores: a long video is scored clip by clip, and its clips are compared.

VBench-Long (`vbench2_beta_long` of Vchitect/VBench) splits a video into clips of one length, scores each clip as a
video of its own, and takes the mean. For subject and background consistency, this *in-clip* score (the slow branch) is
one half; the other, *clip-to-clip* (the fast branch), is the consistency of the clips' first frames, each compared with
the one before and with the very first.

Differences:

* For every dimension, a clip has the length that the caller gives: that of a training clip of the world, for which the
  scorer is made. VBench-Long takes 2 s, and 10 s for human_action, temporal_style and overall_consistency.
* First frames are compared by the ground-truth scorer's explanation of them, as within a clip, not by DINOv2 and
  DreamSim. Both halves are thus on one scale, and VBench-Long's tables that map one to the other are not needed.
* Scenes are not detected (an option there), and temporal_flickering includes clips that move.
* A clip-to-clip score of 0 counts; VBench-Long treats it as missing and uses the in-clip score alone.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from salt.config.world import World
from salt.data.prompts import Prompt, Variant
from salt.evaluation.groundtruth.scorer import STEADY, score_video
from salt.evaluation.groundtruth.seen import seen
from salt.evaluation.groundtruth.synthesis import COLOUR_NAMES, Bools, Fit, Float32Array, Ints, fit
from salt.evaluation.vbench.board import denormalise
from salt.evaluation.video import Video

FOLLOWED = ("object_class", "color", "subject_consistency", "imaging_quality")
"""Dimensions that are also reported clip by clip."""
FRAMES_OF_A_LATENT = 4
"""Video frames per latent frame, after the first, which has one: Wan's compression of time."""
CLIP_TO_CLIP_WEIGHT = 0.5
"""Weight of clip-to-clip in the fused score: VBench-Long's `configs/slow_fast_params.yaml`, subject and background."""


def score_long_video(stored: Video, prompt: Prompt, variant: Variant, world: World) -> dict[str, Any]:
    """`score_video` for a long video: the same keys, each the mean over clips; the two consistencies are fused.

    A video of one clip keeps its in-clip scores. `same_object` is in-clip only.

    Returns:
        Those keys, and parts of them: `NAME@clip0`, `NAME@clip1`, ... for the dimensions in `FOLLOWED`, and the halves
        `NAME@in_clip` and `NAME@clip_to_clip` of the two consistencies.
    """
    clips = split(stored, world.frames)
    scored = [score_video(clip, prompt, variant, world) for clip in clips]
    results = mean_over_clips(scored)
    parts = {f"{name}@clip{i}": clip[name] for name in FOLLOWED for i, clip in enumerate(scored) if name in clip}
    if len(clips) > 1:
        firsts = seen(np.stack([clip[0] for clip in clips]), world)
        for name, score in clip_to_clip(firsts).items():
            parts |= {f"{name}@in_clip": results[name], f"{name}@clip_to_clip": score}
            results[name] = fuse(results[name], score)
    return results | parts


def long_frames(world: World, length: int) -> int:
    """Video frames of a video that has `length` times as many latent frames as a clip."""
    return 1 + FRAMES_OF_A_LATENT * (length * latent_frames(world) - 1)


def latent_frames(world: World) -> int:
    """Latent frames of a clip: one for its first frame, and one for every four after it."""
    return 1 + (world.frames - 1) // FRAMES_OF_A_LATENT


def clip_starts(frames: int, clip_frames: int) -> list[int]:
    """The first frame of every clip of a video of `frames` frames.

    The last clip is filled up with the frames before it, so it may overlap the previous clip; a video shorter than a
    clip is one clip.
    """
    starts = list(range(0, frames - clip_frames + 1, clip_frames))
    if not starts:
        return [0]
    return starts if frames % clip_frames == 0 else [*starts, frames - clip_frames]


def split(video: Video, clip_frames: int) -> list[Video]:
    """The clips of a video `(F, H, W, 3)`, as views."""
    return [video[start : start + clip_frames] for start in clip_starts(len(video), clip_frames)]


def mean_over_clips(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The results of a video from those of its clips: the mean of clips that have a score, None if none has."""
    scored = {name: [float(clip[name]) for clip in results if clip[name] is not None] for name in results[0]}
    return {name: fmean(values) if values else None for name, values in scored.items()}


def fuse(in_clip: float, clip_to_clip: float) -> float:
    """A consistency from its two halves."""
    return (1 - CLIP_TO_CLIP_WEIGHT) * in_clip + CLIP_TO_CLIP_WEIGHT * clip_to_clip


def clip_to_clip(firsts: Float32Array) -> dict[str, float]:
    """Raw subject and background consistency of the clips' first frames `(clips, H, W, 3)` in [0, 255].

    As in VBench's formula, the mean over clips i > 0 of (s(i, i - 1) + s(i, 0)) / 2. For the subject, s is 1 if both
    frames are clean and have the same set of objects, else 0; for the background, it is 1 - change / 64, where change
    is that of the pixels apart from objects.
    """
    explained, now = fit(firsts), np.arange(1, len(firsts))
    before, first = now - 1, np.zeros_like(now)
    subject = [_same_objects(explained, now, other) for other in (before, first)]
    background = [_same_background(explained, firsts, now, other) for other in (before, first)]
    return {
        "subject_consistency": denormalise("subject_consistency", float(np.mean(subject))),
        "background_consistency": denormalise("background_consistency", float(np.mean(background))),
    }


def _same_objects(explained: Fit, one: Ints, other: Ints) -> Bools:
    kinds = np.sort(explained.shape * len(COLOUR_NAMES) + explained.colour, axis=1)
    clean = explained.clean()
    return clean[one] & clean[other] & (kinds[one] == kinds[other]).all(axis=1)


def _same_background(explained: Fit, frames: Float32Array, one: Ints, other: Ints) -> Float32Array:
    apart = explained.apart[one] & explained.apart[other]
    change = np.abs(frames[one] - frames[other]).mean(axis=3)
    mean = (change * apart).sum(axis=(1, 2)) / np.maximum(apart.sum(axis=(1, 2)), 1)
    return np.clip(1 - mean / STEADY, 0, 1)
