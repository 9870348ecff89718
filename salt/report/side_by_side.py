"""fig4, figA2: videos of a baseline and of ours below each other, on captions picked by a rule that shows losses, too.

The experiments of such a figure are pairs, a baseline and ours. Of each pair the captions are ordered by the difference
ours - baseline in `METRIC` at 4 function evaluations, extended captions, averaged over the sampling seeds and the
training seeds that both have; equal ones keep the order of the report list. Shown are those at the 10th, 50th and 90th
percentile: one of those where ours loses most, or gains least, the median, and one of those where it gains most.
"""

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from salt.data.vbench_prompts import AnyPrompt
from salt.errors import SaltError
from salt.evaluation.cells import Cell
from salt.evaluation.scorers import evaluation_prompts
from salt.report.figure_context import FigureContext
from salt.report.frames import SOLVER, pick, read_video, show, tile, video_path
from salt.report.metrics import percent, title
from salt.report.style import WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRIC = "overall_consistency"
NFE = (4, 2)
"""Function evaluations shown of each caption; at the first the captions are ordered."""
PERCENTILES = (10, 50, 90)
MARGIN, HEAD = 1.15, 0.35
"""Inches beside a block for its labels, and above it for its caption."""
FRAMES = 10
"""Most frames in a row of the page."""


@dataclass(frozen=True)
class Pair:
    """Two experiments to be compared."""

    baseline: str
    ours: str
    seeds: tuple[int, ...]
    """Training seeds that both have."""


@dataclass(frozen=True)
class Case:
    """A caption that is shown, and why."""

    percentile: int
    difference: float
    """Ours - baseline, as printed (0-100)."""
    prompt: AnyPrompt


def baselines_and_ours(context: FigureContext) -> tuple["Figure", str]:
    """One column per pair, one block per percentile: both experiments at each number of steps."""
    import matplotlib.pyplot as plt

    found = pairs(context)
    frames = min(FRAMES // len(found), context.records.scale.world.frames)
    rows = 2 * len(NFE)
    height = HEAD + rows * (WIDTH / len(found) - MARGIN) / frames
    size = (WIDTH, height * len(PERCENTILES) + 0.2)
    figure, grid = plt.subplots(len(PERCENTILES), len(found), figsize=size, squeeze=False)
    for column, pair in zip(grid.T, found, strict=True):
        ways = [(name, nfe) for nfe in NFE for name in (pair.baseline, pair.ours)]
        labels = [f"{context.title(name)}\n{nfe} steps" for name, nfe in ways]
        for axes, case in zip(column, cases(context, pair), strict=True):
            videos = [
                read_video(context, video_path(context, name, pair.seeds[0], nfe, case.prompt)) for name, nfe in ways
            ]
            show(axes, tile([[pick(video, frames)] for video in videos])[0], rows, labels)
            head = f"{case.percentile}th percentile ({case.difference:+.1f}): {case.prompt.extended}"
            axes.set_title("\n".join(textwrap.wrap(head, 96 // len(found))), fontsize=7, loc="left", pad=3)
    said = (
        f"Captions: those at the {', '.join(f'{p}th' for p in PERCENTILES)} percentile of the difference, ours minus "
        f"baseline (in brackets), in {title(METRIC)} at {NFE[0]} steps, mean over seeds, ties in the order of the "
        "report list. Videos: first training and sampling seed, consistency solver, frames evenly spaced, first to last"
    )
    return figure, context.footnote("scores", said)


def pairs(context: FigureContext) -> list[Pair]:
    """The pairs of which both are measured, with the same training seed at least once.

    Raises:
        SaltError: an experiment without its other, or no pair is measured.
    """
    names = context.spec.experiments
    if len(names) % 2:
        raise SaltError(
            f"experiments/tables.yaml: figures.{context.name}.experiments = {', '.join(names)}; accepted: pairs, each "
            "a baseline and ours"
        )
    measured = context.measured("scores")
    shared = [
        Pair(baseline, ours, tuple(sorted({*measured.get(baseline, ())} & {*measured.get(ours, ())})))
        for baseline, ours in zip(names[::2], names[1::2], strict=True)
    ]
    found = [pair for pair in shared if pair.seeds]
    if not found:
        asked = "; ".join(f"{pair.baseline} and {pair.ours}" for pair in shared)
        raise SaltError(f"{context.records.folder}: {context.name} needs scores of both of a pair; accepted: {asked}")
    return found


def cases(context: FigureContext, pair: Pair) -> list[Case]:
    """The captions that the rule picks, in the order of `PERCENTILES`.

    Raises:
        SaltError: the two were scored on different captions.
    """
    baseline, ours = (_by_caption(context, name, pair.seeds) for name in (pair.baseline, pair.ours))
    if baseline.keys() != ours.keys():
        raise SaltError(
            f"{context.records.folder}: {pair.baseline} and {pair.ours} were scored on different captions; "
            "accepted: the same. Score both again"
        )
    differences = {caption: round(ours[caption] - baseline[caption], 6) for caption in ours}
    prompts = [p for p in evaluation_prompts(context.records.scale) if p.id in differences]
    ordered = sorted(prompts, key=lambda prompt: differences[prompt.id])
    picked = [(percentile, ordered[round(percentile / 100 * (len(ordered) - 1))]) for percentile in PERCENTILES]
    return [Case(percentile, differences[prompt.id], prompt) for percentile, prompt in picked]


def _by_caption(context: FigureContext, experiment: str, seeds: tuple[int, ...]) -> dict[str, float]:
    """The metric of each caption, as printed, averaged over all its videos."""
    scores = context.records.prompt_scores(Cell(experiment, "extended", SOLVER, NFE[0]), seeds)
    place = scores.dimensions.index(METRIC)
    means = scores.sums[:, :, place].sum(axis=0) / scores.counts[:, :, place].sum(axis=0)
    return dict(zip(scores.prompts, (percent(METRIC) * means).tolist(), strict=True))
