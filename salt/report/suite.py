"""`experiments/tables.yaml` as typed data: which rows make which table, which experiments make which figure."""

from typing import Literal

from pydantic import Field, PositiveInt

from salt.config.base import Name, Section
from salt.config.files import accepted, read_mapping, relative, repository_root
from salt.config.validate import Layer, Merged, validate
from salt.data.prompts import Variant
from salt.errors import SaltError

Use = Literal["scores", "long", "defect", "caches", "videos", "long_videos", "controls"]


class Row(Section):
    """A student and the number of function evaluations it is sampled with."""

    experiment: Name
    """Stem of the experiment's file."""
    nfe: PositiveInt
    """Function evaluations at inference."""
    against: tuple[Name, ...] = ()
    """It is compared with the rows of these experiments at the same nfe, with intervals."""


class TableSpec(Section):
    """What stands in a table."""

    title: str
    """The caption's first sentence."""
    seeds: PositiveInt
    """Training seeds 0 .. seeds - 1."""
    uses: tuple[Use, ...]
    """Kinds of records that are needed."""
    prompts: Variant | Literal["long"]
    """extended, short, or long: videos beyond the training length, of extended captions."""
    columns: tuple[str, ...]
    """Metrics, in the order printed; empty: all."""
    rows: tuple[Row, ...]
    """Students, in the order printed."""
    references: tuple[Literal["teacher", "real"], ...]
    """Rows below the students, seed 0 only."""


class FigureSpec(Section):
    """What stands in a figure."""

    title: str
    """What it shows."""
    seeds: PositiveInt
    """Training seeds 0 .. seeds - 1."""
    uses: tuple[Use, ...]
    """Kinds of records that are needed."""
    experiments: tuple[Name, ...]
    """In the order drawn."""
    references: tuple[Literal["teacher", "real"], ...] = ()
    """Drawn as well, seed 0 only."""


class Ablations(Section):
    """The targets `ablation_NAME`."""

    seeds: PositiveInt
    """Training seeds 0 .. seeds - 1."""


class Suite(Section):
    """The whole file."""

    tables: dict[str, TableSpec] = Field(min_length=1)
    """By name."""
    figures: dict[str, FigureSpec] = Field(min_length=1)
    """By name."""
    ablations: Ablations
    """Seeds of the ablations."""


def load_suite() -> Suite:
    """Read the file.

    Raises:
        SaltError: naming file, key, value and what is accepted.
    """
    path = repository_root() / "experiments" / "tables.yaml"
    source = relative(path)
    return validate(Suite, Merged([Layer(read_mapping(path), source)]), source)


def table_spec(name: str) -> TableSpec:
    """One table by name; an unknown name is a `SaltError`."""
    tables = load_suite().tables
    if name not in tables:
        raise SaltError(f"table {name!r}: not in experiments/tables.yaml; {accepted(name, tables)}")
    return tables[name]


def figure_spec(name: str) -> FigureSpec:
    """One figure by name; an unknown name is a `SaltError`."""
    figures = load_suite().figures
    if name not in figures:
        raise SaltError(f"figure {name!r}: not in experiments/tables.yaml; {accepted(name, figures)}")
    return figures[name]
