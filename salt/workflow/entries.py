"""The tables and figures of a scale: which experiments each is of, with which training seeds."""

from collections.abc import Collection
from dataclasses import dataclass

from salt.config.files import accepted
from salt.config.scale import Scale
from salt.errors import SaltError
from salt.evaluation.cells import REAL, TEACHER
from salt.evaluation.lengths import TrainingLength
from salt.evaluation.scorers import scorer_of
from salt.report.suite import Ablations, FigureSpec, Suite, TableSpec

Entry = TableSpec | FigureSpec
Run = tuple[str, int]
"""An experiment or a reference, and its training seed."""
REFERENCES = (TEACHER, REAL)
"""Sampled and scored, not distilled: the guided teacher and the codec's ceiling."""


def experiments_of(entry: Entry) -> list[str]:
    """The experiments of one table or figure, each once, in order."""
    named = entry.experiments if isinstance(entry, FigureSpec) else [row.experiment for row in entry.rows]
    return list(dict.fromkeys(named))


def check_entries(suite: Suite, students: Collection[str]) -> None:
    """Refuse a table or figure of an experiment that is no student."""
    entries: list[tuple[str, Entry]] = [(f"tables.{name}", entry) for name, entry in suite.tables.items()]
    entries += [(f"figures.{name}", entry) for name, entry in suite.figures.items()]
    for place, entry in entries:
        for experiment in experiments_of(entry):
            if experiment not in students:
                near = accepted(experiment, students)
                raise SaltError(f"experiments/tables.yaml: {place}: {experiment}: no such student; {near}")


def chosen_of(suite: Suite, only: Collection[str]) -> Suite:
    """The tables and figures that are named, of those that a scale has.

    Raises:
        SaltError: it does not have one of them.
    """
    for name in only:
        if name not in (known := [*suite.tables, *suite.figures]):
            raise SaltError(f"--config only={name}: no such table or figure; {accepted(name, known)}")
    tables = {name: entry for name, entry in suite.tables.items() if name in only}
    figures = {name: entry for name, entry in suite.figures.items() if name in only}
    return suite.model_copy(update={"tables": tables, "figures": figures})


@dataclass(frozen=True)
class Entries:
    """What a scale has."""

    suite: Suite
    """As `Suite.at` gives it."""
    scale: Scale
    imported: Collection[str]
    """Students whose weights are published ones: there is one training of them."""
    seeds: int | None
    """Of every student, where the user says so."""

    @property
    def truth(self) -> bool:
        """Whether there are clips of the prompts, to encode and to corrupt."""
        return scorer_of(self.scale, TrainingLength(self.scale.evaluation)).truth

    @property
    def tables(self) -> dict[str, TableSpec]:
        """By name."""
        return {name: entry for name, entry in self.suite.tables.items() if self.truth or "controls" not in entry.uses}

    @property
    def figures(self) -> dict[str, FigureSpec]:
        """By name."""
        return self.suite.figures

    @property
    def all(self) -> list[Entry]:
        """Tables, then figures."""
        return [*self.tables.values(), *self.figures.values()]

    @property
    def targets(self) -> list[str]:
        """The names of tables and figures, as `snakemake` takes them."""
        return [*self.suite.tables, *self.suite.figures]

    def seeds_of(self, entry: Entry | Ablations) -> range:
        """The training seeds of a table, of a figure, or of an ablation."""
        return range(self.seeds or min(entry.seeds, self.scale.training_seeds))

    def seeds_for(self, name: str, entry: Entry | Ablations) -> range:
        """Those of one of its students."""
        return range(1) if name in self.imported else self.seeds_of(entry)

    def students(self, entry: Entry) -> list[Run]:
        """The students of a table or figure."""
        return [(name, seed) for name in experiments_of(entry) for seed in self.seeds_for(name, entry)]

    def references(self, entry: Entry) -> list[Run]:
        """What is printed or drawn beside them."""
        return [(name, 0) for name in entry.references if self.truth or name != REAL]
