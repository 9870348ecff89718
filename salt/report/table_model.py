"""What a table holds, before it is printed: rows, comparisons, provenance."""

from dataclasses import dataclass

import numpy as np

from salt.evaluation.cells import Cell
from salt.report.records import Provenance
from salt.report.statistics import Interval


@dataclass(frozen=True)
class TableRow:
    """One row: what we measured, if anything, and what the paper printed, if anything."""

    title: str
    nfe: int | None
    cell: Cell | None
    """None: not run."""
    seeds: tuple[int, ...]
    ours: dict[str, tuple[float, ...]]
    """Metric: one value per training seed, as printed (0-100)."""
    paper: dict[str, float]
    """Metric: as printed."""
    intervals: dict[str, Interval]
    """Metric: of the mean of ours, where the data bound it."""

    @property
    def name(self) -> str:
        """The row as a list names it."""
        return self.title if self.nfe is None else f"{self.title}, {self.nfe} NFE"


@dataclass(frozen=True)
class Comparison:
    """The difference of two rows in one metric."""

    method: TableRow
    baseline: TableRow
    metric: str
    interval: Interval
    seeds: tuple[int, ...]
    paper: float | None
    """The paper's difference; None where it does not print both."""
    saturated: bool
    """Whether both rows are as good as real clips."""

    @property
    def excludes_zero(self) -> str:
        """`yes`, `no`, or `saturated`: it does not, and neither row can be better."""
        if self.interval.low > 0 or self.interval.high < 0:
            return "yes"
        return "saturated" if self.saturated else "no"

    @property
    def same_sign(self) -> bool | None:
        """Whether our difference has the sign of the paper's; None where one of them is absent or 0."""
        if not self.paper or not self.interval.estimate:
            return None
        return bool(np.sign(self.paper) == np.sign(self.interval.estimate))


@dataclass(frozen=True)
class Table:
    """All that a table prints."""

    name: str
    title: str
    metrics: tuple[str, ...]
    rows: tuple[TableRow, ...]
    comparisons: tuple[Comparison, ...]
    provenance: Provenance
    notes: tuple[str, ...]
    """What in the paper contradicts its numbers."""
