"""fig2: what each few-step method asks of a trajectory (drawn), and the trajectories of our students (measured).

Upper row, after the paper's Figure 2: time runs from noise (left, t = 1) to data (right, t = 0); the grey curve is the
teacher's. Lower row: Euler paths of 2, 4 and 8 steps of a student and the teacher's path from the same noise, projected
on the two directions in which the teacher's path of that sample moves most.
"""

from collections.abc import Sequence
from math import pi, sin
from typing import TYPE_CHECKING

import pandas as pd

from salt.report.figure_context import FigureContext
from salt.report.style import GREY, LIGHT, WIDTH, panel_letter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

TEACHER = "teacher"
"""`solver` of the teacher's path in a trajectory record."""
COLUMNS = 4
"""Drawings, and samples whose paths are shown: the first ones."""
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
STEP_LOOKS = {2: (ORANGE, "^"), 4: (BLUE, "s"), 8: (GREEN, "o")}


def training_trajectories(context: FigureContext) -> tuple["Figure", str]:
    """The four drawings, and below them one row per student and one panel per sample."""
    import matplotlib.pyplot as plt

    measured = context.measured("defect")
    records = {name: context.records.trajectory(name, seeds[0]) for name, seeds in measured.items()}
    paths = {name: frame for name, frame in records.items() if frame is not None}
    figure = plt.figure(figsize=(WIDTH, 1.8 + 1.7 * len(paths)))
    grid = figure.add_gridspec(2 + len(paths), COLUMNS, height_ratios=[1, 0.12, *[1.15] * len(paths)])
    sketches = [figure.add_subplot(grid[0, i]) for i in range(COLUMNS)]
    for axes, sketch, letter in zip(sketches, (_consistency, _shortcut, _flow_map, _sc_dmd), "abcd", strict=True):
        _stage(axes)
        sketch(axes)
        panel_letter(axes, letter)
    above: list[Axes] = []
    for row, (name, frame) in enumerate(paths.items(), start=2):
        above = [_paths(figure, grid[row, i], frame, i, above) for i in range(COLUMNS)]
        above[0].set_ylabel(f"{context.title(name)}\n2nd direction")
        panel_letter(above[0], "efgh"[row - 2])
    for axes in above:
        axes.set_xlabel("1st direction")
    if above:
        key = figure.add_subplot(grid[1, :])
        key.axis("off")
        key.legend(*above[0].get_legend_handles_labels(), loc="center", ncols=5, borderpad=0)
    said = "paths are those of the first training seed, a column is a prompt" if paths else "no paths were recorded"
    return figure, context.footnote("defect", f"Panels (a) to (d) are drawings; {said}")


# ------------------------------------------------------------------------------------------------- measured
def _paths(figure: "Figure", place: "SubplotSpec", frame: pd.DataFrame, column: int, above: Sequence["Axes"]) -> "Axes":
    """All paths of one sample in its plane; the panels of a column share it."""
    shared = above[column] if above else None
    axes = figure.add_subplot(place, sharex=shared, sharey=shared)
    sample = sorted(frame["sample"].unique())[column]
    part = frame[frame["sample"] == sample].sort_values("step")
    teacher = part[part["solver"] == TEACHER]
    axes.plot(teacher["pc1"], teacher["pc2"], color=GREY, linewidth=2.5, alpha=0.6, label="teacher")
    for nfe, (colour, marker) in STEP_LOOKS.items():
        path = part[(part["solver"] == "euler") & (part["nfe"] == nfe)]
        axes.plot(
            path["pc1"], path["pc2"], "-", marker=marker, color=colour, linewidth=0.9, markersize=3.2,
            label=f"{nfe} Euler steps",
        )  # fmt: skip
    axes.plot(teacher["pc1"].iloc[0], teacher["pc2"].iloc[0], "o", color="black", markersize=4, label="noise")
    axes.set_xticks([])
    axes.set_yticks([])
    return axes


# ---------------------------------------------------------------------------------------------------- drawn
def _on(u: float) -> tuple[float, float]:
    """The point of the teacher's trajectory at u = 1 - t."""
    return u, 0.2 + 0.62 * u + 0.2 * sin(pi * u)


def _stage(axes: "Axes") -> None:
    """The teacher's trajectory from noise to data, without axes."""
    axes.plot(*zip(*(_on(i / 100) for i in range(101)), strict=True), color=LIGHT, linewidth=3, zorder=0)
    axes.plot(*zip(_on(0.0), _on(1.0), strict=True), "o", color="black", markersize=4, zorder=4)
    axes.annotate("noise", _on(0.0), xytext=(0, -10), textcoords="offset points", ha="center", fontsize=7)
    axes.annotate("data", _on(1.0), xytext=(0, -12), textcoords="offset points", ha="center", fontsize=7)
    axes.set_xlim(-0.1, 1.2)
    axes.set_ylim(0, 1.2)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _arrow(
    axes: "Axes", start: tuple[float, float], end: tuple[float, float], colour: str, bend: float = 0.0, style: str = "-"
) -> None:
    axes.annotate(
        "", end, start,
        arrowprops={
            "arrowstyle": "-|>", "color": colour, "linewidth": 1.2, "linestyle": style, "shrinkA": 2, "shrinkB": 2,
            "connectionstyle": f"arc3,rad={bend}", "mutation_scale": 8,
        },
    )  # fmt: skip


def _consistency(axes: "Axes") -> None:
    axes.set_title("Consistency distillation", fontsize=8)
    for u, bend in ((0.0, -0.4), (0.3, -0.4), (0.6, -0.4)):
        axes.plot(*_on(u), "o", color=BLUE, markersize=4)
        _arrow(axes, _on(u), _on(1.0), BLUE, bend)
    axes.set_xlabel("every state of a path\nmaps to its end", fontsize=7, color=BLUE)


def _shortcut(axes: "Axes") -> None:
    axes.set_title("Shortcut models", fontsize=8)
    start, middle, end = _on(0.1), (0.42, 0.78), (0.8, 1.08)
    for point in (start, middle, end):
        axes.plot(*point, "o", color=ORANGE, markersize=4)
    _arrow(axes, start, middle, ORANGE, -0.15)
    _arrow(axes, middle, end, ORANGE, -0.15)
    _arrow(axes, start, end, BLUE, 0.3)
    axes.annotate("d", (0.18, 0.68), fontsize=7, color=ORANGE, ha="center")
    axes.annotate("d", (0.54, 1.03), fontsize=7, color=ORANGE, ha="center")
    axes.annotate("2d", (0.68, 0.5), fontsize=7, color=BLUE, ha="center")
    axes.set_xlabel("one step of size 2d learns\nfrom two of size d", fontsize=7, color=BLUE)


def _flow_map(axes: "Axes") -> None:
    axes.set_title("Flow-map distillation", fontsize=8)
    for start, end in ((0.0, 0.4), (0.22, 0.72), (0.55, 1.0)):
        axes.plot(*_on(start), "o", color=PINK, markersize=4)
        axes.plot(*_on(end), "o", color=PINK, markersize=4)
        _arrow(axes, _on(start), _on(end), PINK, -0.45)
    axes.set_xlabel("every state of a path maps\nto every later one", fontsize=7, color=PINK)


def _sc_dmd(axes: "Axes") -> None:
    from matplotlib.patches import Ellipse

    axes.set_title("SC-DMD", fontsize=8)
    start, middle, one, two = _on(0.1), (0.38, 0.78), (0.68, 0.66), (0.68, 1.04)
    _arrow(axes, start, middle, GREEN, -0.1)
    _arrow(axes, middle, two, GREEN, -0.1)
    _arrow(axes, start, one, BLUE, 0.15, style="--")
    for point, colour in ((start, GREEN), (middle, GREEN), (one, BLUE), (two, GREEN)):
        axes.plot(*point, "o", color=colour, markersize=4)
    axes.annotate("", one, two, arrowprops={"arrowstyle": "<->", "color": ORANGE, "linewidth": 1.0})
    axes.annotate(r"$\mathcal{L}_{\mathrm{SC}}$", (0.65, 0.86), fontsize=8, color=ORANGE, ha="right", va="center")
    for text, point, offset, colour in (
        (r"$x_{t_s}$", start, (9, -7), GREEN),
        (r"$x_{t_m}$", middle, (-9, 4), GREEN),
        (r"$x^{(2)}_{t_e}$", two, (0, 5), GREEN),
        (r"$x^{(1)}_{t_e}$", one, (2, -13), BLUE),
    ):
        axes.annotate(text, point, xytext=offset, textcoords="offset points", fontsize=7, color=colour, ha="center")
    for width in (0.34, 0.2):
        axes.add_patch(Ellipse(_on(1.0), width, width * 1.1, facecolor=LIGHT, alpha=0.6, edgecolor=GREY, linewidth=0.6))
    axes.set_xlabel("direct step = composed step,\nbeside the DMD loss", fontsize=7, color=GREEN)
