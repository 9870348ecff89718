"""What a figure of the lab is drawn from: its arms, the measurements of a phase, and the words for them."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import pandas as pd

from salt.config.lab import Exact
from salt.config.lab_arms import Arms, Drawn
from salt.config.lab_figures import FIGURES, Growth, LabFigures, Measure
from salt.config.scale import Scale
from salt.config.schema import Look
from salt.errors import SaltError
from salt.report.lab.measured import Measured, RunInfo
from salt.report.lab.provenance import ranges
from salt.report.lab.records import Ensemble, read_sets
from salt.report.statistics import Interval, seed_interval
from salt.report.style import OTHER_LOOKS

Phase = Literal["explore", "confirm"]
LINE = 150
"""Characters of a footnote's line."""
INTERVALS = "Bands and bars: 95 % t intervals over training seeds"


@dataclass(frozen=True)
class LabContext:
    """Everything that one figure is given."""

    name: str
    figures: LabFigures
    arms: Arms
    scale: Scale
    """Of the world that the figure's arms live in."""
    records: Path
    phase: Phase

    @property
    def exact(self) -> Exact:
        """The scale's world.

        Raises:
            SaltError: it is no scale of the lab.
        """
        if self.scale.exact is None:
            raise SaltError(f"scale {self.scale.name}: has no section `exact`; accepted: a scale of the lab")
        return self.scale.exact

    @cached_property
    def drawn(self) -> tuple[str, ...]:
        """Every arm that the figure names."""
        return tuple(dict.fromkeys(name for _, name in self.figures.spec(self.name).named()))

    @cached_property
    def sets(self) -> tuple[str, ...]:
        """The sets that these arms are of."""
        return tuple(dict.fromkeys(map(self.arms.set_of, self.drawn)))

    @property
    def ensembles(self) -> list[Ensemble]:
        """The phase's: first and last seed of each."""
        phase, size = getattr(self.exact, self.phase), self.exact.members
        every = [(first, first + size - 1) for first in range(phase.first, phase.last + 1, size)]
        return every[: self.figures.spec(self.name).ensembles]

    @cached_property
    def _read(self) -> tuple[Measured, Measured]:
        """These sets, and what nobody trains."""
        return read_sets(self.records, self.sets, self.ensembles)

    @cached_property
    def _rows(self) -> dict[tuple[str, str], pd.DataFrame]:
        """The measurements of every arm and metric, in this world."""
        measured, _ = self._read
        for arm in self.drawn:
            if arm not in measured.arms and not self.mostly_lost(arm):  # one that is lost as a whole has no rows
                first, last = self.ensembles[0]
                file = f"{self.arms.set_of(arm)}_{first}-{last}.csv.gz"
                raise SaltError(
                    f"{self.records / file}: nothing measured of arm {arm} (set {self.arms.set_of(arm)}), which "
                    f"{self.name} draws; accepted: records of every arm of the set"
                )
        frame = measured.frame[measured.frame["world"] == FIGURES[self.name]]
        return {(str(key[0]), str(key[1])): part for key, part in frame.groupby(["method", "metric"], sort=False)}

    @cached_property
    def weights(self) -> dict[str, float]:
        """lambda_SC of every arm that the figure names; without the term it is 0."""
        every, found = self.arms.every(), {}
        for arm in self.drawn:
            sc = every[arm].experiment(self.scale.name).objectives.sc
            found[arm] = 0.0 if sc is None else sc.weight
        return found

    # ------------------------------------------------------------------------------------------ measurements
    def rows(self, arm: str, metric: str) -> pd.DataFrame:
        """All that is measured of an arm in one metric.

        Raises:
            SaltError: nothing.
        """
        if (arm, metric) not in self._rows:
            raise SaltError(
                f"{self.records}: nothing measured of {arm} in {metric}, which {self.name} draws; accepted: records "
                f"with rows of it"
            )
        return self._rows[arm, metric]

    def values(self, arm: str, metric: str, updates: int | None = None, **at: object) -> pd.Series:
        """One number of every member, by its seed.

        Args:
            arm: of experiments/lab/arms.yaml.
            metric: as in the records.
            updates: of the student; None: as many as it was trained with.
            at: columns and what stands in them, as in nfe=4; None: the only value that is recorded.
        """
        rows = self.rows(arm, metric)
        found = rows[rows["updates"] == (rows["updates"].max() if updates is None else updates)]
        for column, value in at.items():
            found = found if value is None else found[found[column] == value]
        told = ", ".join(f"{column} {value}" for column, value in at.items())
        if found.empty:
            raise SaltError(f"{self.records}: nothing measured of {arm}: {metric} at {told}; accepted: records of it")
        if found["seed"].duplicated().any():
            raise SaltError(f"{self.records}: {arm}: {metric} at {told}: several of a seed; accepted: one of each")
        return found.set_index("seed")["value"].sort_index()

    def measured(self, arm: str, measure: Measure) -> pd.Series:
        """One number of every member, as `figures.yaml` says; a number of steps that is not measured: the nearest."""
        nfe = measure.nfe
        if nfe is not None and measure.solver is not None:
            nfe = self.nearest(nfe, self.steps(measure.metric, measure.solver, (arm,)))
        return self.values(arm, measure.metric, solver=measure.solver, nfe=nfe)

    def floor(self, metric: str, chunk: int = 0) -> tuple[float, float] | None:
        """The range of truth against truth; None where it is not measured."""
        _, controls = self._read
        floor = controls.floor(FIGURES[self.name], metric, chunk, self.samples)
        return None if floor is None else (floor.low, floor.high)

    @property
    def samples(self) -> int:
        """On how many samples numbers are measured.

        Raises:
            SaltError: not all on equally many.
        """
        measured, _ = self._read
        counts = sorted(map(int, measured.frame["n"].unique()))
        if len(counts) > 1:
            told = f"{', '.join(self.sets)}: n = {counts[0]} and {counts[1]}; accepted: the same in all"
            raise SaltError(f"{self.records}: {told}")
        return counts[0]

    def steps(self, metric: str, solver: str, arms: Sequence[str]) -> list[int]:
        """Numbers of steps at which all of these arms are measured."""
        frames = [self.rows(arm, metric) for arm in arms]
        common = set.intersection(*(set(frame[frame["solver"] == solver]["nfe"]) for frame in frames))
        if not common:
            raise SaltError(f"{self.records}: {metric} of {', '.join(arms)}: no number of {solver} steps in common")
        return sorted(int(nfe) for nfe in common)

    @staticmethod
    def nearest(wanted: int, found: Sequence[int]) -> int:
        """`wanted` where it is measured; at a smaller scale the nearest below, or the fewest."""
        return max((nfe for nfe in found if nfe <= wanted), default=min(found))

    def few_and_many(self, growth: Growth, metric: str, arms: Sequence[str]) -> tuple[int, int]:
        """The two numbers of steps that are compared; at a smaller scale the nearest that are measured."""
        steps = self.steps(metric, growth.solver, arms)
        few, many = self.nearest(growth.few, steps), self.nearest(growth.many, steps)
        return (few if few < many else steps[0]), many

    # ----------------------------------------------------------------------------------------------- looks
    def called(self, arm: str) -> Drawn:
        """How an arm is called and drawn."""
        return self.arms.drawn(arm)

    def looks(self, arms: Sequence[str]) -> Mapping[str, Look]:
        """How arms of one figure are drawn; those without a look of their own take turns."""
        return {arm: self.called(arm).look or OTHER_LOOKS[place % len(OTHER_LOOKS)] for place, arm in enumerate(arms)}

    def meanings(self) -> str:
        """What short labels stand for."""
        called = [self.called(arm) for arm in self.drawn]
        return "; ".join(f"{one.label}: {one.title}" for one in called if one.label != one.title)

    @cached_property
    def lost(self) -> dict[str, int]:
        """How many members of each arm diverged, of those with any."""
        measured, _ = self._read
        found = measured.lost(self.drawn)
        return {arm: len(found[arm]) for arm in self.drawn if arm in found}

    def mostly_lost(self, arm: str) -> bool:
        """Whether more than half of an arm's members diverged: those that are left stand for nothing."""
        return 2 * self.lost.get(arm, 0) > self.exact.members * len(self.ensembles)

    def footnote(self, said: str) -> str:
        """Scale, seeds, samples, protocol and commit, what the figure says of itself, and members that were lost."""
        measured, _ = self._read
        seeds = ranges(seed for run in measured.runs for seed in run.seeds)
        commits = sorted({_commit(run.info) for run in measured.runs})
        warning = "" if self.scale.meaningful else f"{self.scale.name.upper()}: NUMBERS MEAN NOTHING. "
        text = (
            f"{warning}{said}. Scale {self.scale.name}, phase {self.phase}: training seeds {seeds}; "
            f"{self.samples} samples a number; protocol {', '.join(measured.frame['protocol'].unique())}; "
            f"commit {', '.join(commits)}."
        )
        if self.lost:
            told = ", ".join(
                f"{self.called(arm).label} ({number}{', so not drawn' if self.mostly_lost(arm) else ''})"
                for arm, number in self.lost.items()
            )
            text += f" Diverged and left out: {told}."
        return "\n".join(textwrap.wrap(text, LINE))


def difference(one: pd.Series, other: pd.Series) -> Interval:
    """The interval of a mean difference, over the seeds that both have.

    Raises:
        SaltError: they have none in common.
    """
    seeds = one.index.intersection(other.index)
    return seed_interval(one.loc[seeds].to_numpy(), other.loc[seeds].to_numpy())


def _commit(info: RunInfo) -> str:
    return f"{(info.commit or 'unknown')[:7]}{' with uncommitted changes' if info.dirty else ''}"
