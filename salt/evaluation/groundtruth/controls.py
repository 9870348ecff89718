"""Negative controls: real clips, each deliberately corrupted in one way, to test what every dimension detects.

The clips of a control are written to files and scored like a model's videos. `falls` names the dimensions that must
fall, `free` those that may change for a stated reason; all others must stay at the value of real clips.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from salt.config.world import World
from salt.data.prompts import Prompt
from salt.data.world import render, sample_scene
from salt.evaluation.cells import ModelCell
from salt.evaluation.groundtruth.folder import CellScores, records, score_folder, write_cell
from salt.evaluation.vbench.board import DIMENSIONS, normalise
from salt.evaluation.video import Video, upscale, write_mp4
from salt.models.protocol import Codec

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
        free=("color",),  # scored on the few clips in which an object is left
    ),
    "frozen": Control("First frame frozen", _frozen, falls=MOTION, free=("temporal_flickering",)),  # which rises
    "saturated": Control("Contrast x 1.4", _saturated, falls=("appearance_style", "aesthetic_quality")),
    "empty": Control(
        "Objects removed",
        _empty,
        falls=(*MOTION, *PICTURE, *OBJECTS, "subject_consistency", "color", "appearance_style"),
    ),
    "pure_noise": Control("Noise alone", _pure_noise, falls=tuple(DIMENSIONS)),
}


def real_clips(prompts: Sequence[Prompt], world: World) -> list[Frames]:
    """One exact clip per prompt; its future is sampled with the prompt's index as seed."""
    scenes = [sample_scene(prompt.content, world, np.random.default_rng(prompt.index)) for prompt in prompts]
    return [render(scene, world).astype(np.float32) for scene in scenes]


def run_controls(
    prompts: Sequence[Prompt], world: World, codec: Codec | None, out: Path, *, scale: str, protocol: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write and score every control on extended captions, and the round trip through a codec if one is given.

    Args:
        prompts: at least 6, with two of each kind or more.
        world: the world of the clips.
        codec: encodes and decodes `(B, 3, F, H, W)` in [0, 1]; None: no round trip.
        out: folder for `{control}/{prompt_id}/0.mp4` and the results of each control in VBench's layout.
        scale: name of the scale, for the records.
        protocol: hash of the protocol, for the records.

    Returns:
        Tidy records (`experiment` is `control_{name}`), and a table in percent of VBench's ranges: a row per control, a
        column per dimension, then quality, semantic and total.
    """
    clips = real_clips(prompts, world)
    others = _others(prompts, clips)
    corrupted = {name: _corrupt(control, clips, others) for name, control in CONTROLS.items()}
    titles = {name: control.title for name, control in CONTROLS.items()}
    if codec is not None:
        corrupted["codec"], titles["codec"] = [_round_trip(clip, codec) for clip in clips], "Codec round trip"
    tidy, table = [], {}
    for name, videos in corrupted.items():
        for prompt, video in zip(prompts, videos, strict=True):
            write_mp4(out / name / prompt.id / "0.mp4", upscale(video, world.video_scale), world.fps)
        scores = score_folder(out / name, prompts, "extended", (0,), world, protocol)
        cell = ModelCell(f"control_{name}", "extended", "none", 0, titles[name], scale, 0)
        write_cell(out / name, cell, scores, {})
        tidy.append(records(cell, scores))
        table[name] = _percent(scores)
    return pd.concat(tidy, ignore_index=True), pd.DataFrame.from_dict(table, orient="index")


def _others(prompts: Sequence[Prompt], clips: list[Frames]) -> list[Frames]:
    """The clip of the next prompt of the same kind."""
    places: dict[str, list[int]] = {}
    for place, prompt in enumerate(prompts):
        places.setdefault(prompt.kind, []).append(place)
    following = {one: other for same in places.values() for one, other in zip(same, same[1:] + same[:1], strict=True)}
    return [clips[following[place]] for place in range(len(clips))]


def _corrupt(control: Control, clips: list[Frames], others: list[Frames]) -> list[Video]:
    pairs = zip(clips, others, strict=True)
    return [_quantise(control.corrupt(clip, other, np.random.default_rng(i))) for i, (clip, other) in enumerate(pairs)]


def _quantise(clip: Frames) -> Video:
    return np.clip(np.rint(clip), 0, 255).astype(np.uint8)


@torch.no_grad()
def _round_trip(clip: Frames, codec: Codec) -> Video:
    video = torch.from_numpy(clip).permute(3, 0, 1, 2)[None] / 255
    decoded = codec.decode(codec.encode(video))[0].permute(1, 2, 3, 0)
    return _quantise(255 * decoded.numpy())


def _percent(scores: CellScores) -> dict[str, float]:
    results = scores.scored.results
    row = {name: 100 * normalise(name, results[name][0]) for name in DIMENSIONS}
    return row | dict(scores.scores)
