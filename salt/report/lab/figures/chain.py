"""fig_lab_chain: the autoregressive half. Error along the chain, and how much the chunk before matters."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from salt.config.lab import Chain
from salt.errors import SaltError
from salt.report.lab.figures.context import INTERVALS, LabContext, difference
from salt.report.lab.figures.parts import FLOOR_COLOUR, headline, line, reach, sure
from salt.report.style import GREY, LIGHT, label_ends, panel_letter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (7.6, 6.0)
SOLVER = "cm"
TITLES = {
    "sliced_w1": "distance to the truth\n(sliced W1, coordinates of the world)",
    "energy_distance": "distance to the truth\n(energy distance)",
    "radius": "mean radius over the truth's",
    "residual": "distance to the nearer future\nover the truth's",
    "turn_tv": "error of the share of left turns",
}
"""Of metrics of a chunk."""


def draw(context: LabContext) -> tuple["Figure", str]:
    """(a): distance of every chunk; (b): difference from the baseline; (c): drift; (d): trained K against the cache."""
    import matplotlib.pyplot as plt

    spec = context.figures.fig_lab_chain
    figure, panels = plt.subplots(2, 2, figsize=SIZE)
    nfe = context.nearest(spec.nfe, context.steps(spec.distance, SOLVER, spec.arms))
    _along(context, panels[0, 0], spec.distance, nfe)
    _against(context, panels[0, 1], nfe)
    _along(context, panels[1, 0], spec.drift, nfe)
    _matrix(context, panels[1, 1], nfe)
    panels[0, 0].set_title("Every chunk's distance to the truth", loc="left", fontsize=8)
    panels[0, 1].set_title(f"The same, minus that of {context.called(spec.baseline).label}", loc="left", fontsize=8)
    panels[1, 0].set_title("How far chunks lie from the centre", loc="left", fontsize=8)
    headline(figure, sentence(context))
    for axes, letter in zip(panels.flat, "abcd", strict=True):
        panel_letter(axes, letter)
    said = (
        f"Chunks made in {nfe} consistency steps, one after the other. Grey: truth against truth. Dotted: end of the "
        f"training length. {INTERVALS}; in (b) paired by seed; light cells are closer to the truth. "
        f"{context.meanings()}"
    )
    return figure, context.footnote(said)


def sentence(context: LabContext) -> str:
    """How the last chunk of the arm that matters compares with the baseline's, from the records."""
    spec = context.figures.fig_lab_chain
    nfe = context.nearest(spec.nfe, context.steps(spec.distance, SOLVER, spec.arms))
    chunk = _chunks(context, spec.distance)[-1]
    ours, base = (
        context.values(arm, spec.distance, solver=SOLVER, nfe=nfe, chunk=chunk, cache=0)
        for arm in (spec.compared[-1], spec.baseline)
    )
    change = difference(ours, base)
    names = [context.called(arm).label.replace(" = ", "\u00a0=\u00a0") for arm in (spec.compared[-1], spec.baseline)]
    if not sure(change):
        return f"At chunk {chunk}, {names[0]} and {names[1]} are not measurably at different distances from the truth."
    way = "further from" if change.estimate > 0 else "closer to"
    share = f"{abs(change.estimate) / float(base.mean()):.0%}".replace("%", "\u00a0%")
    return f"At chunk {chunk}, {names[0]} is {share} {way} the truth than {names[1]}."


def _chunks(context: LabContext, metric: str) -> list[int]:
    spec = context.figures.fig_lab_chain
    frames = [context.rows(arm, metric) for arm in spec.arms]
    found = set.intersection(*(set(frame[(frame["chunk"] > 0) & (frame["cache"] == 0)]["chunk"]) for frame in frames))
    if not found:
        raise SaltError(f"{context.records}: {metric} of no chunk that all arms of {context.name} have")
    return sorted(int(chunk) for chunk in found)


def _along(context: LabContext, axes: "Axes", metric: str, nfe: int) -> None:
    """One metric of every chunk, a line for each arm."""
    spec, looks = context.figures.fig_lab_chain, context.looks(context.figures.fig_lab_chain.arms)
    chunks = _chunks(context, metric)
    ends = []
    floors = [context.floor(metric, chunk) for chunk in chunks]
    if all(floor is not None for floor in floors):
        low, high = zip(*(floor for floor in floors if floor is not None), strict=True)
        axes.fill_between(chunks, low, high, color=FLOOR_COLOUR, alpha=0.6, linewidth=0, zorder=0)
    for arm in spec.arms:
        members = [context.values(arm, metric, solver=SOLVER, nfe=nfe, chunk=chunk, cache=0) for chunk in chunks]
        last = line(axes, chunks, members, looks[arm], size=3)
        ends.append((last, context.called(arm).label, looks[arm].colour))
    if floors[-1] is not None:
        below = ends[0][0] < floors[-1][0]
        axes.annotate(
            "truth against truth", (chunks[-1], floors[-1][0 if below else 1]), xytext=(0, -2 if below else 2),
            textcoords="offset points", fontsize=6.5, color=GREY, ha="right", va="top" if below else "bottom",
        )  # fmt: skip
    _chunk_axis(context, axes, chunks)
    axes.set_ylabel(TITLES.get(metric, metric))
    if metric == spec.distance:
        axes.set_ylim(bottom=0)
    label_ends(axes, ends, least_gap=0.065)


def _against(context: LabContext, axes: "Axes", nfe: int) -> None:
    """Paired differences from the baseline, chunk by chunk."""
    spec, looks = context.figures.fig_lab_chain, context.looks(context.figures.fig_lab_chain.arms)
    chunks, ends = _chunks(context, spec.distance), []

    def of(arm: str, chunk: int) -> pd.Series:
        return context.values(arm, spec.distance, solver=SOLVER, nfe=nfe, chunk=chunk, cache=0)

    axes.axhline(0, color=looks[spec.baseline].colour if spec.baseline in looks else GREY, linewidth=1)
    for place, arm in enumerate(spec.compared):
        intervals = [difference(of(arm, chunk), of(spec.baseline, chunk)) for chunk in chunks]
        means = [interval.estimate for interval in intervals]
        shift = 0.1 * (place - (len(spec.compared) - 1) / 2)  # so that bars do not hide each other
        axes.errorbar(
            np.array(chunks) + shift, means, yerr=reach(intervals), fmt=looks[arm].line, marker=looks[arm].marker,
            color=looks[arm].colour, markersize=3, elinewidth=0.8, linewidth=1.1,
        )  # fmt: skip
        ends.append((means[-1], context.called(arm).label, looks[arm].colour))
    _chunk_axis(context, axes, chunks)
    axes.set_ylabel("difference in sliced W1\n← better        worse →")
    label_ends(axes, ends, least_gap=0.065)


def _chunk_axis(context: LabContext, axes: "Axes", chunks: list[int]) -> None:
    world = context.exact.world
    axes.set_xticks(chunks)
    axes.set_xlabel("chunk")
    axes.grid(axis="y", color=LIGHT)
    if isinstance(world, Chain) and chunks[-1] > world.chunks:
        axes.axvline(world.chunks + 0.5, color=GREY, linewidth=0.7, linestyle=":")


def _matrix(context: LabContext, axes: "Axes", nfe: int) -> None:
    """Distance of the last chunk of training, behind chunks that were made in other numbers of steps."""
    import seaborn as sns

    spec = context.figures.fig_lab_chain
    frames = [context.rows(arm, spec.distance) for arm in spec.matrix]
    caches = sorted(set.intersection(*(set(frame["cache"]) - {0} for frame in frames)))
    if not caches:
        raise SaltError(f"{context.records}: {spec.distance} behind no cache that all arms of {context.name} have")
    rows = {}
    for arm in spec.matrix:
        found = [context.values(arm, spec.distance, solver=SOLVER, nfe=nfe, cache=cache) for cache in caches]
        rows[context.called(arm).label] = [float(values.mean()) for values in found]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=[str(cache) for cache in caches])
    texts = table.map(lambda value: f"{value:.3f}".removeprefix("0"))
    sns.heatmap(
        table, ax=axes, annot=texts, fmt="", cmap="cividis_r", cbar=False, linewidths=0.6, linecolor="white",
        annot_kws={"fontsize": 7},
    )  # fmt: skip
    axes.tick_params(length=0, rotation=0)
    axes.set_xlabel("steps in which the chunks before were made")
    axes.set_ylabel("trained with")
    last = int(frames[0][frames[0]["cache"] > 0]["chunk"].max())
    axes.set_title(f"Distance of chunk {last}, made in {nfe} steps", loc="left", fontsize=8)
