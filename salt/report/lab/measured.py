"""What is measured of the lab: arms and methods that nobody trains, seed by seed, and the floors of their numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salt.config.base import Section
from salt.config.lab_arms import PLAN
from salt.config.lab_claims import ANALYTIC, TRUTH, LabCell
from salt.errors import SaltError

FLOOR_LEVEL = 0.95
"""Of the repeats of truth against truth, this share lies in a floor's range."""


class RunInfo(Section):
    """What a run leaves beside its measurements."""

    commit: str | None
    """Of the code; null: no git checkout."""
    dirty: bool | None
    """Whether files were changed since; null: no git checkout."""
    plan: str = PLAN
    """Stem of the plan whose claims it decides."""
    plan_sha256: str
    """SHA-256 of its file as it was."""
    finished: str
    """When, as ISO 8601."""
    seconds: float
    """Of training."""
    lost: dict[str, tuple[int, ...]]
    """Arm: seeds whose training diverged."""


@dataclass(frozen=True)
class Run:
    """One set of arms, trained with one ensemble of seeds."""

    path: Path
    arms: str
    """The set's name."""
    seeds: tuple[int, ...]
    info: RunInfo

    @property
    def name(self) -> str:
        """`core_0-15`."""
        return self.path.name.removesuffix(".csv.gz")


@dataclass(frozen=True)
class Floor:
    """Truth against truth: what a perfect method would measure."""

    mean: float
    low: float
    high: float
    """The range of 95 % of the repeats."""
    repeats: int
    n: int


@dataclass(frozen=True)
class Measured:
    """Measurements that are compared with each other: those of one phase, or of what nobody trains."""

    folder: Path
    frame: pd.DataFrame
    """With a column more, `file`."""
    runs: tuple[Run, ...] = ()

    @cached_property
    def by_arm(self) -> dict[str, pd.DataFrame]:
        """The rows of each arm."""
        return {str(arm): part for arm, part in self.frame.groupby("method", sort=False)}

    @property
    def arms(self) -> frozenset[str]:
        """Those that are measured."""
        return frozenset(self.by_arm)

    def seeds(self, arm: str) -> tuple[int, ...]:
        """Those of an arm that are measured; none where it was not run."""
        return tuple(sorted(map(int, self.by_arm[arm]["seed"].unique()))) if arm in self.arms else ()

    def lost(self, arms: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """Arm: the seeds that diverged; of those without any there is nothing."""
        found = {arm: [seed for run in self.runs for seed in run.info.lost.get(arm, ())] for arm in sorted(set(arms))}
        return {arm: tuple(sorted(seeds)) for arm, seeds in found.items() if seeds}

    def has(self, cell: LabCell) -> bool:
        """Whether anything is measured there."""
        return cell.arm in self.arms and not self._rows(cell).empty

    def values(self, cell: LabCell, seeds: Sequence[int]) -> NDArray[np.float64]:
        """One value a seed, `(R,)`.

        Raises:
            SaltError: where one of the seeds has no such measurement.
        """
        rows = self._found(cell).set_index("seed")["value"]
        missing = [seed for seed in seeds if seed not in rows.index]
        if missing:
            raise SaltError(f"{self._where(cell)} of seed {missing[0]}; accepted: one of each seed. Measure it again")
        return rows.loc[list(seeds)].to_numpy(dtype=np.float64)

    def world(self, cell: LabCell) -> str:
        """The world in which a cell is measured."""
        return str(self._found(cell)["world"].iloc[0])

    def samples(self, cell: LabCell) -> int:
        """On how many samples.

        Raises:
            SaltError: not on equally many in every seed.
        """
        counts = sorted({int(n) for n in self._found(cell)["n"]})
        if len(counts) > 1:
            raise SaltError(
                f"{self._where(cell, '')}: n = {counts[0]} and {counts[1]}; accepted: the same in all seeds"
            )
        return counts[0]

    def floor(self, world: str, metric: str, chunk: int, n: int) -> Floor | None:
        """Of truth against truth, which nobody trains, at equal n; None where there is no such number."""
        rows = self.frame
        same = (rows["method"] == TRUTH) & (rows["metric"] == metric) & (rows["chunk"] == chunk) & (rows["n"] == n)
        values = rows[same & (rows["world"] == world)]["value"].to_numpy(dtype=np.float64)
        if not values.size:
            return None
        low, high = np.quantile(values, [(1 - FLOOR_LEVEL) / 2, (1 + FLOOR_LEVEL) / 2])
        return Floor(float(values.mean()), float(low), float(high), values.size, n)

    def _found(self, cell: LabCell) -> pd.DataFrame:
        rows = self._rows(cell)
        if rows.empty:
            raise SaltError(f"{self._where(cell)}; accepted: a cell that was measured")
        if len(worlds := sorted(rows["world"].unique())) > 1:
            raise SaltError(
                f"{self._where(cell, '')}: measured in {' and '.join(worlds)}; accepted: world: one of them"
            )
        return rows

    @cached_property
    def _known(self) -> dict[LabCell, pd.DataFrame]:
        """The rows of cells that were asked for: claims share cells, and every look at one costs milliseconds."""
        return {}

    def _rows(self, cell: LabCell) -> pd.DataFrame:
        if cell not in self._known:
            self._known[cell] = self._rows_of(cell)
        return self._known[cell]

    def _rows_of(self, cell: LabCell) -> pd.DataFrame:
        rows = self.by_arm[cell.arm]
        updates = int(rows["updates"].max()) if cell.updates == "last" else cell.updates
        chosen = (
            (rows["metric"] == cell.metric)
            & (rows["nfe"] == cell.nfe)
            & (rows["solver"] == cell.solver)
            & (rows["updates"] == updates)
            & (rows["chunk"] == cell.chunk)
            & (rows["cache"] == cell.cache)
        )
        return rows[chosen if cell.world is None else chosen & (rows["world"] == cell.world)]

    def _where(self, cell: LabCell, what: str = " no such measurement") -> str:
        files = sorted(self.by_arm[cell.arm]["file"].unique()) if cell.arm in self.arms else ["*.csv.gz"]
        place = f"{self.folder / files[0]}: {cell.arm}: metric={cell.metric} nfe={cell.nfe} solver={cell.solver}"
        return f"{place} updates={cell.updates} chunk={cell.chunk} cache={cell.cache}{':' if what else ''}{what}"


@dataclass(frozen=True)
class LabRecords:
    """Everything that is measured."""

    explore: Measured
    confirm: Measured
    controls: Measured
    protocols: dict[str, str]
    """Of each world."""

    def phase_of(self, cell: LabCell) -> Measured:
        """Where a control's cell is measured: what nobody trains by itself, arms with the explored seeds."""
        return self.controls if cell.arm in ANALYTIC else self.explore

    def floor(self, cell: LabCell, measured: Measured) -> Floor | None:
        """Of the cell's metric and chunk; None where truth has no such number."""
        return self.controls.floor(measured.world(cell), cell.metric, cell.chunk, measured.samples(cell))
