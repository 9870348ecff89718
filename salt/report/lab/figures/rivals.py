"""fig_lab_any_step: does more compute help? Students of every kind, and rivals, against the number of steps."""

from typing import TYPE_CHECKING

from salt.report.lab.figures.context import INTERVALS, LabContext, difference
from salt.report.lab.figures.parts import SAMPLERS, floor_band, headline, line, steps_axis, sure
from salt.report.style import label_ends, panel_letter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (7.6, 4.1)
SOLVERS = ("cm", "euler")


def draw(context: LabContext) -> tuple["Figure", str]:
    """(a), (b): the distance against steps, for each sampler."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=SIZE, sharey=True)
    for axes, solver, letter in zip(panels, SOLVERS, "ab", strict=True):
        _curves(context, axes, solver, letter)
    panels[0].set_ylim(bottom=0)
    panels[0].set_ylabel("distance to the truth\n(sliced W1, coordinates of the world)")
    spec, looks = context.figures.fig_lab_any_step, context.looks(context.figures.fig_lab_any_step.arms)
    for axes, solver in zip(panels, SOLVERS, strict=True):
        last = context.steps(spec.metric, solver, spec.arms)[-1]
        ends = [
            (
                float(context.values(arm, spec.metric, solver=solver, nfe=last).mean()),
                context.called(arm).label,
                looks[arm].colour,
            )
            for arm in spec.arms
        ]
        label_ends(axes, ends, least_gap=0.05)
    headline(figure, sentence(context))
    return figure, context.footnote(f"Lines: mean over training seeds. {INTERVALS}")


def sentence(context: LabContext) -> str:
    """Whom more steps help, each by the sampler that it is asked about, in words from the records."""
    spec = context.figures.fig_lab_any_step
    better: list[str] = []
    worse: list[str] = []
    same: list[str] = []
    few, many = context.few_and_many(spec.growth, spec.metric, spec.arms)
    for arm in spec.arms:
        before, after = (context.values(arm, spec.metric, solver=spec.growth.solver, nfe=nfe) for nfe in (few, many))
        change = difference(after, before)
        group = same if not sure(change) else better if change.estimate < 0 else worse
        group.append(context.called(arm).label)
    told = [
        f"{verb}: {', '.join(labels)}"
        for labels, verb in ((better, "closer to the truth"), (worse, "further away"), (same, "no measurable change"))
        if labels
    ]
    return f"Does more compute help? From {few} to {many} {SAMPLERS[spec.growth.solver]}, {'; '.join(told)}."


def _curves(context: LabContext, axes: "Axes", solver: str, letter: str) -> None:
    spec = context.figures.fig_lab_any_step
    steps, looks = context.steps(spec.metric, solver, spec.arms), context.looks(spec.arms)
    floor_band(axes, context.floor(spec.metric), "truth against truth" if letter == "b" else "")
    for arm in spec.arms:
        line(axes, steps, [context.values(arm, spec.metric, solver=solver, nfe=nfe) for nfe in steps], looks[arm])
    steps_axis(axes, steps, solver)
    axes.set_title({"cm": "Consistency sampler", "euler": "Euler sampler"}[solver], loc="left")
    panel_letter(axes, letter)
