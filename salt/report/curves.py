"""Figures of numbers: the defect per interval, quality against steps and against lambda_SC, error against depth."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from salt.config.load import load_experiment
from salt.config.modes import HIGH_OF, RIGHT
from salt.config.paper import paper_values
from salt.evaluation.cells import NO_SOLVER, REAL, Cell, solvers_of
from salt.report.figure_context import FigureContext
from salt.report.metrics import percent, title
from salt.report.records import Kind
from salt.report.statistics import Interval, seed_interval
from salt.report.style import GREY, LIGHT, WIDTH, End, label_ends, panel_letter
from salt.report.tables import METHOD, differences

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SOLVER_TITLES = {"euler": "Euler solver", "cm": "Consistency (CM) solver"}
INFERENCE_STEPS = 4
"""K of the paper's tables and of its defect measurement."""
SEEDS_AS_DOTS = "Dots are training seeds, bars and lines their mean"


# ----------------------------------------------------------------------------------------------------- figA1
def defect_bars(context: FigureContext) -> tuple["Figure", str]:
    """Eq. (16) on each interval of the 4-step path and on average, one bar per student, one panel per solver."""
    import matplotlib.pyplot as plt

    measured = context.measured("defect")
    solvers = context.records.scale.evaluation.solvers
    figure, panels = plt.subplots(
        len(solvers), 1, figsize=(WIDTH, 0.6 + 1.9 * len(solvers)), sharex=True, squeeze=False
    )
    for axes, solver in zip(panels[:, 0], solvers, strict=True):
        for place, (experiment, seeds) in enumerate(measured.items()):
            _bars(context, axes, Cell(experiment, "extended", solver, INFERENCE_STEPS), seeds, place, len(measured))
        axes.axvline(INFERENCE_STEPS - 0.3, color=LIGHT, linewidth=0.8)
        axes.set_title(f"states of the path of the {SOLVER_TITLES[solver]}", loc="left", fontsize=8)
        axes.set_ylabel(r"$\Delta_{\mathrm{sg}}$, Eq. (16)")
        axes.margins(y=0.12)
    axes.set_xticks([*range(INFERENCE_STEPS), INFERENCE_STEPS + 0.4], [*_interval_labels(context), "mean of\nthe four"])
    axes.set_xlabel(r"interval $t_s \rightarrow t_e$ of the 4-step path (through $t_m$)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=len(measured), borderpad=0)
    panels[0, 0].set_title(_paper_defect(), loc="right", color=GREY, fontsize=7.5)
    return figure, context.footnote("defect", SEEDS_AS_DOTS)


def _bars(context: FigureContext, axes: "Axes", cell: Cell, seeds: Sequence[int], place: int, of: int) -> None:
    names = [*(f"defect[{i}]" for i in range(INFERENCE_STEPS)), "defect_mean"]
    values = np.array([context.records.values("defect", cell, seeds, name) for name in names])
    style, width = context.look(cell.experiment, place), 0.8 / of
    x = np.arange(len(names)) + (np.arange(len(names)) == INFERENCE_STEPS) * 0.4 + (place - (of - 1) / 2) * width
    axes.bar(x, values.mean(axis=1), width * 0.92, color=style.colour, label=context.title(cell.experiment))
    axes.plot(x, values, ".", color="black", markersize=3, zorder=3)
    axes.annotate(
        f"{values[-1].mean():.4f}", (x[-1], values[-1].max()), xytext=(0, 3), textcoords="offset points", ha="center",
        fontsize=6.5,
    )  # fmt: skip


def _interval_labels(context: FigureContext) -> list[str]:
    experiment, seeds = next(iter(context.measured("defect").items()))
    rows = context.records.tidy("defect", experiment, seeds[:1]).drop_duplicates("metric").set_index("metric")
    times = rows.loc[[f"defect[{i}]" for i in range(INFERENCE_STEPS)], ["t_s", "t_m", "t_e"]].astype(float)
    return [f"{t_s:.3g} → {t_e:.3g}\n({t_m:.3g})" for t_s, t_m, t_e in times.to_numpy()]


def _paper_defect() -> str:
    rows = [value for value in paper_values() if value.metric == "semigroup_defect"]
    numbers = ", ".join(f"{value.row} {value.value:.4f}" for value in rows)
    change = rows[-1].value / rows[0].value - 1
    return f"Paper, mean of its four intervals: {numbers} ({change:+.0%})"


# ------------------------------------------------------------------------------------------------- fig_steps
def steps_curves(context: FigureContext) -> tuple["Figure", str]:
    """Total, Quality and Semantic against the number of function evaluations, one column per solver."""
    figure = _against_steps(context, "scores", ("total", "quality", "semantic"))
    return figure, context.footnote("scores", SEEDS_AS_DOTS + "; extended prompts")


def mode_curves(context: FigureContext) -> tuple["Figure", str]:
    """Measures of distributions against the number of function evaluations; grey: what real clips may have."""
    return _distributions(context, "modes")


def any_step_curves(context: FigureContext) -> tuple["Figure", str]:
    """The same from one evaluation on, of rivals that promise more for more compute."""
    return _distributions(context, "any_step")


def _distributions(context: FigureContext, kind: Kind) -> tuple["Figure", str]:
    figure = _against_steps(context, kind, ("energy_distance", "off_support", "style_shift", "style_spread"))
    said = f"{SEEDS_AS_DOTS}; extended prompts; grey: what 95 of 100 sets of as many real clips stay below"
    return figure, context.footnote(kind, said)


def _against_steps(context: FigureContext, kind: Kind, shown: Sequence[str]) -> "Figure":
    import matplotlib.pyplot as plt

    measured = {name: seeds for name, seeds in context.measured(kind).items() if name != REAL}
    solvers = context.records.scale.evaluation.solvers
    size = (WIDTH, 0.4 + 1.95 * len(shown))
    figure, grid = plt.subplots(len(shown), len(solvers), figsize=size, sharex=True, sharey="row", squeeze=False)
    ends = {}
    for row, metric in enumerate(shown):
        grid[row, 0].set_ylabel(title(metric))
        for column, solver in enumerate(solvers):
            ends[row, column] = _steps_panel(context, grid[row, column], kind, measured, metric, solver)
            if kind != "scores":
                _floor(context, grid[row, column], kind, metric)
    for place, lines in ends.items():  # when all is drawn: the panels of a row share their axis
        label_ends(grid[place], lines, least_gap=0.1)
    for column, solver in enumerate(solvers):
        grid[0, column].set_title(SOLVER_TITLES[solver])
        grid[-1, column].set_xlabel("function evaluations (NFE)")
    return figure


def _floor(context: FigureContext, axes: "Axes", kind: Kind, metric: str) -> None:
    """From where a measure is right to what real clips may have."""
    if context.records.seeds(kind, REAL, [0]):
        cell, right = Cell(REAL, "extended", NO_SOLVER, 0), RIGHT.get(metric, 0.0)
        (high,) = context.records.values(kind, cell, [0], metric + HIGH_OF)
        low = 2 * right - high if right else 0.0
        axes.axhspan(percent(metric) * low, percent(metric) * high, color=LIGHT, zorder=0)


def _recorded(context: FigureContext, kind: Kind, cell: Cell, seeds: tuple[int, ...], metric: str) -> list[float]:
    """One value of each seed; NaN where too few samples were on the support to measure it."""
    if metric in context.records.absent(cell, seeds, kind):
        return [float("nan")] * len(seeds)
    return context.records.values(kind, cell, seeds, metric)


def _steps_panel(
    context: FigureContext, axes: "Axes", kind: Kind, measured: dict[str, tuple[int, ...]], metric: str, solver: str
) -> list[End]:
    scale, ends = context.records.scale, []
    nfes = scale.any_step if kind == "any_step" else scale.evaluation.nfe
    for place, (experiment, seeds) in enumerate(measured.items()):
        if solver not in solvers_of(load_experiment(experiment, scale.name)):
            continue
        style = context.look(experiment, place)
        cells = [Cell(experiment, "extended", solver, nfe) for nfe in nfes]
        values = percent(metric) * np.array([_recorded(context, kind, cell, seeds, metric) for cell in cells])
        axes.plot(nfes, values, ".", color=style.colour, markersize=3, alpha=0.6)
        mean = values.mean(axis=1)
        axes.plot(nfes, mean, style.line, marker=style.marker, color=style.colour)
        if np.isfinite(mean[-1]):
            ends.append((float(mean[-1]), context.title(experiment), style.colour))
    axes.set_xscale("log", base=2)
    axes.set_xticks(nfes, [str(nfe) for nfe in nfes])
    axes.minorticks_off()
    axes.grid(axis="y", color=LIGHT)
    return ends


# ------------------------------------------------------------------------------------------------ fig_lambda
def lambda_curves(context: FigureContext) -> tuple["Figure", str]:
    """The defect, and what Total and Semantic gain or lose against lambda_SC = 0, over lambda_SC."""
    import matplotlib.pyplot as plt

    defects, scores = context.measured("defect"), context.measured("scores")
    both = {name: tuple(s for s in seeds if s in scores.get(name, ())) for name, seeds in defects.items()}
    weights = {name: _weight(context, name) for name, seeds in both.items() if seeds}
    order = sorted(weights, key=lambda name: weights[name])
    x = np.array([weights[name] for name in order])
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(WIDTH, 2.8))
    means = [seed_interval(_defects(context, name, both[name])) for name in order]
    for name, weight in zip(order, x, strict=True):
        left.plot(
            np.full(len(both[name]), weight), _defects(context, name, both[name]), ".", color="black", markersize=3
        )
    left.plot(x, [mean.estimate for mean in means], "-D", color=context.look("sc_dmd", 0).colour)
    left.set_ylabel(r"semigroup defect $\Delta_{\mathrm{sg}}$, Eq. (16)")
    left.set_ylim(bottom=0)
    for axes, metric in ((middle, "total"), (right, "semantic")):
        for place, solver in enumerate(context.records.scale.evaluation.solvers):
            _gain_line(context, axes, order, x, both, metric, solver, place)
        axes.axhline(0, color=GREY, linewidth=0.8)
        axes.set_ylabel(rf"$\Delta$ {title(metric)} from $\lambda_{{\mathrm{{SC}}}} = 0$")
    figure.legend(*middle.get_legend_handles_labels(), loc="outside upper right", ncols=2, borderpad=0)
    for axes, letter in zip((left, middle, right), "abc", strict=True):
        axes.set_xscale("symlog", linthresh=0.1, linscale=0.6)
        axes.set_xticks(x, [f"{weight:g}" for weight in x])
        axes.minorticks_off()
        axes.set_xlim(-0.03, x.max() * 1.6 if x.max() else 1)
        axes.set_xlabel(r"$\lambda_{\mathrm{SC}}$, Eq. (10)")
        panel_letter(axes, letter)
    return figure, context.footnote("scores", f"Intervals: {METHOD}. {INFERENCE_STEPS} NFE, extended prompts")


def _weight(context: FigureContext, experiment: str) -> float:
    """lambda_SC of an experiment; without the objective it is 0."""
    sc = load_experiment(experiment, context.records.scale.name).objectives.sc
    return 0.0 if sc is None else sc.weight


def _defects(context: FigureContext, experiment: str, seeds: Sequence[int]) -> list[float]:
    cell = Cell(experiment, "extended", context.records.scale.evaluation.main_solver, INFERENCE_STEPS)
    return context.records.values("defect", cell, seeds, "defect_mean")


def _gain_line(
    context: FigureContext,
    axes: "Axes",
    order: Sequence[str],
    x: np.ndarray,
    seeds: dict[str, tuple[int, ...]],
    metric: str,
    solver: str,
    place: int,
) -> None:
    baseline = order[0]
    intervals: list[Interval] = []
    for name in order[1:]:
        shared = tuple(seed for seed in seeds[name] if seed in seeds[baseline])
        pair = [Cell(experiment, "extended", solver, INFERENCE_STEPS) for experiment in (name, baseline)]
        intervals.append(differences(context.records, *pair, shared)[metric])
    colour = ("#0072B2", "#D55E00")[place]
    shift = x[1:] * (1 + 0.06 * (2 * place - 1))
    estimates = [interval.estimate for interval in intervals]
    reach = [i.estimate - i.low if i.bounded else np.nan for i in intervals]
    axes.errorbar(shift, estimates, yerr=reach, fmt="-o", color=colour, capsize=2, label=SOLVER_TITLES[solver])


# ------------------------------------------------------------------------------------------------- fig_depth
def depth_curves(context: FigureContext) -> tuple["Figure", str]:
    """How far a student's Euler path strays from the teacher's, step by step, one panel per number of steps."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    measured = context.measured("defect")
    frames = {name: _depth_errors(context, name, seeds) for name, seeds in measured.items()}
    nfes = sorted({int(nfe) for frame in frames.values() for nfe in frame["nfe"]})
    figure, grid = plt.subplots(1, len(nfes), figsize=(WIDTH, 2.6), sharey=True, squeeze=False)
    ends = []
    for column, nfe in enumerate(nfes):
        axes = grid[0, column]
        for place, (experiment, frame) in enumerate(frames.items()):
            style = context.look(experiment, place)
            lines = frame[frame["nfe"] == nfe].pivot(index="depth", columns="seed", values="value")
            axes.plot(lines.index, lines, ".", color=style.colour, markersize=2.5, alpha=0.6)
            mean = lines.mean(axis=1)
            axes.plot(lines.index, mean, style.line, marker=style.marker, color=style.colour, markersize=3.5)
            if column == len(nfes) - 1:
                ends.append((float(mean.iloc[-1]), context.title(experiment), style.colour))
        axes.set_title(f"{nfe} steps")
        axes.set_xlabel("Euler steps taken")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(axis="y", color=LIGHT)
    grid[0, 0].set_ylim(bottom=0)
    grid[0, 0].set_ylabel("RMS distance from the teacher's path\nrelative to its state")
    label_ends(grid[0, -1], ends, least_gap=0.09)
    return figure, context.footnote("defect", SEEDS_AS_DOTS)


def _depth_errors(context: FigureContext, experiment: str, seeds: Sequence[int]) -> pd.DataFrame:
    frame = context.records.tidy("defect", experiment, seeds)
    frame = frame[frame["metric"].str.startswith("depth_error[")]
    return frame.assign(depth=frame["metric"].str.extract(r"\[(\d+)\]")[0].astype(int))
