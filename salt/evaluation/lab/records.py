"""Records of the lab: one row a measurement, and by which protocol it was made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from torch import Tensor

from salt.config.lab import Exact
from salt.config.schema import Experiment
from salt.digest import SHORT, json_digest
from salt.errors import SaltError
from salt.evaluation.lab.columns import COLUMNS
from salt.evaluation.lab.measures import SUPPORT, Numbers
from salt.evaluation.lab.samples import LEVELS
from salt.evaluation.lab.truth import REFERENCE_SAMPLES, REFERENCE_SEED, Guidance
from salt.flow.grid import Warp

DIGITS = 6
"""Significant ones of a value in a record."""
VERSION = 1
"""Raise it when a definition changes; part of the protocol."""
NO_SOLVER = "none"
UNGUIDED = Guidance(1.0, 1.0)
"""Of what is not sampled from a network: no grid, either."""


def protocol(exact: Exact) -> str:
    """12 hexadecimal digits of all that decides a measurement besides the network and its grid."""
    decides = {
        "version": VERSION,
        "world": exact.world.model_dump(mode="json"),
        "measured": exact.measured.model_dump(mode="json"),
        "reference": [REFERENCE_SEED, REFERENCE_SAMPLES],
        "support": SUPPORT,
        "levels": LEVELS,
    }
    return json_digest(decides)[:SHORT]


def exact_of(experiment: Experiment) -> Exact:
    """The world of an experiment's scale.

    Raises:
        SaltError: its world cannot name its modes.
    """
    scale = experiment.scale
    if scale.exact is None:
        raise SaltError(
            f"{experiment.name}: the world of scale {scale.name} cannot name its modes; accepted: a scale with `exact`"
        )
    return scale.exact


def guidance_of(experiment: Experiment) -> Guidance:
    """The guided teacher that an experiment imitates: by DMD, by phases, or by the trajectories it regresses."""
    objectives = experiment.objectives
    source = objectives.dmd or objectives.pcm or experiment.pairs
    return Guidance(1.0 if source is None else source.cfg_weight, experiment.grid.shift)


class BrokenSamples(SaltError):
    """Samples of some members are not finite."""

    def __init__(self, told: str, members: Sequence[int]) -> None:
        super().__init__(told)
        self.members = tuple(members)


@dataclass(frozen=True)
class Cell:
    """Of which samples a measurement is."""

    nfe: int = 0
    solver: str = NO_SOLVER
    cache: int = 0
    chunk: int = 0


@dataclass(frozen=True)
class Arm:
    """What rows of one arm share.

    Attributes:
        method, experiment: its names.
        exact: the world, and how it is measured.
        seeds: of all members.
        guidance: of its teacher.
        warp: of the grids of what is measured.
        updates: of the generator.
        lost: members without rows.
    """

    method: str
    experiment: str
    exact: Exact
    seeds: tuple[int, ...]
    guidance: Guidance
    warp: Warp
    updates: int = 0
    lost: tuple[int, ...] = ()

    @property
    def living(self) -> list[int]:
        """The members that have rows."""
        return [member for member in range(len(self.seeds)) if member not in self.lost]

    def rows(self, cell: Cell, numbers: Numbers, n: int | None = None) -> Iterator[dict[str, Any]]:
        """A row for each metric and living member."""
        fixed = {
            "method": self.method,
            "experiment": self.experiment,
            "world": self.exact.world.kind,
            "updates": self.updates,
            "n": self.exact.measured.samples if n is None else n,
            "protocol": protocol(self.exact),
        }
        fixed |= {"nfe": cell.nfe, "solver": cell.solver, "cache": cell.cache, "chunk": cell.chunk}
        for metric, values in numbers.items():
            listed = values.tolist()
            for member in self.living:
                yield fixed | {"seed": self.seeds[member], "metric": metric, "value": rounded(listed[member])}

    def check_finite(self, x: Tensor, cell: Cell, caption: str) -> None:
        """Refuse samples `(E, n, ...)` of a living member that are not finite.

        Raises:
            BrokenSamples: naming arm, seeds and cell.
        """
        found = (~x.isfinite()).flatten(1).any(1).tolist()
        if broken := [member for member in self.living if found[member]]:
            where = f", chunks before in {cell.cache} steps" if cell.cache else ""
            seeds = " ".join(str(self.seeds[member]) for member in broken)
            raise BrokenSamples(
                f"{self.method} seed {seeds}, {cell.solver} of {cell.nfe} steps{where}, caption {caption}: the samples "
                "hold NaN or infinity, though the weights are finite: this student diverges when it is sampled",
                broken,
            )


def rounded(value: float) -> float:
    """To the digits of a record."""
    return float(f"{value:.{DIGITS}g}")


def table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table with `COLUMNS`."""
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def mean_of(numbers: Sequence[Numbers]) -> Numbers:
    """The mean of every metric over captions."""
    return {
        metric: sum((one[metric] for one in numbers[1:]), numbers[0][metric]) / len(numbers) for metric in numbers[0]
    }
