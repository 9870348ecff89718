"""The measured quantities: names, how they print, and all of them at once from dimension means.

Dimension means are raw (0-1, or VBench's own ranges); everything printed is times 100, as in the paper. The aggregates
(Quality, Semantic or I2V, Total) are 0-100 already. Which there are is the `Board`'s to say.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from salt.config.modes import MEASURES
from salt.evaluation.vbench.board import Board
from salt.report.statistics import Statistic

AGGREGATES = ("quality", "semantic", "i2v", "total")
SHORT_TITLES = MEASURES | {
    "i2v": "I2V",
    "i2v_subject": "I2V Subject",
    "i2v_background": "I2V Background",
    "spatial_relationship": "Spatial Rel.",
    "multiple_objects": "Multi-Objects",
    "imaging_quality": "Imaging Q.",
}


def title(metric: str) -> str:
    """How a metric is headed in tables and figures."""
    return SHORT_TITLES.get(metric, metric.replace("_", " ").title())


def percent(metric: str) -> float:
    """What a recorded value is multiplied with to be printed."""
    return 1.0 if metric in AGGREGATES else 100.0


def metrics_of(board: Board) -> tuple[str, ...]:
    """All that a board measures: its aggregates, then its dimensions."""
    return (*board.aggregates, *board.dimensions)


def all_metrics(board: Board) -> Statistic:
    """A function of dimension means `(..., D)`, in the order of the board, to `metrics_of` it as printed."""
    return partial(_all_metrics, board)


def _all_metrics(board: Board, means: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([board.aggregate_means(means), 100.0 * means], axis=-1)
