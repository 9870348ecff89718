"""Whether two rows are both as good as real clips, so that neither can be better: *saturated*, never inconclusive."""

from collections.abc import Sequence

import numpy as np

from salt.config.modes import HIGH_OF, MEASURES, RIGHT
from salt.evaluation.cells import NO_SOLVER, REAL, Cell
from salt.report.metrics import percent
from salt.report.records import Records, kind_of

NEAR = 1.0
"""Points below real clips within which a score is saturated."""


def saturated(records: Records, cells: Sequence[Cell], seeds: Sequence[int], metric: str) -> bool:
    """Whether means over training seeds of all cells are at the ceiling, or within the floor.

    A score, in points: not more than `NEAR` below that of real clips through the codec. A measure of distributions: as
    near to where it is right as what 95 of 100 sets of as many real clips stay below. False where real clips were not
    measured.
    """
    kind = kind_of(metric, cells[0])
    distribution = metric in MEASURES
    limit = _of_real(records, cells[0], metric + HIGH_OF if distribution else metric)
    if limit is None:
        return False
    means = [float(np.mean(records.values(kind, cell, seeds, metric))) for cell in cells]
    if distribution:
        right = RIGHT.get(metric, 0.0)
        return all(abs(mean - right) <= abs(limit - right) for mean in means)
    return all(percent(metric) * (limit - mean) <= NEAR for mean in means)


def _of_real(records: Records, cell: Cell, metric: str) -> float | None:
    """What real clips through the codec have; None: it is not measured."""
    kind, real = kind_of(metric, cell), Cell(REAL, cell.prompts, NO_SOLVER, 0)
    if not records.seeds(kind, REAL, [0]) or metric in records.absent(real, [0], kind):
        return None
    return records.values(kind, real, [0], metric)[0]
