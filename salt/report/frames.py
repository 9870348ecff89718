"""Figures of video frames: students with more and more steps (fig1), one student at several step counts (fig5).

Which prompts are shown is a rule, not a choice: the first two prompts of the report list of each kind (one object, two
objects), with extended captions, the first sampling seed and the first training seed, by the consistency sampler.
Of every video the first, the middle and the last frame are shown.
"""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from salt.config.load import load_experiment
from salt.data.vbench_prompts import AnyPrompt
from salt.errors import SaltError
from salt.evaluation.scorers import evaluation_prompts
from salt.evaluation.video import Video, downscale, read_mp4
from salt.report.figure_context import FigureContext
from salt.report.style import WIDTH, styled, verbatim, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_KIND = 2
SHEET_PROMPTS, SHEET_FRAMES, LABEL_LINES = 12, 6, 4
"""Rows, frames a row, and most lines of a caption of a contact sheet."""
_EDGE = 190
"""Grey of the lines between frames."""
SOLVER = "cm"
STEP_COUNTS = (2, 4, 8)
"""Rows of the paper's Figure 5."""
RULE = (
    f"Prompts shown: the first {PER_KIND} of each kind of the report list; first training and sampling seed; "
    "consistency solver; first, middle and last frame"
)


@dataclass(frozen=True)
class Strip:
    """One row of frames: a video and what is written beside it."""

    label: str
    path: Path


def more_steps(context: FigureContext) -> tuple["Figure", str]:
    """fig1: students of 4, 8 and 16 steps, each at its own number of steps."""
    measured = context.measured("scores")

    def strips(prompt: AnyPrompt) -> list[list[Strip]]:
        rows = []
        for experiment, seeds in measured.items():
            steps = load_experiment(experiment, context.records.scale.name).grid.steps
            rows.append([Strip(f"{steps} steps", video_path(context, experiment, seeds[0], steps, prompt))])
        return rows

    return _blocks(context, strips, [])


def across_steps(context: FigureContext) -> tuple["Figure", str]:
    """fig5: the same noise and prompt at 2, 4 and 8 steps, DMD left, SC-DMD right."""
    measured = context.measured("scores")

    def strips(prompt: AnyPrompt) -> list[list[Strip]]:
        return [
            [
                Strip(f"{nfe} steps", video_path(context, name, seeds[0], nfe, prompt))
                for name, seeds in measured.items()
            ]
            for nfe in STEP_COUNTS
        ]

    return _blocks(context, strips, [context.title(name) for name in measured])


def video_path(
    context: FigureContext, experiment: str, seed: int, nfe: int, prompt: AnyPrompt, long: bool = False
) -> Path:
    """The first sampling seed's video of one prompt, extended, by the consistency sampler."""
    sampling_seed = context.records.scale.evaluation.seeds[0]
    folder, prompts = (f"seed{seed}_long", "long") if long else (f"seed{seed}", "extended")
    return context.videos / experiment / folder / f"{prompts}_{SOLVER}_{nfe}" / prompt.id / f"{sampling_seed}.mp4"


def shown_prompts(context: FigureContext, long: bool = False) -> list[AnyPrompt]:
    """The prompts that the rule picks, of videos of training length or of long ones."""
    prompts = evaluation_prompts(context.records.scale, long)
    picked = [[p for p in prompts if p.kind == kind][:PER_KIND] for kind in ("single", "pair")]
    return [prompt for kind in picked for prompt in kind]


# ------------------------------------------------------------------------------------------------- drawing
def _blocks(
    context: FigureContext, strips: Callable[[AnyPrompt], list[list[Strip]]], heads: Sequence[str]
) -> tuple["Figure", str]:
    """One block of frames per prompt: its rows below each other, the videos of a row side by side."""
    import matplotlib.pyplot as plt

    prompts = shown_prompts(context)
    rows = [strips(prompt) for prompt in prompts]
    across = 2 if heads else 4
    down = -(-len(prompts) // across)
    figure, grid = plt.subplots(down, across, figsize=(WIDTH, down * (0.52 * len(rows[0]) + 0.5) + 0.2), squeeze=False)
    for place, (axes, prompt, block) in enumerate(zip(grid.flat, prompts, rows, strict=False)):
        videos = [[read_video(context, strip.path) for strip in row] for row in block]
        image, centres = tile([[pick(video, 3) for video in row] for row in videos])
        letter = f"({'abcdefgh'[place]}) "
        lines = textwrap.wrap(letter + verbatim(prompt.extended), 26 if across == 4 else 60)
        axes.set_title("\n".join(lines), fontsize=7.5, loc="left", pad=14 if heads else 4)
        show(axes, image, len(block), [row[0].label for row in block] if place % across == 0 else [])
        for head, centre in zip(heads, centres, strict=False):
            axes.annotate(head, (centre, 0), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=7.5)
    return figure, context.footnote("scores", RULE)


def show(axes: "Axes", image: Video, rows: int, labels: Sequence[str]) -> None:
    """Show what `tile` made of `rows` rows, with a label to the left of each, or with none."""
    axes.imshow(image)
    height = image.shape[0] / rows
    axes.set_yticks([(i + 0.5) * height for i in range(rows)], labels)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def read_video(context: FigureContext, path: Path) -> Video:
    """A video at the resolution that it was made in.

    Raises:
        SaltError: where it is not there or broken.
    """
    if not path.exists():
        raise SaltError(f"{path}: {context.name} shows this video, and there is none; run `salt sample` again")
    small = downscale(read_mp4(path), context.records.scale.video_scale)
    return np.rint(small).astype(np.uint8)


def pick(video: Video, count: int) -> Video:
    """`count` frames from the first to the last, evenly spaced."""
    return video[np.rint(np.linspace(0, len(video) - 1, count)).astype(int)]


def tile(rows: Sequence[Sequence[Video]]) -> tuple[Video, list[float]]:
    """Frames `rows[row][group]` of `(F, H, W, 3)` as one picture, and the middle of every group (x, pixels).

    Frames of a group are parted by grey lines of about 1/24 of their height, groups by white ones three times as wide.
    """
    line = max(rows[0][0].shape[1] // 24, 1)
    edges = ((line, 0), (line, 0), (0, 0))
    pictures, centres = [], [0.0] * len(rows[0])
    for row in rows:
        parts: list[Video] = []
        for place, group in enumerate(row):
            frames = [np.pad(frame, edges, constant_values=_EDGE) for frame in group]
            start = sum(part.shape[1] for part in parts)
            parts += [*frames, np.full((frames[0].shape[0], line, 3), _EDGE, dtype=np.uint8)]
            centres[place] = (start + sum(part.shape[1] for part in parts)) / 2
            parts.append(np.full((frames[0].shape[0], 3 * line, 3), 255, dtype=np.uint8))
        pictures.append(np.concatenate(parts[:-1], axis=1))
    return np.concatenate([*pictures, pictures[0][:line]], axis=0), centres


def teacher_sheet(context: FigureContext) -> tuple["Figure", str]:
    """fig_teacher: the guided teacher on the first report prompts, from the first to the last frame."""
    evaluation = context.records.scale.evaluation
    prompts = evaluation_prompts(context.records.scale)[:SHEET_PROMPTS]
    cell = context.videos / "teacher" / "seed0" / f"extended_euler_{evaluation.teacher_nfe}"
    videos = [read_mp4(cell / prompt.id / f"{evaluation.seeds[0]}.mp4") for prompt in prompts]
    shown = f"The first {len(prompts)} report prompts"
    rule = f"{shown}; {evaluation.teacher_nfe} Euler steps; guidance {evaluation.cfg_weight:g}"
    return sheet(videos, [prompt.extended for prompt in prompts]), context.footnote("scores", rule)


def contact_sheet(videos: Sequence[Video], captions: Sequence[str], path: Path, frames: int = SHEET_FRAMES) -> None:
    """Write `sheet` as a PNG; the folder of `path` is made where it is missing.

    Raises:
        SaltError: where there is no video, or not one caption per video.
    """
    if not videos or len(videos) != len(captions):
        raise SaltError(f"{path}: {len(videos)} videos and {len(captions)} captions; accepted: one caption per video")
    with styled():
        write_figure(sheet(videos, captions, frames), path)


def sheet(videos: Sequence[Video], captions: Sequence[str], frames: int = SHEET_FRAMES) -> "Figure":
    """One video per row, its caption to the left: `frames` frames from the first to the last.

    Args:
        videos: uint8 `(F, H, W, 3)`, all of one size.
        captions: one per video.
        frames: how many frames of each video.
    """
    import matplotlib.pyplot as plt

    image, _ = tile([[pick(video, frames)] for video in videos])
    figure, axes = plt.subplots(figsize=(2 + 0.6 * frames, 0.6 * len(videos) + 0.1))
    labels = [textwrap.wrap(verbatim(caption), 32, max_lines=LABEL_LINES, placeholder=" …") for caption in captions]
    show(axes, image, len(videos), ["\n".join(lines) for lines in labels])
    return figure
