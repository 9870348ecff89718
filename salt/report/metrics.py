"""The measured quantities: names, how they print, and all of them at once from dimension means.

Dimension means are raw (0-1, or VBench's own ranges); everything printed is times 100, as in the paper. Quality,
Semantic and Total are 0-100 already.
"""

import numpy as np
from numpy.typing import NDArray

from salt.evaluation.vbench import DIMENSIONS as VBENCH
from salt.evaluation.vbench import aggregate_means

DIMENSIONS: tuple[str, ...] = tuple(VBENCH)
AGGREGATES = ("quality", "semantic", "total")
METRICS: tuple[str, ...] = (*AGGREGATES, *DIMENSIONS)
SHORT_TITLES = {
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


def all_metrics(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Dimension means `(..., 16)`, in the order of `DIMENSIONS`, to all `METRICS` as printed, `(..., 19)`."""
    return np.concatenate([aggregate_means(means), 100.0 * means], axis=-1)
