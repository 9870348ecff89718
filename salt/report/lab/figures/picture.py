"""fig_lab: how far students are from the truth, against the number of steps they are sampled with; and samples."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from salt.config.files import accepted
from salt.config.lab import Mixture, Mode
from salt.draws import generator
from salt.errors import SaltError
from salt.report.lab.figures.context import INTERVALS, LabContext, difference
from salt.report.lab.figures.parts import SAMPLERS, floor_band, headline, line, steps_axis, sure
from salt.report.lab.records import read_clouds
from salt.report.style import GREY, End, label_ends, panel_letter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

SIZE = (7.6, 3.7)
SOLVERS = ("cm", "euler")
SIGMAS = 2.0
"""Of the contours around modes."""
WITHIN = 3.2
"""Standard deviations around the modes that a cloud shows."""


def draw(context: LabContext) -> tuple["Figure", str]:
    """(a), (b): the distance against steps, for each sampler; (c): clouds."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    figure = plt.figure(figsize=SIZE)
    left, right = figure.subfigures(1, 2, width_ratios=(4.5, 3.1), squeeze=False)[0]
    panels = left.subplots(1, 2, sharey=True)
    for axes, solver, letter in zip(panels, SOLVERS, "ab", strict=True):
        _curves(context, axes, solver, letter)
    panels[0].set_ylim(bottom=0)
    panels[0].yaxis.set_major_locator(MaxNLocator(5))
    panels[0].set_ylabel("distance to the truth\n(sliced W1, coordinates of the world)")
    for axes, solver in zip(panels, SOLVERS, strict=True):
        label_ends(axes, _ends(context, solver), least_gap=0.055)
    _clouds(context, right)
    headline(figure, sentence(context))
    meanings = context.meanings()
    said = f"{meanings}{'. ' if meanings else ''}Lines: mean over training seeds. {INTERVALS}"
    return figure, context.footnote(said)


def sentence(context: LabContext) -> str:
    """What more steps do to each student, in words, from the records."""
    spec = context.figures.fig_lab
    few, many = context.few_and_many(spec.growth, spec.metric, spec.said)
    phrases: list[str] = []
    for arm in spec.said:
        before, after = (context.values(arm, spec.metric, solver=spec.growth.solver, nfe=nfe) for nfe in (few, many))
        label = context.called(arm).label
        if sure(difference(after, before)):
            phrases.append(f"{label} goes from {before.mean():.3f} to {after.mean():.3f}")
        else:
            phrases.append(f"{label} stays where it is ({after.mean():.3f})")
    told = ", ".join(phrases[:-1]) + " and " + phrases[-1] if len(phrases) > 1 else phrases[0]
    return f"How far from the truth? With {many} {SAMPLERS[spec.growth.solver]} in place of {few}, {told}."


# ------------------------------------------------------------------------------------------------- (a), (b)
def _curves(context: LabContext, axes: "Axes", solver: str, letter: str) -> None:
    spec = context.figures.fig_lab
    steps = context.steps(spec.metric, solver, spec.arms)
    looks = context.looks(spec.arms)
    floor_band(axes, context.floor(spec.metric), "truth against truth" if letter == "b" else "")
    for arm in spec.arms:
        members = [context.values(arm, spec.metric, solver=solver, nfe=nfe) for nfe in steps]
        line(axes, steps, members, looks[arm])
    steps_axis(axes, steps, solver)
    axes.set_title({"cm": "Consistency sampler", "euler": "Euler sampler"}[solver], loc="left")
    panel_letter(axes, letter)


def _ends(context: LabContext, solver: str) -> list[End]:
    spec = context.figures.fig_lab
    last = context.steps(spec.metric, solver, spec.arms)[-1]
    looks = context.looks(spec.arms)
    return [
        (float(context.values(arm, spec.metric, solver=solver, nfe=last).mean()), context.called(arm).label,
         looks[arm].colour)
        for arm in spec.arms
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------------ (c)
def _clouds(context: LabContext, figure: "SubFigure") -> None:
    spec = context.figures.fig_lab.clouds
    samples = read_clouds(context.records, context.sets, context.ensembles[0])
    samples = samples[samples["caption"] == spec.caption]
    rows, columns = len(spec.arms) + 1, len(spec.nfe)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    looks = context.looks(context.figures.fig_lab.arms)
    modes = _modes(context)
    _cloud(context, grid[0, 0], _truth(context), "#222222", "Truth")
    for axes in grid[0, 1:]:
        axes.axis("off")
    grid[0, 1].text(
        0,
        0.5,
        f"Samples of one caption\nby {SAMPLERS[spec.solver]}.\nOvals: {SIGMAS:g} standard\ndeviations around the\n"
        "truth's two modes",
        fontsize=6.5, color=GREY, va="center", transform=grid[0, 1].transAxes,
    )  # fmt: skip
    for row, arm in enumerate(spec.arms, start=1):
        for column, nfe in enumerate(spec.nfe):
            part = samples[(samples["method"] == arm) & (samples["solver"] == spec.solver)]
            nearest = context.nearest(nfe, sorted(set(part["nfe"]))) if len(part) else nfe
            title = f"{context.called(arm).label}, {nearest} steps"
            _cloud(context, grid[row, column], part[part["nfe"] == nearest], looks[arm].colour, title)
    means, spreads = modes
    low, high = (means - WITHIN * spreads).min(axis=0), (means + WITHIN * spreads).max(axis=0)
    grid[0, 0].set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    for axes in grid.flat:
        axes.set_aspect("equal")
    panel_letter(grid[0, 0], "c")


def _cloud(context: LabContext, axes: "Axes", samples: pd.DataFrame, colour: str, title: str) -> None:
    from matplotlib.patches import Ellipse

    spec = context.figures.fig_lab.clouds
    if samples.empty:
        raise SaltError(
            f"{context.records}: clouds: no samples for the panel {title!r} (caption {spec.caption}, {spec.solver}); "
            "accepted: a few hundred of each that experiments/lab/figures.yaml names"
        )
    shown = samples.iloc[: context.figures.shown]
    axes.plot(shown["x"], shown["y"], ".", color=colour, markersize=2.2, alpha=0.6, markeredgewidth=0)
    for mean, spread in zip(*_modes(context), strict=True):
        axes.add_patch(Ellipse(mean, *(2 * SIGMAS * spread), fill=False, color="black", linewidth=0.8, zorder=3))
    axes.set_title(title, fontsize=7, color=colour, pad=2)
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(visible=True, color="#bdbdbd")


def _truth(context: LabContext) -> pd.DataFrame:
    """Samples of the caption's modes themselves, always the same."""
    means, spreads = _modes(context)
    random = generator(0, "truth of a cloud", 0, 0)
    weights = np.array([mode.weight for mode in _caption(context)])
    which = random.choice(len(weights), context.figures.shown, p=weights / weights.sum())
    points = means[which] + spreads[which] * random.normal(size=(context.figures.shown, 2))
    return pd.DataFrame(points, columns=["x", "y"])


def _modes(context: LabContext) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations of the caption's modes, each `(M, 2)`."""
    modes = _caption(context)
    return np.array([mode.mean[:2] for mode in modes]), np.array([mode.spread[:2] for mode in modes])


def _caption(context: LabContext) -> tuple[Mode, ...]:
    world, caption = context.exact.world, context.figures.fig_lab.clouds.caption
    if not isinstance(world, Mixture) or caption not in world.captions:
        names = world.captions if isinstance(world, Mixture) else ()
        raise SaltError(
            f"experiments/lab/figures.yaml: fig_lab.clouds.caption = {caption}: not of scale {context.scale.name}; "
            f"{accepted(caption, names)}"
        )
    return world.captions[caption]
