"""fig_lab_lambda: why lambda_SC has an optimum. Steps compose better with it, and modes get wider."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from salt.config.lab_figures import Form, Measure
from salt.report.lab.figures.context import INTERVALS, LabContext, difference
from salt.report.lab.figures.parts import headline, reach, sure
from salt.report.statistics import Interval, seed_interval
from salt.report.style import GREY, LIGHT, WIDTH, panel_letter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#009E73", "#CC79A7")
LINES = ("-", "--")
MARKERS = ("D", "o")
GROUPS = {"composition": "#0072B2", "sharpness": "#D55E00"}
"""What a panel is about, and the colour of its heading."""
ZERO = 3.5
"""The place of lambda = 0: this factor to the left of the smallest one."""
SHIFT = 1.07
"""The second form is drawn this factor to the right, so that bars do not hide each other."""
TOO_NEAR = 0.07
"""Points that are this share of the range apart, or less, have one label."""


def draw(context: LabContext) -> tuple["Figure", str]:
    """Relative changes over lambda_SC, a panel each; and composition against sharpness."""
    import matplotlib.pyplot as plt

    spec = context.figures.fig_lab_lambda
    groups: list[tuple[str, Measure]] = [
        *(("composition", measure) for measure in spec.composition),
        *(("sharpness", measure) for measure in spec.sharpness),
    ]
    columns = 4
    rows = -(-(len(groups) + 2) // columns)
    figure = plt.figure(figsize=(WIDTH + 0.6, 2.6 * rows))
    grid = figure.add_gridspec(rows, columns)
    for place, (group, measure) in enumerate(groups):
        axes = figure.add_subplot(grid[place // columns, place % columns])
        _panel(context, axes, measure)
        axes.set_title(measure.title, fontsize=7.5, loc="left")
        axes.annotate(
            group, (0, 1), xycoords="axes fraction", xytext=(0, 25), textcoords="offset points", fontsize=7.5,
            color=GROUPS[group], fontweight="bold",
        )  # fmt: skip
        panel_letter(axes, "abcdefghij"[place])
        if place % columns == 0:
            axes.set_ylabel("change from λ = 0\n(up is worse)")
    last = figure.add_subplot(grid[-1, len(groups) % columns :])
    _trade_off(context, last)
    panel_letter(last, "abcdefghij"[len(groups)])
    headline(figure, sentence(context))
    said = (
        f"λ is the weight of the self-consistency (SC) term; λ = 0 is {context.called(spec.baseline).label}, to whose "
        f"mean changes are relative, paired by training seed. {INTERVALS}; nothing corrects for their number"
    )
    return figure, context.footnote(said)


def sentence(context: LabContext) -> str:
    """The weight at which students come closest to the truth, for each form, from the records."""
    spec = context.figures.fig_lab_lambda
    baseline = context.measured(spec.baseline, spec.best)
    phrases: list[str] = []
    for form in spec.forms.values():
        values = {weight: context.measured(name, spec.best) for weight, name in _weights(context, form)}
        best = min(values, key=lambda weight: float(values[weight].mean()))
        change = difference(values[best], baseline)
        if sure(change) and change.estimate < 0:
            share = f"{abs(change.estimate) / float(baseline.mean()):.0%} closer" + (
                "" if phrases else " than at λ = 0"
            )
            phrases.append(f"at λ = {best:g} ({share}) with SC {form.title}")
        else:
            phrases.append(f"at no λ but 0 with SC {form.title}")
    text = f"{spec.best.title} come closest to the truth {' and '.join(phrases)}."
    return text.replace("%", "\u00a0%").replace(" = ", "\u00a0=\u00a0")


def _weights(context: LabContext, form: Form) -> list[tuple[float, str]]:
    """lambda_SC of each arm of a form, and its name, in order; without those most of whose members diverged."""
    return sorted((context.weights[name], name) for name in form.arms if not context.mostly_lost(name))


def _panel(context: LabContext, axes: "Axes", measure: Measure) -> None:
    spec = context.figures.fig_lab_lambda
    baseline = context.measured(spec.baseline, measure)
    own = seed_interval(baseline.to_numpy())
    weights: list[float] = []
    axes.axhline(0, color=GREY, linewidth=0.8)
    for place, form in enumerate(spec.forms.values()):
        ordered = _weights(context, form)
        weights += [weight for weight, _ in ordered]
        changes = [difference(context.measured(name, measure), baseline) for _, name in ordered]
        x = np.array([weight for weight, _ in ordered]) * (SHIFT if place else 1)
        _changes(axes, x, changes, own, place)
    zero = min(weights) / ZERO
    axes.plot([zero], [0], "s", color=GREY, markersize=4)
    _weight_axis(axes, sorted(set(weights)), zero)


def _changes(axes: "Axes", x: np.ndarray, changes: Sequence[Interval], own: Interval, place: int) -> None:
    estimates = np.array([change.estimate for change in changes]) / own.estimate
    axes.errorbar(
        x, estimates, yerr=reach(changes) / abs(own.estimate), fmt=LINES[place], marker=MARKERS[place],
        color=COLOURS[place], capsize=1.5, linewidth=1.2, elinewidth=0.8, markersize=3.5,
    )  # fmt: skip


def _weight_axis(axes: "Axes", weights: Sequence[float], zero: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    axes.set_xscale("log")
    shown = [weight for weight in weights if np.isclose(np.log10(weight) % 1, 0)]  # 0.1, 1, 10
    axes.set_xticks([zero, *(shown or weights)], ["0", *(f"{weight:g}" for weight in shown or weights)])
    axes.xaxis.set_minor_locator(NullLocator())
    for weight in weights:
        axes.plot([weight], [0], "|", transform=axes.get_xaxis_transform(), color="black", markersize=3, clip_on=False)
    axes.set_xlim(zero / 1.6, max(weights) * 1.6)
    axes.axvline(np.sqrt(zero * min(weights)), color=LIGHT, linewidth=0.8, linestyle=":")
    axes.set_xlabel(r"$\lambda_{\mathrm{SC}}$")
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    axes.grid(axis="y", color=LIGHT)
    axes.margins(y=0.12)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def _percent(value: float, _: int | None) -> str:
    return f"{100 * value:+.0f} %".replace("-", "−") if value else "0"


def _trade_off(context: LabContext, axes: "Axes") -> None:
    """One point for each lambda_SC: how well steps compose against how sharp samples are."""
    spec = context.figures.fig_lab_lambda
    across, up = spec.path.across, spec.path.up

    def point_of(arm: str) -> tuple[float, float]:
        return float(context.measured(arm, across).mean()), float(context.measured(arm, up).mean())

    start = point_of(spec.baseline)
    every = [start, *(point_of(name) for form in spec.forms.values() for _, name in _weights(context, form))]
    spans = [max(values) - min(values) for values in zip(*every, strict=True)]
    labelled = [start]
    for place, form in enumerate(spec.forms.values()):
        ordered = _weights(context, form)
        points = [point_of(name) for _, name in ordered]
        x, y = zip(*[start, *points], strict=True)
        axes.plot(
            x, y, LINES[place], marker=MARKERS[place], color=COLOURS[place], linewidth=1.2, markersize=3.5,
            label=f"SC {form.title}",
        )  # fmt: skip
        for (weight, _), point in zip(ordered, points, strict=True):
            if any(_near(point, other, spans) for other in labelled):
                continue
            labelled.append(point)
            axes.annotate(
                f"{weight:g}", point, xytext=(3, 3) if place == 0 else (-3, -3), textcoords="offset points",
                fontsize=6.5, color=COLOURS[place], ha="left" if place == 0 else "right",
                va="bottom" if place == 0 else "top",
            )  # fmt: skip
    axes.plot(*start, "s", color=GREY, markersize=5, zorder=4)
    axes.annotate("λ = 0", start, xytext=(4, 4), textcoords="offset points", fontsize=7, color=GREY)
    axes.margins(x=0.12, y=0.2)
    axes.set_xlabel(across.title + "\n← steps compose better")
    axes.set_ylabel(up.title + "\n← sharper", fontsize=7.5)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.14), borderaxespad=0, borderpad=0, handlelength=2.8)
    axes.set_title("The trade: better to the left, better below", fontsize=7.5, loc="left")
    axes.grid(color=LIGHT)


def _near(one: tuple[float, float], other: tuple[float, float], spans: Sequence[float]) -> bool:
    """Whether the labels of two points would lie on each other."""
    return all(abs(a - b) < TOO_NEAR * span for a, b, span in zip(one, other, spans, strict=True))
