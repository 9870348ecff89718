"""Learning curves of trainings, from the `metrics.jsonl` of their run directories: as text, and as a picture.

Curves are means over windows of iterations: an update's own loss says little.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from salt.errors import SaltError
from salt.readers import read_jsonl
from salt.report.style import styled, write_figure

METRICS = "metrics.jsonl"
BARS = "▁▂▃▄▅▆▇█"
POINTS = 60
"""Windows of a curve."""
BESIDE = ("step", "seconds")
"""Columns that are no curve; nor are those that never change."""


def read_metrics(run: Path) -> pd.DataFrame:
    """One row an iteration, `role/metric` in columns.

    Raises:
        SaltError: there are none, or a line is broken.
    """
    path = run / METRICS
    accepted = "the run directory of a training that has begun"
    rows = read_jsonl(path, accepted)
    if not all("step" in row for row in rows) or not rows:
        raise SaltError(f"{path}: no iteration, or a line without its step; accepted: {accepted}")
    return pd.DataFrame(rows).set_index("step", drop=False)


def curves_of(metrics: pd.DataFrame) -> list[str]:
    """The columns that are worth a curve: numbers that change."""
    return [name for name in metrics.columns if name not in BESIDE and metrics[name].nunique() > 1]


def windows(values: pd.Series, count: int = POINTS) -> pd.Series:
    """Means over `count` windows of iterations or fewer, by the last iteration of each."""
    size = max(-(-len(values) // count), 1)
    groups = np.arange(len(values)) // size
    means = values.groupby(groups).mean()
    return pd.Series(means.to_numpy(), index=values.index.to_series().groupby(groups).max().to_numpy())


def spark(values: Sequence[float]) -> str:
    """Numbers as a line of bars, the lowest to the highest; blanks where one is not finite."""
    array = np.asarray(values, dtype=float)
    finite = array[np.isfinite(array)]
    if not finite.size:
        return " " * len(array)
    span = float(np.ptp(finite)) or 1.0
    heights = (array - finite.min()) / span * (len(BARS) - 1)
    return "".join(BARS[round(height)] if np.isfinite(height) else " " for height in heights)


def in_terminal(metrics: pd.DataFrame) -> list[str]:
    """One line a curve: its name, its bars, its first and its last window."""
    names = curves_of(metrics)
    wide = max(map(len, names), default=0)
    lines = []
    for name in names:
        curve = windows(metrics[name])
        lines.append(f"{name:<{wide}}  {spark(curve.tolist())}  {curve.iloc[0]:.4g} -> {curve.iloc[-1]:.4g}")
    return lines


def draw_curves(runs: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Write one panel a curve, the runs in one colour each, as PNG."""
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(name for metrics in runs.values() for name in curves_of(metrics)))
    if not names:
        raise SaltError(f"{path}: nothing changes in {', '.join(runs)}; accepted: trainings of two iterations or more")
    down = -(-len(names) // 3)
    with styled():
        figure, grid = plt.subplots(down, 3, figsize=(9, 2.2 * down), squeeze=False)
        for axes, name in zip(grid.flat, names, strict=False):
            for label, metrics in runs.items():
                if name in metrics:
                    curve = windows(metrics[name])
                    axes.plot(curve.index, curve, label=label)
            axes.set_title(name)
            axes.set_xlabel("iteration")
        for axes in grid.flat[len(names) :]:
            axes.set_visible(False)
        grid.flat[0].legend()
        write_figure(figure, path)
