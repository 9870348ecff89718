"""fig_lab_map: where few-step students fail. Levels trained against steps, learning, and what each choice changes."""

from typing import TYPE_CHECKING

import pandas as pd

from salt.config.lab_figures import Pair
from salt.report.lab.figures.context import INTERVALS, LabContext, difference
from salt.report.lab.figures.parts import BETTER, SAMPLERS, WORSE, floor_band, headline, line, sure
from salt.report.statistics import Interval
from salt.report.style import GREY, LIGHT, End, label_ends, panel_letter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

SIZE = (7.6, 9.6)
SOLVERS = ("cm", "euler")
LINEAR = 0.01
"""Differences below are drawn to scale, larger ones by their order of magnitude."""
MAP = "cividis_r"
"""Light is near the truth; its order survives colour-blindness and print."""


def draw(context: LabContext) -> tuple["Figure", str]:
    """(a), (b): heat maps; (c): learning curves; (d), (e): comparisons."""
    import matplotlib.pyplot as plt

    spec = context.figures.fig_lab_map
    figure = plt.figure(figsize=SIZE)
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 3.1), squeeze=False)[:, 0]
    panels = upper.subplots(1, 3, width_ratios=(1, 1, 1.05))
    tables = [_table(context, solver) for solver in SOLVERS]
    top = max(float(table.to_numpy().max()) for table in tables)
    floor = context.floor(spec.metric)
    for axes, table, solver, letter in zip(panels, tables, SOLVERS, "ab", strict=False):
        _heat(axes, table, solver, (floor[0] if floor else 0.0, top), letter)
    panels[0].set_ylabel("levels trained on")
    _learning(context, panels[2])
    _comparisons(context, lower)
    headline(figure, sentence(context))
    told = "" if floor is None else f"Truth against truth: {floor[0]:.3f} to {floor[1]:.3f}. "
    said = (
        f"(a)-(c): distance to the truth (sliced W1, coordinates of the world), mean over training seeds. {told}"
        f"{INTERVALS}, (d), (e) paired by seed: each row is what it names minus the same without it; "
        "nothing corrects for their number. Light cells are closer to the truth"
    )
    return figure, context.footnote(said)


def sentence(context: LabContext) -> str:
    """How many of the comparisons in (d) show a difference, from the records."""
    spec = context.figures.fig_lab_map
    found = [_level(context, pair) for factor in spec.factors for pair in factor.pairs]
    worse = sum(sure(interval) and interval.estimate > 0 for interval in found)
    better = sum(sure(interval) and interval.estimate < 0 for interval in found)
    return (
        f"Of {len(found)} comparisons at the same seeds, {better} come out closer to the truth, {worse} further from "
        f"it, and {len(found) - better - worse} cannot be told apart."
    )


# ------------------------------------------------------------------------------------------------- (a), (b)
def _table(context: LabContext, solver: str) -> pd.DataFrame:
    """Means over members: a row for each arm, a column for each number of steps."""
    spec = context.figures.fig_lab_map
    steps = context.steps(spec.metric, solver, spec.levels)
    every = context.arms.every()
    rows = {
        str(every[arm].experiment(context.scale.name).grid.train_steps): [
            float(context.values(arm, spec.metric, solver=solver, nfe=nfe).mean()) for nfe in steps
        ]
        for arm in spec.levels
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=[str(nfe) for nfe in steps])


def _heat(axes: "Axes", table: pd.DataFrame, solver: str, limits: tuple[float, float], letter: str) -> None:
    import seaborn as sns

    texts = table.map(lambda value: f"{value:.3f}".removeprefix("0"))
    sns.heatmap(
        table, ax=axes, annot=texts, fmt="", cmap=MAP, vmin=limits[0], vmax=limits[1], cbar=False, linewidths=0.6,
        linecolor="white", annot_kws={"fontsize": 6.5},
    )  # fmt: skip
    axes.tick_params(length=0, rotation=0)
    axes.set_xlabel(f"{SAMPLERS[solver]} taken to sample")
    axes.set_title(f"Distance after {SAMPLERS[solver]}", loc="left", fontsize=8)
    panel_letter(axes, letter)


# ------------------------------------------------------------------------------------------------------ (c)
def _learning(context: LabContext, axes: "Axes") -> None:
    spec = context.figures.fig_lab_map
    measure = spec.measure
    looks = context.looks(tuple(spec.curves.values()))
    ends: list[End] = []
    updates: list[int] = []
    for arm, shown in spec.curves.items():
        updates = sorted(int(done) for done in set(context.rows(arm, measure.metric)["updates"]))
        steps = context.steps(measure.metric, str(measure.solver), (arm,))
        nfe = None if measure.nfe is None else context.nearest(measure.nfe, steps)
        members = [
            context.values(arm, measure.metric, updates=done, solver=measure.solver, nfe=nfe) for done in updates
        ]
        common = sorted(set.intersection(*(set(values.index) for values in members)))
        last = line(axes, updates, [values.loc[common] for values in members], looks[shown])
        ends.append((last, context.called(shown).label, looks[shown].colour))
    floor_band(axes, context.floor(measure.metric), "truth against truth")
    axes.set_ylim(bottom=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks(updates, [str(done) for done in updates])
    axes.minorticks_off()
    axes.grid(axis="y", color=LIGHT)
    axes.set_xlabel("student updates")
    axes.set_title(_capital(measure.title).replace(" at ", "\nat "), loc="left", fontsize=8)
    label_ends(axes, ends, least_gap=0.08)
    panel_letter(axes, "c")


# ------------------------------------------------------------------------------------------------- (d), (e)
def _comparisons(context: LabContext, figure: "SubFigure") -> None:
    spec = context.figures.fig_lab_map
    left, right = figure.subplots(1, 2, sharey=True)
    _key(figure)
    few, many = context.few_and_many(spec.growth, spec.metric, context.drawn)
    places: list[float] = []
    names: list[str] = []
    at = 0.0
    for factor in spec.factors:
        left.annotate(
            factor.title, (0, at), xycoords=("axes fraction", "data"), xytext=(-4, 0), textcoords="offset points",
            ha="right", va="center", fontsize=7, fontweight="bold", annotation_clip=False,
        )  # fmt: skip
        for axes in (left, right):
            axes.axhline(at - 0.75, color=LIGHT, linewidth=0.6)
        for pair in factor.pairs:
            at += 1
            places.append(at)
            names.append(pair.label)
            _bar(left, at, _level(context, pair))
            _bar(right, at, _growth(context, pair, few, many))
        at += 1.5
    left.set_yticks(places, names, fontsize=7)
    left.set_ylim(at - 0.5, -0.8)
    titles = (
        f"Change of the {spec.measure.title}".replace(" at ", "\nat "),
        f"Change of what is added to it\nfrom {few} to {many} {SAMPLERS[spec.growth.solver]}",
    )
    for axes, title, letter in zip((left, right), titles, "de", strict=True):
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.set_title(title, loc="left", fontsize=8)
        axes.set_xlabel("← better   difference in sliced W1   worse →")
        axes.grid(axis="x", color=LIGHT)
        axes.tick_params(axis="y", length=0)
        far = max(*map(abs, axes.get_xlim()), 12 * LINEAR)
        axes.set_xscale("symlog", linthresh=LINEAR, linscale=0.8)
        axes.set_xlim(-far, far)
        powers = [LINEAR * 10**i for i in range(9) if LINEAR * 10**i <= far]
        ticks = [*(-power for power in reversed(powers)), 0.0, *powers]
        axes.set_xticks(ticks, [f"{tick:+g}".replace("-", "−") if tick else "0" for tick in ticks])
        axes.minorticks_off()
        panel_letter(axes, letter)


def _key(figure: "SubFigure") -> None:
    from matplotlib.lines import Line2D

    looks = (
        ("closer to the truth", "<", BETTER, BETTER),
        ("further from it", ">", WORSE, WORSE),
        ("cannot be told apart", "o", GREY, "white"),
    )
    handles = [
        Line2D([], [], color=colour, marker=marker, markerfacecolor=face, markersize=4, linewidth=1.1, label=label)
        for label, marker, colour, face in looks
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=3, borderpad=0)


def _level(context: LabContext, pair: Pair) -> Interval:
    measure = context.figures.fig_lab_map.measure
    return difference(context.measured(pair.arm, measure), context.measured(pair.against, measure))


def _growth(context: LabContext, pair: Pair, few: int, many: int) -> Interval:
    spec = context.figures.fig_lab_map

    def of(arm: str) -> pd.Series:
        before, after = (context.values(arm, spec.metric, solver=spec.growth.solver, nfe=nfe) for nfe in (few, many))
        return after - before

    return difference(of(pair.arm), of(pair.against))


def _bar(axes: "Axes", at: float, interval: Interval) -> None:
    """An interval with its mean: full and coloured where it excludes 0."""
    colour = GREY if not sure(interval) else WORSE if interval.estimate > 0 else BETTER
    if interval.bounded:
        axes.plot([interval.low, interval.high], [at, at], "-", color=colour, linewidth=1.1)
    marker = "o" if colour == GREY else ">" if interval.estimate > 0 else "<"
    face = "white" if colour == GREY else colour
    axes.plot([interval.estimate], [at], marker, color=colour, markerfacecolor=face, markersize=4)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
