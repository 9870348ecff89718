"""Negative controls: real clips, each deliberately corrupted in one way, to test what every dimension detects.

The clips of a control are written to files and scored like a model's videos. What each must do: `corruptions`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from salt.config.world import World
from salt.data.prompts import Prompt
from salt.data.world import render, sample_scene
from salt.evaluation.cells import ModelCell
from salt.evaluation.groundtruth.corruptions import CONTROLS, Control, Frames
from salt.evaluation.groundtruth.folder import CellScores, records, score_folder, write_cell
from salt.evaluation.vbench.board import DIMENSIONS, normalise
from salt.evaluation.video import Video, upscale, write_mp4
from salt.models.protocol import Codec


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
