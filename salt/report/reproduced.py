"""How far a table made anew is from the committed one, and how far it may be.

The same seed on the same kind of processor gives the committed records byte for byte. Another processor adds in another
order, so that the last digits of a first update differ, and two hundred updates let that grow. What it grows to is not
known in advance; it is bounded here by the scatter of training seeds: captions, sampling noise, data order and random
numbers of the two runs are the same, those of two seeds are not all.

Of two runs that scatter as the committed seeds do, a number differs by less than

    t(.975, f) s sqrt(2),    s^2 = sum over students and seeds of (value - the student's mean)^2 / f,

in 95 of 100 cases, f being the number of seeds less one, summed over the students of the table, which are taken to
scatter alike: with three seeds of three students f = 6 and the factor is 3.5. Seeds are few, so s itself is known to a
third or so. A difference outside its range therefore says that more than rounding has changed. One inside it does not
say that the two are equal, only that one cannot tell them apart by their scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import stdtrit

from salt.config.load import load_experiment, load_scale
from salt.errors import SaltError
from salt.evaluation.cells import Cell
from salt.readers import read_text
from salt.report.metrics import metrics_of, percent, title
from salt.report.records import Kind, Records, kind_of, one_protocol
from salt.report.statistics import LEVEL
from salt.report.suite import TableSpec, table_spec

KINDS = ("scores.csv", "prompts.csv.gz", "modes.csv", "defect.csv", "trajectory.csv")
"""Files of records that are compared line by line, where both folders have them."""
SEED = 0
"""The training seed that is made anew."""


@dataclass(frozen=True)
class Number:
    """One printed number, 0 to 100."""

    row: str
    metric: str
    made: float
    committed: float
    within: float
    """What a difference is expected not to exceed on another processor."""

    @property
    def difference(self) -> float:
        """Made less committed."""
        return self.made - self.committed

    @property
    def met(self) -> bool:
        """Whether the difference is as small as expected."""
        return abs(self.difference) <= self.within


@dataclass(frozen=True)
class Agreement:
    """A table made anew beside the committed one."""

    numbers: Sequence[Number]
    lines: int
    """Lines of the records made anew: of scores, of single videos, of modes, and of the defect where there is one."""
    other: Mapping[str, int]
    """Title of a student -> how many of its lines are not among the committed ones, byte for byte."""

    @property
    def identical(self) -> bool:
        """Whether every line is among the committed ones, byte for byte."""
        return not any(self.other.values())


def agreement(name: str, scale: str, made: Path, committed: Path) -> Agreement:
    """Compare the students of a table with training seed 0.

    Args:
        name: of a table of `experiments/tables.yaml`.
        scale: the scale's name.
        made: folder of the records made anew.
        committed: folder of the records of all training seeds.

    Raises:
        SaltError: records are missing or foreign, were measured under two protocols, or are of one seed alone.
    """
    spec, at = table_spec(name, load_scale(scale)), load_scale(scale)
    here, there = Records(made, at), Records(committed, at)
    cells = _cells(name, spec, scale)
    numbers: list[Number] = []
    for kind, metrics in _by_kind(spec.columns or metrics_of(here.board), next(iter(cells.values()))).items():
        seeds = {cell.experiment: _seeds(there, kind, cell, range(spec.seeds)) for cell in cells.values()}
        for cell in cells.values():
            _seeds(here, kind, cell, [SEED])
        frames = [here.tidy(kind, cell.experiment, [SEED]) for cell in cells.values()]
        frames += [there.tidy(kind, cell.experiment, seeds[cell.experiment]) for cell in cells.values()]
        one_protocol(frames, f"{made} and {committed}")
        for metric in metrics:
            unit = percent(metric)
            values = {
                row: np.multiply(unit, there.values(kind, cell, seeds[cell.experiment], metric))
                for row, cell in cells.items()
            }
            within = expected_within(list(values.values()))
            for row, cell in cells.items():
                (value,) = here.values(kind, cell, [SEED], metric)
                numbers.append(Number(row, metric, unit * value, float(values[row][0]), within))
    order = {row: place for place, row in enumerate(cells)}
    numbers.sort(key=lambda number: order[number.row])
    counts = {row: _other_lines(cell, made, committed) for row, cell in cells.items()}
    return Agreement(numbers, sum(n for n, _ in counts.values()), {row: other for row, (_, other) in counts.items()})


def expected_within(values: Sequence[Sequence[float] | np.ndarray]) -> float:
    """The largest difference of two runs to be expected, at `LEVEL`, from each student's values of all its seeds."""
    degrees = sum(len(one) - 1 for one in values)
    variance = sum(float(((np.asarray(one) - np.mean(one)) ** 2).sum()) for one in values) / degrees
    return float(stdtrit(degrees, 0.5 + LEVEL / 2)) * float(np.sqrt(2 * variance))


def _cells(name: str, spec: TableSpec, scale: str) -> dict[str, Cell]:
    """Row, as printed -> its cell."""
    cells: dict[str, Cell] = {}
    for row in spec.rows:
        experiment = load_experiment(row.experiment, scale)
        several = sum(other.experiment == row.experiment for other in spec.rows) > 1
        words = f"{experiment.label or experiment.title}{f', {row.nfe} NFE' if several else ''}"
        cells[words] = Cell(row.experiment, spec.prompts, experiment.main_solver, row.nfe)
    if not cells:
        raise SaltError(f"table {name}: it has no students; accepted: a table of students")
    return cells


def _by_kind(metrics: Sequence[str], cell: Cell) -> dict[Kind, list[str]]:
    """Kind of records -> the metrics that they hold."""
    found: dict[Kind, list[str]] = {}
    for metric in metrics:
        found.setdefault(kind_of(metric, cell), []).append(metric)
    return found


def _seeds(records: Records, kind: Kind, cell: Cell, wanted: Sequence[int]) -> tuple[int, ...]:
    """The training seeds measured, which must hold seed 0 and, where several are wanted, a second one."""
    found = records.seeds(kind, cell.experiment, wanted)
    if SEED not in found:
        path = records.folder / f"{cell.experiment}_seed{SEED}_{kind}.csv"
        raise SaltError(f"{path}: there is no such file; accepted: what `snakemake` made of this student with seed 0")
    if len(found) < min(2, len(wanted)):
        path = records.folder / f"{cell.experiment}_seed*_{kind}.csv"
        raise SaltError(f"{path}: one training seed; accepted: two or more, whose scatter says what to expect")
    return found


def _other_lines(cell: Cell, made: Path, committed: Path) -> tuple[int, int]:
    """How many lines a student's records made anew have, and how many of these are not among the committed ones."""
    lines = other = 0
    for kind in KINDS:
        name = f"{cell.experiment}_seed{SEED}_{kind}"
        if (made / name).is_file() and (committed / name).is_file():
            known = set(_lines(committed / name))
            found = _lines(made / name)
            lines, other = lines + len(found), other + sum(line not in known for line in found)
    return lines, other


def _lines(path: Path) -> list[str]:
    """Those below the head."""
    return read_text(path, "records as `salt score` writes them").splitlines()[1:]


# ------------------------------------------------------------------------------------------------- as text
def describe(found: Agreement) -> str:
    """A line for each number, and the verdict."""
    wide = max(len(number.row) for number in found.numbers)
    head = f"{'':<{wide}}  {'':<15}{'here':>8}{'committed':>11}{'difference':>12}{'expected':>10}"
    rows = [
        f"{number.row:<{wide}}  {title(number.metric):<15}{number.made:>8.2f}{number.committed:>11.2f}"
        f"{number.difference:>+12.2f}{f'± {number.within:.2f}':>10}  {'met' if number.met else 'NOT MET'}"
        for number in found.numbers
    ]
    return "\n".join([head, *rows, verdict(found)])


def verdict(found: Agreement) -> str:
    """What became of the expectation, in a line or two."""
    if found.identical:
        return (
            f"All {found.lines:,} lines of records are byte for byte the committed ones, as is to be expected on a "
            "processor like the one that made those."
        )
    same = [row for row, other in found.other.items() if not other]
    said = f"Byte for byte the committed ones: the records of {', '.join(same) or 'no student'}."
    outside = [number for number in found.numbers if not number.met]
    totals = [abs(number.difference) for number in found.numbers if number.metric == "total"]
    largest = f" Largest difference of a Total: {max(totals):.2f}." if totals else ""
    where = f"{len(found.numbers) - len(outside)} of {len(found.numbers)} numbers"
    expected = f"the range of one more training seed ({LEVEL:.0%})"
    if not outside:
        return f"{said}{largest}\nAgreement expected on another processor: met; {where} are within {expected}."
    names = ", ".join(f"{title(number.metric)} of {number.row}" for number in outside)
    return (
        f"{said}{largest}\nAgreement expected on another processor: NOT MET by {names}; {where} are within {expected}, "
        "outside which one in twenty lies by chance; rounding alone should be well inside."
    )
