"""fig_caches, fig_drift: what causal students do with their own past.

fig_caches: quality of the last chunk for every pair of steps of its cache and of itself, and of every chunk, where
captions have a ground truth; the defect of the steps under the cache; change across chunks. fig_drift: scores of the
clips of a long video, in their order.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from salt.evaluation.cells import Cell, Prompts
from salt.evaluation.groundtruth.long import FOLLOWED
from salt.report.figure_context import FigureContext
from salt.report.metrics import percent, title
from salt.report.records import Kind
from salt.report.style import LIGHT, WIDTH, panel_letter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

STEPS = 4
"""K of the lines, and of the long videos."""


# ------------------------------------------------------------------------------------------------ fig_drift
def drift(context: FigureContext) -> tuple["Figure", str]:
    """One panel per dimension: its mean over videos on each clip of training length, from the first to the last."""
    import matplotlib.pyplot as plt

    measured = context.measured("long")
    figure, grid = plt.subplots(2, 2, figsize=(WIDTH, 4.2), sharex=True)
    for axes, metric in zip(grid.flat, FOLLOWED, strict=True):
        for place, (experiment, seeds) in enumerate(measured.items()):
            cell = _cell(context, experiment, "long")
            values = percent(metric) * _parts(context, "long", cell, seeds, f"{metric}@clip")
            _line(context, axes, experiment, place, np.arange(1, len(values) + 1), values)
        axes.set_title(title(metric), loc="left")
    for axes in grid[-1]:
        axes.set_xlabel("clip of the long video")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(measured))
    return figure, context.footnote("long", f"Dots are training seeds, lines their mean; {STEPS} steps a chunk")


# ----------------------------------------------------------------------------------------------- fig_caches
def caches(context: FigureContext) -> tuple["Figure", str]:
    """Lines by chunk and by steps; above them, where the captions' objects were looked for, a matrix per student."""
    import matplotlib.pyplot as plt

    measured = context.measured("caches")
    first, seeds = next(iter(measured.items()))
    truth = "objects@chunk0" in set(context.records.tidy("caches", first, seeds[:1])["metric"])
    figure = plt.figure(figsize=(WIDTH, 5.0 if truth else 2.7))
    if truth:
        above, below = figure.subfigures(2, 1, height_ratios=(1, 1.15), squeeze=False)[:, 0]
        _matrices(context, above, measured)
        panels = list(below.subplots(1, 3))
        _by_chunk(context, panels[0], measured, "objects@chunk", "frames with the caption's objects, %", 100)
    else:
        below, panels = figure, list(figure.subplots(1, 2))
    _by_chunk(context, panels[-2], measured, "mismatch@chunk", "Eq. (16) under the cache")
    _by_steps(context, panels[-1], measured)
    if truth:
        real = _seam(context, Cell(first, "extended", "none", 0), seeds[:1])[0]
        panels[-1].axhline(real, color="black", linestyle=":")
    panels[-1].set_ylabel("change across chunks\nby change within" + " (dotted: real clips)" * truth)
    for axes, letter in zip(panels, "bcd" if truth else "ab", strict=True):
        panel_letter(axes, letter)
    below.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    said = (
        "(a) Frames of the last chunk that show exactly the caption's objects, %, mean over seeds: last chunk by K "
        "steps behind a cache of chunks of other K, from the same noise. Dots are training seeds, lines their mean"
    )
    without = (
        "Not measured on these captions, which have no ground truth: frames with their objects, seams of real clips. "
        "Dots are training seeds, lines their mean"
    )
    return figure, context.footnote("caches", said if truth else without)


Measured = dict[str, tuple[int, ...]]
"""Experiment -> its training seeds."""


def _matrices(context: FigureContext, above: "SubFigure", measured: Measured) -> None:
    """Of each student K of the cache against K sampled."""
    row = above.subplots(1, max(len(measured), 3), squeeze=False)[0]
    for axes, (experiment, seeds) in zip(row, measured.items(), strict=False):
        _matrix(context, axes, experiment, seeds)
    for axes in row[len(measured) :]:
        axes.set_axis_off()
    row[0].set_ylabel("steps of the cache")
    panel_letter(row[0], "a")


def _by_chunk(context: FigureContext, axes: "Axes", measured: Measured, stem: str, name: str, times: float = 1) -> None:
    for place, (experiment, seeds) in enumerate(measured.items()):
        values = times * _parts(context, "caches", _cell(context, experiment), seeds, stem)
        _line(context, axes, experiment, place, np.arange(1, len(values) + 1), values)
    axes.set_xticks(range(1, len(values) + 1))
    axes.set_ylabel(f"{name}\n({STEPS} steps)")
    axes.set_xlabel("chunk")


def _by_steps(context: FigureContext, axes: "Axes", measured: Measured) -> None:
    nfes = context.records.scale.evaluation.nfe
    for place, (experiment, seeds) in enumerate(measured.items()):
        ratios = np.stack([_seam(context, _cell(context, experiment, nfe=nfe), seeds) for nfe in nfes])
        _line(context, axes, experiment, place, np.array(nfes), ratios)
    axes.set_xscale("log", base=2)
    axes.set_xticks(nfes, [str(nfe) for nfe in nfes])
    axes.minorticks_off()
    axes.set_xlabel("steps")


def _matrix(context: FigureContext, axes: "Axes", experiment: str, seeds: Sequence[int]) -> None:
    nfes = context.records.scale.evaluation.nfe
    values = np.array(
        [
            [
                100 * np.mean(context.records.values("caches", _cell(context, experiment, nfe=k), seeds, name))
                for k in nfes
            ]
            for name in (f"objects@cache{k_cache}" for k_cache in nfes)
        ]
    )
    axes.imshow(values, cmap="Blues", vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(values):
        axes.text(
            column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color="white" if value > 60 else "black"
        )
    axes.set_xticks(range(len(nfes)), [str(nfe) for nfe in nfes])
    axes.set_yticks(range(len(nfes)), [str(nfe) for nfe in nfes])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(context.title(experiment).replace(" + ", "\n+ ", 1), fontsize=7)
    axes.set_xlabel("steps of the last chunk", fontsize=7)


def _seam(context: FigureContext, cell: Cell, seeds: Sequence[int]) -> np.ndarray:
    """Change across chunks by change within, of each seed."""
    across, within = (
        np.array(context.records.values("caches", cell, seeds, f"seam_{name}")) for name in ("across", "within")
    )
    return across / within


def _parts(context: FigureContext, kind: Kind, cell: Cell, seeds: Sequence[int], stem: str) -> np.ndarray:
    """Metrics `stem0`, `stem1`, ... of each seed, `(parts, seeds)`."""
    frame = context.records.tidy(kind, cell.experiment, seeds[:1])
    known = {int(m[1]) for name in frame["metric"].unique() if (m := re.fullmatch(re.escape(stem) + r"(\d+)", name))}
    return np.array([context.records.values(kind, cell, seeds, f"{stem}{i}") for i in sorted(known)])


def _cell(context: FigureContext, experiment: str, prompts: Prompts = "extended", nfe: int = STEPS) -> Cell:
    return Cell(experiment, prompts, context.records.scale.evaluation.main_solver, nfe)


def _line(context: FigureContext, axes: "Axes", experiment: str, place: int, x: np.ndarray, values: np.ndarray) -> None:
    """Seeds as dots and their mean as a line; `values` is `(x, seeds)`."""
    style = context.look(experiment, place)
    axes.plot(x, values, ".", color=style.colour, markersize=3, alpha=0.6)
    axes.plot(
        x, values.mean(axis=1), style.line, marker=style.marker, color=style.colour, label=context.title(experiment)
    )
    axes.grid(axis="y", color=LIGHT)
