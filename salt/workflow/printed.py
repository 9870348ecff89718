"""What of each model is sampled and measured: everything, or no more than some tables and figures print.

A model has one cell for each variant of captions, solver and number of function evaluations, and a table may print one
of nine. So whoever wants that table alone (`--config only=table4`) need not wait for the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from salt.config.schema import Experiment
from salt.evaluation.cells import Cell, cells_of
from salt.report.suite import TableSpec
from salt.workflow.entries import Entries, experiments_of

NEEDS_ALL_CELLS = {"scores", "videos"}
"""A figure that uses one of these may draw any cell of its experiments."""


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
        """The same for `salt sample`, `score` and `score-vbench`."""
        return [f"--cell {cell}" for cell in self.cells(name)]


EVERYTHING = Printed()


def printed_by(entries: Entries, experiments: Mapping[str, Experiment]) -> Printed:
    """What the tables and figures of a run print, and no more."""
    wanted: dict[str, dict[str, None]] = {}
    for table in entries.tables.values():
        for cell in _cells(table, entries, experiments):
            if cell.kind == "scores":
                wanted.setdefault(cell.experiment, {})[cell.name] = None
    drawn = [figure for figure in entries.figures.values() if NEEDS_ALL_CELLS & set(figure.uses)]
    for name in {name for figure in drawn for name in (*experiments_of(figure), *figure.references)}:
        wanted.pop(name, None)
    alone = not any("paths" in entry.uses for entry in entries.all)
    return Printed({name: tuple(cells) for name, cells in wanted.items()}, alone)


def _cells(table: TableSpec, entries: Entries, experiments: Mapping[str, Experiment]) -> list[Cell]:
    rows = [Cell(r.experiment, table.prompts, experiments[r.experiment].main_solver, r.nfe) for r in table.rows]
    below = [cell for name, _ in entries.references(table) for cell in cells_of(name, "", entries.scale, 0)]
    return [*rows, *(cell for cell in below if cell.prompts == table.prompts)]
