"""What a figure of the lab is drawn from: its arms, the measurements of a phase, and the words for them."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from salt.config.lab import Exact
from salt.config.lab_arms import Arms, Drawn
from salt.config.lab_figures import FIGURES, Growth, LabFigures, Measure
from salt.config.scale import Scale
from salt.config.schema import Look
from salt.errors import SaltError
from salt.report.lab import read
from salt.report.lab.read import TRUTH, Ensemble
from salt.report.statistics import Interval, seed_interval
from salt.report.style import OTHER_LOOKS

Phase = Literal["explore", "confirm"]
FLOOR = (0.025, 0.975)
"""Quantiles of the repeats of truth against truth: the grey band."""
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
    def _rows(self) -> dict[tuple[str, str], pd.DataFrame]:
        """The measurements of every method and metric, in this world."""
        frame = read.measurements(self.records, self.sets, self.ensembles)
        frame = frame[(frame["world"] == FIGURES[self.name]) & frame["method"].isin([*self.drawn, TRUTH])]
        for arm in self.drawn:
            if not (frame["method"] == arm).any():
                first, last = self.ensembles[0]
                file = f"{self.arms.set_of(arm)}_{first}-{last}.csv.gz"
                raise SaltError(
                    f"{self.records / file}: nothing measured of arm {arm} (set {self.arms.set_of(arm)}), which "
                    f"{self.name} draws; accepted: records of every arm of the set"
                )
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
    def rows(self, method: str, metric: str) -> pd.DataFrame:
        """All that is measured of a method in one metric.

        Raises:
            SaltError: nothing.
        """
        if (method, metric) not in self._rows:
            raise SaltError(
                f"{self.records}: nothing measured of {method} in {metric}, which {self.name} draws; accepted: records "
                f"with rows of it"
            )
        return self._rows[method, metric]

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
        if (TRUTH, metric) not in self._rows:
            return None
        rows = self._rows[TRUTH, metric]
        values = rows[rows["chunk"] == chunk]["value"].to_numpy(dtype=float)
        if values.size == 0:
            return None
        low, high = np.quantile(values, FLOOR)
        return float(low), float(high)

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
    def _runs(self) -> list[read.Run]:
        return read.runs(self.records, self.sets, self.ensembles)

    @cached_property
    def lost(self) -> dict[str, int]:
        """How many members of each arm diverged."""
        lost: dict[str, int] = {}
        for run in self._runs:
            for arm in (arm for arm in run.lost if arm in self.drawn and run.lost[arm]):
                lost[arm] = lost.get(arm, 0) + len(run.lost[arm])
        return lost

    def mostly_lost(self, arm: str) -> bool:
        """Whether more than half of an arm's members diverged: those that are left stand for nothing."""
        return 2 * self.lost.get(arm, 0) > self.exact.members * len(self.ensembles)

    def footnote(self, metrics: Sequence[str], said: str) -> str:
        """Scale, seeds, samples, protocol and commit, what the figure says of itself, and members that were lost."""
        parts = [self.rows(arm, metric) for arm in self.drawn for metric in metrics if (arm, metric) in self._rows]
        rows = pd.concat(parts)
        runs, lost = self._runs, self.lost
        commits = sorted({run.commit for run in runs}) or ["unknown"]
        warning = "" if self.scale.meaningful else f"{self.scale.name.upper()}: NUMBERS MEAN NOTHING. "
        seeds = _spans(set(rows["seed"]))
        text = (
            f"{warning}{said}. Scale {self.scale.name}, phase {self.phase}: training seeds {seeds}; "
            f"{_range(rows['n'])} samples a number; protocol {', '.join(sorted(map(str, set(rows['protocol']))))}; "
            f"commit {', '.join(commits)}."
        )
        if lost:
            told = ", ".join(
                f"{self.called(arm).label} ({number}{', so not drawn' if self.mostly_lost(arm) else ''})"
                for arm, number in lost.items()
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


def _spans(seeds: set[int]) -> str:
    """{0, 1, 2, 5} -> `0-2, 5`."""
    spans: list[list[int]] = []
    for seed in sorted(int(seed) for seed in seeds):
        if spans and seed == spans[-1][1] + 1:
            spans[-1][1] = seed
        else:
            spans.append([seed, seed])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)


def _range(numbers: pd.Series) -> str:
    low, high = int(numbers.min()), int(numbers.max())
    return str(low) if low == high else f"{low} to {high}"
