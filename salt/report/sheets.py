"""fig_causal, fig_i2v, fig_long: contact sheets of students at several step counts, of training length and beyond.

The captions follow the rule of `frames`: the first of each kind in the report list; of long videos the very first. The
first sampling seed, and of the training seeds the typical one: neither a student's best nor its worst.
"""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from salt.data.vbench_prompts import AnyPrompt
from salt.evaluation.cells import Cell
from salt.evaluation.lengths import length_of_cells
from salt.evaluation.scorers import evaluation_prompts, scorer_of
from salt.report.figure_context import FigureContext
from salt.report.frames import SOLVER, STEP_COUNTS, pick, read_video, show, shown_prompts, tile, video_path
from salt.report.style import WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXACT = ("object_class", "multiple_objects")
"""Of single objects and of pairs: frames that show exactly the caption's. It stands beside the number of steps, since
the captions shown are four of many."""
SHORT_FRAMES = 4
LONG_FRAMES = 18


def student_sheet(context: FigureContext) -> tuple["Figure", str]:
    """One block per student, a row per number of steps, captions of both kinds side by side."""
    figure = _sheet(context, shown_prompts(context), SHORT_FRAMES, STEP_COUNTS)
    return figure, context.footnote("scores", f"{_SAID}; {SHORT_FRAMES} frames evenly spaced, first to last")


def long_sheet(context: FigureContext) -> tuple["Figure", str]:
    """One block per student, a row per number of steps: one long video from its first to its last frame."""
    long = context.records.scale.evaluation.long
    figure = _sheet(context, shown_prompts(context, long=True)[:1], LONG_FRAMES, long.nfe if long else (), long=True)
    return figure, context.footnote("long", f"{_SAID}; {LONG_FRAMES} frames evenly spaced, first to last")


_SAID = (
    "The first captions of each kind in the report list, the first sampling seed, of the training seeds the one in the "
    "middle at the middle number of steps; consistency solver; percent: frames of all captions' videos that show "
    "exactly the caption's objects, of that seed"
)


def _shares(context: FigureContext, experiment: str, seeds: Sequence[int], nfe: int, long: bool) -> list[float]:
    """How many frames of all videos are as they should be, of each training seed; none where the truth is not known."""
    scale = context.records.scale
    if not scorer_of(scale, length_of_cells(scale, long)).truth:
        return []
    cell = Cell(experiment, "long" if long else "extended", SOLVER, nfe)
    if scale.image_to_video:
        return context.records.values(cell.kind, cell, seeds, "i2v_subject")
    of_kind = [context.records.values(cell.kind, cell, seeds, metric) for metric in EXACT]
    kinds = [prompt.kind for prompt in evaluation_prompts(context.records.scale, long)]
    weights = [kinds.count("single"), kinds.count("pair")]
    return [float(np.average(shares, weights=weights)) for shares in zip(*of_kind, strict=True)]


def typical(seeds: Sequence[int], shares: Sequence[float]) -> int:
    """The seed in the middle of all by these numbers, the lower of two; the first seed where there are none."""
    ordered = sorted(zip(shares, seeds, strict=True)) if shares else [(0.0, seed) for seed in seeds[:1]]
    return ordered[(len(ordered) - 1) // 2][1]


def _label(context: FigureContext, experiment: str, seed: int, nfe: int, long: bool) -> str:
    return ", ".join([f"{nfe} steps", *(f"{share:.0%}" for share in _shares(context, experiment, [seed], nfe, long))])


def _sheet(
    context: FigureContext, prompts: list[AnyPrompt], frames: int, steps: Sequence[int], long: bool = False
) -> "Figure":
    import matplotlib.pyplot as plt

    measured = context.measured("long" if long else "scores")
    tall = min(0.45, (WIDTH - 1.0) / (frames * len(prompts)))  # inches of a frame
    figure, grid = plt.subplots(
        len(measured), 1, figsize=(WIDTH, (tall * len(steps) + 0.1) * len(measured) + 0.6), squeeze=False
    )
    for axes, (experiment, seeds) in zip(grid[:, 0], measured.items(), strict=True):
        seed = typical(seeds, _shares(context, experiment, seeds, steps[len(steps) // 2], long))
        paths = [[video_path(context, experiment, seed, nfe, p, long) for p in prompts] for nfe in steps]
        rows = [[pick(read_video(context, path), frames) for path in row] for row in paths]
        image, centres = tile(rows)
        show(axes, image, len(rows), [_label(context, experiment, seed, nfe, long) for nfe in steps])
        name = [*textwrap.wrap(context.title(experiment), 14), f"seed {seed}"]
        axes.set_ylabel("\n".join(name), fontsize=7)
        if axes is grid[0, 0]:
            for prompt, centre in zip(prompts, centres, strict=True):
                head = "\n".join(textwrap.wrap(prompt.extended, 76 // len(prompts)))
                axes.annotate(head, (centre, 0), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=7)
    return figure
