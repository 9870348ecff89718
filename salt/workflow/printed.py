"""What of each model is sampled and measured: what tables, figures and claims ask for, and no more.

A model has one cell for each variant of captions, solver and number of function evaluations, and most are printed
nowhere. Whoever wants one table alone (`--config only=table4`) does not wait for the others, nor for the claims.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from salt.config.claims import paper_claims
from salt.config.schema import Experiment
from salt.evaluation.cells import Cell, cells_of
from salt.report.suite import FigureSpec, TableSpec
from salt.workflow.entries import Entries


@dataclass(frozen=True)
class Printed:
    """What is wanted of the models."""

    wanted: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Model -> the names of its cells of training length; of a model that is not here, all."""
    alone: bool = False
    """Whether of the records of the defect Eq. (16) is wanted alone."""

    def cells(self, name: str) -> Sequence[str]:
        """The names of a model's cells; empty: all."""
        return self.wanted.get(name, ())

    def options(self, name: str) -> list[str]:
        """The same for `salt sample`, `score`, `score-vbench` and `modes`."""
        return [word for cell in self.cells(name) for word in ("--cell", cell)]


def printed_by(entries: Entries, experiments: Mapping[str, Experiment], claims: bool) -> Printed:
    """What the tables and figures of a run print, and the claims if they are judged.

    Args:
        entries: the tables and figures.
        experiments: of the scale, by name.
        claims: whether those of the paper are wanted as well.
    """
    asked = [cell for table in entries.tables.values() for cell in _of_table(table, entries, experiments)]
    asked += [cell for figure in entries.figures.values() for cell in _of_figure(figure, entries, experiments)]
    if claims:
        asked += _of_claims(entries, experiments)
    wanted: dict[str, dict[str, None]] = {}
    for cell in asked:
        if cell.kind == "scores":
            wanted.setdefault(cell.experiment, {})[cell.name] = None
    some: dict[str, Sequence[str]] = {}
    for name in wanted:
        every = [cell.name for cell in _all(name, entries, experiments)]
        chosen = tuple(cell for cell in every if cell in wanted[name])
        if len(chosen) < len(every):
            some[name] = chosen
    return Printed(some, not claims and not any("paths" in entry.uses for entry in entries.all))


def _all(name: str, entries: Entries, experiments: Mapping[str, Experiment]) -> list[Cell]:
    """Every cell of a model."""
    return [*cells_of(name, "", entries.scale, 0, experiments.get(name))]


def _of_table(table: TableSpec, entries: Entries, experiments: Mapping[str, Experiment]) -> Iterator[Cell]:
    for row in table.rows:
        yield Cell(row.experiment, table.prompts, experiments[row.experiment].main_solver, row.nfe)
    for name, _ in entries.references(table):
        yield from (cell for cell in cells_of(name, "", entries.scale, 0) if cell.prompts == table.prompts)


def _of_figure(figure: FigureSpec, entries: Entries, experiments: Mapping[str, Experiment]) -> Iterator[Cell]:
    evaluation = entries.scale.evaluation
    for name in figure.experiments:
        for solver in evaluation.solvers if figure.every_solver else (evaluation.main_solver,):
            for nfe in figure.nfe:
                yield Cell(name, "extended", solver, experiments[name].grid.steps if nfe == "own" else nfe)
    for name, _ in entries.references(figure):
        yield from cells_of(name, "", entries.scale, 0)


def _of_claims(entries: Entries, experiments: Mapping[str, Experiment]) -> Iterator[Cell]:
    for claim, _, _ in paper_claims(entries.scale):
        for student in (claim.method, claim.baseline):
            if student.experiment in experiments and claim.measure in ("difference", "distribution"):
                solver = claim.solver or entries.scale.evaluation.main_solver
                yield Cell(student.experiment, claim.prompts, solver, student.nfe)
