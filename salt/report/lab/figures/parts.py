"""What several figures of the lab draw alike: bands over seeds, floors, axes of steps, arms' lines, signed changes."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from salt.config.schema import Look
from salt.report.statistics import Interval, seed_interval
from salt.report.style import GREY, LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SAMPLERS = {"cm": "consistency steps", "euler": "Euler steps"}
WORSE, BETTER = "#D55E00", "#0072B2"
FLOOR_COLOUR = "#bdbdbd"
TITLE = 88
"""Characters of a headline's line."""
BAND = 0.14
"""Opacity of an interval."""


def headline(figure: "Figure", text: str) -> None:
    """What a figure says, in a sentence above it."""
    figure.suptitle("\n".join(textwrap.wrap(text, TITLE)), fontsize=9.5, fontweight="bold", x=0.01, ha="left")


def steps_axis(axes: "Axes", steps: Sequence[int], solver: str) -> None:
    """Numbers of steps to the right, each twice the last."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(steps, [str(step) for step in steps])
    axes.minorticks_off()
    axes.set_xlabel(f"{SAMPLERS[solver]} taken to sample")
    axes.grid(axis="y", color=LIGHT)


def line(axes: "Axes", x: Sequence[float], members: Sequence[pd.Series], look: Look, size: float = 4.0) -> float:
    """Means over members with their interval as a band; the last mean."""
    intervals = [seed_interval(values.to_numpy()) for values in members]
    means = [interval.estimate for interval in intervals]
    if all(interval.bounded for interval in intervals):
        low, high = [i.low for i in intervals], [i.high for i in intervals]
        axes.fill_between(x, low, high, color=look.colour, alpha=BAND, linewidth=0)
    axes.plot(x, means, look.line, marker=look.marker, color=look.colour, markersize=size)
    return means[-1]


def floor_band(axes: "Axes", floor: tuple[float, float] | None, text: str = "") -> None:
    """Where truth lies against truth: nothing can be told apart below."""
    if floor is None:
        return
    axes.axhspan(*floor, color=FLOOR_COLOUR, alpha=0.6, linewidth=0, zorder=0)
    if text:
        axes.annotate(
            text, (0.98, sum(floor) / 2), xycoords=("axes fraction", "data"), fontsize=6.5, color=GREY, va="center",
            ha="right",
        )  # fmt: skip


def reach(intervals: Sequence[Interval]) -> np.ndarray:
    """Half the width of each interval; nothing where it is unbounded."""
    return np.array([i.estimate - i.low if i.bounded else np.nan for i in intervals])


def sure(interval: Interval) -> bool:
    """Whether an interval excludes 0."""
    return interval.bounded and not interval.low <= 0 <= interval.high
